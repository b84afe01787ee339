"""Secrets through the commands: stored, found, listed, removed, tried and moved; never shown by accident."""

import asyncio
import io
import json
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from msp_core.builtin import credentials
from msp_core.errors import (
    AuthenticationFailed,
    ConfirmationRequired,
    CredentialError,
    InvalidParameters,
    NotSupported,
    UnknownPlugin,
    VendorUnavailable,
)
from msp_core.secrets import SecretRef, mask, mask_data
from msp_core.testing import make_toolkit
from msp_core.toolkit import Toolkit
from msp_core.v1 import Adapter, Credential, Role, SecretProvider, Status, hookimpl

pytestmark = pytest.mark.anyio


@define
class Memory:
    """A secret store in memory that can be shut, or damage what it is given."""

    kept: dict[str, str] = field(factory=dict)
    shut: bool = False
    damages: bool = False
    listable: bool = True

    def get(self, name: str) -> str | None:
        self._open()
        return self.kept.get(name)

    def set(self, name: str, value: str) -> None:
        self._open()
        self.kept[name] = value[:-1] if self.damages else value

    def delete(self, name: str) -> bool:
        return self.kept.pop(name, None) is not None

    def names(self) -> list[str]:
        if not self.listable:
            raise NotSupported("This store does not tell its names.")
        self._open()
        return sorted(self.kept)

    def _open(self) -> None:
        if self.shut:
            raise CredentialError("The store is locked.", suggestion="Unlock it.")


@frozen(kw_only=True)
class Options:
    """Options of the adapter."""

    client_id: str = ""
    api_key: SecretRef | None = None
    token: SecretRef | None = None


@define
class Vendor:
    """An adapter that resolves its credential and does with it what the key says."""

    env: Any

    async def probe(self, ctx: object) -> str:
        key = (await self.env.secret("api_key")).reveal()
        if key == "wrong-key":
            raise AuthenticationFailed("The vendor refused the key.", suggestion="Renew it.")
        if key == "away-key":
            raise VendorUnavailable("The vendor is away.", suggestion="Wait.")
        if key == "hang-key":
            await asyncio.sleep(60)
        if key == "crash-key":
            raise ZeroDivisionError("oops")
        return "signed in"


memory, vault = Memory(), Memory()


@hookimpl
def msp_secret_providers() -> Iterable[SecretProvider]:
    """Offer two stores."""
    for scheme, order in (("memory", 10), ("vault", 20)):
        yield SecretProvider(
            scheme=scheme, title=scheme, factory=f"credential_double:{scheme}_store", order=order
        )
    yield SecretProvider(
        scheme="sealed", title="sealed", factory="credential_double:sealed_store", order=30,
        writable=False,
    )  # fmt: skip


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer the vendor."""
    yield Adapter(
        id="vendor",
        title="Vendor",
        role=Role.RMM,
        factory="credential_double:Vendor",
        settings="credential_double:Options",
        credentials=(
            Credential(name="client_id", summary="no secret", required=False),
            Credential(name="api_key", summary="the key"),
            Credential(name="token", summary="another", required=False),
        ),
    )


double = types.ModuleType("credential_double")
vars(double).update(
    msp_secret_providers=msp_secret_providers, msp_adapters=msp_adapters, Options=Options,
    Vendor=Vendor, memory_store=lambda secrets: memory, vault_store=lambda secrets: vault,
    sealed_store=lambda secrets: Memory({"rmm/token": "sealed-value"}),
)  # fmt: skip
sys.modules[double.__name__] = double


@pytest.fixture(autouse=True)
def _fresh() -> None:
    for store in (memory, vault):
        store.__init__()  # type: ignore[misc]


def toolkit(folder: Path, **env: str) -> Toolkit:
    """Return a toolkit with the double and one adapter of it."""
    config = {"adapters": {"rmm": {"kind": "vendor"}}}
    return make_toolkit(folder, plugins={"double": double}, config=config, env=env)


def bare(folder: Path) -> Toolkit:
    """Return a toolkit without any store that can be written to."""
    return make_toolkit(folder)


async def test_a_secret_goes_in_by_standard_input_and_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first writable store takes it; `get` says where it is and shows it only when asked."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("s3cr3t value\r\n"))
    async with toolkit(tmp_path) as made:
        said = await made.call("credential.set", {"service": "rmm", "key": "api_key"})
        assert said == "Stored memory:rmm/api_key."
        assert memory.kept == {"rmm/api_key": "s3cr3t value"}
        found = await made.call("credential.get", {"service": "rmm/api_key"})
        assert (found.origin, found.value) == ("memory:rmm/api_key", "********")
        assert found.DISPLAY.summary(found) == "rmm/api_key: found at memory:rmm/api_key"
        found = await made.call("credential.get", {"service": "rmm/api_key", "reveal": True})
        assert found.DISPLAY.summary(found) == "s3cr3t value"


async def test_a_secret_is_asked_for_without_echo_at_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By getpass; and with --no-input nothing is asked and nothing stored."""

    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Tty("visible\n"))
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: "typed blind")
    async with toolkit(tmp_path) as made:
        ctx = made.context()
        ctx.interactive = True
        where = {"service": "rmm/token", "store": "vault"}
        await made.call("credential.set", where, ctx=ctx)
        assert vault.kept == {"rmm/token": "typed blind"}
        with pytest.raises(ConfirmationRequired, match="No secret was given"):
            await made.call("credential.set", {"service": "rmm/other"})
    assert memory.kept == {}


async def test_a_dry_run_stores_nothing_and_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even from standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("s3cr3t\n"))
    async with toolkit(tmp_path) as made:
        ctx = made.context(dry_run=True)
        await made.call("credential.set", {"service": "rmm/api_key"}, ctx=ctx)
    assert [one.preview for one in ctx.planned] == ["store a secret at memory:rmm/api_key"]
    assert (memory.kept, sys.stdin.read()) == ({}, "s3cr3t\n")


@pytest.mark.parametrize("name", ["", "rmm/", "/key", "a//b", "a b", "a\nb", "a\x00b"])
async def test_a_name_that_no_store_could_keep_is_refused(tmp_path: Path, name: str) -> None:
    """Before anybody is asked for the secret."""
    async with toolkit(tmp_path) as made:
        for tool in ("credential.set", "credential.get", "credential.delete"):
            with pytest.raises(InvalidParameters, match="not the name of a secret"):
                await made.call(tool, {"service": name})


@pytest.mark.parametrize(
    ("store", "says"),
    [
        ("env", "The store 'env' cannot be written to."),
        ("sealed", "The store 'sealed' cannot be written to."),
        ("nosuch", "No installed plugin provides secrets for 'nosuch'."),
    ],
)
async def test_only_a_writable_store_takes_secrets(tmp_path: Path, store: str, says: str) -> None:
    """The error names those that do."""
    async with toolkit(tmp_path) as made:
        with pytest.raises((CredentialError, UnknownPlugin)) as caught:
            await made.call("credential.set", {"service": "a/b", "store": store})
    assert caught.value.message == says
    assert "memory" in caught.value.suggestion


async def test_without_a_store_the_install_line_is_shown(tmp_path: Path) -> None:
    """The kernel itself can only read the environment."""
    async with bare(tmp_path) as made:
        with pytest.raises(CredentialError) as caught:
            await made.call("credential.set", {"service": "a/b"})
    assert "pip install msp-secrets-file" in caught.value.suggestion


async def test_the_environment_comes_first(tmp_path: Path) -> None:
    """Then the stores in order; one that is shut is named and passed over; one store alone can be asked."""
    memory.kept["rmm/api_key"] = vault.kept["rmm/api_key"] = "stored value"
    where = {"service": "rmm/api_key"}
    async with toolkit(tmp_path, RMM_API_KEY="environment value") as made:
        assert (await made.call("credential.get", where)).origin == "env:rmm/api_key"
        found = await made.call("credential.get", {**where, "store": "vault"})
        assert found.origin == "vault:rmm/api_key"
    memory.shut = True
    async with toolkit(tmp_path) as made:
        ctx = made.context()
        assert (await made.call("credential.get", where, ctx=ctx)).origin == "vault:rmm/api_key"
        assert ctx.warnings == ["memory: The store is locked."]
        with pytest.raises(CredentialError, match="The store is locked"):
            await made.call("credential.get", {**where, "store": "memory"})
        with pytest.raises(CredentialError) as caught:
            await made.call("credential.get", {"service": "rmm", "key": "none"})
    assert "Set RMM_NONE, or run: msp-toolkit credential set rmm/none" in caught.value.suggestion


async def test_names_are_listed_without_values(tmp_path: Path) -> None:
    """A store that is shut or cannot list is a note, an unknown one an error."""
    memory.kept.update({"b/token": "value-b", "a/key": "value-a"})
    vault.listable = False
    async with toolkit(tmp_path, RMM_API_KEY="value-c", EDITOR="vi") as made:
        found = await made.call("credential.list")
        assert [(one.store, one.name) for one in found.items] == [
            ("env", "RMM_API_KEY"), ("memory", "a/key"), ("memory", "b/token"), ("sealed", "rmm/token"),
        ]  # fmt: skip
        assert found.notes == ("vault: This store does not tell its names.",)
        assert "value-" not in str(found)
        only = await made.call("credential.list", {"store": "memory"})
        assert (only.total, only.notes) == (2, ())
        with pytest.raises(UnknownPlugin):
            await made.call("credential.list", {"store": "nosuch"})


async def test_what_the_configuration_refers_to_is_listed(tmp_path: Path) -> None:
    """A variable is a secret because somebody refers to it, however it is called; one that is not set is none."""
    adapters = {
        "rmm": {"kind": "vendor", "api_key": "env:OUR_LOGIN"},
        "two": {"kind": "vendor", "api_key_env": "OTHER_LOGIN"},
        "three": {"kind": "vendor", "api_key_env": "NOT_THERE"},
    }
    made = make_toolkit(
        tmp_path,
        plugins={"double": double},
        config={"adapters": adapters},
        env={"OUR_LOGIN": "value-a", "OTHER_LOGIN": "value-b", "EDITOR": "vi"},
    )
    async with made:
        found = await made.call("credential.list", {"store": "env"})
    assert [one.name for one in found.items] == ["OTHER_LOGIN", "OUR_LOGIN"]


async def test_a_secret_is_removed_from_one_store(tmp_path: Path) -> None:
    """What is not there is an error, not a success."""
    memory.kept["a/b"] = vault.kept["a/b"] = "value"
    async with toolkit(tmp_path) as made:
        ctx = made.context(dry_run=True)
        await made.call("credential.delete", {"service": "a", "key": "b"}, ctx=ctx)
        assert "a/b" in memory.kept
        said = await made.call("credential.delete", {"service": "a", "key": "b"})
        assert said == "Removed memory:a/b."
        assert (memory.kept, vault.kept) == ({}, {"a/b": "value"})
        with pytest.raises(CredentialError, match="no secret at memory:a/b"):
            await made.call("credential.delete", {"service": "a/b"})


@pytest.mark.parametrize(
    ("key", "status", "says", "code"),
    [
        ("right-key", Status.OK, "signed in", 0),
        ("wrong-key", Status.CRITICAL, "The vendor refused the key.", 2),
        ("crash-key", Status.ERROR, "ZeroDivisionError: oops", 3),
        ("hang-key", Status.UNKNOWN, "no answer in 0.3 s", 3),
        ("away-key", Status.UNKNOWN, "The vendor is away.", 3),
        ("", Status.CRITICAL, "The credential rmm/api_key is not set.", 2),
    ],
)
async def test_each_adapter_is_tried(
    tmp_path: Path,
    key: str,
    status: Status,
    says: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its failure is a row with what to do, and the exit code of the whole; doctor says the same."""
    monkeypatch.setattr(credentials, "_PROBE_S", 0.3)
    async with toolkit(tmp_path, RMM_API_KEY=key) as made:
        trial = await made.call("credential.check")
        report = await made.call("doctor")
    [tried] = trial.adapters
    assert (tried.adapter, tried.status, tried.message) == ("rmm", status, says)
    assert bool(tried.fix) is (status is not Status.OK)
    assert trial.exit_code == code
    assert [one.status for one in report.findings if one.message == f"rmm: {says}"] == [status]


async def test_no_adapter_is_no_failure(tmp_path: Path) -> None:
    """There is nothing to try."""
    async with bare(tmp_path) as made:
        trial = await made.call("credential.check")
    assert (trial.adapters, trial.exit_code) == ((), 0)


async def test_secrets_move_from_the_environment_verified(tmp_path: Path) -> None:
    """Only those the adapters use; a dry run shows it; a second run finds them there; nothing is removed."""
    env = {"RMM_API_KEY": "the key", "UNRELATED_TOKEN": "not moved"}
    where = {"from_": "env", "to": "vault"}
    async with toolkit(tmp_path, **env) as made:
        ctx = made.context(dry_run=True)
        planned = await made.call("credential.migrate", where, ctx=ctx)
        assert [one.state for one in planned.items] == ["would be copied"]
        assert ([one.preview for one in ctx.planned], vault.kept) == (
            ["copy env:rmm/api_key to vault:rmm/api_key"], {},
        )  # fmt: skip
        moved = await made.call("credential.migrate", where)
        assert [(one.name, one.source, one.target, one.state) for one in moved.items] == [
            ("rmm/api_key", "env:rmm/api_key", "vault:rmm/api_key", "copied and verified")
        ]
        assert "then the variables" in moved.notes[0]
        assert vault.kept == {"rmm/api_key": "the key"}
        again = await made.call("credential.migrate", where)
        assert [one.state for one in again.items] == ["there already"]


async def test_a_reference_to_a_variable_moves_under_the_adapters_name(tmp_path: Path) -> None:
    """`api_key_env: NAME` becomes rmm/api_key; one that is in another store stays there."""
    config = {
        "adapters": {"rmm": {"kind": "vendor", "api_key_env": "OLD_NAME", "token": "memory:x/y"}}
    }
    env = {"OLD_NAME": "the key", "RMM_TOKEN": "ignored"}
    async with make_toolkit(tmp_path, plugins={"double": double}, config=config, env=env) as made:
        await made.call("credential.migrate", {"from_": "env", "to": "memory"})
    assert memory.kept == {"rmm/api_key": "the key"}


async def test_everything_moves_between_stores(tmp_path: Path) -> None:
    """And a copy that does not come back as written is an error."""
    memory.kept.update({"a/b": "value one", "c/d": "value two"})
    async with toolkit(tmp_path) as made:
        moved = await made.call("credential.migrate", {"from_": "memory", "to": "vault"})
        assert (moved.total, moved.notes) == (2, ())
        assert vault.kept == memory.kept
        vault.kept.clear()
        vault.damages = True
        with pytest.raises(CredentialError, match="did not come back as it was written"):
            await made.call("credential.migrate", {"from_": "memory", "to": "vault"})


async def test_another_value_in_the_target_is_kept_unless_it_shall_be_replaced(
    tmp_path: Path,
) -> None:
    """A key that was renewed in one store is not lost to an old copy of it."""
    memory.kept["a/b"] = "old"
    vault.kept["a/b"] = "renewed"
    where = {"from_": "memory", "to": "vault"}
    async with toolkit(tmp_path) as made:
        kept = await made.call("credential.migrate", where)
        assert ([one.state for one in kept.items], vault.kept) == (["kept"], {"a/b": "renewed"})
        assert "--replace" in kept.notes[0]
        moved = await made.call("credential.migrate", {**where, "replace": True})
        assert [one.state for one in moved.items] == ["copied and verified"]
    assert vault.kept == {"a/b": "old"}


async def test_config_check_says_where_each_credential_is(tmp_path: Path) -> None:
    """Or how to provide it."""
    vault.kept["rmm/token"] = "a token"
    async with toolkit(tmp_path) as made:
        checked = await made.call("config.check")
    needs = {one.credential: one for one in checked.credentials}
    assert needs["token"].found == "vault:rmm/token"
    assert needs["api_key"].hint == "RMM_API_KEY=... or: msp-toolkit credential set rmm/api_key"
    assert checked.text() == "No configuration file: correct.\n1 credential is not set yet."
    config = {"adapters": {"rmm": {"kind": "vendor", "client_id": "me", "api_key": "vault:rmm/token",
                                   "token": "env:NOWHERE"}}}  # fmt: skip
    async with make_toolkit(tmp_path, plugins={"double": double}, config=config) as made:
        checked = await made.call("config.check")
    needs = {one.credential: one for one in checked.credentials}
    assert {name: one.found for name, one in needs.items()} == {
        "client_id": "the configuration", "api_key": "vault:rmm/token", "token": "",
    }  # fmt: skip
    assert needs["token"].hint == "set env:NOWHERE"  # optional, but somebody counts on it


async def test_what_to_do_about_a_credential_is_spelt_as_the_program_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the rows of `config check` and `credential check`, where `msp` runs."""
    monkeypatch.setattr("sys.argv", ["/venv/bin/msp"])
    async with toolkit(tmp_path) as made:
        checked = await made.call("config.check")
        trial = await made.call("credential.check")
    hints = {one.credential: one.hint for one in checked.credentials}
    assert hints["api_key"].endswith("or: msp credential set rmm/api_key")
    assert trial.adapters[0].fix.endswith("or run: msp credential set rmm/api_key")


async def test_a_reference_that_leads_nowhere_says_what_to_do(tmp_path: Path) -> None:
    """By store; and a shut store is passed over where any store would do."""
    made = toolkit(tmp_path, RMM_API_KEY="the key")
    for text, says in (
        ("env:NO_SUCH", "Set the environment variable NO_SUCH"),
        ("vault:no/such", "credential set no/such --store vault"),
    ):
        with pytest.raises(CredentialError) as caught:
            made.secrets.resolve(SecretRef.parse(text))
        assert says in caught.value.suggestion
    with pytest.raises(UnknownPlugin, match="'nosuch'"):
        made.secrets.resolve(SecretRef.parse("nosuch:a/b"))
    memory.shut = True
    vault.kept["other/key"] = "from the vault"
    found = made.secrets.require(None, "other/key")
    assert (found.reveal(), found.origin) == ("from the vault", "vault:other/key")
    with pytest.raises(CredentialError, match="The credential other/none is not set"):
        made.secrets.require(None, "other/none")


async def test_the_environment_cannot_be_written(tmp_path: Path) -> None:
    """The error says where the line goes."""
    store = toolkit(tmp_path).secrets.store("env")
    for attempt in (lambda: store.set("rmm/api_key", "x"), lambda: store.delete("rmm/api_key")):
        with pytest.raises(CredentialError) as caught:
            attempt()
        assert "RMM_API_KEY=... into .env" in caught.value.suggestion


async def test_json_of_a_result_has_no_secret(tmp_path: Path) -> None:
    """What was found stays masked in every format, even where a key is not called secret."""
    from zoneinfo import ZoneInfo

    from msp_core.output import Format, render

    memory.kept["rmm/api_key"] = "canary-4711"
    async with toolkit(tmp_path) as made:
        found = await made.call("credential.get", {"service": "rmm/api_key"})
        text = render(found, Format.JSON, zone=ZoneInfo("UTC"))
    assert json.loads(text)["value"] == "********"
    assert "canary" not in text


async def test_every_secret_is_learnt(tmp_path: Path) -> None:
    """What a store lists and what the configuration names is masked before anybody asks for it; words are not."""
    memory.kept["b/token"] = "learnt from memory"
    vault.kept["named/only"] = "learnt by its name"
    vault.listable = False
    environ = {"RMM_API_KEY": "learnt from environ", "ODD_ID": "learnt as odd", "MY_TOKEN": "acme"}
    async with toolkit(tmp_path, **environ) as made:
        text = ", ".join([*environ.values(), "learnt from memory", "learnt by its name"])
        assert mask(text) == text
        names = {"adapters": {"x": {"id_env": "ODD_ID", "keys": ["vault:named/only"]}}}
        made.secrets.learn(names)
        assert "learnt" not in mask(text)
        assert mask("acme") == "acme"
        assert "learnt" not in str(mask_data({"learnt from memory": [{"learnt as odd": 1}]}))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("use msp_8ved2fpg_" + "aB3-_" * 8 + "xyz now", "use msp_8ved2fpg_******** now"),
        ("msp_toolkit_is_the_name_of_a_package", "msp_toolkit_is_the_name_of_a_package"),
        ("msp_8ved2fpg_short", "msp_8ved2fpg_short"),
    ],
)
def test_keys_of_callers_are_masked(text: str, masked: str) -> None:
    """Whoever made one, and wherever."""
    assert mask(text) == masked

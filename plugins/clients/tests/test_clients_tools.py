"""The `client` commands as people type them, and as programs call them."""

import json
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from msp_clients.api import Clients
from msp_core.cli import run
from msp_core.v1 import (
    ClientNotFound,
    InvalidParameters,
    Service,
    StoreError,
    Surface,
    Toolkit,
    hookimpl,
)

pytestmark = pytest.mark.anyio


Msp = Callable[..., tuple[str, str]]


@pytest.fixture
def msp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Msp:
    """Run command lines in a workspace, expect their exit code, and return what they printed."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "msp-toolkit.toml").write_text('[general]\ncompany_name = "Test"\n')
    monkeypatch.chdir(tmp_path)

    def call(*words: str, code: int = 0) -> tuple[str, str]:
        ended = run(words)
        out, err = capsys.readouterr()
        assert ended == code, (out, err)
        return out, err

    return call


def test_the_documented_command_lines(msp: Msp) -> None:
    """Each command of the README does what it says."""
    msp(
        "client",
        "add",
        "--name",
        "Acme Corp",
        "--contact",
        "john@acmecorp.com",
        "--tier",
        "premium",
    )
    rows = json.loads(msp("client", "list", "--tier", "premium", "--json")[0])["items"]
    assert [(row["id"], row["contact_email"]) for row in rows] == [
        ("acme-corp", "john@acmecorp.com")
    ]
    assert json.loads(msp("client", "list", "--search", "nobody", "--json")[0])["total"] == 0
    assert "john@acmecorp.com" in msp("client", "show", "acme-corp")[0]
    msp(
        "client",
        "update",
        "acme-corp",
        "--status",
        "suspended",
        "--tag",
        "hipaa",
        "--tag",
        "pci",
    )
    shown = msp("client", "show", "acme-corp")[0]
    assert "nobody is told" in shown
    assert "hipaa pci" in shown
    key = "health.disk.critical_percent"
    assert f"{key} = 95" in msp("client", "config", "acme-corp", "--set", f"{key}=95")[0]
    assert f"{key} = 95" in msp("client", "show", "acme-corp")[0]
    unset = msp("client", "config", "acme-corp", "--unset", key)[0]
    assert "no settings of its own" in unset
    msp("client", "export", "--output", "clients.csv")
    preview = msp("client", "import", "clients.csv", "--dry-run")[0]
    assert "1 unchanged. Nothing was recorded." in preview
    assert "client restore acme-corp" in msp("client", "delete", "acme-corp")[0]
    assert json.loads(msp("client", "list", "--json")[0])["total"] == 0
    assert json.loads(msp("client", "list", "--deleted", "--json")[0])["total"] == 1
    assert msp("client", "restore", "acme-corp")[0].startswith("Restored")
    assert "was not deleted" in msp("client", "restore", "acme-corp", "--yes")[0]
    missing = msp("client", "show", "acme-crop", code=1)
    assert "CLIENT_NOT_FOUND" in missing[1]
    assert "acme-corp" in missing[1]
    msp("client", "add", code=64)
    msp("client", "add", "--name", " ", code=64)


async def test_dry_runs_say_so(toolkit: Toolkit) -> None:
    """The answer of a dry run never reads as if it had happened."""
    ctx = toolkit.context(dry_run=True)
    made = await toolkit.call("client.add", {"name": "Acme"}, ctx=ctx)
    assert made.message.startswith("Not recorded")
    await toolkit.call("client.add", {"name": "Acme"})
    for tool in ("client.delete", "client.restore"):
        done = await toolkit.call(tool, {"client": "acme"}, ctx=toolkit.context(dry_run=True))
        assert done.message.startswith("Not recorded")
        await toolkit.call(tool, {"client": "acme"})
    ctx = toolkit.context(dry_run=True)
    await toolkit.call("client.config", {"client": "acme", "values": {"a": "1"}}, ctx=ctx)
    assert "Nothing was recorded" in ctx.warnings[0]


async def test_update_and_config(toolkit: Toolkit) -> None:
    """Tags are replaced, cleared or left; values are JSON where they read as JSON."""
    await toolkit.call("client.add", {"name": "Acme", "tags": ["a", "b"], "notes": "one\ntwo"})
    same = await toolkit.call("client.update", {"client": "acme", "tier": "bronze"})
    assert "nothing was changed" in same.message
    assert (await toolkit.call("client.update", {"client": "acme", "tags": ["c"]})).client.tags == (
        "c",
    )
    assert (
        await toolkit.call("client.update", {"client": "acme", "name": "Acme 2"})
    ).client.tags == ("c",)
    assert (
        await toolkit.call("client.update", {"client": "acme", "clear_tags": True})
    ).client.tags == ()
    values = {"n": "5", "t": "true", "list": '["a"]', "text": "5 apples"}
    done = await toolkit.call("client.config", {"client": "acme", "values": values})
    assert done.values == {"n": 5, "t": True, "list": ["a"], "text": "5 apples"}
    with pytest.raises(InvalidParameters):
        await toolkit.call("client.config", {"client": "acme", "values": {"n": 1}, "unset": ["n"]})


class _Broken:
    def client_devices(self, tx: Any, ctx: Any, client_ids: Any) -> Any:
        raise StoreError("the figures are gone", suggestion="Wait.")


@hookimpl
def msp_services() -> Iterable[Service]:
    """Offer figures that cannot be had."""
    yield Service(type="msp_clients.api:KnowsDevices", factory="clients_figures:create")


async def test_missing_figures_leave_a_note(toolkit: Toolkit) -> None:
    """Where devices cannot be counted the list is still there, with a gap and the reason."""
    clients = await toolkit.get(Clients)
    assert "client add" in (await toolkit.call("client.list")).notes[0]
    await clients.create(toolkit.context(), name="Acme")
    found = await toolkit.call("client.list")
    assert (found.items[0].devices, found.notes) == (None, ())
    plugin = types.ModuleType("clients_figures")
    plugin.msp_services, plugin.create = msp_services, lambda toolkit: _Broken()  # type: ignore[attr-defined]
    toolkit.registry.add(plugin, id="clients-figures")
    found = await toolkit.call("client.list")
    assert found.items[0].devices is None
    assert found.notes == ("Numbers of devices are not known: the figures are gone",)
    ctx = toolkit.context()
    assert (await toolkit.call("client.show", {"client": "acme"}, ctx=ctx)).devices is None
    assert "the figures are gone" in ctx.warnings[0]


def test_an_unknown_client_names_the_command_line(msp: Msp) -> None:
    """At the shell the next step is a command, not a tool of agents."""
    msp("client", "add", "--name", "Acme Corp")
    _, err = msp("client", "show", "acme-crop", code=1)
    assert "Did you mean acme-corp? Use msp-toolkit client list to see available clients" in err
    assert "client_list" not in err


async def test_an_unknown_client_names_the_tool_of_agents(toolkit: Toolkit) -> None:
    """Agents and programs are told the tool."""
    for surface, name in ((Surface.MCP, "client_id"), (Surface.PYTHON, "client")):
        with pytest.raises(ClientNotFound) as caught:
            await toolkit.call(
                "client.show", {name: "nobody"}, ctx=toolkit.context(surface=surface)
            )
        assert caught.value.suggestion == "Use client_list to see available clients"

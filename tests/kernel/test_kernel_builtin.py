"""The kernel's own commands: doctor, config, plugin, init."""

import json
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from attrs import field, frozen, validators

from msp_core.builtin import doctor
from msp_core.config import Config
from msp_core.environ import Environ
from msp_core.errors import ConfigError, UnknownPlugin
from msp_core.secrets import SecretRef
from msp_core.testing import make_toolkit, run_cli
from msp_core.testing.workspace import registry_of
from msp_core.v1 import (
    Adapter,
    Credential,
    Doc,
    DoctorCheck,
    Finding,
    Role,
    Settings,
    Status,
    StoreError,
    Toolkit,
    hookimpl,
)

sys.path.insert(0, str(Path(__file__).parent))
from fakes import GOOD_TOOL, install, on_path


@frozen(kw_only=True)
class Section:
    """Options of a feature.

    More about them.
    """

    share: Annotated[float, Doc("Some share.")] = field(default=0.5, validator=validators.le(1))
    words: tuple[str, ...] = ("a", "b")
    password: SecretRef | None = None


@frozen(kw_only=True)
class Options:
    """Options of an adapter."""

    url: Annotated[str, Doc("Where it is.")]
    key: SecretRef | None = None
    page: int = 100


async def fine(ctx: object) -> Iterable[Finding]:
    """Find nothing wrong."""
    return [Finding(status=Status.OK, message="all\x1b[31m well", fix="")]


async def shut(ctx: object) -> Iterable[Finding]:
    """Fail as services do."""
    raise StoreError("The database is away with password=abcdefgh.", suggestion="Start it.")


async def broken(ctx: object) -> Iterable[Finding]:
    """Fail as bugs do."""
    raise ZeroDivisionError("oops")


module = types.ModuleType("kernel_builtin_double")


@hookimpl
def msp_settings() -> Iterable[Settings]:
    """Offer a section."""
    yield Settings(section="feature", type="kernel_builtin_double:Section")


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer an adapter."""
    yield Adapter(
        id="double", title="Double", role=Role.RMM, factory="kernel_builtin_double:Options",
        settings="kernel_builtin_double:Options", aliases=("twin",),
        credentials=(Credential(name="key", summary="a key"),),
    )  # fmt: skip
    yield Adapter(
        id="vault", title="Vault", role=Role.BACKUP, factory="kernel_builtin_double:Options",
        settings="kernel_builtin_double:Options",
    )  # fmt: skip


@hookimpl
def msp_doctor_checks() -> Iterable[DoctorCheck]:
    """Offer three checks."""
    for name in ("fine", "shut", "broken"):
        yield DoctorCheck(id=name, title=name, run=f"kernel_builtin_double:{name}")


vars(module).update(
    msp_settings=msp_settings, msp_adapters=msp_adapters, msp_doctor_checks=msp_doctor_checks,
    Section=Section, Options=Options, fine=fine, shut=shut, broken=broken,
)  # fmt: skip
sys.modules[module.__name__] = module
DOUBLE = {"double": module}


async def findings(folder: Path, **options: Any) -> dict[str, list[Any]]:
    """Return what doctor finds, by check."""
    found: dict[str, list[Any]] = {}
    async with make_toolkit(folder, **options) as made:
        report = await made.call("doctor")
    for one in report.findings:
        found.setdefault(one.check, []).append(one)
    found["code"] = [report.exit_code]
    found["text"] = [report.text()]
    return found


@pytest.mark.anyio
async def test_doctor_asks_every_check_and_survives_each(tmp_path: Path) -> None:
    """What raises is a finding with its fix; nothing secret and no escape gets through."""
    found = await findings(tmp_path, plugins=DOUBLE)
    assert [(one.status, one.message) for one in found["fine"]] == [(Status.OK, "all�[31m well")]
    [one] = found["shut"]
    assert (one.status, one.fix) == (Status.CRITICAL, "Start it.")
    assert one.message == "The database is away with password=********"
    [one] = found["broken"]
    assert one.status is Status.ERROR
    assert one.message == "the check itself failed: ZeroDivisionError: oops"
    assert found["code"] == [2]
    assert found["text"][0].endswith(" need attention.")


@pytest.mark.anyio
async def test_doctor_says_once_what_several_checks_say_alike(tmp_path: Path) -> None:
    """One thing to mend is one row, with every check that found it and the worst of what they say."""
    plugin = types.ModuleType("kernel_builtin_alike")
    code = """
from msp_core.v1 import ConfigError, DoctorCheck, Finding, Status, hookimpl

@hookimpl
def msp_doctor_checks():
    for name in ("one", "two", "three"):
        yield DoctorCheck(id=name, title=name.title(), run=f"kernel_builtin_alike:{name}")

async def one(ctx):
    return [Finding(status=Status.UNKNOWN, message="It is away.", fix="Start it.")] * 2

async def two(ctx):
    raise ConfigError("It is away.", suggestion="Start it.")

async def three(ctx):
    return [Finding(status=Status.WARNING, message="It is away.", fix="Look at it.")]
"""
    exec(code, plugin.__dict__)
    found = await findings(tmp_path, plugins={"alike": plugin})
    assert [one.status for one in found["One, Two"]] == [Status.CRITICAL]
    assert [one.fix for one in found["Three"]] == ["Look at it."]
    assert found["text"][0].startswith("2 of ")


@pytest.mark.anyio
async def test_doctor_names_a_plugin_that_failed(tmp_path: Path) -> None:
    """With stage, reason and fix."""
    found = await findings(tmp_path, plugins={"gone": "no_such_module_anywhere.plugin"})
    bad = [one for one in found["Plugins"] if one.status is Status.CRITICAL]
    assert ["no_such_module_anywhere" in one.message for one in bad] == [True]
    assert bad[0].message.startswith("gone (gone ")
    assert bad[0].fix
    assert found["Plugins"][-1].message == "0 in use"


def test_doctor_that_cannot_begin_is_unknown(tmp_path: Path) -> None:
    """A file that nobody can read is no WARNING, and is told in the format asked for."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "msp-toolkit.toml").write_text("[mcp\n")
    plain, asked = (run_cli("doctor", *words, cwd=tmp_path) for words in ((), ("--json",)))
    assert (plain.code, asked.code) == (3, 3)
    assert json.loads(asked.out)["error"]["code"] == "CONFIG_INVALID"
    line = run_cli("--safe-mode", "doctor", "--as", "nagios")
    assert line.out.startswith("WARNING: 1 of "), line


def test_doctor_looks_at_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is a warning; a wrong configuration and a full disk are critical; a good one is fine."""
    empty = json.loads(run_cli("--safe-mode", "doctor", "--json", cwd=tmp_path).out)
    assert [one["status"] for one in empty["findings"] if "no configuration" in one["message"]] == [
        "warning"
    ]
    assert run_cli("--safe-mode", "init", cwd=tmp_path).code == 0
    done = run_cli("--safe-mode", "doctor", cwd=tmp_path)
    assert (done.code, "The toolkit itself is in order." in done.out) == (0, True)
    monkeypatch.setattr(doctor, "_LOW_DISK_BYTES", 1 << 62)
    full = run_cli("--safe-mode", "doctor", "--json", cwd=tmp_path)
    assert full.code == 2
    assert "Free some space" in full.out
    monkeypatch.undo()
    (tmp_path / "config" / "msp-toolkit.toml").write_text("[reporting]\noutput_dri = 'x'\n")
    wrong = run_cli("--safe-mode", "doctor", "--json", cwd=tmp_path)
    assert wrong.code == 2
    assert "output_dri: unknown key (did you mean 'output_dir'?)" in wrong.out


@pytest.mark.anyio
async def test_config_show_tells_where_each_option_comes_from(tmp_path: Path) -> None:
    """Of the kernel, of plugins and of adapters; secrets as references."""
    config = {
        "feature": {"share": 0.25, "password": "env:DB"},
        "adapters": {"one": {"kind": "twin", "url": "u", "key": "file:one/key"}},
    }
    async with make_toolkit(tmp_path, plugins=DOUBLE, config=config) as made:
        listed = await made.call("config.show")
    found = {one.option: (one.value, one.origin) for one in listed.items}
    assert found["general.timezone"] == ("UTC", "default")
    assert found["feature.share"] == (0.25, "test")
    assert found["feature.words"] == (["a", "b"], "default")
    assert found["feature.password"] == ("env:DB", "test")
    assert found["adapters.one.kind"] == ("double", "test")
    assert found["adapters.one.key"] == ("file:one/key", "test")
    assert listed.total == len(found)


@pytest.mark.anyio
async def test_config_show_tells_the_origin_of_each_option_of_an_adapter(tmp_path: Path) -> None:
    """Only what was written comes from there: by any of its names, and from the layer that wins."""
    config = {
        "feature": {"password_env": "DB"},
        "rmm": {"provider": "twin", "url": "u", "key_env": "RMM_API_KEY"},
        "backup": {"providers": [{"name": "vault", "url": "u"}]},
    }
    layers = [("file", config), ("environment", {"rmm": {"url": "https://other.example"}})]
    read = Config(None, tmp_path, Environ({}), layers)
    async with Toolkit(read, registry_of(DOUBLE)) as made:
        found = {one.option: one.origin for one in (await made.call("config.show")).items}
    assert found["feature.password"] == "file"
    assert found["adapters.rmm.url"] == "environment"
    assert found["adapters.rmm.key"] == "file"
    assert found["adapters.rmm.page"] == "default"
    assert found["adapters.vault.url"] == "file"
    assert found["adapters.vault.page"] == "default"


@pytest.mark.anyio
async def test_config_schema_describes_what_is_installed(tmp_path: Path) -> None:
    """Sections with their texts, and every kind of adapter under its id and aliases."""
    async with make_toolkit(tmp_path, plugins=DOUBLE) as made:
        schema = await made.call("config.schema")
    feature = schema["properties"]["feature"]
    assert feature["description"].startswith("Options of a feature.")
    assert feature["properties"]["share"] == {
        "type": "number", "description": "Some share.", "default": 0.5,
    }  # fmt: skip
    kind, _ = schema["properties"]["adapters"]["additionalProperties"]["anyOf"]
    assert kind["properties"]["kind"] == {"enum": ["double", "twin"]}
    assert kind["required"] == ["kind", "url"]
    assert set(kind["properties"]) >= {"key", "key_env"}
    assert kind["dependentSchemas"] == {"key_env": {"properties": {"key": False}}}
    assert "password_env" in feature["properties"]
    async with make_toolkit(tmp_path) as made:
        bare = await made.call("config.schema")
    assert bare["properties"]["adapters"]["additionalProperties"] == {}


@pytest.mark.anyio
async def test_a_wrong_section_of_a_plugin_is_a_config_error(tmp_path: Path) -> None:
    """Also one that only the class itself refuses."""
    with pytest.raises(ConfigError, match=r"feature.share: must be <= 1"):
        make_toolkit(tmp_path, plugins=DOUBLE, config={"feature": {"share": 2.0}})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder of installed distributions, with one good and one broken plugin."""
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "good", GOOD_TOOL)
    install(folder, "sad", "raise ImportError('missing thing')")
    with on_path(folder):
        yield folder


ONLY = ("--set", 'plugins.allow=["msp-good", "msp-sad"]')


def test_plugin_list_and_show_name_state_offer_and_reason(site: Path, tmp_path: Path) -> None:
    """Active, failed, disabled; an unknown one comes with the nearest name."""
    work = tmp_path / "work"
    work.mkdir()
    rows = json.loads(run_cli(*ONLY, "plugin", "list", "--json", cwd=work).out)["items"]
    state = {row["id"]: row for row in rows}
    assert (state["good"]["state"], state["good"]["offers"]) == ("active", ["tools"])
    assert (state["sad"]["state"], state["sad"]["reason"]) == (
        "failed", "import: ImportError: missing thing",
    )  # fmt: skip
    assert "pip install --force-reinstall msp-sad" in state["sad"]["fix"]
    shown = json.loads(run_cli(*ONLY, "plugin", "show", "good", "--json", cwd=work).out)
    assert (shown["module"], shown["offers"]) == ("msp_good.plugin", {"tools": ["good.hello"]})
    assert shown["summary"] == "The good plugin"
    done = run_cli(*ONLY, "plugin", "show", "goood", cwd=work)
    assert done.code == 1
    assert "Did you mean 'good'?" in done.err
    safe = json.loads(run_cli("--safe-mode", "plugin", "list", "--json", cwd=work).out)["items"]
    assert {row["id"]: row["state"] for row in safe}["sad"] == "not loaded"
    assert all("enable" not in row["fix"] for row in safe)


def test_plugin_disable_needs_a_plugin_and_a_configuration(site: Path, tmp_path: Path) -> None:
    """It keeps what else the file says; a dry run writes nothing."""
    work = tmp_path / "work"
    work.mkdir()
    done = run_cli("--safe-mode", "plugin", "disable", "good", cwd=work)
    assert (done.code, "no configuration to note that in" in done.err) == (1, True)
    assert run_cli("--safe-mode", "init", cwd=work).code == 0
    file = work / "config" / "conf.d" / "plugins.toml"
    done = run_cli("--safe-mode", "plugin", "disable", "nosuch", cwd=work)
    assert (done.code, "PLUGIN_NOT_FOUND" in done.err) == (1, True)
    done = run_cli("--safe-mode", "plugin", "disable", "good", "--dry-run", cwd=work)
    assert "Would: disable plugin good" in done.err
    assert not file.exists()
    file.write_text("[general]\ncompany_name = 'Kept'\n")
    assert run_cli("--safe-mode", "plugin", "disable", "sad", cwd=work).code == 0
    assert run_cli("--safe-mode", "plugin", "disable", "good", cwd=work).code == 0
    safe = json.loads(run_cli("--safe-mode", "plugin", "list", "--json", cwd=work).out)["items"]
    assert {row["id"]: row["state"] for row in safe}["good"] == "disabled"
    text = file.read_text()
    assert 'company_name = "Kept"' in text
    assert run_cli("--safe-mode", "plugin", "enable", "sad", cwd=work).code == 0
    import tomllib

    assert tomllib.loads(file.read_text())["plugins"] == {"disabled": ["good"]}


@pytest.mark.anyio
async def test_an_unknown_plugin_is_named(tmp_path: Path) -> None:
    """Before anything is looked for in a configuration."""
    async with make_toolkit(tmp_path) as made:
        with pytest.raises(UnknownPlugin, match="No plugin 'nosuch-at-all' is installed"):
            await made.call("plugin.enable", {"id": "nosuch-at-all"})


@pytest.mark.anyio
async def test_init_writes_every_section_and_plans_it_in_a_dry_run(tmp_path: Path) -> None:
    """The file of a workspace shows each option with its text and default; a dry run makes nothing."""
    target = tmp_path / "new" / "place"
    where = {"directory": str(target), "company": 'Quo"te', "timezone": "Europe/Berlin"}
    async with make_toolkit(tmp_path, plugins=DOUBLE) as made:
        planned = await made.call("init", where, ctx=made.context(dry_run=True))
        assert not target.exists()
        done = await made.call("init", where)
    assert planned.created == done.created == (
        "config/msp-toolkit.toml", "data/", "config/conf.d/", ".gitignore",
    )  # fmt: skip
    text = (target / "config" / "msp-toolkit.toml").read_text()
    assert "company_name = 'Quo\"te'" in text or 'company_name = "Quo\\"te"' in text
    assert "[feature]\n# Options of a feature.\n" in text
    assert "# Some share.\n# share = 0.5\n" in text
    assert 'timezone = "Europe/Berlin"' in text
    assert ".env" in (target / ".gitignore").read_text()
    assert "created  config/msp-toolkit.toml" in done.text()


@pytest.mark.anyio
async def test_init_where_nothing_can_be_written(tmp_path: Path) -> None:
    """The error names the folder."""
    (tmp_path / "file").write_text("")
    async with make_toolkit(tmp_path) as made:
        with pytest.raises(ConfigError, match="cannot be made"):
            await made.call("init", {"directory": str(tmp_path / "file" / "below")})

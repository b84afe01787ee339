"""The toolkit and the program around it: opening, adapters, services, closing, broken output."""

import asyncio
import errno
import io
import os
import pwd
import subprocess
import sys
import types
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from msp_core import cli
from msp_core.discovery import PluginFailure
from msp_core.errors import (
    ConfigError,
    PermissionDenied,
    PluginError,
    StoreError,
    UnknownPlugin,
)
from msp_core.invoke import refuse
from msp_core.records import Service
from msp_core.registry import Registry
from msp_core.testing import make_toolkit, run_cli
from msp_core.testing.commandline import _logging
from msp_core.toolkit import GUARD, Toolkit, local_actor
from msp_core.v1 import (
    Adapter,
    Call,
    Change,
    Context,
    Effect,
    Outcome,
    Role,
    Settings,
    Tool,
    hookimpl,
)

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@frozen(kw_only=True)
class Options:
    """No options."""


@frozen(kw_only=True)
class Nobodys:
    """A section that nobody declares."""


@define
class Thing:
    """An adapter or service that says when it is closed."""

    env: Any = None
    closed: list[str] = field(factory=list)

    async def aclose(self) -> None:
        events.append(type(self).__name__)


class Stubborn(Thing):
    """A service that cannot be closed."""

    async def aclose(self) -> None:
        raise RuntimeError("stuck")


@define
class Guard:
    """A guard whose records can fail."""

    calls: list[tuple[str, str]] = field(factory=list)
    finished: list[Mapping[str, Any]] = field(factory=list)
    broken: bool = False

    async def authorise(self, call: Call) -> None:
        return None

    async def record(self, call: Call, outcome: Outcome) -> None:
        if self.broken:
            raise StoreError("The audit table is away.")
        self.calls.append((call.tool, outcome.status))

    async def begin_change(self, call: Call, change: Change) -> Any:
        return types.SimpleNamespace(state="new", result=None)

    async def finish_change(self, change: Change, *, ok: bool, result: Any) -> None:
        self.finished.append({"ok": ok, **(result if isinstance(result, dict) else {})})


async def look(ctx: Context) -> str:
    """Look."""
    return "seen"


async def wait(ctx: Context) -> None:
    """Wait."""
    begun[0].set()
    await asyncio.sleep(60)


async def change(ctx: Context, how: str = "fine") -> str:
    """Change something."""

    async def apply() -> str:
        if how == "refused":
            raise ConfigError("not like this")
        if how == "crash":
            raise ZeroDivisionError("with secrets")
        return "changed"

    return str(await ctx.change("thing.change", "it", apply, key=how))


events: list[str] = []
begun: list[asyncio.Event] = []
guard = Guard()
builds: list[str] = []


def make_flaky(toolkit: Toolkit) -> Thing:
    """Fail the first time."""
    builds.append("flaky")
    if len(builds) == 1:
        raise StoreError("not yet")
    return Thing()


module = types.ModuleType("kernel_toolkit_double")


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer three tools."""
    for function, effect in ((look, Effect.READ), (wait, Effect.READ), (change, Effect.CHANGE)):
        name = function.__name__
        yield Tool(
            name=f"double.{name}", run=f"{module.__name__}:{name}", summary=name, effect=effect
        )


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer one that every configuration has, and one that may be configured."""
    yield Adapter(
        id="here", title="Here", role=Role.HOST, factory=f"{module.__name__}:make_here",
        settings=f"{module.__name__}:Options", implicit="here",
    )  # fmt: skip
    yield Adapter(
        id="double", title="Double", role=Role.RMM, factory=f"{module.__name__}:make_here",
        settings=f"{module.__name__}:Options",
    )  # fmt: skip


@hookimpl
def msp_settings() -> Iterable[Settings]:
    """Offer a section."""
    yield Settings(section="double", type=f"{module.__name__}:Options")


@hookimpl
def msp_services() -> Iterable[Service]:
    """Offer services."""
    yield Service(type=f"{__name__}:Thing", factory=f"{module.__name__}:make_flaky")
    yield Service(type=f"{__name__}:Stubborn", factory=f"{module.__name__}:make_stubborn")


@hookimpl
def guarded_services() -> Iterable[Service]:
    """Offer a guard."""
    yield Service(type=GUARD, factory=f"{module.__name__}:make_guard")


vars(module).update(
    msp_tools=msp_tools, msp_adapters=msp_adapters, msp_settings=msp_settings,
    msp_services=msp_services, Options=Options, look=look, wait=wait, change=change,
    make_here=Thing, make_flaky=make_flaky, make_stubborn=lambda _: Stubborn(),
    make_guard=lambda _: guard,
)  # fmt: skip
sys.modules[module.__name__] = module
warden = types.ModuleType("kernel_warden_double")
vars(warden).update(msp_services=guarded_services)
sys.modules[warden.__name__] = warden
DOUBLE = {"double": module}
GUARDED = {"double": module, "warden": warden}


@pytest.fixture(autouse=True)
def _fresh() -> None:
    events.clear()
    builds.clear()
    guard.__init__()  # type: ignore[misc]


@pytest.mark.anyio
async def test_adapters_are_built_once_from_their_environment(tmp_path: Path) -> None:
    """Configured and implicit ones, by role; an unknown one names the configured and the nearest."""
    config = {"adapters": {"rmm1": {"kind": "double"}}}
    toolkit = make_toolkit(tmp_path, plugins=DOUBLE, config=config, clock=lambda: NOON)
    async with toolkit:
        assert [one.name for one in toolkit.instances()] == ["here", "rmm1"]
        assert [one.name for one in toolkit.instances(Role.RMM)] == ["rmm1"]
        first, second = await asyncio.gather(toolkit.adapter("rmm1"), toolkit.adapter("rmm1"))
        assert first is second
        assert (first.env.instance, first.env.now(), first.env.settings) == (
            "rmm1", NOON, toolkit.instance("rmm1").settings,
        )  # fmt: skip
        with pytest.raises(UnknownPlugin) as caught:
            await toolkit.adapter("rmm")
        assert "Did you mean 'rmm1'?" in caught.value.suggestion
        assert "here, rmm1" in caught.value.suggestion
    assert events == ["Thing"]


@pytest.mark.anyio
async def test_a_build_that_failed_is_tried_again(tmp_path: Path) -> None:
    """A service that was not ready once is not lost for ever."""
    async with make_toolkit(tmp_path, plugins=DOUBLE) as toolkit:
        with pytest.raises(StoreError):
            await toolkit.get(Thing)
        assert await toolkit.get(Thing) is await toolkit.get(Thing)
    assert len(builds) == 2


@pytest.mark.anyio
async def test_closing_goes_on_past_what_cannot_be_closed(tmp_path: Path) -> None:
    """And a closed toolkit builds nothing any more."""
    async with make_toolkit(tmp_path, plugins=DOUBLE) as toolkit:
        builds.append("ready")
        await toolkit.get(Thing)
        await toolkit.get(Stubborn)
    assert events == ["Thing"]
    with pytest.raises(PluginError, match="closed"):
        await toolkit.get(Thing)


def test_settings_of_nobody_are_a_plugins_mistake(tmp_path: Path) -> None:
    """With the type's name; declared ones come typed."""
    toolkit = make_toolkit(tmp_path, plugins=DOUBLE)
    with pytest.raises(PluginError, match="Nobodys"):
        toolkit.settings(Nobodys)


def test_the_private_folder_is_private(tmp_path: Path) -> None:
    """Mode 0700, made when asked for."""
    toolkit = make_toolkit(tmp_path)
    assert not (tmp_path / ".msp").exists()
    assert toolkit.state_dir.stat().st_mode & 0o777 == 0o700
    assert toolkit.root == tmp_path


def test_opening_warns_and_refuses(tmp_path: Path) -> None:
    """What is not installed is a warning; what is wrong starts nothing."""
    file = tmp_path / "msp-toolkit.toml"
    file.write_text("[rmm]\nprovider = 'ninjaone'\n")
    said: list[str] = []
    Toolkit.open(file, registry=Registry(), warn=said.append)
    assert ["pip install msp-rmm-ninjaone" in text for text in said] == [True]
    file.write_text("[general]\nnosuch = 1\n")
    with pytest.raises(ConfigError, match="nosuch"):
        Toolkit.open(file, registry=Registry())
    assert Toolkit.open(file, safe_mode=True).registry.active() == ("builtin",)


def test_without_a_configuration_there_is_no_place_for_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standing in a folder does not make it a workspace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MSP_CONFIG", raising=False)
    toolkit = Toolkit.open(registry=Registry())
    with pytest.raises(ConfigError, match="nowhere to keep records"):
        toolkit.require_workspace()
    Toolkit.open(registry=Registry(), overrides={"database": {}}).require_workspace()


def test_a_user_without_a_name_is_still_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the user may be a number only."""

    def nobody(uid: int) -> None:
        raise KeyError(f"uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("USERNAME", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    assert local_actor().id == "local:unknown"


@pytest.mark.anyio
async def test_access_control_that_is_broken_stops_changes(tmp_path: Path) -> None:
    """Reading goes on: whoever may break it must not thereby be free to change."""
    toolkit = make_toolkit(tmp_path, plugins=DOUBLE)
    toolkit.registry.failures["access"] = PluginFailure(
        plugin="access",
        distribution="msp-access",
        version="1",
        stage="import",
        reason="x",
        fix="mend",
    )
    async with toolkit:
        assert await toolkit.call("double.look") == "seen"
        with pytest.raises(PermissionDenied, match="failed to load") as caught:
            await toolkit.call("double.change")
        assert caught.value.suggestion == "mend"
        assert str(await toolkit.call("double.change", ctx=toolkit.context(dry_run=True)))


@pytest.mark.anyio
async def test_every_end_of_a_call_is_recorded(tmp_path: Path) -> None:
    """Cancelled, failed with either kind of error, refused before it began."""
    async with make_toolkit(tmp_path, plugins=GUARDED) as toolkit:
        begun[:] = [asyncio.Event()]
        running = asyncio.ensure_future(toolkit.call("double.wait"))
        await begun[0].wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        for how, code in (("refused", "CONFIG_INVALID"), ("crash", "SYSTEM_ERROR")):
            with pytest.raises(Exception) as caught:  # noqa: PT011, both kinds
                await toolkit.call("double.change", {"how": how})
            assert getattr(caught.value, "code", "") == code
        with pytest.raises(PermissionDenied):
            await refuse(
                toolkit.tool("double.look"), {}, toolkit.context(), PermissionDenied("not today")
            )
    assert guard.calls == [
        ("double.wait", "cancelled"), ("double.change", "failed"), ("double.change", "failed"),
        ("double.look", "refused"),
    ]  # fmt: skip
    assert [(one["ok"], one["code"]) for one in guard.finished] == [
        (False, "CONFIG_INVALID"), (False, "SYSTEM_ERROR"),
    ]  # fmt: skip
    assert "with secrets" not in str(guard.finished)


@pytest.mark.anyio
async def test_a_call_without_its_trail_does_not_pass(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The audit row failed: that is an error and is logged, also of a look; and a failure keeps its own words."""
    guard.broken = True
    async with make_toolkit(tmp_path, plugins=GUARDED) as toolkit:
        with pytest.raises(StoreError, match=r"double\.look ran, but .*audit table"):
            await toolkit.call("double.look")
        assert "the audit row of double.look could not be written" in caplog.text
        with pytest.raises(StoreError, match="audit table"):
            await toolkit.call("double.change")
        with pytest.raises(ConfigError, match="not like this"):
            await toolkit.call("double.change", {"how": "refused"})


def test_the_root_options(tmp_path: Path) -> None:
    """Version, help without arguments, --set that is none."""
    assert run_cli("--version").out.startswith("msp-toolkit ")
    done = run_cli(cwd=tmp_path)
    assert (done.code, "Usage: msp-toolkit" in done.out) == (0, True)
    for item in ("novalue", "=1", "key=1", ".key=1", "general.=1"):
        done = run_cli("--safe-mode", "--set", item, "doctor")
        assert (done.code, "is not SECTION.KEY=VALUE" in done.err) == (64, True), item
    done = run_cli("--safe-mode", "--set", "a.b=1", "--set", "a.b.c=2", "doctor")
    assert (done.code, "contradicts an earlier --set" in done.err) == (64, True)
    done = run_cli("--safe-mode", "config", "shwo")
    assert (done.code, "Did you mean 'show'?" in done.err) == (64, True)
    shown = run_cli("--safe-mode", "--set", "general.company_name=Nord", "config", "show").out
    assert "Nord" in shown
    assert "command line" in shown


def test_a_log_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Before anything is done, so what judges has judged nothing."""
    (tmp_path / "file").write_text("")
    option = f"general.log_file={tmp_path}/file/x.log"
    done = run_cli("--safe-mode", "--set", option, "doctor", cwd=tmp_path)
    assert done.code == 3
    assert "log file" in done.err
    assert "CONFIG_INVALID" in done.err


class Broken(io.StringIO):
    """An output that fails as the system says."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error

    def fileno(self) -> int:
        return self.spare

    spare = -1


@pytest.mark.parametrize(
    ("error", "says"),
    [(BrokenPipeError(), ""), (OSError(errno.ENOSPC, "No space left on device"), "No space left")],
)
def test_an_output_that_is_gone(
    error: OSError,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A reader that went away is no error to tell; a full disk is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    stream = Broken(error)
    stream.spare = os.open(os.devnull, os.O_WRONLY)
    monkeypatch.setattr(sys, "stdout", stream)
    with _logging():
        code = cli.run(["--safe-mode", "config", "show"])
    monkeypatch.undo()
    os.close(stream.spare)
    err = capsys.readouterr().err
    assert code == 1
    assert says in err
    assert ("SYSTEM_ERROR" in err) is bool(says)
    assert "Traceback" not in err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_program_without_its_streams(closed: str, tmp_path: Path) -> None:
    """Started without standard streams it neither fails nor writes into the next file it opens."""
    line = f'exec "$0" -m msp_core --safe-mode init --company X {closed}'
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        ["sh", "-c", line, sys.executable], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "config" / "msp-toolkit.toml").read_text()
    assert text.startswith("# MSP Toolkit configuration.")
    assert "created" not in text

"""Unknown ids anywhere: what is installed, the nearest, what is out of use, and the line that installs a known one."""

# ruff: noqa: E501 - the tables have one line each

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msp_core.testing import Done, run_cli

sys.path.insert(0, str(Path(__file__).parent))
from fakes import GOOD_TOOL, install, on_path

CHECK = """
from msp_core.v1 import Adapter, Check, CpuFacts, Effect, Role, Tool, hookimpl

@hookimpl
def msp_checks():
    yield Check(id="uptime", title="Uptime", needs=(CpuFacts,), limits="a:b", evaluate="a:b")

@hookimpl
def msp_adapters():
    yield Adapter(id="acme-rmm", title="Acme", role=Role.RMM, factory="a:b", settings="{package}.plugin:Options")

@hookimpl
def msp_tools():
    yield Tool(name="{id}.try", run="{package}.plugin:attempt", summary="Try ids.", effect=Effect.READ)

from typing import Annotated
from attrs import frozen
from msp_core.v1 import Context, Doc, Param, SecretRef

@frozen(kw_only=True)
class Options:
    key: SecretRef | None = None

async def attempt(
    ctx: Context,
    check: Annotated[str | None, Doc("Check."), Param(choices="checks")] = None,
    kind: Annotated[str | None, Doc("Kind."), Param(choices="adapters")] = None,
    tool: Annotated[str | None, Doc("Tool."), Param(choices="tools")] = None,
    instance: Annotated[str | None, Doc("Instance.")] = None,
    call: Annotated[str | None, Doc("Tool to call.")] = None,
    secret: Annotated[str | None, Doc("Secret.")] = None,
    service: Annotated[str | None, Doc("Module of a service.")] = None,
) -> str:
    '''Try ids.'''
    if service:
        await ctx.get(type("Wanted", (), {"__module__": service}))
    if instance:
        await ctx.adapter(instance)
    if call:
        await ctx.toolkit.call(call)
    if secret:
        ctx.toolkit.secrets.resolve(SecretRef.parse(secret))
    return "ok"
"""


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Done]]:
    """Command lines with a good plugin, one that is broken and one that is disabled."""
    site = tmp_path / "site"
    install(site, "acme", CHECK)
    install(site, "sad", "raise ImportError('no luck')")
    install(site, "idle", GOOD_TOOL)
    monkeypatch.setattr("msp_core.discovery.search_path", lambda: [str(site)])
    work = tmp_path / "work"
    work.mkdir()
    with on_path(site):
        yield lambda *words: run_cli("--set", 'plugins.disabled=["idle"]', *words, cwd=work)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("acme", "try", "--check", "uptme"), ("no check 'uptme'", "Did you mean 'uptime'?", "Installed: uptime")),
        (("acme", "try", "--check", "disk"), ("no check 'disk'", "pip install msp-check-disk")),
        (("acme", "try", "--kind", "acme-rm"), ("no adapter 'acme-rm'", "Did you mean 'acme-rmm'?")),
        (("acme", "try", "--kind", "datto"), ("no adapter 'datto'", "pip install msp-rmm-datto")),
        (("acme", "try", "--tool", "acme.tri"), ("no tool 'acme.tri'", "Did you mean 'acme.try'?")),
        (("acme", "try", "--call", "acme.tri"), ("no tool 'acme.tri'", "Did you mean 'acme.try'?")),
        (("acme", "try", "--instance", "rmm"), ("No adapter 'rmm'", "Configured: none")),
        (("acme", "try", "--instance", "ninjaone"), ("No adapter 'ninjaone'", "pip install msp-rmm-ninjaone")),
        (("acme", "try", "--secret", "vault:x"), ("'vault'", "Installed: env", "pip install msp-secrets-vault")),
        (("acme", "try", "--secret", "en:x"), ("'en'", "Did you mean 'env'?")),
        (("plugin", "show", "acmee"), ("No plugin 'acmee'", "Did you mean 'acme'?")),
        (("plugin", "show", "check-disk"), ("No plugin 'check-disk'", "pip install msp-check-disk")),
        (("plugin", "disable", "acmee"), ("No plugin 'acmee'", "Did you mean 'acme'?")),
    ],
)  # fmt: skip
def test_an_unknown_id_says_what_there_is(
    cli: Callable[..., Done], words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    """The nearest, the installed, what is disabled or failed, and what to install."""
    done = cli(*words)
    assert done.code in (1, 64)
    assert [part for part in told if part not in done.err] == [], done.err
    assert "Disabled: idle." in done.err
    assert "Failed to load: sad." in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("acme-rm", "there is no adapter 'acme-rm' (did you mean 'acme-rmm'?; disabled or failed: idle, sad)"),
        ("datto", "the plugin for 'datto' is not installed. Run: pip install msp-rmm-datto"),
    ],
)  # fmt: skip
def test_an_unknown_kind_in_the_configuration(
    cli: Callable[..., Done], kind: str, told: str
) -> None:
    """A kind nobody offers is an error with the nearest; a known one comes with its install line."""
    done = cli("--set", f"adapters.rmm.kind={kind}", "config", "check")
    assert told in done.out + done.err


def test_a_known_kind_whose_plugin_failed_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told to install what is installed and broken."""
    site = tmp_path / "site"
    install(site, "rmm-datto", "raise ImportError('no luck')")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr("msp_core.discovery.search_path", lambda: [str(site)])
    with on_path(site):
        done = run_cli("--set", "adapters.rmm.kind=datto", "config", "check", cwd=work)
    assert "the plugin for 'datto' failed: ImportError: no luck" in done.out + done.err


def test_an_unknown_command_names_the_nearest(cli: Callable[..., Done]) -> None:
    """A misspelt command is no reason to read the whole help."""
    done = cli("acme", "tri")
    assert (done.code, "Did you mean 'try'?" in done.err) == (64, True)


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("msp_clients.api", ("Nothing offers Wanted: the plugin for 'clients' is not installed.", "pip install msp-clients")),
        ("acme_notes.api", ("the plugin for 'acme-notes' is not installed.", "pip install acme-notes")),
        ("msp_sad.api", ("the plugin for 'sad' failed: ImportError: no luck.", "Reinstall it")),
        ("msp_idle.api", ("the plugin for 'idle' is disabled.", "msp-toolkit plugin enable idle")),
        ("msp_acme.api", ("plugin 'acme' is in use and does not.", "msp-toolkit plugin show acme")),
    ],
)  # fmt: skip
def test_an_unknown_service_says_which_plugin_it_belongs_to(
    cli: Callable[..., Done], module: str, told: tuple[str, ...]
) -> None:
    """What `ctx.get` cannot give is named with its plugin, and what to do about that."""
    done = cli("acme", "try", "--service", module)
    assert done.code == 1
    assert [part for part in told if part not in done.err] == [], done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("health", "check"), "There is no command 'health': the plugin for 'health' is not installed. Run: pip install msp-health"),
        (("acne", "try"), "Did you mean 'acme'?"),
        (("banana",), "There is no command 'banana'. Disabled or failed plugins: idle, sad."),
        (("idle", "hello"), "There is no command 'idle'. Disabled or failed plugins: idle, sad."),
        (("sad", "hello"), "There is no command 'sad': that plugin failed. Run: msp-toolkit plugin show sad"),
        (("--safe-mode", "health", "check"), "There is no command 'health' while no plugin is loaded (--safe-mode)."),
        (("acme", "try", "--call", "health.check"), "The plugin for 'health.check' is not installed. Run: pip install msp-health"),
    ],
)  # fmt: skip
def test_an_unknown_command_names_the_plugin_that_would_bring_it(
    cli: Callable[..., Done], words: tuple[str, ...], told: str
) -> None:
    """A command of a known plugin comes with the line that installs it, any other with what is out of use."""
    done = cli(*words)
    assert done.code in (1, 64)
    assert told in done.err


def test_a_command_of_a_plugin_that_is_disabled_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told to install what is there and switched off."""
    site = tmp_path / "site"
    install(site, "health", GOOD_TOOL)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr("msp_core.discovery.search_path", lambda: [str(site)])
    with on_path(site):
        off = run_cli("--set", 'plugins.disabled=["health"]', "health", "check", cwd=work)
        shut = run_cli("--set", 'plugins.allow=["x"]', "health", "check", cwd=work)
    assert "the plugin for 'health' is disabled. Run: msp-toolkit plugin enable health" in off.err
    assert "failed: the distribution is not in plugins.allow" in shut.err

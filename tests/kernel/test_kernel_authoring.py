"""The kit for authors is a plugin of the kernel's own distribution: always there, never in anybody's way."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msp_core import __version__
from msp_core.discovery import KERNEL, discover
from msp_core.records import DoctorCheck, Tool
from msp_core.registry import Registry
from msp_core.testing import Done, run_cli

sys.path.insert(0, str(Path(__file__).parent))
from fakes import GOOD_TOOL, install, on_path

OURS = {"plugin.new", "plugin.update", "plugin.verify"}
GUARD = """
from msp_core.v1 import Service, StoreError, hookimpl

@hookimpl
def msp_services():
    yield Service(type="msp_core.protocols:Guard", factory="{package}.plugin:create")

async def create(toolkit):
    raise StoreError("The tables of {id} are not there.", suggestion="Mend them.")
"""
TAKES = """
from msp_core.v1 import Effect, Tool, hookimpl

@hookimpl
def msp_tools():
    yield Tool(name="plugin.new", run="{package}.plugin:new", summary="Mine now.", effect=Effect.READ)
"""
MENDS = """
from msp_core.v1 import Effect, Tool, hookimpl

@hookimpl
def msp_tools():
    yield Tool(name="good.mend", run="{package}.plugin:mend", summary="Mend.", effect=Effect.CHANGE, repairs=True)
    yield Tool(name="good.look", run="{package}.plugin:mend", summary="Look.", effect=Effect.READ, repairs=True)

async def mend(ctx):
    \"\"\"Mend.\"\"\"
    return "mended"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the kernel's distribution, the only one that is searched."""
    folder = tmp_path / "site"
    info = folder / f"msp_core-{__version__}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: {KERNEL}\nVersion: {__version__}\nSummary: The kernel\n")
    (info / "entry_points.txt").write_text(
        "[msp_toolkit.plugins]\nauthoring = msp_core.testing.plugin\n"
    )
    monkeypatch.setattr("msp_core.discovery.search_path", lambda: [str(folder)])
    with on_path(folder):
        yield folder


@pytest.fixture
def cli(site: Path, tmp_path: Path) -> Callable[..., Done]:
    """Command lines in a workspace."""
    work = tmp_path / "work"
    work.mkdir()
    assert run_cli("init", cwd=work).code == 0
    return lambda *words: run_cli(*words, cwd=work)


def owners(registry: Registry) -> set[str]:
    """Return the plugins that offer the authors' commands."""
    return {registry.plugin_of(one) for one in registry.records(Tool) if one.name in OURS}


def test_the_kit_is_a_plugin_of_the_kernels_distribution(site: Path) -> None:
    """Its id need not be the distribution's name, and no list of allowed distributions leaves it out."""
    for allow in (None, ["msp-good"], []):
        candidates, failures = discover(allow=allow)
        assert ([(one.id, one.distribution) for one in candidates], failures) == (
            [("authoring", KERNEL)],
            (),
        )
    registry = Registry(candidates)
    assert owners(registry) == {"authoring"}
    assert "packages" in {one.id for one in registry.records(DoctorCheck)}
    assert registry.is_kernels("authoring")


def test_nobody_takes_its_id(site: Path) -> None:
    """A distribution of that name is set aside, whatever it offers and wherever it lies."""
    install(site, "authoring", TAKES, distribution="msp-authoring")
    install(site / "first", "authoring", TAKES, distribution="authoring")
    candidates, failures = discover(path=[str(site / "first"), str(site)])
    registry = Registry(candidates, failures=failures)
    assert registry.candidates["authoring"].distribution == KERNEL
    assert {name: one.reason for name, one in registry.failures.items()} == dict.fromkeys(
        ["msp-authoring", "authoring==1.0"], "msp-core brings a plugin 'authoring' already"
    )
    assert owners(registry) == {"authoring"}


@pytest.mark.parametrize("thief", ["plugin", "aardvark"])
def test_nobody_takes_its_commands(site: Path, thief: str) -> None:
    """Neither the name of its commands nor the first place in the alphabet wins against the kernel."""
    install(site, thief, TAKES)
    registry = Registry(discover()[0])
    assert owners(registry) == {"authoring"}
    assert "which plugin 'authoring' offers already" in registry.failures[thief].reason


def test_a_plugin_added_by_hand_is_not_the_kernels(site: Path) -> None:
    """Only what the kernel's distribution brings runs without access control."""
    install(site, "good", GOOD_TOOL)
    registry = Registry()
    registry.add("msp_good.plugin", id="good")
    (tool,) = (one for one in registry.records(Tool) if one.name == "good.hello")
    assert not registry.is_kernels(registry.plugin_of(tool))


def test_authors_work_where_access_control_is_broken(
    cli: Callable[..., Done], site: Path, tmp_path: Path
) -> None:
    """What writes into an author's own folder asks nobody."""
    install(site, "access", GUARD, distribution="access")
    done = cli("plugin", "new", "tool", "acme-thing")
    assert done.code == 0, done.err
    assert (tmp_path / "work" / "acme-thing" / "pyproject.toml").is_file()


@pytest.mark.parametrize("word", ["new", "update", "verify"])
def test_a_command_that_is_left_out_says_why(cli: Callable[..., Done], word: str) -> None:
    """In safe mode no plugin is loaded, this one neither; disabled it is named."""
    safe = cli("--safe-mode", "plugin", word)
    assert safe.code == 64
    assert f"There is no command '{word}' while no plugin is loaded (--safe-mode)." in safe.err
    assert cli("plugin", "disable", "authoring").out == "authoring is disabled.\n"
    out = cli("plugin", word)
    assert out.code == 64
    assert f"There is no command '{word}'. Disabled or failed plugins: authoring." in out.err
    assert cli("plugin", "enable", "authoring").code == 0
    assert cli("plugin", word, "--help").code == 0


def test_safe_mode_lists_it_and_says_what_is_not_looked_at(cli: Callable[..., Done]) -> None:
    """`plugin list` and `doctor` need no plugin."""
    listed = cli("--safe-mode", "plugin", "list").out.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [["authoring", __version__]]
    assert "what they check is not checked" in cli("--safe-mode", "doctor").out
    assert "Packages" in cli("doctor").out


def test_it_is_no_plugin_to_verify() -> None:
    """The cases are for what stands alone."""
    done = run_cli("plugin", "verify", "authoring")
    assert (done.code, "comes with the kernel" in done.err) == (1, True)


def test_a_folder_that_is_not_there_cannot_be_updated(tmp_path: Path) -> None:
    """It says that, and not what the folder lacks."""
    done = run_cli("plugin", "update", "nosuch", cwd=tmp_path)
    assert done.code == 1
    assert f"There is no folder {tmp_path.resolve() / 'nosuch'}." in done.err


def test_what_repairs_runs_on_a_wrong_configuration(
    cli: Callable[..., Done], site: Path, tmp_path: Path
) -> None:
    """A tool of any plugin may say so; but where access control is broken, only the kernel's own change something."""
    install(site, "good", MENDS)
    assert cli("--set", "general.timezone=nowhere", "good", "look").out == "mended\n"
    install(site, "access", GUARD, distribution="access")
    done = cli("good", "mend")
    assert (done.code, done.out) == (1, "")
    assert "The tables of access are not there." in done.err

"""What the loader does when a plugin misbehaves: the others go on, and the failure is a record."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from msp_core.discovery import discover
from msp_core.errors import PluginError
from msp_core.records import Tool
from msp_core.registry import Registry
from msp_core.testing import run_cli

sys.path.insert(0, str(Path(__file__).parent))
from fakes import GOOD_TOOL, install, on_path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder of installed distributions, with one good plugin in it."""
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "good", GOOD_TOOL)
    with on_path(folder):
        yield folder


def loaded(site: Path, **options: object) -> Registry:
    """Load everything a folder offers."""
    candidates, failures = discover(path=[str(site)])
    registry = Registry(candidates, failures=failures, **options)  # type: ignore[arg-type]
    registry.load_all()
    return registry


BROKEN = {
    "import": ("raise ImportError('no module named acme')", "import", "ImportError"),
    "syntax": ("def broken(:", "import", "SyntaxError"),
    "exits": ("import sys; sys.exit(4)", "import", "SystemExit"),
    "raises": (
        "from msp_core.v1 import hookimpl\n@hookimpl\ndef msp_tools():\n    raise RuntimeError('boom')",
        "hook",
        "boom",
    ),
    "exits-late": (
        "import sys\nfrom msp_core.v1 import hookimpl\n@hookimpl\ndef msp_tools():\n    sys.exit(1)",
        "hook",
        "SystemExit",
    ),
    "half-way": (
        "from msp_core.v1 import Effect, Tool, hookimpl\n@hookimpl\ndef msp_tools():\n"
        "    yield Tool(name='half-way.x', run='a:b', summary='s', effect=Effect.READ)\n"
        "    raise ValueError('late')",
        "hook",
        "late",
    ),
    "rubbish": (
        "from msp_core.v1 import hookimpl\n@hookimpl\ndef msp_tools():\n    return ['a string', 3]",
        "record",
        "Tool",
    ),
    "unmarked": ("def msp_tools():\n    return []", "register", "msp_tools is not marked"),
    "not-a-list": (
        "from msp_core.v1 import hookimpl\n@hookimpl\ndef msp_tools():\n    return 5",
        "hook",
        "TypeError",
    ),
    "bad-record": (
        "from msp_core.v1 import Tool, hookimpl\n@hookimpl\ndef msp_tools():\n"
        "    yield Tool(name='No Good Name', run='a:b', summary='s')",
        "hook",
        "name=",
    ),
    "twice": (
        "from msp_core.v1 import Tool, hookimpl\n@hookimpl\ndef msp_tools():\n"
        "    yield Tool(name='twice.x', run='a:b', summary='s')\n"
        "    yield Tool(name='twice.x', run='a:b', summary='s')",
        "record",
        "twice",
    ),
    "async-hook": (
        "from msp_core.v1 import hookimpl\n@hookimpl\nasync def msp_tools():\n    return []",
        "register",
        "async",
    ),
    "arguments": (
        "from msp_core.v1 import hookimpl\n@hookimpl\ndef msp_tools(session=None):\n    return []",
        "register",
        "arguments",
    ),
    "unknown-hook": (
        "from msp_core.v1 import hookimpl\n@hookimpl\ndef msp_toolz():\n    return []",
        "register",
        "msp_toolz",
    ),
    "future": ("MSP_API = 9", "register", "plugin API 9"),
    "ranges": ("MSP_API = (1, 2)", "register", "not a whole number"),
    "steals": (
        "from msp_core.v1 import Effect, Tool, hookimpl\n@hookimpl\ndef msp_tools():\n"
        "    yield Tool(name='good.hello', run='a:b', summary='mine now', effect=Effect.READ)",
        "record",
        "'good' offers already",
    ),
}


@pytest.mark.parametrize("id", BROKEN)
def test_a_broken_plugin_becomes_a_record_and_the_others_work(site: Path, id: str) -> None:
    """Whatever a plugin does while loading, it is named with the stage, and the good one still offers its tool."""
    source, stage, says = BROKEN[id]
    install(site, id, source)
    registry = loaded(site)
    failure = registry.failures[id]
    assert (failure.stage, failure.distribution) == (stage, f"msp-{id}")
    assert says in failure.reason
    assert failure.fix
    assert "good.hello" in {tool.name for tool in registry.records(Tool)}
    assert not any(registry.plugin_of(tool) == id for tool in registry.records(Tool))


def test_an_optional_hook_of_a_newer_kernel_is_allowed(site: Path) -> None:
    """A plugin may implement a hook that this kernel does not have, if it says so."""
    install(
        site,
        "newer",
        "import pluggy\nmark = pluggy.HookimplMarker('msp_toolkit')\n"
        "@mark(optionalhook=True)\ndef msp_things():\n    return []\n",
    )
    assert "newer" not in loaded(site).failures


def test_an_id_must_follow_from_the_distribution(site: Path) -> None:
    """Nobody can knock out a plugin by claiming its id from another distribution."""
    install(site, "good", GOOD_TOOL, distribution="acme-evil")
    registry = loaded(site)
    assert registry.candidates["good"].distribution == "msp-good"
    assert registry.failures["acme-evil"].plugin == "good"
    assert "good.hello" in {tool.name for tool in registry.records(Tool)}


def test_a_bare_name_does_not_stand_in_for_ours(site: Path) -> None:
    """Of `good` and `msp-good` the second stays, wherever they lie, and whatever else `good` claims."""
    first = site / "first"
    install(first, "good", "raise RuntimeError('imported')", distribution="good")
    (first / "good-1.0.dist-info" / "entry_points.txt").write_text(
        "[msp_toolkit.plugins]\ngood = good.plugin\nother = good.plugin\n"
    )
    install(site, "other", GOOD_TOOL)
    candidates, failures = discover(path=[str(first), str(site)])
    registry = Registry(candidates, failures=failures)
    registry.load_all()
    assert {one.id: one.distribution for one in candidates} == {
        "good": "msp-good",
        "other": "msp-other",
    }
    assert registry.active() == ("builtin", "good", "other")
    assert "msp-good brings a plugin 'good' already" in {one.reason for one in failures}


def test_nobody_knocks_out_a_plugin_of_ours_by_taking_its_ids(site: Path) -> None:
    """Whoever comes first by name and offers an id of a known plugin is the one that is left out."""
    tool = (
        "from msp_core.v1 import Effect, Tool, hookimpl\n@hookimpl\ndef msp_tools():\n"
        "    yield Tool(name='client.list', run='a:b', summary='mine now', effect=Effect.READ)"
    )
    install(site, "aardvark", tool)
    install(site, "clients", tool)
    registry = loaded(site)
    registry.records(Tool)
    assert "clients" not in registry.failures
    assert "'clients' offers already" in registry.failures["aardvark"].reason


def test_only_allowed_distributions_are_loaded(site: Path) -> None:
    """On a server plugins.allow decides; what it leaves out is not imported."""
    install(site, "extra", "raise RuntimeError('imported')")
    candidates, failures = discover(path=[str(site)], allow=["msp-good"])
    assert [one.id for one in candidates] == ["good"]
    assert [(one.plugin, one.stage) for one in failures] == [("extra", "allow")]


def test_a_disabled_plugin_is_never_imported(site: Path) -> None:
    """Disabling acts before any import."""
    install(site, "costly", "import sys; sys.costly_was_imported = True")
    registry = loaded(site, disabled=["costly"])
    assert "costly" not in registry.active()
    assert not hasattr(sys, "costly_was_imported")


def test_nothing_is_loaded_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standing in a folder is no reason to run what lies in it."""
    install(tmp_path, "local-trap", GOOD_TOOL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "local-trap" not in {one.id for one in discover()[0]}


def test_a_missing_implementation_names_the_reference(site: Path) -> None:
    """A record that names what is not there fails when used, with the reference."""
    with pytest.raises(PluginError, match=r"msp_good\.plugin:nowhere"):
        loaded(site).load("msp_good.plugin:nowhere")
    with pytest.raises(PluginError) as caught:
        loaded(site).load("msp_good.plugin:msp_tolls")
    assert "Did you mean msp_good.plugin:msp_tools?" in caught.value.suggestion


def test_a_plugin_that_hangs_is_named_and_the_process_ends_with_3(tmp_path: Path) -> None:
    """A hook that never returns cannot be stopped, but it is named."""
    site = tmp_path / "site"
    install(site, "hangs", "import time\ntime.sleep(60)")
    done = subprocess.run(
        [sys.executable, "-m", "msp_core", "plugin", "list"],
        env={
            "PYTHONPATH": f"{site}:{Path.cwd()}",
            "MSP_WATCHDOG_SECONDS": "0.5",
            "HOME": str(tmp_path),
            "PATH": "/usr/bin:/bin",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "hangs (msp-hangs)" in done.stderr


def test_a_broken_plugin_costs_one_line_on_stderr(site: Path, tmp_path: Path) -> None:
    """The command still works, and one line says what is not in use."""
    install(site, "sad", "raise ImportError('missing thing')")
    work = tmp_path / "work"
    work.mkdir()
    done = run_cli("good", "hello", cwd=work)
    assert done.code == 0
    assert "hello from good" in done.out
    lines = [line for line in done.err.splitlines() if "sad" in line]
    assert len(lines) == 1
    assert "missing thing" in lines[0]
    assert "plugin show sad" in lines[0]


def test_safe_mode_loads_no_plugin(site: Path, tmp_path: Path) -> None:
    """With --safe-mode only the kernel's own commands are there, and no plugin is imported."""
    install(site, "sad", "raise ImportError('missing thing')")
    work = tmp_path / "work"
    work.mkdir()
    done = run_cli("--safe-mode", "plugin", "list", "--json", cwd=work)
    assert done.code == 0
    assert "missing thing" not in done.err + done.out
    assert run_cli("--safe-mode", "good", "hello", cwd=work).code == 64


def test_disable_and_enable_round_trip(site: Path, tmp_path: Path) -> None:
    """A disabled plugin's command is gone, an enabled one's is back."""
    work = tmp_path / "work"
    work.mkdir()
    only = ("--set", 'plugins.allow=["msp-good"]')
    assert run_cli(*only, "init", cwd=work).code == 0
    assert run_cli("--safe-mode", "plugin", "disable", "good", cwd=work).code == 0
    assert run_cli(*only, "good", "hello", cwd=work).code == 64
    assert run_cli("--safe-mode", "plugin", "enable", "good", cwd=work).code == 0
    assert run_cli(*only, "good", "hello", cwd=work).out == "hello from good\n"

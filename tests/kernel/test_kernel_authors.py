"""What a plugin's author reads when something is wrong: the file, the hook and the fix."""

import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from msp_core import v1
from msp_core.discovery import discover
from msp_core.records import Tool
from msp_core.registry import Registry
from msp_core.testing import run_cli
from msp_core.testing.subject import _installed

sys.path.insert(0, str(Path(__file__).parent))
from fakes import GOOD_TOOL, install, on_path

HOOK = "from msp_core.v1 import Check, Effect, Tool, hookimpl\n@hookimpl\n"
MISTAKES = {
    "missing-field": (
        HOOK + "def msp_tools():\n    yield Tool(name='missing-field.x', run='a:b')",
        ("msp_tools", "summary", "plugin.py line 4"),
    ),
    "wrong-id": (
        HOOK + "def msp_tools():\n    yield Tool(name='Wrong Id', run='a:b', summary='s')",
        ("msp_tools", "name='Wrong Id'", "lower case", "plugin.py line 4"),
    ),
    "no-reference": (
        HOOK
        + "def msp_tools():\n    yield Tool(name='no-reference.x', run='tools.run', summary='s')",
        ("msp_tools", "run='tools.run'", "package.module:name", "plugin.py line 4"),
    ),
    "unknown-field": (
        HOOK + "def msp_tools():\n    yield Tool(name='u.x', run='a:b', summary='s', effects=1)",
        ("msp_tools", "effects", "plugin.py line 4"),
    ),
    "async-hook": (
        HOOK + "async def msp_tools():\n    return []",
        ("msp_tools", "async", "plugin.py line 2", "Write 'def msp_tools()'"),
    ),
    "async-generator": (
        HOOK + "async def msp_tools():\n    yield None",
        ("msp_tools", "async", "plugin.py line 2", "Write 'def msp_tools()'"),
    ),
    "default-argument": (
        HOOK + "def msp_tools(config=None):\n    return []",
        ("msp_tools", "arguments", "plugin.py line 2", "without arguments or defaults"),
    ),
    "misspelt-hook": (
        HOOK + "def msp_tool():\n    return []",
        ("msp_tool", "plugin.py line 2", "Did you mean msp_tools?"),
    ),
    "wrong-record": (
        HOOK
        + "def msp_tools():\n    return [Check(id='c', title='c', needs=(), limits='a:b', evaluate='a:b')]",
        ("msp_tools", "Check", "Return Tool(...) from msp_tools", "plugin.py line 2"),
    ),
    "returns-one": (
        HOOK + "def msp_tools():\n    return Tool(name='returns-one.x', run='a:b', summary='s')",
        ("msp_tools", "not iterable", "plugin.py line 2"),
    ),
    "unmarked": (
        "def msp_tools():\n    return []",
        ("msp_tools is not marked", "plugin.py line 1", "@hookimpl"),
    ),
    "no-tuple": (
        HOOK
        + "def msp_checks():\n    yield Check(id='c', title='c', needs=Tool, limits='a:b', evaluate='a:b')",
        ("msp_checks", "write needs=(Tool,)", "plugin.py line 4"),
    ),
    "same-id-twice": (
        HOOK
        + "def msp_tools():\n    for _ in 'ab':\n        yield Tool(name='s.x', run='a:b', summary='s')",
        ("msp_tools", "'s.x' twice", "plugin.py line 2", "its own id"),
    ),
    "syntax": ("def broken(:", ("SyntaxError", "plugin.py", "line 1")),
    "import": ("import attrs\nimport nowhere", ("nowhere", "plugin.py line 2")),
    "too-new": ("MSP_API = 9", ("plugin API 9", "[1]", "upgrade msp-core")),
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder of installed distributions."""
    folder = tmp_path / "site"
    install(folder, "good", GOOD_TOOL)
    with on_path(folder):
        yield folder


def loaded(site: Path) -> Registry:
    candidates, failures = discover(path=[str(site)])
    registry = Registry(candidates, failures=failures)
    registry.load_all()
    return registry


@pytest.mark.parametrize("id", MISTAKES)
def test_a_mistake_names_the_file_the_hook_and_the_fix(site: Path, id: str) -> None:
    """Each mistake an author makes is answered with where it is and how to mend it."""
    source, told = MISTAKES[id]
    install(site, id, source)
    failure = loaded(site).failures[id]
    text = f"{failure.reason} | {failure.fix}"
    assert [part for part in told if part not in text] == [], text
    assert failure.fix


def test_a_wrong_distribution_name_is_named(site: Path) -> None:
    """An id that does not follow from the distribution says what to call the entry point."""
    install(site, "uptime", GOOD_TOOL, distribution="acme-clock")
    failure = loaded(site).failures["uptime"]
    assert "'uptime' does not follow" in failure.reason
    assert "Name the entry point 'acme-clock'" in failure.fix


def test_a_distribution_without_an_entry_point_is_told_what_to_write(
    site: Path, tmp_path: Path
) -> None:
    """What is installed and says nothing of a plugin is not called missing."""
    install(site, "mute", GOOD_TOOL, needs=("msp-core>=0.1",))
    next(site.glob("msp_mute-*.dist-info/entry_points.txt")).unlink()
    _installed.cache_clear()
    for word in ("show", "verify"):
        done = run_cli("plugin", word, "mute", cwd=tmp_path)
        assert done.code == 1
        assert "msp-mute is installed and declares no plugin" in done.err
        assert 'mute = "msp_mute.plugin"' in " ".join(done.err.split())
    _installed.cache_clear()


def test_two_versions_of_the_contract_load_at_once(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that offers v1 and v2 loads plugins of both; each sees its own contract, tools of both run."""
    newer = types.ModuleType("msp_core.v2")
    newer.Tool, newer.hookimpl, newer.Effect = v1.Tool, v1.hookimpl, v1.Effect  # type: ignore[attr-defined]
    newer.API_VERSION = 2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "msp_core.v2", newer)
    source = "MSP_API = 2\n" + GOOD_TOOL.replace("msp_core.v1", "msp_core.v2")
    install(site, "newer", source)
    registry = loaded(site)
    assert "plugin API 2" in registry.failures["newer"].reason
    assert "good.hello" in {tool.name for tool in registry.records(Tool)}
    for name in [name for name in sys.modules if name.startswith("msp_newer")]:
        del sys.modules[name]
    monkeypatch.setattr("msp_core.registry.SUPPORTED_API", frozenset({1, 2}))
    registry = loaded(site)
    assert registry.failures == {}
    assert {"good.hello", "newer.hello"} <= {tool.name for tool in registry.records(Tool)}


def test_a_renamed_name_goes_on_working_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deprecation path: the old name gives the new thing, with a warning that names the replacement."""
    monkeypatch.setitem(v1.RENAMED, "Instrument", ("Tool", "0.9"))
    with pytest.warns(DeprecationWarning, match=r"Instrument is now Tool.*removed in 0\.9"):
        assert v1.Instrument is Tool
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert v1.Tool is Tool
    with pytest.raises(AttributeError, match="no 'Nonsense'"):
        _ = v1.Nonsense


def test_no_name_is_renamed_to_something_that_is_not_there() -> None:
    """Every old name leads to a name of the contract."""
    assert {new for new, _ in v1.RENAMED.values()} <= set(v1.__all__)
    assert not set(v1.RENAMED) & set(v1.__all__)

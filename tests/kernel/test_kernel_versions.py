"""Which plugin loads in which kernel: the number of the contract, and the version of msp-core it asks for.

`MSP_API` names the contract (`msp_core.v1` is 1, and what is assumed); the bound on msp-core in the distribution's
metadata names the release that brought the names it uses.
"""

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from msp_core import __version__, v1
from msp_core.discovery import discover
from msp_core.records import Tool
from msp_core.registry import Registry
from msp_core.testing import run_cli
from msp_core.testing.packages import unmet

sys.path.insert(0, str(Path(__file__).parent))
from fakes import GOOD_TOOL, install, on_path

V2 = GOOD_TOOL.replace("msp_core.v1", "msp_core.v2")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed distributions, and a second contract."""
    newer = types.ModuleType("msp_core.v2")
    newer.__dict__.update(Tool=v1.Tool, hookimpl=v1.hookimpl, Effect=v1.Effect)
    monkeypatch.setitem(sys.modules, "msp_core.v2", newer)
    with on_path(tmp_path / "site"):
        yield tmp_path / "site"


def loaded(site: Path) -> Registry:
    candidates, failures = discover(path=[str(site)])
    registry = Registry(candidates, failures=failures)
    registry.load_all()
    return registry


@pytest.mark.parametrize(
    ("source", "offered", "told"),
    [
        (GOOD_TOOL, {1}, ""),
        (GOOD_TOOL, {1, 2}, ""),
        ("MSP_API = 1\n" + GOOD_TOOL, {1}, ""),
        ("MSP_API = 1\n" + GOOD_TOOL, {1, 2}, ""),
        ("MSP_API = 2\n" + V2, {1}, "it needs plugin API 2, and this kernel offers [1]"),
        ("MSP_API = 2\n" + V2, {1, 2}, ""),
        ("MSP_API = 1\n" + GOOD_TOOL, {2, 3}, "it needs plugin API 1, and this kernel offers [2, 3]"),
        ("MSP_API = 9\n" + V2, {1, 2}, "it needs plugin API 9, and this kernel offers [1, 2]"),
        ("MSP_API = (1, 2)\n" + GOOD_TOOL, {1, 2}, "MSP_API=(1, 2) is not a whole number"),
        ("MSP_API = range(1, 3)\n" + GOOD_TOOL, {1, 2}, "is not a whole number"),
        ("MSP_API = '1'\n" + GOOD_TOOL, {1}, "MSP_API='1' is not a whole number"),
    ],
)  # fmt: skip
def test_the_number_of_the_contract(
    site: Path, monkeypatch: pytest.MonkeyPatch, source: str, offered: set[int], told: str
) -> None:
    """A plugin loads where its contract is offered, also beside others; else it is set aside with the reason."""
    install(site, "asks", source)
    monkeypatch.setattr("msp_core.registry.SUPPORTED_API", frozenset(offered))
    registry = loaded(site)
    tools = {tool.name for tool in registry.records(Tool)}
    assert ("asks.hello" in tools) is not bool(told)
    if told:
        assert told in registry.failures["asks"].reason
        assert registry.failures["asks"].fix


@pytest.mark.parametrize(
    ("need", "least"),
    [
        ("msp-core>=0.1,<0.2", ""),
        ("msp-core >=0.1.0", ""),
        ("msp-core~=0.1", ""),
        ("msp-core==0.1.*", ""),
        ("msp-core", ""),
        ("msp-core>=0.1.0.0", ""),
        ("msp-core<0.1", ""),
        ("msp-core[testing]>=9; extra == 'test'", ""),
        ("msp-corelle>=9", ""),
        ("other>=9", ""),
        ("msp-core>=0.2,<0.3", "0.2"),
        ("msp_core>=0.2", "0.2"),
        ("msp-core<2,>=0.1.1", "0.1.1"),
        ("msp-core~=0.2", "0.2"),
        ("msp-core>=1.0rc1", "1.0"),
        ("msp-core[testing]>=0.10", "0.10"),
    ],
)
def test_the_version_of_the_kernel(
    site: Path, monkeypatch: pytest.MonkeyPatch, need: str, least: str
) -> None:
    """A plugin that asks for a later kernel is not even imported; one that knows only older ones is."""
    monkeypatch.setattr("msp_core.discovery.__version__", "0.1.0")
    source = "import sys\nsys.asks_was_imported = True\n" + GOOD_TOOL
    install(site, "asks", source, needs=("attrs>=20", need))
    monkeypatch.delattr(sys, "asks_was_imported", raising=False)
    registry = loaded(site)
    assert hasattr(sys, "asks_was_imported") is not bool(least)
    if least:
        failure = registry.failures["asks"]
        assert failure.reason == f"it needs msp-core >= {least}, and this is 0.1.0"
        assert failure.fix == f"Run: pip install 'msp-core>={least}'"
    else:
        assert "asks.hello" in {tool.name for tool in registry.records(Tool)}


def test_a_plugin_for_an_older_kernel_loads_and_doctor_says_so(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contract stays, so an upper bound strands nobody; the way out is a later version of the plugin."""
    install(site, "old", GOOD_TOOL, needs=("msp-core<0.0.9",))
    assert "old.hello" in {tool.name for tool in loaded(site).records(Tool)}
    (found,) = unmet(discover(path=[str(site)])[0])
    assert f"needs msp-core<0.0.9, and {__version__} is installed" in found.message
    assert found.fix == "pip install --upgrade msp-old"


def test_a_name_of_a_later_kernel_without_a_bound(site: Path) -> None:
    """The kernel cannot know which release brought it, but says that an older one runs, and names the nearest."""
    install(site, "eager", "from msp_core.v1 import Tools, hookimpl")
    failure = loaded(site).failures["eager"]
    assert failure.stage == "import"
    assert "cannot import name 'Tools'" in failure.reason
    assert f"Did you mean Tool? This is msp-core {__version__}" in failure.fix
    assert "plugin.py line 1" in failure.fix


def test_people_read_it(site: Path, tmp_path: Path) -> None:
    """The line on stderr, `plugin list` and `doctor` say the same."""
    install(site, "asks", GOOD_TOOL, needs=("msp-core>=99",))
    work = tmp_path / "work"
    work.mkdir()
    told = f"it needs msp-core >= 99, and this is {__version__}"
    done = run_cli("plugin", "list", "--json", cwd=work)
    assert told in done.err
    assert told in done.out
    assert told in run_cli("doctor", "--json", cwd=work).out

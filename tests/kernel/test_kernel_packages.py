"""What doctor says about plugins as packages."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from msp_core.discovery import discover
from msp_core.testing import run_cli
from msp_core.testing.packages import slow, stale, unmet

sys.path.insert(0, str(Path(__file__).parent))
from fakes import GOOD_TOOL, install, on_path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder of installed distributions, with one good plugin in it."""
    folder = tmp_path / "site"
    install(folder, "good", GOOD_TOOL)
    with on_path(folder):
        yield folder


def metadata(site: Path, id: str, line: str) -> None:
    path = site / f"msp_{id}-1.0.dist-info" / "METADATA"
    path.write_text(path.read_text() + line + "\n")


def test_a_plugin_that_is_slow_to_import_is_named_with_its_milliseconds(site: Path) -> None:
    """A third of a second at import is found, and the good plugin is not blamed."""
    install(site, "sleepy", "import time\ntime.sleep(0.3)\n" + GOOD_TOOL)
    candidates, _ = discover(path=[str(site)])
    (found,) = slow(candidates)
    said = re.search(r"sleepy \(msp-sleepy\) takes (\d+) ms to import", found.message)
    assert said, found.message
    assert int(said[1]) >= 290
    assert "plugin disable sleepy" in found.fix


SLEEPS_IF_FIRST = """
import sys, time
before = set(sys.modules)
from msp_core.v1 import Adapter, Check, Effect, Role, Tool, Toolkit, hookimpl
if any(name.startswith("msp_core") for name in set(sys.modules) - before):
    time.sleep(0.3)
"""


def test_no_plugin_is_blamed_for_loading_the_contract(site: Path) -> None:
    """What every plugin uses is loaded before the first one is measured."""
    install(site, "a-first", SLEEPS_IF_FIRST)
    assert list(slow(discover(path=[str(site)])[0])) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Requires-Dist: no-such-thing>=1", "it is not installed"),
        ("Requires-Dist: attrs>=99", "is installed"),
        ("Requires-Dist: attrs<1", "is installed"),
    ],
)
def test_unmet_requirements_are_named(site: Path, line: str, told: str) -> None:
    """What a plugin needs and does not find comes with the line that installs it."""
    metadata(site, "good", line)
    candidates, _ = discover(path=[str(site)])
    (found,) = unmet(candidates)
    assert told in found.message
    assert "good (msp-good 1.0) needs" in found.message
    assert found.fix.startswith("pip install '")


@pytest.mark.parametrize(
    "line",
    [
        "Requires-Dist: attrs>=20",
        "Requires-Dist: no-such-thing; extra == 'more'",
        "Requires-Dist: no-such-thing; python_version < '3'",
        "Requires-Dist: not a requirement !!",
    ],
)
def test_met_and_conditional_requirements_are_fine(site: Path, line: str) -> None:
    """Extras and markers that do not hold here ask for nothing."""
    metadata(site, "good", line)
    assert list(unmet(discover(path=[str(site)])[0])) == []


def test_stale_entry_points_of_an_editable_installation_are_named(
    site: Path, tmp_path: Path
) -> None:
    """A plugin added to pyproject.toml after the installation is missing until it is installed again."""
    source = tmp_path / "source"
    source.mkdir()
    project = source / "pyproject.toml"
    points = '[project]\nname = "msp-good"\n[project.entry-points."msp_toolkit.plugins"]\n'
    project.write_text(points + 'good = "msp_good.plugin"\n')
    told = {"url": source.as_uri(), "dir_info": {"editable": True}}
    (site / "msp_good-1.0.dist-info" / "direct_url.json").write_text(json.dumps(told))
    assert list(stale([str(site)])) == []
    project.write_text(points + 'good = "msp_good.plugin"\nbetter = "msp_better.plugin"\n')
    (found,) = stale([str(site)])
    assert "better = msp_better.plugin" in found.message
    assert found.fix == f"pip install -e {source}"


def test_doctor_shows_them(site: Path, tmp_path: Path) -> None:
    """The findings are part of `doctor`."""
    metadata(site, "good", "Requires-Dist: no-such-thing>=1")
    done = run_cli("doctor", "--json", cwd=tmp_path)
    assert done.code == 2
    assert "needs no-such-thing>=1, and it is not installed" in done.out


def test_a_requirement_of_the_kernel_that_is_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What some plugin's installation took away from the kernel is found as well."""
    import importlib_metadata

    real = importlib_metadata.distribution

    def without_tomli_w(name: str) -> importlib_metadata.Distribution:
        if name == "tomli-w":
            raise importlib_metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr("importlib_metadata.distribution", without_tomli_w)
    out = run_cli("doctor", "--json", cwd=tmp_path).out
    assert "(msp-core" in out
    assert "needs tomli-w" in out


def test_two_plugins_that_need_different_versions_cannot_both_have_theirs(site: Path) -> None:
    """Of requirements that contradict each other the one that is not met is named."""
    metadata(site, "good", "Requires-Dist: attrs>=20")
    install(site, "old", GOOD_TOOL, needs=("attrs<20",))
    (found,) = unmet(discover(path=[str(site)])[0])
    assert "old (msp-old 1.0) needs attrs<20" in found.message

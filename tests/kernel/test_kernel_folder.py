"""Nothing that lies in the current folder is run, however the program is started."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fakes import GOOD_TOOL, install

TRAPS = ("typer", "attrs", "attr", "pluggy", "cattrs", "json", "yaml", "importlib_metadata")
TRAP = "import pathlib\npathlib.Path(__file__).with_suffix('.ran').touch()\n"
SCRIPT = str(Path(sys.executable).with_name("msp"))
STARTS = {
    "script": [SCRIPT],
    "module": [sys.executable, "-m", "msp_core"],
    "safe path": [sys.executable, "-P", "-m", "msp_core"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with traps: modules of our dependencies' names, and an installed distribution with a plugin."""
    for name in TRAPS:
        (tmp_path / f"{name}.py").write_text(TRAP)
    install(tmp_path, "trap", TRAP + GOOD_TOOL)
    (tmp_path / "plugin_of_nobody.py").write_text(TRAP)
    return tmp_path


def run(folder: Path, start: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    env = {"HOME": str(folder / "home"), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [*start, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    "words", [("--version",), ("plugin", "list"), ("doctor",), ("trap", "hello")]
)
def test_what_lies_in_the_folder_is_not_run(
    folder: Path, start: str, words: tuple[str, ...]
) -> None:
    """Neither in place of a dependency nor as a plugin, for the first command and for those with a warm index."""
    for _ in range(2):
        done = run(folder, STARTS[start], *words)
        assert (done.returncode == 64) is (words[0] == "trap"), done.stderr
        assert "Traceback" not in done.stderr
    assert "trap" not in done.stdout
    assert sorted(folder.rglob("*.ran")) == []


@pytest.mark.parametrize("start", ["script", "safe path"])
def test_a_kernel_in_the_folder_is_not_run(folder: Path, start: str) -> None:
    """A false msp_core has no chance either; only Python's own `-m`, without `-P`, would take it before we begin."""
    (folder / "msp_core.py").write_text(TRAP)
    assert run(folder, STARTS[start], "--version").returncode == 0
    assert not (folder / "msp_core.ran").exists()


def test_doctor_measures_imports_away_from_the_folder(folder: Path) -> None:
    """The process that measures how long plugins take to import finds nothing here either."""
    (folder / "msp_core.py").write_text(TRAP)
    assert '"check"' in run(folder, STARTS["script"], "doctor", "--json").stdout
    assert not (folder / "msp_core.ran").exists()

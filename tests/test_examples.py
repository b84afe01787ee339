"""Every example runs as its README says; the plugins among them pass the cases of their kinds, as outsiders."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
UV = str(Path(sys.executable).with_name("uv"))
PLUGINS = sorted(file.parent for file in EXAMPLES.glob("*/pyproject.toml"))
PROGRAMS = sorted(
    path.relative_to(EXAMPLES).as_posix()
    for path in (*EXAMPLES.glob("*.py"), *EXAMPLES.glob("mcp_integration/*.py"))
    if path.name != "workspace.py"
)
SAMPLE = '''
from msp_toolkit.core.plugin import Plugin

class CustomHealthCheck(Plugin):
    """Custom health check plugin example"""

    name = "custom_disk_check"
    version = "1.0.0"

    def execute(self, context: dict) -> CheckResult:
        # Your custom logic here
        return CheckResult(
            status="healthy",
            message="Disk check passed",
            data={"usage": 45.2}
        )

# Register plugin
toolkit.register_plugin(CustomHealthCheck)
'''


def plugin_id(folder: Path) -> str:
    return folder.name


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    """It exits with 0, prints its story, and writes nothing where it was started."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_check_as_one_class_runs_as_it_was_always_written() -> None:
    """The class that people know from the beginning works to the letter, and keeps working."""
    assert SAMPLE in (EXAMPLES / "custom_plugin.py").read_text(encoding="utf-8")


def test_the_readme_lists_every_example() -> None:
    """No example is undocumented, and each folder explains itself."""
    text = (EXAMPLES / "README.md").read_text()
    assert all(f"`{name}`" in text for name in PROGRAMS)
    assert all(f"({folder.name}/README.md)" in text for folder in PLUGINS)
    folders = {path.parent for path in EXAMPLES.rglob("*.py")} - {EXAMPLES}
    top = {EXAMPLES / folder.relative_to(EXAMPLES).parts[0] for folder in folders}
    assert all((folder / "README.md").exists() for folder in top)


@pytest.mark.parametrize("folder", PLUGINS, ids=plugin_id)
def test_an_outside_plugin_needs_nothing_but_the_contract(folder: Path) -> None:
    """It imports `msp_core.v1`, and in tests `msp_core.testing`; it is under 100 lines."""
    package = folder.name.replace("-", "_")
    allowed = {"msp_core.v1", "msp_core.testing", "msp_core.testing.conformance"}
    lines = 0
    for file in (*folder.glob("src/*/*.py"), *folder.glob("tests/*.py")):
        text = file.read_text(encoding="utf-8")
        found = [
            one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.Import | ast.ImportFrom)
        ]
        names = {
            one.module or "" if isinstance(one, ast.ImportFrom) else one.names[0].name
            for one in found
        }
        ours = {name for name in names if name.split(".")[0].startswith("msp_")}
        assert ours <= allowed, f"{file.name} imports {ours - allowed}"
        kit = file.parent.name == "tests" or file.name == "sample.py"
        assert kit or ours <= {"msp_core.v1"}, f"{file.name} imports {ours}"
        assert names <= {*sys.stdlib_module_names, *ours, "attrs", "pytest"} | {
            name for name in names if name.split(".")[0] in {*sys.stdlib_module_names, package}
        }
        lines += 0 if kit else len(text.splitlines())
    assert lines < 100


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every outside plugin installed into it: built, with its metadata."""
    folder = tmp_path_factory.mktemp("outside") / "site"
    install = [UV, "pip", "install", "-q", "--no-deps", "--target", str(folder), *map(str, PLUGINS)]
    subprocess.run(install, check=True, env=os.environ | {"UV_LINK_MODE": "copy"})
    return folder


@pytest.mark.parametrize("folder", PLUGINS, ids=plugin_id)
@pytest.mark.timeout(300)
def test_an_outside_plugin_passes_the_cases_of_its_kind(
    folder: Path, site: Path, tmp_path: Path
) -> None:
    """Its own tests, which hold it against them, pass beside all the others."""
    done = run_tests(Path(sys.executable), folder, tmp_path, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def run_tests(
    python: Path, folder: Path, cwd: Path, **variables: str
) -> "subprocess.CompletedProcess[str]":
    words = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    dropped = ("PYTEST", "MSP_", "PYTHONPATH")
    env = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return subprocess.run(
        [*words, f"--rootdir={cwd}", "--import-mode=importlib", folder / "tests"],
        cwd=cwd,
        env=env | variables,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_outside_plugins_need_no_more_than_they_declare(tmp_path: Path) -> None:
    """In a new environment with the kernel and their own dependencies alone, they pass and are used."""
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, tmp_path / "env"], check=True)
    wanted = [f"{folder}[test]" for folder in PLUGINS]
    install = [UV, "pip", "install", "-q", "--python", python, "-c", ROOT / "constraints.txt"]
    subprocess.run([*install, f"msp-core[testing] @ {ROOT.as_uri()}", *wanted], check=True)
    for folder in PLUGINS:
        done = run_tests(python, folder, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        id = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]
        shown = subprocess.run(
            [python.with_name("msp"), "plugin", "show", id],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert shown.returncode == 0, shown.stderr
        assert id in shown.stdout

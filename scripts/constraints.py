"""Write the exact pin of every package the workspace can install, in the two places that hold them.

`[tool.uv] constraint-dependencies` in pyproject.toml makes `uv sync` repeatable without a lock
file (a lock records the address of the registry it was made from); constraints.txt is the same
list for `pip install -c`. Pins that stand are kept; `--upgrade` takes the newest of everything.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXPORT = (
    "export --quiet --all-packages --all-extras --all-groups --no-hashes --no-emit-workspace "
    "--no-header --no-annotate --format requirements.txt"
)
LIST = re.compile(r"^constraint-dependencies = \[(?:\]|\n.*?^\])$", re.MULTILINE | re.DOTALL)


def project_files(root: Path) -> list[Path]:
    """List the pyproject.toml of the kernel and of every plugin."""
    return [root / "pyproject.toml", *sorted(root.glob("plugins/*/pyproject.toml"))]


def pinned(root: Path) -> list[str]:
    """Read the pins that pyproject.toml holds."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    pins: list[str] = project["tool"]["uv"]["constraint-dependencies"]
    return pins


def exported(root: Path) -> list[str]:
    """Read the pins that constraints.txt holds."""
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def package_name(requirement: str) -> str:
    """Take the normalised package name out of a requirement or pin."""
    name = re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(file: Path) -> set[str]:
    """Name every package that a project asks for: plainly, in an extra or in a group."""
    project = tomllib.loads(file.read_text(encoding="utf-8"))
    needs = list(project["project"].get("dependencies", ()))
    for extra in project["project"].get("optional-dependencies", {}).values():
        needs += extra
    for group in project.get("dependency-groups", {}).values():
        needs += [need for need in group if isinstance(need, str)]
    return {package_name(need) for need in needs}


def unpinned(root: Path) -> list[str]:
    """Name what a project of the workspace asks for and no pin covers."""
    pins = {package_name(pin) for pin in pinned(root)}
    files = project_files(root)
    projects = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files]
    ours = {package_name(project["project"]["name"]) for project in projects}
    return sorted(set().union(*map(wanted, files)) - pins - ours)


def with_pins(project: str, pins: list[str]) -> str:
    """Give the text of pyproject.toml with `pins` in place of the ones it holds."""
    lines = "".join(f"    '{pin}',\n" if '"' in pin else f'    "{pin}",\n' for pin in pins)
    text, count = LIST.subn(lambda _: f"constraint-dependencies = [\n{lines}]", project)
    if count != 1:
        raise SystemExit("pyproject.toml holds no constraint-dependencies list of its own lines")
    return text


def resolve(root: Path, pins: list[str]) -> list[str]:
    """Let uv choose a version of everything, within `pins`, away from the work tree."""
    with tempfile.TemporaryDirectory() as folder:
        away = Path(folder)
        for file in project_files(root):
            copy = away / file.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
        project = away / "pyproject.toml"
        project.write_text(with_pins(project.read_text(encoding="utf-8"), pins), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("uv")), *EXPORT.split()]
        done = subprocess.run(command, cwd=away, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"uv could not resolve the workspace:\n{done.stderr}")
    return [re.sub(r"\s+;\s+", " ; ", line.strip()) for line in done.stdout.splitlines() if line]


def main() -> None:
    """Resolve, then write both lists."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--upgrade", action="store_true", help="newest of everything")
    upgrade = arguments.parse_args().upgrade
    pins = resolve(ROOT, [] if upgrade else pinned(ROOT))
    if any("://" in pin for pin in pins):
        raise SystemExit("a pin holds an address; it would tie every user to one registry")
    project = ROOT / "pyproject.toml"
    project.write_text(with_pins(project.read_text(encoding="utf-8"), pins), encoding="utf-8")
    header = "# Written by scripts/constraints.py; use with: pip install -c constraints.txt\n"
    (ROOT / "constraints.txt").write_text(header + "\n".join(pins) + "\n", encoding="utf-8")
    print(f"{len(pins)} pins in pyproject.toml and constraints.txt")


if __name__ == "__main__":
    main()

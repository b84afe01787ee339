"""Throw-away environments of installed wheels under `build/bench`, as a user has them."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "build" / "bench"
PRODUCT = (ROOT, *sorted(ROOT.glob("plugins/*")))
TEMPLATE = next(
    place
    for place in (ROOT / "plugin_template", ROOT / "msp_core" / "testing" / "template")
    if (place / "copier.yml").exists()
)
PLUGINS = 40


def product() -> Path:
    """Return the `bin` folder of an environment with every plugin of the product."""
    return _environment("product", PRODUCT)


def forty_plugins() -> Path:
    """Return the `bin` folder of an environment with the kernel and 40 plugins rendered from the template."""
    return _environment("forty", (ROOT, *_rendered()))


def _rendered() -> list[Path]:
    folder = CACHE / "rendered"
    stamp = _stamp([TEMPLATE])
    mark = folder / stamp
    made = [folder / f"acme-plugin-{number:02}" for number in range(PLUGINS)]
    if mark.exists():
        return made
    import copier

    for number, place in enumerate(made):
        data = {"plugin": place.name, "kind": "tool", "summary": f"Does thing {number}."}
        copier.run_copy(
            str(TEMPLATE),
            place,
            data=data,
            defaults=True,
            overwrite=True,
            quiet=True,
            vcs_ref="HEAD",
        )
    mark.touch()
    return made


def _environment(name: str, projects: Sequence[Path]) -> Path:
    """Build and install the projects, unless that was done since they changed; bytecode included."""
    place = CACHE / name
    mark = place / f"installed-{_stamp(projects)}"
    bin = place / "bin"
    if mark.exists():
        return bin
    uv = str(Path(sys.executable).with_name("uv"))
    quiet = {**os.environ}
    quiet.pop("VIRTUAL_ENV", None)
    if not (bin / "python").exists():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, place], check=True, env=quiet)
    command = [uv, "pip", "install", "-q", "--no-sources", "--compile-bytecode"]
    command += ["--python", str(bin / "python"), "--constraints", str(ROOT / "constraints.txt")]
    for project in projects:
        command += ["--reinstall-package", _name(project), str(project)]
    # Outside the workspace, whose settings would make everything editable
    subprocess.run(command, check=True, env=quiet, cwd=CACHE)
    for old in place.glob("installed-*"):
        old.unlink()
    mark.touch()
    return bin


def _name(project: Path) -> str:
    if project == ROOT:
        return "msp-core"
    return project.name if project.parent.name == "rendered" else f"msp-{project.name}"


def _stamp(folders: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for folder in folders:
        inside = [folder / "msp_core", folder / "pyproject.toml"] if folder == ROOT else [folder]
        for start in inside:
            for file in sorted([start] if start.is_file() else start.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts and "tests" not in file.parts:
                    digest.update(f"{file} {file.stat().st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]

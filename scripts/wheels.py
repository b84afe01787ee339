"""Show that each wheel stands alone: build it, install it with what it declares, import, test.

Every distribution of the workspace is built and put into a fresh environment of its own, together
with its declared dependencies only: the workspace's own as wheels from this build, the others from
the index, within constraints.txt. There its modules are imported, its tests and `plugin verify` run, on a copy of
the tests and away from the source tree. Run: `python scripts/wheels.py [PLUGIN...]`.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from email.parser import HeaderParser
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import attrs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
UV = str(Path(sys.executable).with_name("uv"))
FAST = "not node and not debian and not slow and not kill and not fuzz"
IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
failed = []
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if module.name.rpartition(".")[2] == "__main__":
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        failed.append(f"{module.name}: {error}")
if failed:
    sys.exit("\\n".join(failed))
"""


class Failure(Exception):
    """A step of the trial of one wheel went wrong; the text is what there is to read."""


@attrs.frozen(kw_only=True)
class Wheel:
    """One built distribution and where it came from."""

    name: str
    file: Path
    source: Path
    package: str
    requires: tuple[Requirement, ...]
    test_group: tuple[Requirement, ...]
    extras: tuple[str, ...]

    @property
    def tests(self) -> Path:
        """The folder of the tests that belong to this distribution alone."""
        return self.source / "tests" if self.source != ROOT else ROOT / "tests" / "kernel"


def build(target: Path) -> dict[str, Wheel]:
    """Build every wheel of the workspace and read what each declares."""
    run(
        [UV, "build", "--quiet", "--all-packages", "--wheel", "--out-dir", str(target)],
        ROOT,
    )
    files = {canonicalize_name(file.name.split("-")[0]): file for file in target.glob("*.whl")}
    wheels: dict[str, Wheel] = {}
    for project in [
        ROOT / "pyproject.toml",
        *sorted(ROOT.glob("plugins/*/pyproject.toml")),
    ]:
        declared = tomllib.loads(project.read_text(encoding="utf-8"))
        name = canonicalize_name(declared["project"]["name"])
        group = declared.get("dependency-groups", {}).get("test", [])
        with ZipFile(files[name]) as archive:
            inside = archive.namelist()
            metadata = next(entry for entry in inside if entry.endswith(".dist-info/METADATA"))
            headers = HeaderParser().parsestr(archive.read(metadata).decode())
        package = next(entry.split("/")[0] for entry in inside if entry.startswith("msp_"))
        if f"{package}/py.typed" not in inside:
            raise SystemExit(f"{name}: the wheel holds no {package}/py.typed")
        wheels[name] = Wheel(
            name=name,
            file=files[name],
            source=project.parent,
            package=package,
            requires=tuple(map(Requirement, headers.get_all("Requires-Dist", []))),
            test_group=tuple(Requirement(line) for line in group if isinstance(line, str)),
            extras=tuple(headers.get_all("Provides-Extra", [])),
        )
    return wheels


def applies(requirement: Requirement, extras: set[str]) -> bool:
    """Tell whether a declared requirement holds here, with these extras of its owner chosen."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def arguments(wanted: Iterable[Requirement], wheels: dict[str, Wheel]) -> list[str]:
    """Turn requirements into install arguments, with our own built wheels for our own names.

    Nothing of ours is ever asked from the index, where the name may belong to somebody else.
    """
    extras: dict[str, set[str]] = {}
    outside: list[str] = []
    queue = list(wanted)
    while queue:
        need = queue.pop()
        name = canonicalize_name(need.name)
        wheel = wheels.get(name)
        if wheel is None:
            outside.append(str(need))
            continue
        new = need.extras - extras.get(name, set())
        if name in extras and not new:
            continue
        extras.setdefault(name, set()).update(need.extras)
        inner = (further for further in wheel.requires if applies(further, need.extras))
        queue += [further for further in inner if canonicalize_name(further.name) in wheels]
    ours = []
    for ours_name, chosen in sorted(extras.items()):
        picked = f"[{','.join(sorted(chosen))}]" if chosen else ""
        ours.append(f"{ours_name}{picked} @ {wheels[ours_name].file.as_uri()}")
    return [*ours, *outside]


def run(command: list[str], folder: Path, *, timeout_s: float = 600) -> str:
    """Run one step in `folder` with nothing of this process's Python in its environment."""
    dropped = ("PYTHON", "VIRTUAL_ENV", "COVERAGE", "PYTEST")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    done = subprocess.run(
        command,
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        shown = [word if len(word) < 80 else "..." for word in command[:6]]
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise Failure(f"{' '.join(shown)} exited {done.returncode}\n{tail}")
    return done.stdout


def try_alone(wheel: Wheel, wheels: dict[str, Wheel], scratch: Path) -> str:
    """Install, import and test one wheel in an environment of its own; give a line to print."""
    home = scratch / wheel.name
    home.mkdir()
    python = str(home / "env" / "bin" / "python")
    install = [UV, "pip", "install", "--quiet", "--python", python]
    install += ["--constraint", str(ROOT / "constraints.txt")]
    run([UV, "venv", "--quiet", "--python", sys.executable, "env"], home)

    itself = Requirement(wheel.name)
    run([*install, *arguments([itself], wheels)], home)
    look = [python, "-I", "-c", IMPORT_EVERYTHING, wheel.package]
    try:
        run(look, home)
    except Failure:
        if not wheel.extras:
            raise
        # A module may need an extra of its own distribution, and nothing else
        complete = Requirement(f"{wheel.name}[{','.join(wheel.extras)}]")
        run([*install, *arguments([itself, complete], wheels)], home)
        run(look, home)

    if not wheel.tests.is_dir():
        if wheel.source == ROOT:
            return "imported"
        raise Failure("it has no tests")
    kit = [itself, Requirement("msp-core[testing]"), *wheel.test_group]
    run([*install, *arguments(kit, wheels)], home)
    shutil.copytree(wheel.tests, home / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "conftest.py",
        "pyproject.toml",
    ):  # the rules and settings of every test here
        shutil.copy(ROOT / name, home / name)
    printed = run(
        [python, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-m", FAST], home
    )
    closing = printed.strip().splitlines()[-1]
    if not re.search(r"\d+ passed", closing):
        raise Failure(f"no test ran: {closing}")
    return f"{closing.strip('= ')}{verified(wheel, home)}"


def verified(wheel: Wheel, home: Path) -> str:
    """Run `plugin verify` on a wheel that holds a plugin, and not the kernel with it; give what it says."""
    if wheel.source == ROOT:
        return ""
    declared = tomllib.loads((wheel.source / "pyproject.toml").read_text(encoding="utf-8"))
    points = declared["project"].get("entry-points", {}).get("msp_toolkit.plugins", {})
    command = str(home / "env" / "bin" / "msp")
    said = [run([command, "plugin", "verify", id], home).strip().splitlines()[-1] for id in points]
    return "".join(f"; {line}" for line in said)


def attempt(wheel: Wheel, wheels: dict[str, Wheel], scratch: Path) -> bool:
    """Try one wheel and print how it went."""
    started = time.monotonic()
    try:
        said = try_alone(wheel, wheels, scratch)
    except (Failure, subprocess.TimeoutExpired) as failure:
        print(f"FAILED {wheel.name}: {failure}", flush=True)
        return False
    finally:
        shutil.rmtree(scratch / wheel.name, ignore_errors=True)
    print(
        f"ok     {wheel.name:32} {time.monotonic() - started:5.1f} s  {said}",
        flush=True,
    )
    return True


def main() -> int:
    """Try every wheel, or the ones named, two at a time."""
    named = {canonicalize_name(f"msp-{word.removeprefix('msp-')}") for word in sys.argv[1:]}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        try:
            wheels = build(scratch / "wheels")
        except Failure as failure:
            print(f"the wheels cannot be built: {failure}")
            return 1
        chosen = [wheel for name, wheel in wheels.items() if not named or name in named]
        with ThreadPoolExecutor(2) as pool:
            went = list(pool.map(partial(attempt, wheels=wheels, scratch=scratch), chosen))
    print(f"wheels: {sum(went)} passed, {len(went) - sum(went)} failed")
    return 0 if went and all(went) else 1


if __name__ == "__main__":
    sys.exit(main())

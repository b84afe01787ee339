"""Follow docs/installation.md literally, the uv way and the plain pip way, and use the result.

Each way runs in a copy of the tracked files, as a fresh clone would be.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from documents import commands

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "installation.md"
WAYS = ("From a clone, with uv", "From a clone, with plain pip")
AFTER = "After any of these"


def copy_tracked(target: Path) -> None:
    """Copy what git tracks, as it stands in the work tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def environment(home: Path) -> dict[str, str]:
    """Give the environment of a new user: own home, this Python and uv, nothing else of ours."""
    dropped = ("PYTHON", "VIRTUAL_ENV", "COVERAGE", "MSP_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    cache = Path(os.environ.get("UV_CACHE_DIR", Path.home() / ".cache" / "uv"))
    programs = home / "programs"
    programs.mkdir()
    (programs / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    others = [part for part in kept["PATH"].split(os.pathsep) if not part.startswith(str(ROOT))]
    return kept | {
        "HOME": str(home),
        "NO_COLOR": "1",
        "PATH": os.pathsep.join([str(programs), *others]),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_CACHE_DIR": str(cache),
    }


def follow(way: str, guide: dict[str, list[str]]) -> None:
    """Run the commands of one way, then the first commands of every user."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        clone, data = home / "clone", home / "data"
        clone.mkdir()
        data.mkdir()
        copy_tracked(clone)
        env = environment(home)

        def step(line: str, where: Path) -> None:
            print("$", line, flush=True)
            done = subprocess.run(
                ["bash", "-ec", line],
                cwd=where,
                env=env,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            # doctor may have advice (1) where nothing was ever checked
            if done.returncode not in ({0, 1} if "doctor" in line else {0}):
                tail = "\n".join(done.stdout.splitlines()[-30:])
                raise SystemExit(f"{tail}\nFAILED: {line} exited {done.returncode}")

        for line in guide[way]:
            step(line, clone)
        step(".venv/bin/python -m pip check 2>&1 || uv pip check", clone)
        env["PATH"] = os.pathsep.join([str(clone / ".venv" / "bin"), env["PATH"]])
        for line in guide[AFTER]:
            step(line, data)


def main() -> None:
    """Follow every way; a command that fails ends the script."""
    guide = commands(GUIDE)
    for way in WAYS:
        print(f"== {way}", flush=True)
        follow(way, guide)
    print("both ways work")


if __name__ == "__main__":
    main()

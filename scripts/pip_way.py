"""Follow the documented way with plain pip in a fresh environment, and use what it installed."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Install the kernel and every plugin with pip, then start the toolkit in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        programs = home / "env" / "bin"
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("PYTHON")
        }
        kept |= {"HOME": folder, "NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        kept.pop("VIRTUAL_ENV", None)

        def step(*command: str, folder: Path = home) -> None:
            print(
                "$",
                " ".join(command[:6]),
                "..." if len(command) > 6 else "",
                flush=True,
            )
            subprocess.run(
                command, cwd=folder, env=kept, check=True, stdin=subprocess.DEVNULL
            )

        step(sys.executable, "-m", "venv", str(home / "env"))
        plugins = sorted(
            str(file.parent) for file in ROOT.glob("plugins/*/pyproject.toml")
        )
        pip = (str(programs / "python"), "-m", "pip")
        step(*pip, "install", "-q", "-c", "constraints.txt", ".", *plugins, folder=ROOT)
        step(*pip, "check")
        toolkit = str(programs / "msp-toolkit")
        step(toolkit, "--version")
        step(toolkit, "init")
        step(toolkit, "doctor")
        step(toolkit, "plugin", "list")
    print("the pip way works")


if __name__ == "__main__":
    main()

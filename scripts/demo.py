"""Show the main job: this machine, then a simulated fleet on two vendors, from nothing to what is wrong and why."""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent
CLIENTS, DEVICES = 12, 300


def say(text: str) -> None:
    """Say what comes next."""
    bold = (
        ("\x1b[1m", "\x1b[0m")
        if sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        else ("", "")
    )
    print(f"\n{bold[0]}{text}{bold[1]}", flush=True)


def run(folder: Path, line: str, *, allowed: tuple[int, ...] = (0,)) -> None:
    """Run one command line the way a person would, and show it."""
    print(f"$ {line}", flush=True)
    words = shlex.split(line)
    done = subprocess.run(
        [BIN / words[0], *words[1:]], cwd=folder, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode not in allowed:
        print(f"\nThat should not have ended with exit code {done.returncode}.", file=sys.stderr)
        raise SystemExit(1)


def main() -> int:
    """Run the demo in a temporary folder, and stop what it started."""
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="msp-demo-"))
    checked = (
        0,
        1,
        2,
        3,
    )  # a check's exit code says how things are, not whether the command worked
    say("1. A workspace, in a temporary folder")
    run(folder, 'msp-toolkit init --no-input --company "Nordlicht IT"')
    say("2. This machine, for real")
    run(folder, "msp-toolkit client sync local --create")
    run(folder, "msp-toolkit health check local", allowed=checked)
    run(folder, "msp-toolkit device list local")
    try:
        say(
            f"3. A simulated fleet: {CLIENTS} clients and {DEVICES} devices in ConnectWise Automate and NinjaOne"
        )
        run(folder, f"msp-toolkit lab up --clients {CLIENTS} --devices {DEVICES} --detach")
        run(folder, "msp-toolkit client sync --all --create")
        run(folder, "msp-toolkit client list")
        say("4. One sweep over everything")
        run(folder, "msp-toolkit health check --all", allowed=checked)
        say("5. Six hours later, by the simulated vendors' clock")
        run(folder, "msp-toolkit lab advance --hours 6")
        run(folder, "msp-toolkit health check acme-corp", allowed=checked)
        run(folder, "msp-toolkit health history acme-corp --days 7 --check disk")
        run(folder, "msp-toolkit alert list --severity critical")
    finally:
        run(folder, "msp-toolkit lab down")
    took = time.monotonic() - started
    say(f"Done in {took:.0f} s. Everything is in {folder}; three commands to try there:")
    print(f"  cd {folder}; export PATH={BIN}:$PATH")
    print("  msp-toolkit health status --all              how every client is doing")
    print(
        "  msp-toolkit health check acme-corp --type disk --dry-run    what a check would find now, unrecorded"
    )
    print("  msp-toolkit doctor                           is everything in order here?")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

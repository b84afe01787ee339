"""Show the main job: this machine, then a simulated fleet on two vendors, from nothing to what is wrong and why."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
CLIENTS, DEVICES = 12, 300
JUDGED = (0, 1, 2, 3)  # a check's exit code says how things are, not whether the command worked
POLICY = """\
# What every client relies on, wherever it is installed
[health_checks.thresholds.services]
if_installed = ["WinDefend", "LanmanServer", "Dnscache", "W32Time", "MSSQL*"]
"""
BOLD, DIM, PLAIN = (
    ("\x1b[1m", "\x1b[2m", "\x1b[0m")
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    else ("", "", "")
)


def say(text: str) -> None:
    """Say what comes next."""
    print(f"\n{BOLD}{text}{PLAIN}", flush=True)


def start(folder: Path, line: str, *, quiet: bool = False) -> "subprocess.CompletedProcess[str]":
    """Start one command line the way a person would."""
    words = shlex.split(line)
    return subprocess.run(
        [BIN / words[0], *words[1:]],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=quiet,
        text=True,
        check=False,
    )


def run(folder: Path, line: str, *, allowed: tuple[int, ...] = (0,)) -> None:
    """Show one command line and what it prints."""
    print(f"\n{DIM}$ {line}{PLAIN}", flush=True)
    done = start(folder, line)
    if done.returncode not in allowed:
        print(f"\nThat should not have ended with exit code {done.returncode}.", file=sys.stderr)
        raise SystemExit(1)


def changed(folder: Path) -> tuple[str, str, str] | None:
    """Find a problem that is new since the last sweep: its client, device and check."""
    known = json.loads(
        start(folder, "msp-toolkit alert list --limit 10000 --json", quiet=True).stdout
    )
    open_before = {
        (alert["alert"]["device_id"], alert["alert"]["check"]) for alert in known["items"]
    }
    looked = start(folder, "msp-toolkit health check --all --dry-run --json", quiet=True)
    concerns: list[dict[str, Any]] = json.loads(looked.stdout)["concerns"]
    new = [
        (one["client_id"], one["device"], one["check"])
        for one in concerns
        if one["status"] in ("critical", "warning")
        and one["client_id"] != "local"
        and (f"{one['client_id']}/{one['device']}", one["check"]) not in open_before
    ]
    telling = {"services": 0, "disk": 1}
    return min(new, key=lambda one: telling.get(one[2], 2), default=None)


def main() -> int:
    """Run the demo in a temporary folder, and stop what it started."""
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="msp-demo-"))
    say("1. A workspace, in a temporary folder")
    run(folder, 'msp-toolkit init --no-input --company "Nordlicht IT"')
    say("2. This machine, for real")
    run(folder, "msp-toolkit client sync local --create")
    run(folder, "msp-toolkit health check local", allowed=JUDGED)
    run(folder, "msp-toolkit device list local")
    client = "acme-corp"
    try:
        say("3. A simulated fleet in ConnectWise Automate and NinjaOne")
        run(folder, f"msp-toolkit lab up --clients {CLIENTS} --devices {DEVICES} --detach")
        run(folder, "msp-toolkit client sync --all --create")
        run(folder, "msp-toolkit client list")
        say("4. A rule for all of them, and one sweep over everything")
        rules = folder / "config" / "conf.d" / "services.toml"
        rules.write_text(POLICY, encoding="utf-8")
        print(f"\n{DIM}$ cat {rules.relative_to(folder)}{PLAIN}\n{POLICY}", end="")
        run(folder, "msp-toolkit health check --all", allowed=JUDGED)
        say("5. Six hours later in the life of the simulated fleet")
        run(folder, "msp-toolkit lab advance --hours 6")
        found = changed(folder)
        filters = ""
        if found is not None:
            client, device, check = found
            filters = f" --device {device} --check {check}"
            print(f"\nSomething changed at {client}, on {device}. Check that client again:")
        run(folder, f"msp-toolkit health check {client}", allowed=JUDGED)
        run(folder, f"msp-toolkit health history {client} --days 7{filters}")
        run(folder, f"msp-toolkit alert list {client}")
    finally:
        run(folder, "msp-toolkit lab down")
    took = time.monotonic() - started
    say(f"Done in {took:.0f} s.")
    print(f"Everything is recorded in {folder}. Three commands to try next:\n")
    print(f"  export PATH={BIN}:$PATH; cd {folder}\n")
    tries = (
        ("msp-toolkit health status --all", "how every client is doing"),
        (f"msp-toolkit health status {client}", "one client, device by device"),
        ("msp-toolkit alert list --severity critical", "what somebody should look at"),
    )
    widest = max(len(line) for line, _ in tries)
    for line, why in tries:
        print(f"  {line:<{widest}}  {DIM}{why}{PLAIN}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

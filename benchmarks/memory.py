"""Peak memory of a sweep over a whole fleet, measured by the sweep's own process."""

import subprocess
import sys

from benchmarks.fleet import PROGRAM, connected
from benchmarks.table import Row
from benchmarks.timing import child_environment

CODE = """
import runpy, sys
program, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = program
try:
    runpy.run_path(program, run_name="__main__")
finally:
    with open("/proc/self/status") as status:
        peak = next(line for line in status if line.startswith("VmHWM"))
    print(peak.split()[1], file=sys.stderr)
"""


def measure(*, quick: bool) -> list[Row]:
    """Sweep 50,000 devices of a lab, with every check but the network's, and read the peak."""
    devices = 5_000 if quick else 50_000
    clients = devices // 100
    with connected(clients=clients, devices=devices, concurrency=100) as fleet:
        words = ["health", "check", "--all", "--as", "nagios"]
        for check in ("cpu", "memory", "disk", "services"):
            words += ["--type", check]
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(PROGRAM), *words],
            cwd=fleet.folder, env=child_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        before, _, peak = done.stderr.strip().rpartition("\n")
        if done.returncode not in (0, 1, 2, 3) or not peak.isdecimal():
            raise RuntimeError(done.stdout + done.stderr)
        note = f"{done.stdout.strip()[:160]} {before.strip()[:160]}".strip()
    return [Row(work=f"sweep of {devices:,} devices", ours=int(peak) / 1024, budget=300, note=note)]

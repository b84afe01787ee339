"""What a sweep needs a process of its own to show: peak memory, and the end of a check that never returns."""

import json
import os
import subprocess
import sys

import pytest

SWEEP = """
import asyncio, json, re, sys
from pathlib import Path
from msp_clients.api import Clients, NewClient
from msp_health.testing import World, open_toolkit

clients, kind = int(sys.argv[2]), sys.argv[3]
world = World.of(clients=clients, devices=100, instances=("one", "two"))

async def main():
    kinds = {"one": kind, "two": kind}
    async with open_toolkit(Path(sys.argv[1]), world, kinds=kinds) as toolkit:
        service = await toolkit.get(Clients)
        new = [NewClient(name=f"c{n}", id=f"c{n}") for n in range(1, clients + 1)]
        await service.create_many(toolkit.context(), new)
        run = await toolkit.call("health.check")
        # Not ru_maxrss: a process that was started by a larger one has inherited its peak
        peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
        print(json.dumps([run.counts.ok, peak, len(world.reads)]))

asyncio.run(main())
"""


def sweep(folder, clients, kind):
    done = subprocess.run(
        [sys.executable, "-c", SWEEP, str(folder), str(clients), kind],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_memory_of_2500_devices(tmp_path):
    """A sweep of 2,500 devices stays below 100 MiB."""
    ok, peak_mib, reads = sweep(tmp_path, 25, "client")
    assert ok == 5000
    assert peak_mib < 100
    assert reads <= 27  # chunks may end inside a client


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "reads_at_most"), [("fleet", 2), ("client", 530)])
def test_memory_of_50000_devices(tmp_path, kind, reads_at_most):
    """A sweep of 50,000 devices stays below 300 MiB, also when a console gives all its facts at once."""
    ok, peak_mib, reads = sweep(tmp_path, 500, kind)
    assert ok == 100_000
    assert peak_mib < 300
    assert reads <= reads_at_most


HANG = """
import asyncio, sys
from pathlib import Path
from msp_clients.api import Clients
from msp_health import testing

def hang(*_, **__):
    while True:
        pass

testing.judge_disk = hang

async def main():
    async with testing.open_toolkit(Path(sys.argv[1]), testing.World.of(clients=1, devices=1)) as toolkit:
        await (await toolkit.get(Clients)).create(toolkit.context(), name="c1", id="c1")
        await toolkit.call("health.check")

asyncio.run(main())
"""


def test_a_check_that_never_returns_is_named(tmp_path):
    """The watchdog names the check and its plugin and ends the process with 3; UNKNOWN, never OK."""
    done = subprocess.run(
        [sys.executable, "-c", HANG, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "MSP_WATCHDOG_SECONDS": "1"},
    )
    assert done.returncode == 3
    assert "UNKNOWN: check disk of plugin fleet has not returned for 1 s" in done.stderr

"""kill -9 in the middle of a sweep: nothing twice, nothing lost, the database sound."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from msp_clients.api import Clients
from msp_health.testing import World, open_toolkit

pytestmark = pytest.mark.kill
CLIENTS, DEVICES, PLANNED = 30, 10, 30 * 10 * 2

ALERTS = ("msp_alerts.plugin",) if find_spec("msp_alerts") else ()

SWEEP = f"""
import asyncio, sys
from pathlib import Path
from msp_health.testing import World, answer, open_toolkit

ALERTS = {ALERTS!r}
world = World.of(clients={CLIENTS}, devices={DEVICES})
for number in range(1, {CLIENTS} + 1):
    world.used[f"c{{number}}/pc-1"] = 95.0

folder, mode = Path(sys.argv[1]), sys.argv[2]

async def slowly(query):
    await asyncio.sleep(0.01)
    while mode == "wait" and not (folder / "go").exists():
        await asyncio.sleep(0.02)
    async for item in answer(query):
        yield item

world.behave["one"] = slowly

class Lines:
    def update(self, done, total, text=""):
        print(done, flush=True)

async def main():
    chunks = {{"health_checks": {{"chunk_devices": 10, "concurrency": 4}}}}
    async with open_toolkit(folder, world, *ALERTS, overrides=chunks) as toolkit:
        print("ready", flush=True)
        ctx = toolkit.context(progress=Lines())
        run = await toolkit.call("health.check", {{"resume": mode == "resume"}}, ctx=ctx)
        print(run.run_id, run.planned, run.counts.total, flush=True)

asyncio.run(main())
"""


async def _make_clients(folder: Path) -> None:
    async with open_toolkit(folder, World.of(clients=CLIENTS, devices=DEVICES)) as toolkit:
        clients = await toolkit.get(Clients)
        for number in range(1, CLIENTS + 1):
            await clients.create(toolkit.context(), name=f"c{number}", id=f"c{number}")


def start(folder: Path, mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SWEEP, str(folder), mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(folder: Path, sql: str) -> list[tuple]:
    with sqlite3.connect(folder / "data" / "msp-toolkit.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute(sql).fetchall()


def test_killed_anywhere_then_resumed(tmp_path):
    """A run killed again and again is finished by `resume`: every row once, one alert for each problem."""
    asyncio.run(_make_clients(tmp_path))
    chance, kills, midway, mode = random.Random(7), 0, 0, "new"
    for _ in range(12):
        process = start(tmp_path, mode)
        assert process.stdout is not None
        for _ in range(chance.randint(1, 40)):  # lines of progress: two for each of 30 chunks
            process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.02))
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        if rows(tmp_path, "SELECT 1 FROM sqlite_master WHERE name='health_runs'") and rows(
            tmp_path, "SELECT id FROM health_runs WHERE state != 'finished'"
        ):
            mode = "resume"
        twice = "SELECT device_id FROM health_checks GROUP BY run_id, device_id, check_type HAVING COUNT(*) > 1"
        assert rows(tmp_path, twice) == []
        recorded = rows(tmp_path, "SELECT COUNT(*) FROM health_checks")[0][0]
        assert rows(tmp_path, "SELECT COALESCE(SUM(planned), 0) FROM health_runs") == [(recorded,)]
        midway += 0 < recorded < PLANNED
    assert kills >= 3
    assert midway >= 1
    final = start(
        tmp_path,
        mode if rows(tmp_path, "SELECT 1 FROM health_runs WHERE state != 'finished'") else "new",
    )
    out, err = final.communicate(timeout=60)
    assert final.returncode == 0, err
    run_id, planned, total = map(int, out.split()[-3:])
    assert planned == total == PLANNED
    [(count,)] = rows(tmp_path, f"SELECT COUNT(*) FROM health_checks WHERE run_id = {run_id}")
    assert count == PLANNED
    assert rows(tmp_path, "SELECT COUNT(*) FROM latest_status") == [(PLANNED,)]
    assert rows(tmp_path, "SELECT COUNT(*) FROM health_leases") == [(0,)]
    if not ALERTS:
        return
    opened = "SELECT COUNT(*), COUNT(DISTINCT key) FROM alerts WHERE resolved_at IS NULL"
    assert rows(tmp_path, opened) == [(CLIENTS * 2, CLIENTS * 2)]


def test_two_processes_on_one_client(tmp_path):
    """While one process sweeps, another is told which run it is; afterwards it may."""
    asyncio.run(_make_clients(tmp_path))
    first = start(tmp_path, "wait")
    assert first.stdout is not None
    first.stdout.readline()
    while not rows(tmp_path, "SELECT 1 FROM sqlite_master WHERE name='health_leases'") or not rows(
        tmp_path, "SELECT 1 FROM health_leases"
    ):
        time.sleep(0.01)
    _, err = start(tmp_path, "new").communicate(timeout=60)
    assert "being checked right now by run 1" in err
    (tmp_path / "go").touch()
    assert first.wait(timeout=60) == 0
    assert rows(tmp_path, "SELECT id, state, planned FROM health_runs") == [
        (1, "finished", PLANNED)
    ]

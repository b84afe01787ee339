"""Processes ended with kill -9: what was acknowledged is there, whole; what was committed is delivered."""

import asyncio
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from msp_core.v1 import Migrations, Subscriber
from msp_store.outbox import DatabaseOutbox
from msp_store.testing import open_store

pytestmark = [pytest.mark.anyio, pytest.mark.kill]

CHUNK = 200
STEP = """
from msp_store.api import Migrator, integer, text


def upgrade(m: Migrator) -> None:
    m.create_table("chunks", integer("chunk"), integer("place"), text("words"), primary_key=("chunk", "place"))
    m.create_table("latest", integer("place", key=True), integer("chunk"))
"""
MODELS = """
from msp_store.api import CompositeKey, IntegerField, Model, TextField


class Chunk(Model):
    chunk = IntegerField()
    place = IntegerField()
    words = TextField()

    class Meta:
        table_name = "chunks"
        primary_key = CompositeKey("chunk", "place")


class Latest(Model):
    place = IntegerField(primary_key=True)
    chunk = IntegerField()

    class Meta:
        table_name = "latest"
"""
WRITER = """
import asyncio, sys
from killed.models import Chunk, Latest
from msp_core.v1 import Migrations
from msp_store.testing import open_store


async def main(target, first):
    store = open_store(target, Migrations(id="killed", package="killed.migrations"))
    for chunk in range(first, first + 100_000):
        def write(tx, chunk=chunk):
            rows = [(chunk, place, "x" * 50) for place in range(200)]
            tx.insert_many(Chunk, rows, [Chunk.chunk, Chunk.place, Chunk.words])
            latest = [(place, chunk) for place in range(200)]
            tx.upsert_many(Latest, latest, [Latest.place, Latest.chunk], conflict=[Latest.place], update=[Latest.chunk])
            tx.emit("chunk", {"n": chunk})
        await store.write(write, sync=chunk % 3 == 0)
        print(chunk, flush=True)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""
TELLER = """
import asyncio, os, sys
from types import SimpleNamespace
from msp_core.v1 import Subscriber
from msp_store.outbox import DatabaseOutbox
from msp_store.testing import open_store


async def main(target, first, heard):
    store = open_store(target)
    log = os.open(heard, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def hear(ctx, event):
        os.write(log, f"{event.payload['n']}\\n".encode())

    outbox = DatabaseOutbox(
        store, subscribers=lambda: (Subscriber(id="a", event="news", run="a:b"),), load=lambda ref: hear
    )
    for n in range(first, first + 100_000):
        await store.write(lambda tx: tx.emit("news", {"n": n}))
        print(n, flush=True)
        await outbox.deliver(SimpleNamespace(dry_run=False, read_only=False))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
"""


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Make the package that both this process and those to be killed use."""
    folder = tmp_path / "packages" / "killed"
    (folder / "migrations").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "models.py").write_text(MODELS)
    (folder / "migrations" / "__init__.py").write_text("")
    (folder / "migrations" / "m0001_initial.py").write_text(STEP)
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setenv("PYTHONPATH", str(folder.parent))
    yield Migrations(id="killed", package="killed.migrations")
    for module in [one for one in sys.modules if one.split(".")[0] == "killed"]:
        del sys.modules[module]


def run_and_kill(program, *arguments, seconds):
    """Run a program, kill it after it has worked for a while, and return the numbers it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    lines = [first, *process.stdout.read().splitlines()]
    process.stdout.close()
    return [int(line) for line in lines if line.strip()]


@pytest.mark.timeout(240)
async def test_acknowledged_rows_survive(each_store, record):
    """After every kill the database is sound, each acknowledged chunk is there whole, and no other part of one."""
    from killed.models import Chunk, Latest

    from msp_store.api import fn

    store = each_store(record)
    await store.open()
    target = str(store.target.path) if store.dialect == "sqlite" else address(store)
    chance, acknowledged = random.Random(7), []
    for _ in range(6):
        next_chunk = (acknowledged[-1] + 2) if acknowledged else 0
        acknowledged += await asyncio.to_thread(
            run_and_kill, WRITER, target, next_chunk, seconds=chance.uniform(0, 0.4)
        )
        if store.dialect == "sqlite":
            check = await store.read(
                lambda tx: tx.db.execute_sql("PRAGMA integrity_check").fetchall()
            )
            assert check == [("ok",)]
        else:  # the server notices a dead client when its statement ends
            await store.write(lambda tx: None)
        sizes = dict(
            await store.read(
                lambda tx: list(
                    Chunk.select(Chunk.chunk, fn.COUNT(1)).group_by(Chunk.chunk).tuples()
                )
            )
        )
        assert set(acknowledged) <= set(sizes)
        assert set(sizes.values()) == {CHUNK}
        events = await store.read(
            lambda tx: tx.db.execute_sql("SELECT COUNT(*) FROM outbox").fetchone()[0]
        )
        assert events == len(sizes)
        latest = await store.read(lambda tx: {row.chunk for row in Latest.select()})
        assert latest == {max(sizes)}
    assert len(acknowledged) > 6


@pytest.mark.timeout(240)
async def test_committed_events_are_delivered(tmp_path):
    """Killed between commit and delivery, or in the middle of it: every event is heard in the end."""
    path, heard = tmp_path / "events.db", tmp_path / "heard"
    chance, acknowledged = random.Random(11), []
    for _ in range(6):
        next_number = (acknowledged[-1] + 2) if acknowledged else 0
        acknowledged += await asyncio.to_thread(
            run_and_kill, TELLER, path, next_number, heard, seconds=chance.uniform(0, 0.3)
        )
    from datetime import UTC, datetime, timedelta
    from types import SimpleNamespace

    store = open_store(path, now=lambda: datetime.now(UTC) + timedelta(minutes=5))
    later = []

    async def hear(ctx, event):
        later.append(event.payload["n"])

    outbox = DatabaseOutbox(
        store,
        subscribers=lambda: (Subscriber(id="a", event="news", run="a:b"),),
        load=lambda ref: hear,
    )
    delivery = await outbox.deliver(SimpleNamespace(dry_run=False, read_only=False))
    assert delivery.waiting == 0
    everything = {*map(int, heard.read_text().split()), *later}
    assert set(acknowledged) <= everything
    emitted = await store.read(
        lambda tx: tx.db.execute_sql("SELECT COUNT(*) FROM outbox").fetchone()[0]
    )
    assert len(everything) == emitted
    await store.aclose()


def address(store):
    at = store.target.conninfo
    return f"postgresql://{at['user']}@/{at['dbname']}?host={at['host']}"

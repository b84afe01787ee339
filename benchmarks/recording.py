"""Evaluating and recording 25,000 results with their latest status, against the bare driver writing the same rows."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.databases import (
    new_database,
    new_folder,
    postgresql,
    raw_connection,
    server_cpu,
    workspace,
)
from benchmarks.timing import Sample, clock, in_turn
from msp_core.v1 import (
    Client,
    CpuFacts,
    Device,
    DiskFacts,
    MemoryFacts,
    Mode,
    Observation,
    OsFamily,
    ServiceFact,
    ServiceFacts,
    ServiceState,
    Toolkit,
    Volume,
)
from msp_health import recorder
from msp_health.catalog import load_catalog, select
from msp_health.evaluator import judge
from msp_health.facts import FactBook, Known
from msp_health.lanes import lanes
from msp_health.limits import LimitsBook
from msp_health.planner import Row, Subject, plan_rows, why_unknown
from msp_health.runs import Claim, close_run, open_run
from msp_health.settings import HealthSettings
from msp_health.sweep import _collector_paused
from msp_store.api import Store

CHECKS = ("cpu", "memory", "disk", "services")
CLIENTS, RESULTS = 125, 25_000
GIB = 1 << 30


def measure(*, quick: bool) -> list[table.Row]:
    """Measure on SQLite and on PostgreSQL."""
    rounds = 3 if quick else 7
    rows = [_row("SQLite", new_folder("record-sqlite"), None, None, rounds)]
    with postgresql() as server:
        urls = (new_database(server, "bench_ours"), new_database(server, "bench_floor"))
        rows.append(_row("PostgreSQL", new_folder("record-postgresql"), *urls, rounds))
    return rows


def _row(name: str, folder: Path, url: str | None, floor_url: str | None, rounds: int) -> table.Row:
    (folder / "ours").mkdir()
    (folder / "floor").mkdir()
    config, floor_config = workspace(folder / "ours", url), workspace(folder / "floor", floor_url)
    elsewhere = partial(server_cpu, url, floor_url) if url and floor_url else float
    ours, floor = asyncio.run(_measured(config, floor_config, floor_url, elsewhere, rounds))
    work = f"evaluate and record {RESULTS:,} results, {name}"
    return table.Row(work=work, ours=ours, floor=floor, budget=3)


async def _measured(
    config: Path,
    floor_config: Path,
    floor_url: str | None,
    elsewhere: Callable[[], float],
    rounds: int,
) -> Any:
    async with Toolkit.open(floor_config) as other:
        store = await other.get(Store)
        await store.write(lambda _: None)  # makes the tables
    async with Toolkit.open(config) as toolkit:
        recording = await Recording.of(toolkit)
        await recording.run()
        loop = asyncio.get_running_loop()

        def ours() -> Sample:
            return asyncio.run_coroutine_threadsafe(recording.timed(elsewhere), loop).result()

        connection = raw_connection(floor_url, floor_config.parent)
        write = partial(_write_raw, connection, postgresql=floor_url is not None)
        floor = Floor(write, recording.batches)
        try:
            return await asyncio.to_thread(in_turn, rounds, ours, partial(floor.timed, elsewhere))
        finally:
            connection.close()


class Recording:
    """The part of a sweep after collecting: judge, build rows, record, in the chunks of a sweep."""

    def __init__(
        self, toolkit: Toolkit, store: Store, chunks: list[list[Row]], book: FactBook
    ) -> None:
        self.ctx = toolkit.context()
        self.settings = toolkit.settings(HealthSettings)
        self.catalog = load_catalog(toolkit)
        self.store = store
        self.chunks = chunks
        self.book = book
        self.batches: list[recorder.Batch] = []
        self._keeps = True

    @classmethod
    async def of(cls, toolkit: Toolkit) -> "Recording":
        """Make clients, devices and their facts."""
        checks = select(load_catalog(toolkit).checks, CHECKS)
        limits = LimitsBook(checks, thresholds={}, tiers={}, call={})
        clients = [Client(id=f"client-{n}", name=f"Client {n}") for n in range(CLIENTS)]
        each = RESULTS // len(CHECKS) // CLIENTS
        subjects = [
            Subject(device=_device(client.id, number), links={"one": f"{client.id}-{number}"})
            for client in clients
            for number in range(each)
        ]
        by_client = {client.id: limits.for_client(client, {}) for client in clients}
        settings = toolkit.settings(HealthSettings)
        [lane] = lanes(subjects, settings.chunk_devices)
        chunks = [plan_rows(checks, chunk, by_client) for chunk in lane]
        assert sum(map(len, chunks)) == RESULTS
        book = FactBook(toolkit.now(), settings.max_age)
        for number, subject in enumerate(subjects):
            for fact in _facts(number):
                book.add(Known(_observation(subject, fact, toolkit.now()), Mode.LIVE, "one:facts"))
        return cls(toolkit, await toolkit.get(Store), chunks, book)

    async def run(self) -> None:
        """Judge and record everything once; `batches` are what the first go recorded."""
        ids = [f"client-{n}" for n in range(CLIENTS)]
        claim: Claim = await self.store.write(
            partial(open_run, ctx=self.ctx, client_ids=ids, selection={}, expected=RESULTS)
        )
        for rows in self.chunks:
            with _collector_paused():
                await self._chunk(rows, claim)
        await self.store.write(partial(close_run, claim=claim, finished=True, now=self.ctx.now()))
        self._keeps = False

    async def _chunk(self, rows: Sequence[Row], claim: Claim) -> None:
        clients = list(dict.fromkeys(row.subject.device.client_id for row in rows))
        latest = await self.store.read(lambda tx: recorder.load_latest(tx, clients))

        def why(row: Row, need: Any) -> str:
            return why_unknown(row, need, self.book, self.catalog, {})

        outcomes = [judge(row, self.book, latest.get(row.key), why) for row in rows]
        now = self.ctx.now()
        batch = recorder.build_batch(outcomes, self.settings.attempts, claim.run_id, now)
        await self.store.write(lambda tx: recorder.write_batch(tx, claim, batch, now))
        if self._keeps:
            self.batches.append(batch)

    async def timed(self, elsewhere: Callable[[], float]) -> Sample:
        """Judge and record once against the clock."""
        with clock(elsewhere) as taken:
            await self.run()
        return taken.sample


class Floor:
    """The rows of a run, ready for the driver, written under a new run each time."""

    def __init__(
        self, write: Callable[[list[Any], list[Any]], None], batches: Sequence[Any]
    ) -> None:
        self._write = write
        self._results = [row for batch in batches for row in batch.results]
        self._latest = [row for batch in batches for row in batch.latest]
        self._run = 1000

    def timed(self, elsewhere: Callable[[], float]) -> Sample:
        """Write all rows in one transaction against the clock."""
        self._run += 1
        results = [(self._run, *row[1:]) for row in self._results]
        latest = [(*row[:3], self._run, *row[4:]) for row in self._latest]
        with clock(elsewhere) as taken:
            self._write(results, latest)
        return taken.sample


def _names(fields: Sequence[Any]) -> list[str]:
    return [field.column_name for field in fields]


RESULT = _names(recorder._RESULT_FIELDS)
LATEST = _names((*recorder._LATEST_KEY, *recorder._LATEST_REST))
UPSERT = f"ON CONFLICT ({', '.join(_names(recorder._LATEST_KEY))}) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in _names(recorder._LATEST_REST)
)


def _write_raw(connection: Any, results: list[Any], latest: list[Any], *, postgresql: bool) -> None:
    cursor = connection.cursor()
    if postgresql:
        _copy(cursor, "health_checks", RESULT, results)
        cursor.execute("CREATE TEMP TABLE incoming (LIKE latest_status) ON COMMIT DROP")
        _copy(cursor, "incoming", LATEST, latest)
        names = ", ".join(LATEST)
        cursor.execute(f"INSERT INTO latest_status ({names}) SELECT {names} FROM incoming {UPSERT}")
        connection.commit()
        return
    cursor.execute("BEGIN IMMEDIATE")
    marks = ", ".join("?" * len(RESULT))
    cursor.executemany(f"INSERT INTO health_checks ({', '.join(RESULT)}) VALUES ({marks})", results)
    marks = ", ".join("?" * len(LATEST))
    cursor.executemany(
        f"INSERT INTO latest_status ({', '.join(LATEST)}) VALUES ({marks}) {UPSERT}", latest
    )
    cursor.execute("COMMIT")


def _copy(cursor: Any, table: str, names: Sequence[str], rows: Sequence[Any]) -> None:
    with cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _device(client_id: str, number: int) -> Device:
    return Device(
        id=f"{client_id}/pc-{number}",
        client_id=client_id,
        name=f"pc-{number}",
        os=OsFamily.WINDOWS,
        online=True,
    )


def _facts(number: int) -> tuple[Any, ...]:
    disks = tuple(
        Volume(
            mount=f"{letter}:",
            total_bytes=500 * GIB,
            free_bytes=(5 + number * 7 % 300) * GIB,
            filesystem="NTFS",
        )
        for letter in ("CD" if number % 4 == 0 else "C")  # servers have a second one
    )
    services = tuple(ServiceFact(name=f"svc-{one}", state=ServiceState.RUNNING) for one in range(8))
    return (
        CpuFacts(used_percent=float(number * 13 % 100)),
        MemoryFacts(total_bytes=16 * GIB, available_bytes=(1 + number % 15) * GIB),
        DiskFacts(volumes=disks),
        ServiceFacts(services=services, complete=True),
    )


def _observation(subject: Subject, fact: Any, now: datetime) -> Observation:
    return Observation(device_id=subject.device.id, fact=fact, source="one:facts", observed_at=now)

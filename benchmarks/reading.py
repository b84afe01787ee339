"""Reading status and history with 10 million results stored, against hand-written SQL building the same objects."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.databases import workspace
from benchmarks.environments import CACHE
from benchmarks.table import Row
from benchmarks.timing import Sample, clock, in_turn
from msp_clients.api import Clients, NewClient
from msp_core.v1 import Check, CheckResult, Context, Device, Metric, Period, Status, Toolkit
from msp_health.api import ClientStatusSummary, Counts, Health
from msp_inventory.api import Inventory
from msp_store.api import Store

DEVICES, CHECKS, RUNS = 500, ("cpu", "disk", "memory", "network", "services"), 40
EACH = DEVICES * len(CHECKS) * RUNS
"""100,000 results of one client: 40 sweeps of 500 devices in 30 days."""
START = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = timedelta(hours=18)
PERIOD = Period(START, START + timedelta(days=30))
CLIENT = "client-000"
SSH = '[adapters.ssh]\nkind = "ssh"'
"""The device has to be reached somehow."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = (
    "client_id, device_id, check_type, run_id, status, message, data, metrics, source, attempt, hard,"
    " observed_at, checked_at"
)


def measure(*, quick: bool) -> list[Row]:
    """Measure on a large database and on one with a single client; SQLite."""
    clients = 10 if quick else 100
    large, small = _database(clients), _database(1)
    rounds = 5 if quick else 11
    return asyncio.run(_measured(large, small, clients, rounds))


async def _measured(large: Path, small: Path, clients: int, rounds: int) -> list[Row]:
    async with Toolkit.open(large) as big, Toolkit.open(small) as little:
        reads, small_reads = await Reads.of(big), await Reads.of(little)
        titles = {check.id: check.title for check in big.registry.records(Check)}
        by_hand = ByHand(large.parent / "data.db", reads.device.id, titles)
        reads.compare(await reads.status(), by_hand.status())
        reads.compare(await reads.history(), by_hand.history())
        loop = asyncio.get_running_loop()

        def ours(read: Callable[[], Any], times: int) -> Sample:
            return asyncio.run_coroutine_threadsafe(_timed(read, times), loop).result()

        rows = []
        for work, name, times in (
            (f"status of a client, {DEVICES} devices", "status", 4),
            ("30 days of a device", "history", 40),
        ):
            mine, floor, mine_small = await asyncio.to_thread(
                in_turn,
                rounds,
                partial(ours, getattr(reads, name), times),
                partial(_timed_by_hand, getattr(by_hand, name), times),
                partial(ours, getattr(small_reads, name), times),
            )
            total = f"{clients * EACH:,} results"
            rows.append(
                Row(
                    work=f"{work}, {total}",
                    ours=mine,
                    floor=floor,
                    budget=1.5,
                    note=f"{times} times each",
                )
            )
            rows.append(
                Row(work=f"{work}, {total} / {EACH:,}", ours=mine, floor=mine_small, budget=1.3)
            )
        return rows


async def _timed(read: Callable[[], Any], times: int) -> Sample:
    with clock() as taken:
        for _ in range(times):
            await read()
    return taken.sample


def _timed_by_hand(read: Callable[[], Any], times: int) -> Sample:
    with clock() as taken:
        for _ in range(times):
            read()
    return taken.sample


class Reads:
    """Ours, through the health service."""

    def __init__(self, ctx: Context, health: Health, device: Device) -> None:
        self.ctx = ctx
        self.health = health
        self.device = device

    @classmethod
    async def of(cls, toolkit: Toolkit) -> "Reads":
        """Find the device to read about."""
        ctx = toolkit.context()
        device = await (await toolkit.get(Inventory)).device(ctx, "pc-000", client_id=CLIENT)
        return cls(ctx, await toolkit.get(Health), device)

    async def status(self) -> ClientStatusSummary:
        """Return the status of the client."""
        return await self.health.status(self.ctx, CLIENT)

    async def history(self) -> tuple[CheckResult, ...]:
        """Return what was found on the device in 30 days."""
        found = await self.health.history(self.ctx, CLIENT, period=PERIOD, device=self.device.id)
        return found.items

    @staticmethod
    def compare(ours: Any, by_hand: Any) -> None:
        """Fail where the two sides do not read the same."""
        if ours != by_hand:
            message = f"the two sides read different things:\n{ours!r:.600}\n{by_hand!r:.600}"
            raise RuntimeError(message)


class ByHand:
    """The same objects from hand-written SQL."""

    def __init__(self, path: Path, device_id: str, titles: dict[str, str]) -> None:
        self._titles = titles
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._connection.execute("PRAGMA cache_size = -16000")
        self._device_id = device_id

    def status(self) -> ClientStatusSummary:
        """Return the status of the client."""
        rows = self._connection.execute(
            f"SELECT {COLUMNS} FROM latest_status WHERE client_id = ? ORDER BY device_id, check_type",
            (CLIENT,),
        )
        results = tuple([_result(row, self._titles) for row in rows])
        numbers: dict[Status, int] = {}
        for one in results:
            numbers[one.status] = numbers.get(one.status, 0) + 1
        return ClientStatusSummary(
            client_id=CLIENT,
            counts=Counts.of(numbers),
            devices=len({one.device_id for one in results}),
            checked_at=max(one.checked_at for one in results if one.checked_at),
            results=results,
        )

    def history(self) -> tuple[CheckResult, ...]:
        """Return what was found on the device in 30 days."""
        device = self._connection.execute(
            "SELECT id FROM devices WHERE id = ? AND client_id = ?", (self._device_id, CLIENT)
        ).fetchone()
        rows = self._connection.execute(
            f"SELECT {COLUMNS} FROM health_checks WHERE device_id = ? AND checked_at >= ? AND checked_at < ?"
            " AND client_id = ? ORDER BY checked_at DESC, id DESC",
            (device[0], _micros(PERIOD.start), _micros(PERIOD.end), CLIENT),
        )
        return tuple([_result(row, self._titles) for row in rows])


def _result(row: Any, titles: dict[str, str]) -> CheckResult:
    (
        client,
        device,
        check,
        run,
        status,
        message,
        data,
        metrics,
        source,
        attempt,
        hard,
        observed,
        checked,
    ) = row
    return CheckResult(
        status=Status(status),
        message=message,
        data=json.loads(data) if data else {},
        metrics=tuple([Metric(*one) for one in json.loads(metrics)]) if metrics else (),
        client_id=client,
        device_id=device,
        check=check,
        title=titles[check],
        run_id=str(run),
        checked_at=EPOCH + timedelta(microseconds=checked),
        observed_at=None if observed is None else EPOCH + timedelta(microseconds=observed),
        source=source,
        attempt=attempt or 1,
        hard=bool(hard),
    )


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _database(clients: int) -> Path:
    """Return the configuration of a database with that many clients of 100,000 results each; made once."""
    folder = CACHE / f"results-{clients * EACH}"
    config = folder / "msp-toolkit.toml"
    mark = folder / "complete"
    if not mark.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("data.db*"):
            old.unlink()
        asyncio.run(_make(workspace(folder, more=SSH), clients))
        mark.touch()
    return config


async def _make(config: Path, clients: int) -> None:
    async with Toolkit.open(config) as toolkit:
        ctx = toolkit.context()
        names = [f"client-{number:03}" for number in range(clients)]
        await (await toolkit.get(Clients)).create_many(
            ctx, [NewClient(name=name, id=name) for name in names]
        )
        await (await toolkit.get(Inventory)).add_device(
            ctx, CLIENT, name="pc-000", instance="ssh", external_id="pc-000.example"
        )
        await toolkit.get(Store)
    connection = sqlite3.connect(config.parent / "data.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = off")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'health_checks' AND sql NOT NULL"
    ).fetchall()
    for name, _ in indexes:  # sorting once is several times faster than keeping order all the time
        connection.execute(f"DROP INDEX {name}")
    connection.execute("BEGIN")
    for run in range(1, RUNS + 1):
        connection.executemany(
            "INSERT INTO health_checks (run_id, client_id, device_id, check_type, status, message, data, metrics,"
            " value, source, observed_at, checked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            _run_rows(run, names),
        )
    connection.execute(
        "INSERT INTO latest_status (client_id, device_id, check_type, run_id, status, message, data, metrics, source,"
        " since, observed_at, checked_at) SELECT client_id, device_id, check_type, run_id, status, message, data,"
        " metrics, source, checked_at, observed_at, checked_at FROM health_checks WHERE run_id = ?",
        (RUNS,),
    )
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.close()


def _run_rows(run: int, clients: list[str]) -> Any:
    at = _micros(START + (run - 1) * EVERY + timedelta(minutes=5))
    texts = [
        (
            check,
            "ok" if run % 7 else "warning",
            f"{check}: {used:.0f} % used",
            json.dumps({"volumes": {"C:": "ok"}}) if check == "disk" else None,
            json.dumps([["used", used, "%", 80.0, 90.0]]),
            used,
            f"rmm:{check}",
        )
        for check in CHECKS
        for used in [float(run * 17 % 100)]
    ]
    for client in clients:
        for number in range(DEVICES):
            device = f"{client}/pc-{number:03}"
            for check, status, message, data, metrics, used, source in texts:
                yield (
                    run,
                    client,
                    device,
                    check,
                    status,
                    message,
                    data,
                    metrics,
                    used,
                    source,
                    at,
                    at,
                )

"""Reading status and history with 10 million results stored, against hand-written SQL building the same objects."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from benchmarks.databases import postgresql, server_cpu
from benchmarks.stored import (
    CLIENT,
    DEVICES,
    EACH,
    EPOCH,
    PERIOD,
    Stored,
    micros,
    on_postgresql,
    on_sqlite,
)
from benchmarks.table import Row
from benchmarks.timing import Sample, clock, in_turn
from msp_core.v1 import Check, CheckResult, Context, Device, Metric, Status, Toolkit
from msp_health.api import ClientStatusSummary, Counts, Health
from msp_inventory.api import Inventory

COLUMNS = (
    "client_id, device_id, check_type, run_id, status, message, data, metrics, source, attempt, hard,"
    " observed_at, checked_at"
)


def measure(*, quick: bool) -> list[Row]:
    """Measure on a large database and on one with a single client; SQLite and PostgreSQL."""
    clients = 10 if quick else 100
    rounds = 5 if quick else 11
    rows = asyncio.run(_measured("SQLite", on_sqlite(clients), on_sqlite(1), clients, rounds))
    with postgresql() as server:
        large, small = on_postgresql(server, clients), on_postgresql(server, 1)
        rows += asyncio.run(_measured("PostgreSQL", large, small, clients, rounds))
    return rows


async def _measured(
    database: str, large: Stored, small: Stored, clients: int, rounds: int
) -> list[Row]:
    async with Toolkit.open(large.config) as big, Toolkit.open(small.config) as little:
        reads, small_reads = await Reads.of(big), await Reads.of(little)
        titles = {check.id: check.title for check in big.registry.records(Check)}
        by_hand = ByHand(large, reads.device.id, titles)
        reads.compare(await reads.status(), by_hand.status())
        reads.compare(await reads.history(), by_hand.history())
        urls = [one.url for one in (large, small) if one.url is not None]
        elsewhere = partial(server_cpu, *urls) if urls else float
        loop = asyncio.get_running_loop()

        def ours(read: Callable[[], Any], times: int) -> Sample:
            timed = _timed(read, times, elsewhere)
            return asyncio.run_coroutine_threadsafe(timed, loop).result()

        rows = []
        for work, name, times in (
            (f"status of a client, {DEVICES} devices", "status", 4),
            ("30 days of a device", "history", 40),
        ):
            mine, floor, mine_small = await asyncio.to_thread(
                in_turn,
                rounds,
                partial(ours, getattr(reads, name), times),
                partial(_timed_by_hand, getattr(by_hand, name), times, elsewhere),
                partial(ours, getattr(small_reads, name), times),
            )
            total = f"{clients * EACH:,} results, {database}"
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


async def _timed(read: Callable[[], Any], times: int, elsewhere: Callable[[], float]) -> Sample:
    with clock(elsewhere) as taken:
        for _ in range(times):
            await read()
    return taken.sample


def _timed_by_hand(read: Callable[[], Any], times: int, elsewhere: Callable[[], float]) -> Sample:
    with clock(elsewhere) as taken:
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

    def __init__(self, stored: Stored, device_id: str, titles: dict[str, str]) -> None:
        self._titles = titles
        self._connection = _connected(stored)
        self._mark = "?" if stored.url is None else "%s"
        self._device_id = device_id

    def _rows(self, sql: str, *values: Any) -> Any:
        return self._connection.execute(sql.replace("?", self._mark), values)

    def status(self) -> ClientStatusSummary:
        """Return the status of the client."""
        rows = self._rows(
            f"SELECT {COLUMNS} FROM latest_status WHERE client_id = ? ORDER BY device_id, check_type",
            CLIENT,
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
        device = self._rows(
            "SELECT id FROM devices WHERE id = ? AND client_id = ?", self._device_id, CLIENT
        ).fetchone()
        rows = self._rows(
            f"SELECT {COLUMNS} FROM health_checks WHERE device_id = ? AND checked_at >= ? AND checked_at < ?"
            " AND client_id = ? ORDER BY checked_at DESC, id DESC",
            device[0],
            micros(PERIOD.start),
            micros(PERIOD.end),
            CLIENT,
        )
        return tuple([_result(row, self._titles) for row in rows])


def _connected(stored: Stored) -> Any:
    if stored.url is not None:
        import psycopg

        return psycopg.connect(stored.url, autocommit=True)
    path = stored.config.parent / "data.db"
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA cache_size = -16000")
    return connection


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

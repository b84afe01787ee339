"""Reads of what was recorded, and the roll-ups that outlive it. Every query names its clients."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from msp_core.v1 import CheckResult, Metric, Period, Status
from msp_health.api import ClientStatusSummary, Counts, DailySummary
from msp_health.tables import HealthCheckRow, HealthDay, HealthRunRow, LatestStatus, rows_of
from msp_store.api import SQL, Tx, fn, from_micros, in_parts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MICROS = 86_400_000_000
_STATUS = {status.value: status for status in Status}
_COUNTS = tuple(status.value for status in Status)

_COLUMNS = (
    "client_id",
    "device_id",
    "check_type",
    "run_id",
    "status",
    "message",
    "data",
    "metrics",
    "source",
    "attempt",
    "hard",
    "observed_at",
    "checked_at",
)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _build(titles: Mapping[str, str]) -> Callable[[Sequence[Any]], CheckResult]:
    """Return what turns a row of `_COLUMNS` into a result; the loop over rows is where the time of a read goes."""

    def build(row: Sequence[Any]) -> CheckResult:
        (client, device, check, run, status, message, data, metrics, source) = row[:9]
        (attempt, hard, observed, checked) = row[9:]
        return CheckResult(
            status=_STATUS[status],
            message=message,
            data=json.loads(data) if data else {},
            metrics=tuple([Metric(*values) for values in json.loads(metrics)]) if metrics else (),
            client_id=client,
            device_id=device,
            check=check,
            title=titles.get(check, ""),
            run_id=str(run),
            checked_at=from_micros(checked),
            observed_at=_moment(observed),
            source=source,
            attempt=attempt or 1,
            hard=bool(hard),
        )

    return build


def _columns(table: Any) -> list[Any]:
    return [getattr(table, name) for name in _COLUMNS]


def read_latest(tx: Tx, client_id: str, titles: Mapping[str, str]) -> tuple[CheckResult, ...]:
    """Return the newest result of every device and check of one client, by device and check."""
    query = (
        LatestStatus.select(*_columns(LatestStatus))
        .where(LatestStatus.client_id == client_id)
        .order_by(LatestStatus.device_id, LatestStatus.check_type)
    )
    return tuple(map(_build(titles), rows_of(tx, query)))


def summary_of(client_id: str, results: tuple[CheckResult, ...]) -> ClientStatusSummary:
    """Count the newest results of one client."""
    numbers: dict[Status, int] = {}
    for result in results:
        numbers[result.status] = numbers.get(result.status, 0) + 1
    return ClientStatusSummary(
        client_id=client_id,
        counts=Counts.of(numbers),
        devices=len({result.device_id for result in results}),
        checked_at=max((r.checked_at for r in results if r.checked_at), default=None),
        results=results,
    )


def read_counts(
    tx: Tx, client_ids: Sequence[str], missing: Sequence[str] = ()
) -> tuple[ClientStatusSummary, ...]:
    """Return the counts of these clients, in the order asked; an OK on a missing device counts as UNKNOWN."""
    numbers: dict[str, dict[Status, int]] = {}
    newest: dict[str, int] = {}
    devices: dict[str, int] = {}
    for part in in_parts(client_ids):
        inside = LatestStatus.client_id.in_(part)
        query = (
            LatestStatus.select(
                LatestStatus.client_id,
                LatestStatus.status,
                fn.COUNT(LatestStatus.check_type),
                fn.MAX(LatestStatus.checked_at).python_value(int),
            )
            .where(inside)
            .group_by(LatestStatus.client_id, LatestStatus.status)
        )
        for client, status, number, moment in rows_of(tx, query):
            numbers.setdefault(client, {})[_STATUS[status]] = number
            newest[client] = max(newest.get(client, 0), moment)
        counted = (
            LatestStatus.select(LatestStatus.client_id, fn.COUNT(LatestStatus.device_id.distinct()))
            .where(inside)
            .group_by(LatestStatus.client_id)
        )
        devices.update(rows_of(tx, counted))
    for client, number in _ok_on(tx, missing).items():
        mine = numbers[client]
        mine[Status.OK] -= number
        mine[Status.UNKNOWN] = mine.get(Status.UNKNOWN, 0) + number
    return tuple(
        ClientStatusSummary(
            client_id=client,
            counts=Counts.of(numbers.get(client, {})),
            devices=devices.get(client, 0),
            checked_at=_moment(newest.get(client)),
        )
        for client in client_ids
    )


def _ok_on(tx: Tx, device_ids: Sequence[str]) -> dict[str, int]:
    """Count what is OK on these devices, by client."""
    found: dict[str, int] = {}
    for part in in_parts(device_ids):
        clients = sorted({device_id.partition("/")[0] for device_id in part})
        query = (
            LatestStatus.select(LatestStatus.client_id, fn.COUNT(LatestStatus.check_type))
            .where(
                LatestStatus.client_id.in_(clients),
                LatestStatus.device_id.in_(part),
                LatestStatus.status == Status.OK.value,
            )
            .group_by(LatestStatus.client_id)
        )
        for client, number in rows_of(tx, query):
            found[client] = found.get(client, 0) + number
    return found


def read_history(
    tx: Tx,
    client_id: str,
    period: Period,
    device_id: str | None,
    check: str | None,
    limit: int | None,
    titles: Mapping[str, str],
) -> tuple[tuple[CheckResult, ...], int]:
    """Return results of one client in a period, newest first, and how many there are without the limit."""
    wanted = (
        (HealthCheckRow.client_id == client_id)
        & (HealthCheckRow.checked_at >= period.start)
        & (HealthCheckRow.checked_at < period.end)
    )
    if device_id is not None:
        wanted &= HealthCheckRow.device_id == device_id
    if check is not None:
        wanted &= HealthCheckRow.check_type == check
    query = (
        HealthCheckRow.select(*_columns(HealthCheckRow))
        .where(wanted)
        .order_by(HealthCheckRow.checked_at.desc(), HealthCheckRow.id.desc())
    )
    if limit is not None:
        query = query.limit(limit)
    results = tuple(map(_build(titles), rows_of(tx, query)))
    if limit is None or len(results) < limit:
        return results, len(results)
    counted = HealthCheckRow.select(fn.COUNT(HealthCheckRow.id)).where(wanted)
    return results, rows_of(tx, counted)[0][0]


def read_results(
    tx: Tx, run_id: int, client_id: str, titles: Mapping[str, str]
) -> tuple[CheckResult, ...]:
    """Return what one run recorded about one client, by device and check."""
    query = (
        HealthCheckRow.select(*_columns(HealthCheckRow))
        .where(HealthCheckRow.run_id == run_id, HealthCheckRow.client_id == client_id)
        .order_by(HealthCheckRow.device_id, HealthCheckRow.check_type)
    )
    return tuple(map(_build(titles), rows_of(tx, query)))


def read_daily(
    tx: Tx, client_id: str, period: Period, device_id: str | None, check: str | None
) -> tuple[DailySummary, ...]:
    """Return a summary per day, device and check: what was rolled up and what is still there, added together."""
    days: dict[tuple[int, str, str], list[Any]] = {}
    first, last = _day(period.start), _day(period.end - timedelta(microseconds=1))
    rolled = HealthDay.select(
        HealthDay.day,
        HealthDay.device_id,
        HealthDay.check_type,
        *(getattr(HealthDay, name) for name in _COUNTS),
        HealthDay.lowest,
        HealthDay.highest,
        HealthDay.total,
        HealthDay.measured,
    ).where(HealthDay.client_id == client_id, HealthDay.day.between(first, last))
    day = HealthCheckRow.checked_at.cast("BIGINT") / SQL(
        str(_DAY_MICROS)
    )  # grouped by: no parameter
    single = HealthCheckRow.select(
        day,
        HealthCheckRow.device_id,
        HealthCheckRow.check_type,
        *_aggregates(),
    ).where(
        HealthCheckRow.client_id == client_id,
        HealthCheckRow.checked_at >= _EPOCH + timedelta(days=first),
        HealthCheckRow.checked_at < _EPOCH + timedelta(days=last + 1),
    )
    if device_id is not None:
        rolled = rolled.where(HealthDay.device_id == device_id)
        single = single.where(HealthCheckRow.device_id == device_id)
    if check is not None:
        rolled = rolled.where(HealthDay.check_type == check)
        single = single.where(HealthCheckRow.check_type == check)
    single = single.group_by(day, HealthCheckRow.device_id, HealthCheckRow.check_type)
    for row in (*rows_of(tx, rolled), *rows_of(tx, single)):
        key, values = (row[0], row[1], row[2]), list(row[3:])
        days[key] = _added(days[key], values) if key in days else values
    return tuple(_daily(client_id, key, days[key]) for key in sorted(days))


def _aggregates() -> list[Any]:
    from msp_store.api import Case

    status, value = HealthCheckRow.status, HealthCheckRow.value
    return [
        *(fn.SUM(Case(status, ((word, 1),), 0)).cast("BIGINT") for word in _COUNTS),
        fn.MIN(value),
        fn.MAX(value),
        fn.SUM(value),
        fn.COUNT(value),
    ]


def _added(one: list[Any], other: list[Any]) -> list[Any]:
    number = len(_COUNTS)
    lows = [v for v in (one[number], other[number]) if v is not None]
    highs = [v for v in (one[number + 1], other[number + 1]) if v is not None]
    totals = [v for v in (one[number + 2], other[number + 2]) if v is not None]
    return [
        *(a + b for a, b in zip(one[:number], other[:number], strict=True)),
        min(lows, default=None),
        max(highs, default=None),
        sum(totals) if totals else None,
        one[number + 3] + other[number + 3],
    ]


def _daily(client_id: str, key: tuple[int, str, str], values: list[Any]) -> DailySummary:
    number = len(_COUNTS)
    counts = Counts(**dict(zip(_COUNTS, map(int, values[:number]), strict=True)))
    lowest, highest, total, measured = values[number:]
    return DailySummary(
        client_id=client_id,
        device_id=key[1],
        check=key[2],
        day=date(1970, 1, 1) + timedelta(days=key[0]),
        counts=counts,
        worst=counts.status,
        lowest=lowest,
        highest=highest,
        mean=total / measured if measured else None,
    )


def _day(moment: datetime) -> int:
    return (moment - _EPOCH).days


def prune(tx: Tx, before: datetime, limit: int) -> Mapping[str, int]:
    """Add results older than `before` to the daily roll-ups and remove them, about `limit` in one call."""
    oldest = (
        HealthRunRow.select(HealthRunRow.id)
        .where(HealthRunRow.started_at < before, HealthRunRow.state != "running")
        .order_by(HealthRunRow.id)
        .limit(1)
    )
    found = rows_of(tx, oldest)
    if not found:
        return {}
    run_id = found[0][0]
    ids = rows_of(
        tx,
        HealthCheckRow.select(HealthCheckRow.id)
        .where(HealthCheckRow.run_id == run_id)
        .order_by(HealthCheckRow.id)
        .limit(limit),
    )
    if not ids:
        HealthRunRow.delete().where(HealthRunRow.id == run_id).execute()
        return {"health_runs": 1}
    last = ids[-1][0]
    tx.execute(_roll_up_sql(), (run_id, last))
    removed = (
        HealthCheckRow.delete()
        .where(HealthCheckRow.run_id == run_id, HealthCheckRow.id <= last)
        .execute()
    )
    return {"health_checks": removed}


def _roll_up_sql() -> str:
    sums = ", ".join(
        f"CAST(SUM(CASE WHEN status = '{word}' THEN 1 ELSE 0 END) AS BIGINT)" for word in _COUNTS
    )
    added = ", ".join(f"{word} = health_daily.{word} + excluded.{word}" for word in _COUNTS)
    names = ", ".join(_COUNTS)
    return f"""
        INSERT INTO health_daily
            (client_id, device_id, check_type, day, {names}, lowest, highest, total, measured)
        SELECT client_id, device_id, check_type, checked_at / {_DAY_MICROS}, {sums},
            MIN(value), MAX(value), SUM(value), COUNT(value)
        FROM health_checks WHERE run_id = ? AND id <= ?
        GROUP BY client_id, device_id, check_type, checked_at / {_DAY_MICROS}
        ON CONFLICT (client_id, device_id, check_type, day) DO UPDATE SET {added},
            lowest = CASE WHEN health_daily.lowest IS NULL OR excluded.lowest < health_daily.lowest
                THEN excluded.lowest ELSE health_daily.lowest END,
            highest = CASE WHEN health_daily.highest IS NULL OR excluded.highest > health_daily.highest
                THEN excluded.highest ELSE health_daily.highest END,
            total = CASE WHEN health_daily.total IS NULL THEN excluded.total
                ELSE health_daily.total + COALESCE(excluded.total, 0) END,
            measured = health_daily.measured + excluded.measured
    """  # noqa: S608 - constants only

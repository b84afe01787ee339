"""Recording: one transaction for each chunk, with the latest status, the run's progress and the events."""

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from attrs import define, field

from msp_core.v1 import CheckResult, Metric, Status, StoreError
from msp_health.api import CHANGED, STANDING
from msp_health.attempts import JUDGED, Standing, advance
from msp_health.evaluator import Outcome
from msp_health.latest import STATUS, Key, Latest
from msp_health.runs import Claim, forgotten_in, hold
from msp_health.tables import HealthCheckRow, HealthRunRow, LatestStatus, rows_of
from msp_store.api import Case, Store, Tx, in_parts, to_micros

log = logging.getLogger(__name__)

_WORD = {status: status.value for status in Status}
_SEQ_ROOM = 1000
"""A device that was forgotten and is back has no number to go on from; one run gives it one number. So counting on from
its run's id times this comes after all numbers there were."""
_PATIENCE = (0.5, 2.0, 5.0)
"""Seconds between attempts to record while the database is away."""
_PASSING = frozenset(("busy", "unreachable", "uncertain"))
_EVENT_SIZE = 500
_EVENT_MESSAGE = 300

_RESULT_FIELDS = (
    HealthCheckRow.run_id,
    HealthCheckRow.client_id,
    HealthCheckRow.device_id,
    HealthCheckRow.check_type,
    HealthCheckRow.status,
    HealthCheckRow.message,
    HealthCheckRow.data,
    HealthCheckRow.metrics,
    HealthCheckRow.value,
    HealthCheckRow.source,
    HealthCheckRow.attempt,
    HealthCheckRow.hard,
    HealthCheckRow.observed_at,
    HealthCheckRow.checked_at,
)
_LATEST_KEY = (LatestStatus.client_id, LatestStatus.device_id, LatestStatus.check_type)
_LATEST_REST = (
    LatestStatus.run_id,
    LatestStatus.status,
    LatestStatus.message,
    LatestStatus.data,
    LatestStatus.metrics,
    LatestStatus.source,
    LatestStatus.attempt,
    LatestStatus.hard,
    LatestStatus.hard_status,
    LatestStatus.known_status,
    LatestStatus.known_data,
    LatestStatus.seq,
    LatestStatus.since,
    LatestStatus.observed_at,
    LatestStatus.checked_at,
)


class _Step(NamedTuple):
    """Where a check stands after a result, as it is stored; and what there is to tell."""

    attempt: int
    hard_status: str | None
    hard: bool
    changed: bool
    problem: bool


@define(kw_only=True)
class Batch:
    """What one transaction records; built outside of it."""

    results: list[tuple[Any, ...]] = field(factory=list)
    latest: list[tuple[Any, ...]] = field(factory=list)
    changed: list[dict[str, Any]] = field(factory=list)
    standing: list[dict[str, Any]] = field(factory=list)
    counts: dict[str, int] = field(factory=dict)


def load_latest(tx: Tx, client_ids: Sequence[str]) -> dict[Key, Latest]:
    """Return where each check on each device of these clients stands."""
    own_data = LatestStatus.known_data.is_null() & (
        LatestStatus.known_status == LatestStatus.status
    )
    columns = (
        LatestStatus.device_id,
        LatestStatus.check_type,
        LatestStatus.status,
        LatestStatus.attempt,
        LatestStatus.hard_status,
        LatestStatus.known_status,
        Case(None, [(own_data, LatestStatus.data)], LatestStatus.known_data),
        LatestStatus.seq,
        LatestStatus.since,
    )
    found: dict[Key, Latest] = {}
    for part in in_parts(client_ids):
        query = LatestStatus.select(*columns).where(LatestStatus.client_id.in_(part))
        found.update(((row[0], row[1]), Latest._make(row)) for row in rows_of(tx, query))
    return found


def load_recorded(tx: Tx, run_id: int, client_ids: Sequence[str]) -> set[Key]:
    """Return the device and check of every row a run has recorded for these clients."""
    found: set[Key] = set()
    for part in in_parts(client_ids):
        query = HealthCheckRow.select(HealthCheckRow.device_id, HealthCheckRow.check_type).where(
            HealthCheckRow.run_id == run_id, HealthCheckRow.client_id.in_(part)
        )
        found.update((device, check) for device, check in rows_of(tx, query))
    return found


def results_of(
    outcomes: Iterable[Outcome], attempts: int, now: datetime, run_id: str
) -> Iterator[CheckResult]:
    """Yield the outcomes as results, without recording them."""
    for outcome in outcomes:
        row = outcome.row
        step = _step(outcome.before, outcome.status, attempts)
        yield CheckResult(
            status=outcome.status,
            message=outcome.message,
            data=json.loads(outcome.data) if outcome.data else {},
            metrics=read_metrics(outcome.metrics),
            client_id=row.subject.device.client_id,
            device_id=row.subject.device.id,
            check=row.check.id,
            title=row.check.title,
            run_id=run_id,
            checked_at=now,
            observed_at=outcome.observed_at,
            source=outcome.source,
            attempt=step.attempt or 1,
            hard=step.hard,
        )


def read_metrics(text: str | None) -> tuple[Metric, ...]:
    """Turn the metrics of a row into objects."""
    return tuple(Metric(*values) for values in json.loads(text)) if text else ()


def _step(latest: Latest | None, status: Status, attempts: int) -> _Step:
    if latest is None:
        return _step_from(0, None, status, attempts)
    return _step_from(latest.attempt, latest.hard_status, status, attempts)


@lru_cache(maxsize=4096)
def _step_from(attempt: int, hard_status: str | None, status: Status, attempts: int) -> _Step:
    """Work a step out in stored words; there are few different ones."""
    old = Standing(attempt, STATUS[hard_status] if hard_status else None)
    step = advance(old, status, attempts)
    believed = step.standing.hard_status
    return _Step(
        step.standing.attempt,
        believed.value if believed else None,
        step.hard,
        changed=step.changed(old),
        problem=believed is not None and believed.is_problem,
    )


def build_batch(outcomes: Sequence[Outcome], attempts: int, run_id: int, now: datetime) -> Batch:
    """Turn outcomes into rows, counts and changes."""
    batch, moment = Batch(), to_micros(now)
    for outcome in outcomes:
        _add(batch, outcome, attempts, run_id, moment)
    return batch


def _add(batch: Batch, outcome: Outcome, attempts: int, run_id: int, now: int) -> None:
    row, status, before = outcome.row, outcome.status, outcome.before
    check, device = row.check.id, row.subject.device
    device_id, client_id = device.id, device.client_id
    message, data, metrics, source = outcome.message, outcome.data, outcome.metrics, outcome.source
    attempt, hard_status, hard, changed, problem = _step(before, status, attempts)
    word = _WORD[status]
    observed = None if outcome.observed_at is None else to_micros(outcome.observed_at)
    batch.counts[word] = batch.counts.get(word, 0) + 1
    batch.results.append(
        (run_id, client_id, device_id, check, word, message, data, metrics, outcome.value, source,
         attempt or 1, hard, observed, now)
    )  # fmt: skip
    judged = status in JUDGED
    known, known_data = (word if judged else None), None
    seq, since = run_id * _SEQ_ROOM, now
    if before is not None:
        seq = before.seq + 1
        since = before.since if before.status == word else now
        if not judged:
            known, known_data = before.known_status, before.known_data
    batch.latest.append(
        (client_id, device_id, check, run_id, word, message, data, metrics, source, attempt,
         hard, hard_status, known, known_data, seq, since, observed, now)
    )  # fmt: skip
    if not changed and not problem:
        return
    event = {
        "client_id": client_id,
        "device_id": device_id,
        "check": check,
        "title": row.check.title,
        "status": hard_status,
        "previous": before.hard_status if before else None,
        "seq": seq,
        "message": message[:_EVENT_MESSAGE],
    }
    if changed:
        batch.changed.append(event)
    else:
        batch.standing.append({**event, "stale": not judged})


async def record(
    store: Store, claim: Claim, batch: Batch, client_ids: Sequence[str], now: datetime
) -> None:
    """Write a batch; after a failure that may pass, look whether it was written before writing it again."""
    retried = False

    def write(tx: Tx) -> None:
        if retried and batch.results:
            recorded = load_recorded(tx, claim.run_id, client_ids)
            if (batch.results[0][2], batch.results[0][3]) in recorded:
                return
        write_batch(tx, claim, batch, now)

    for pause in (*_PATIENCE, None):
        try:
            await store.write(write)
            return
        except StoreError as error:
            if pause is None or error.details.get("reason") not in _PASSING:
                raise
            log.warning("run %s waits for the database: %s", claim.run_id, error.message)
        retried = True
        await asyncio.sleep(pause)


def write_batch(tx: Tx, claim: Claim, batch: Batch, now: datetime) -> None:
    """Record a batch: rows, latest status, the run's progress and the events, all or nothing.

    Of a device that was forgotten since the run began the rows alone are recorded.
    """
    hold(claim)
    if not batch.results:
        return
    gone = forgotten_in(claim)
    latest = [row for row in batch.latest if row[1] not in gone] if gone else batch.latest
    tx.insert_many(HealthCheckRow, batch.results, _RESULT_FIELDS)
    tx.upsert_many(
        LatestStatus,
        latest,
        (*_LATEST_KEY, *_LATEST_REST),
        conflict=_LATEST_KEY,
        update=_LATEST_REST,
    )
    added = {
        getattr(HealthRunRow, word): getattr(HealthRunRow, word) + number
        for word, number in batch.counts.items()
    }
    added[HealthRunRow.planned] = HealthRunRow.planned + len(batch.results)
    HealthRunRow.update(added).where(HealthRunRow.id == claim.run_id).execute()
    for name, heard in ((CHANGED, batch.changed), (STANDING, batch.standing)):
        changes = [change for change in heard if change["device_id"] not in gone]
        for start in range(0, len(changes), _EVENT_SIZE):
            part = changes[start : start + _EVENT_SIZE]
            clients = sorted({change["client_id"] for change in part})
            payload = {
                "run_id": str(claim.run_id),
                "checked_at": now.isoformat(),
                "client_ids": clients,
                "changes": part,
            }
            tx.emit(name, payload)

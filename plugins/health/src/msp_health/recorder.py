"""Recording: one transaction for each chunk, with the latest status, the run's progress and the events."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from attrs import define, field

from msp_core.v1 import CheckResult, Metric, Previous, Status
from msp_health.api import CHANGED, STANDING
from msp_health.attempts import JUDGED, Standing, advance
from msp_health.evaluator import Outcome
from msp_health.runs import Claim, forgotten_in, hold
from msp_health.tables import HealthCheckRow, HealthRunRow, LatestStatus, rows_of
from msp_store.api import Tx

Key = tuple[str, str]
NEW = Standing()
STATUS = {status.value: status for status in Status}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SEQ_ROOM = 1000
"""A device that was forgotten and is back has no number to go on from; one run gives it one number. So counting on from
its run's id times this comes after all numbers there were."""
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


@define  # not frozen: there is one for each row
class Latest:
    """What was recorded last for one device and check, as far as the next result needs it."""

    status: Status
    standing: Standing
    known_status: Status | None
    known_data: str | None
    seq: int
    since: int
    """Microseconds since 1970, as stored."""

    def previous(self) -> Previous | None:
        """Return the last judgement, for recovery levels; None where there never was one."""
        if self.known_status is None:
            return None
        return Previous(status=self.known_status, data=_remembered(self.known_data or "{}"))


def _remembered(text: str) -> Any:
    """Read the data of a result; what most checks keep are the same few words, so those are read once."""
    if "[" in text or text.find("{", 1) >= 0:
        return json.loads(text)
    return dict(_flat(text))


@lru_cache(maxsize=1024)
def _flat(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


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
    columns = (
        LatestStatus.device_id,
        LatestStatus.check_type,
        LatestStatus.status,
        LatestStatus.attempt,
        LatestStatus.hard_status,
        LatestStatus.known_status,
        LatestStatus.known_data,
        LatestStatus.data,
        LatestStatus.seq,
        LatestStatus.since,
    )
    found: dict[Key, Latest] = {}
    for part in _parts(client_ids, 500):
        query = LatestStatus.select(*columns).where(LatestStatus.client_id.in_(part))
        for (
            device,
            check,
            status,
            attempt,
            hard,
            known,
            known_data,
            data,
            seq,
            since,
        ) in rows_of(tx, query):
            found[(device, check)] = Latest(
                STATUS[status],
                _standing(attempt, hard),
                STATUS.get(known),
                data if known_data is None and known == status else known_data,
                seq,
                since,
            )
    return found


def load_recorded(tx: Tx, run_id: int, client_ids: Sequence[str]) -> set[Key]:
    """Return the device and check of every row a run has recorded for these clients."""
    found: set[Key] = set()
    for part in _parts(client_ids, 500):
        query = HealthCheckRow.select(HealthCheckRow.device_id, HealthCheckRow.check_type).where(
            HealthCheckRow.run_id == run_id, HealthCheckRow.client_id.in_(part)
        )
        found.update((device, check) for device, check in rows_of(tx, query))
    return found


def results_of(
    outcomes: Iterable[Outcome],
    latest: Mapping[Key, Latest],
    attempts: int,
    now: datetime,
    run_id: str,
) -> Iterator[CheckResult]:
    """Yield the outcomes as results, without recording them."""
    for outcome in outcomes:
        row = outcome.row
        before = latest.get(row.key)
        step = advance(before.standing if before else NEW, outcome.status, attempts)
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
            attempt=max(1, step.standing.attempt),
            hard=step.hard,
        )


def read_metrics(text: str | None) -> tuple[Metric, ...]:
    """Turn the metrics of a row into objects."""
    return tuple(Metric(*values) for values in json.loads(text)) if text else ()


@lru_cache(maxsize=1024)
def _standing(attempt: int, hard_status: str | None) -> Standing:
    return Standing(attempt=attempt, hard_status=STATUS[hard_status] if hard_status else None)


def build_batch(
    outcomes: Sequence[Outcome],
    latest: Mapping[Key, Latest],
    attempts: int,
    run_id: int,
    now: datetime,
) -> Batch:
    """Turn outcomes into rows, counts and changes."""
    batch, moment = Batch(), _micros(now)
    for outcome in outcomes:
        _add(batch, outcome, latest.get(outcome.row.key), attempts, run_id, moment)
    return batch


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _add(
    batch: Batch, outcome: Outcome, before: Latest | None, attempts: int, run_id: int, now: int
) -> None:
    row, status = outcome.row, outcome.status
    device = row.subject.device
    old = before.standing if before else NEW
    step = advance(old, status, attempts)
    standing = step.standing
    word = status.value
    observed = None if outcome.observed_at is None else _micros(outcome.observed_at)
    batch.counts[word] = batch.counts.get(word, 0) + 1
    attempt = max(1, standing.attempt)
    batch.results.append(
        (run_id, device.client_id, device.id, row.check.id, word, outcome.message, outcome.data,
         outcome.metrics, outcome.value, outcome.source, attempt, step.hard, observed, now)
    )  # fmt: skip
    judged = status in JUDGED
    known = status if judged else (before.known_status if before else None)
    known_data = None if judged else (before.known_data if before else None)
    seq = before.seq + 1 if before else run_id * _SEQ_ROOM
    since = before.since if before is not None and before.status is status else now
    hard = standing.hard_status
    batch.latest.append(
        (device.client_id, device.id, row.check.id, run_id, word, outcome.message, outcome.data,
         outcome.metrics, outcome.source, standing.attempt, step.hard, hard and hard.value,
         known and known.value, known_data, seq, since, observed, now)
    )  # fmt: skip
    changed = step.changed(old)
    if not changed and (hard is None or not hard.is_problem):
        return
    assert hard is not None  # a change ends in a status, and a problem is one
    event = {
        "client_id": device.client_id,
        "device_id": device.id,
        "check": row.check.id,
        "title": row.check.title,
        "status": hard.value,
        "previous": old.hard_status.value if old.hard_status else None,
        "seq": seq,
        "message": outcome.message[:_EVENT_MESSAGE],
    }
    if changed:
        batch.changed.append(event)
    else:
        batch.standing.append({**event, "stale": not judged})


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
        for part in _parts(changes, _EVENT_SIZE):
            clients = sorted({change["client_id"] for change in part})
            payload = {
                "run_id": str(claim.run_id),
                "checked_at": now.isoformat(),
                "client_ids": clients,
                "changes": part,
            }
            tx.emit(name, payload)


def _parts(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])

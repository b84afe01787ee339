"""Runs and leases: who is checking which client, and what becomes of a run whose process died."""

import os
import platform
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import field, frozen

from msp_core.v1 import Conflict, Context, NotFound, Scope, Status, SystemFailure
from msp_health.api import Counts
from msp_health.tables import HealthCheckRow, HealthLease, HealthRunRow, rows_of
from msp_health.wording import some
from msp_store.api import Tx, fn, in_parts

_FORGOTTEN = "forgotten"
RUNNING, FINISHED, INTERRUPTED = "running", "finished", "interrupted"
HEARTBEAT = timedelta(seconds=5)
SILENCE = timedelta(seconds=60)
"""A run not heard of for so long is dead, and its clients are free."""
RESUMABLE = timedelta(hours=24)


@frozen(kw_only=True)
class Claim:
    """The right to record for a run, and the clients it covers. `busy` are those another run is checking."""

    run_id: int
    token: str
    clients: frozenset[str]
    busy: Mapping[str, int] = field(factory=dict)


@frozen(kw_only=True)
class Unfinished:
    """A run that was cut short."""

    run_id: int
    selection: Mapping[str, Any]
    started_at: datetime


def this_host() -> str:
    """Name the place whose process numbers ours is one of: the machine and its process namespace."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = ""
    return f"{platform.node()} {namespace}".strip()


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def is_alive(run: Any, now: datetime) -> bool:
    """Tell whether a run's process still works on it.

    A heartbeat far in the future is silence too: the clock has jumped back, and a live run would have beaten since.
    """
    if run.state != RUNNING:
        return False
    if run.host == this_host() and not _process_exists(run.pid):
        return False
    return bool(abs(now - run.heartbeat_at) < SILENCE)


def real_now() -> datetime:
    """Return the machine's time: liveness is between processes, whatever clock a toolkit was given."""
    return datetime.now(UTC)


def open_run(
    tx: Tx, ctx: Context, client_ids: Sequence[str], selection: Mapping[str, Any], expected: int
) -> Claim:
    """Start a run over the clients that no other run is checking; raise Conflict when none is left."""
    free, busy = _free(client_ids)
    if client_ids and not free:
        raise _conflict(busy)
    token = uuid.uuid4().hex
    run_id = HealthRunRow.insert(
        state=RUNNING,
        token=token,
        actor=ctx.actor.id,
        correlation_id=ctx.correlation_id,
        host=this_host(),
        pid=os.getpid(),
        selection=dict(selection),
        expected=expected,
        started_at=ctx.now(),
        heartbeat_at=real_now(),
        planned=0,
        **dict.fromkeys((status.value for status in Status), 0),
    ).execute()
    _lease(tx, free, run_id)
    return Claim(run_id=run_id, token=token, clients=frozenset(free), busy=busy)


def reopen_run(tx: Tx, unfinished: Unfinished, client_ids: Sequence[str]) -> Claim:
    """Go on with a run that was cut short; raise Conflict when another run is checking one of its clients."""
    free, busy = _free(client_ids, but=unfinished.run_id)
    if busy:
        raise _conflict(busy)
    token = uuid.uuid4().hex
    HealthRunRow.update(
        state=RUNNING,
        token=token,
        host=this_host(),
        pid=os.getpid(),
        heartbeat_at=real_now(),
        finished_at=None,
    ).where(HealthRunRow.id == unfinished.run_id).execute()
    HealthLease.delete().where(HealthLease.run_id == unfinished.run_id).execute()
    _lease(tx, free, unfinished.run_id)
    return Claim(run_id=unfinished.run_id, token=token, clients=frozenset(free))


def find_unfinished(now: datetime, scope: Scope) -> Unfinished:
    """Return the newest run that was cut short and is not too old; raise NotFound.

    A run with a client outside the scope is not there for whoever has it.
    """
    rows = HealthRunRow.select().where(HealthRunRow.started_at > now - RESUMABLE)
    newest = None
    for run in rows.order_by(HealthRunRow.id.desc()):
        if not all(map(scope.allows_client, run.selection["clients"])):
            continue
        newest = newest or run
        if run.state in (RUNNING, INTERRUPTED) and not is_alive(run, real_now()):
            return Unfinished(run_id=run.id, selection=run.selection, started_at=run.started_at)
    last = f" The last one, run {newest.id}, is {newest.state}." if newest else ""
    hours = int(RESUMABLE.total_seconds() // 3600)
    raise NotFound(
        f"No run of the last {hours} hours was cut short.{last}",
        suggestion="Start a new one: health check CLIENT, or health check --all.",
    )


def _free(client_ids: Sequence[str], but: int | None = None) -> tuple[list[str], dict[str, int]]:
    """Sort clients into free and busy ones; runs found dead are marked and lose their clients."""
    holders: dict[str, int] = {}
    for part in in_parts(client_ids):
        query = HealthLease.select().where(HealthLease.client_id.in_(part))
        holders |= {lease.client_id: lease.run_id for lease in query if lease.run_id != but}
    for run_id in set(holders.values()):
        run = HealthRunRow.get_or_none(HealthRunRow.id == run_id)
        if run is not None and is_alive(run, real_now()):
            continue
        abandon(run_id)
        holders = {client: holder for client, holder in holders.items() if holder != run_id}
    return [client for client in client_ids if client not in holders], holders


def abandon(run_id: int) -> None:
    """Mark a dead run: its clients are free, and should it wake up it can record nothing any more."""
    HealthRunRow.update(state=INTERRUPTED, token="").where(
        HealthRunRow.id == run_id, HealthRunRow.state == RUNNING
    ).execute()
    HealthLease.delete().where(HealthLease.run_id == run_id).execute()


def _lease(tx: Tx, client_ids: Sequence[str], run_id: int) -> None:
    rows = [(client_id, run_id) for client_id in client_ids]
    if rows:
        tx.insert_many(HealthLease, rows, (HealthLease.client_id, HealthLease.run_id))


def _conflict(busy: Mapping[str, int]) -> Conflict:
    runs = ", ".join(str(run) for run in sorted(set(busy.values())))
    plural = "is" if len(busy) == 1 else "are"
    return Conflict(
        f"{some(sorted(busy))} {plural} being checked right now by run {runs}.",
        suggestion="Wait for it to end; `health status` shows what it has recorded so far.",
        run_id=runs,
    )


def hold(claim: Claim) -> None:
    """Say that the run is alive; raise Conflict when another process has taken it over. First thing in every write."""
    changed = (
        HealthRunRow.update(heartbeat_at=real_now())
        .where(HealthRunRow.id == claim.run_id, HealthRunRow.token == claim.token)
        .execute()
    )
    if not changed:
        raise Conflict(
            f"Run {claim.run_id} was taken over: this process was not heard of for {SILENCE.total_seconds():g} s.",
            suggestion="What it recorded before stays; the other process goes on.",
            run_id=str(claim.run_id),
        )


def note_forgotten(client_id: str, device_id: str) -> None:
    """Tell the run that is checking a client, if there is one, that a device is no longer to be known of."""
    lease = HealthLease.get_or_none(HealthLease.client_id == client_id)
    if lease is None:
        return
    run = HealthRunRow.get_or_none(HealthRunRow.id == lease.run_id)
    if run is not None:
        gone = {*run.selection.get(_FORGOTTEN, ()), device_id}
        selection = {**run.selection, _FORGOTTEN: sorted(gone)}
        HealthRunRow.update(selection=selection).where(HealthRunRow.id == run.id).execute()


def forgotten_in(claim: Claim) -> frozenset[str]:
    """Return the devices that were forgotten since the run began."""
    run = HealthRunRow.select(HealthRunRow.selection).where(HealthRunRow.id == claim.run_id).get()
    return frozenset(run.selection.get(_FORGOTTEN, ()))


def close_run(
    tx: Tx, claim: Claim, *, finished: bool, now: datetime, planned: int | None = None
) -> Counts:
    """End a run, check that every planned row is there exactly once, and return the counts.

    `planned` is how many the caller planned, None where others planned some of them. Raises SystemFailure.
    """
    hold(claim)
    counts = count_rows(tx, claim.run_id)
    noted = HealthRunRow.get_by_id(claim.run_id).planned
    planned = noted if planned is None else planned
    if not counts.total == noted == planned:
        message = f"Run {claim.run_id} planned {planned} checks and recorded {counts.total}."
        raise SystemFailure(message, suggestion="Please report this; the results are kept.")
    HealthRunRow.update(
        state=FINISHED if finished else INTERRUPTED,
        finished_at=now,
        **{status.value: getattr(counts, status.value) for status in Status},
    ).where(HealthRunRow.id == claim.run_id).execute()
    HealthLease.delete().where(HealthLease.run_id == claim.run_id).execute()
    return counts


def count_rows(tx: Tx, run_id: int) -> Counts:
    """Count a run's rows by status."""
    query = (
        HealthCheckRow.select(HealthCheckRow.status, fn.COUNT(HealthCheckRow.id))
        .where(HealthCheckRow.run_id == run_id)
        .group_by(HealthCheckRow.status)
    )
    found = rows_of(tx, query)
    return Counts.of({Status(status): number for status, number in found})

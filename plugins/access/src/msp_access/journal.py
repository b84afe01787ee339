"""The journal of changes: what is about to be altered is committed before it is. Functions run in a transaction."""

import json
import os
import socket
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

from attrs import frozen

from msp_access.api import JournalEntry, JournalState
from msp_access.chain import clean
from msp_access.tables import ChangeTable
from msp_core.v1 import Call, Change, Conflict, Effect, NotFound, mask_data
from msp_store.api import Tx, fn

_ELSEWHERE = timedelta(hours=1)
"""How long a change that another machine began counts as being applied there."""
_RESULT_CHARS = 256 * 1024


@frozen(kw_only=True)
class State:
    """What the journal knew of a change: `new`, `in-flight`, `done` or `failed`."""

    state: str
    result: Any = None


def this_process() -> str:
    """Name this process so that no later one with the same number is taken for it."""
    return f"{socket.gethostname()}|{os.getpid()}|{_started(os.getpid())}"


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def _is_alive(owner: str) -> bool:
    _host, pid, started = owner.split("|")
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _started(int(pid)) == started


def begin(tx: Tx, call: Call, change: Change, applying: Collection[str]) -> State:
    """Commit the intention and say what is known; `applying` are keys this process is at right now."""
    row = ChangeTable.get_or_none(ChangeTable.key == change.key)
    owner = this_process()
    if row is None:
        ChangeTable.insert(
            key=change.key,
            kind=change.kind,
            target=change.target,
            client_id=change.client_id,
            effect=int(change.effect),
            actor=change.actor.id,
            tool=call.tool,
            state=JournalState.IN_FLIGHT,
            preview=clean(mask_data(change.preview)),
            correlation_id=change.correlation_id,
            owner=owner,
            attempts=1,
            started_at=tx.now,
        ).execute()
        return State(state="new")
    if row.state is JournalState.DONE:
        return State(state="done", result=row.result)
    if row.state is JournalState.IN_FLIGHT and _busy(tx, row, owner, applying):
        raise Conflict(
            f"{change.kind} on {change.target} is being applied by another call right now",
            suggestion="Wait for it to end; see: msp-toolkit change list --state in-flight",
            key=change.key,
        )
    before = row.state
    row.state, row.owner, row.attempts = JournalState.IN_FLIGHT, owner, row.attempts + 1
    row.started_at, row.finished_at = tx.now, None
    row.actor, row.tool, row.correlation_id = change.actor.id, call.tool, change.correlation_id
    row.save()
    return State(state=before.value)


def _busy(tx: Tx, row: Any, me: str, applying: Collection[str]) -> bool:
    if row.owner == me:
        return row.key in applying
    if not row.owner:
        return False
    if row.owner.split("|")[0] == me.split("|")[0]:
        return _is_alive(row.owner)
    return bool(tx.now - row.started_at < _ELSEWHERE)


def finish(tx: Tx, key: str, *, ok: bool, result: Any) -> None:
    """Note how a change ended."""
    ChangeTable.update(
        state=JournalState.DONE if ok else JournalState.FAILED,
        result=_bounded(result),
        owner="",
        finished_at=tx.now,
    ).where(ChangeTable.key == key).execute()


def _bounded(result: Any) -> Any:
    text = json.dumps(result, default=str)
    return json.loads(text) if len(text) <= _RESULT_CHARS else {"truncated": text[:1_000]}


def abandon(keys: Collection[str]) -> None:
    """Note that nobody applies these changes any more, though they were not finished (a cancelled call)."""
    ChangeTable.update(owner="").where(
        ChangeTable.key.in_(list(keys)) & (ChangeTable.state == JournalState.IN_FLIGHT)
    ).execute()


def touched(correlation_id: str, change: Change) -> tuple[int, int]:
    """Count the clients and targets one call has changed, the coming change included."""
    mine = ChangeTable.correlation_id == correlation_id
    clients = (
        ChangeTable.select(fn.COUNT(ChangeTable.client_id.distinct()))
        .where(mine & (ChangeTable.client_id != (change.client_id or "")))
        .scalar()
    )
    targets = (
        ChangeTable.select(fn.COUNT(ChangeTable.target.distinct()))
        .where(mine & (ChangeTable.target != change.target))
        .scalar()
    )
    return int(clients) + (change.client_id is not None), int(targets) + 1


def settle(tx: Tx, key: str, *, happened: bool) -> JournalEntry:
    """Say of an interrupted change whether it happened."""
    row = ChangeTable.get_or_none(ChangeTable.key == key)
    if row is None:
        raise NotFound(
            f"there is no change with the key {key[:80]!r}",
            suggestion="See them: msp-toolkit change list --state in-flight",
        )
    if row.state is not JournalState.IN_FLIGHT:
        raise Conflict(
            f"that change is {row.state.value} already",
            suggestion="Only a change in flight can be settled.",
            key=key,
        )
    if _busy(tx, row, this_process(), ()):
        raise Conflict(
            "that change is being applied right now", suggestion="Wait for it to end.", key=key
        )
    finish(tx, key, ok=happened, result=None)
    return entry_of(ChangeTable.get(ChangeTable.key == key))


def entry_of(row: Any) -> JournalEntry:
    """Build a journal entry from its row."""
    return JournalEntry(
        key=row.key,
        kind=row.kind,
        target=row.target,
        client_id=row.client_id,
        effect=Effect(row.effect),
        actor=row.actor,
        tool=row.tool,
        state=row.state,
        preview=row.preview,
        correlation_id=row.correlation_id,
        started_at=row.started_at,
        finished_at=row.finished_at,
        attempts=row.attempts,
    )

"""The audit trail as a chain: each row's hash covers the row and the hash before it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from msp_access.api import AuditRow, Plan, Proof
from msp_access.tables import AuditHead, AuditTable
from msp_core.v1 import Call, Change, Outcome, mask_data
from msp_store.api import Tx

COLUMNS = tuple(field.name for field in AuditRow.__attrs_attrs__)
_FIELDS = tuple(getattr(AuditTable, name) for name in COLUMNS)
_HEAD = "SELECT seq, hash FROM audit_head WHERE id = 1"
_INSERT = f"INSERT INTO audit ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
_FIRST = "INSERT INTO audit_head (seq, hash, id) VALUES (?, ?, 1)"
_NEXT = "UPDATE audit_head SET seq = ?, hash = ? WHERE id = 1"
_PAGE = 2_000
_TARGETS = ("device", "client", "client_id")
_LONGEST = 20_000
_NEVER = datetime.fromtimestamp(0, UTC)


def append(tx: Tx, values: Mapping[str, Any]) -> None:
    """Add a row behind the last one; the writer runs alone, so the number and the hash are the next ones.

    It is of now where it does not say when it was. Written by hand: every call pays for it.
    """
    head = _execute(tx, _HEAD).fetchone()
    seq, previous = (head[0] + 1, head[1]) if head else (1, "")
    row = {"seq": seq, "at": tx.now, "previous": previous, **values}
    row["hash"] = digest(row)
    stored = {**row, "at": AuditTable.at.db_value(row["at"])}
    _execute(tx, _INSERT, [stored[name] for name in COLUMNS])
    _execute(tx, _NEXT if head else _FIRST, (seq, row["hash"]))


def _execute(tx: Tx, sql: str, values: Sequence[Any] = ()) -> Any:
    database: Any = tx.db
    return database.execute_sql(sql if tx.dialect == "sqlite" else sql.replace("?", "%s"), values)


def digest(row: Mapping[str, Any]) -> str:
    """Hash a row: SHA-256 of its canonical JSON, the hash of the row before included."""
    plain = {
        name: value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value
        for name, value in row.items()
        if name != "hash"
    }
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def call_row(call: Call, outcome: Outcome) -> dict[str, Any]:
    """Describe a call that has ended."""
    return _row(
        call,
        event="call",
        action=call.tool,
        target=_target_of(call),
        effect=call.effect.name.lower(),
        outcome=outcome.status,
        error_code=outcome.error_code,
        message=outcome.message,
        duration_ms=round(float(outcome.duration_ms), 3),
        arguments=arguments_text(call),
        client_id=_client_of(call),
    )


def change_row(call: Call, change: Change) -> dict[str, Any]:
    """Describe a change that is about to be applied."""
    return _row(
        call,
        event="change",
        action=change.kind,
        target=mask_data(change.target),
        effect=change.effect.name.lower(),
        outcome="begun",
        message=mask_data(change.preview),
        client_id=change.client_id,
    )


def approval_row(call: Call, plan: Plan, by: str) -> dict[str, Any]:
    """Describe what a person said about a plan on the surface that asked."""
    return _row(
        call,
        event="approval",
        action=call.tool,
        target=plan.id,
        effect=call.effect.name.lower(),
        outcome=plan.state.value,
        message=mask_data(f"{by}: {plan.reason}"),
        arguments=arguments_text(call),
        client_id=_client_of(call),
    )


def _row(call: Call, **values: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "actor": call.actor.id,
        "surface": call.surface.value,
        "correlation_id": call.correlation_id,
        "error_code": "",
        "message": "",
        "arguments": "{}",
        "duration_ms": 0.0,
        "client_id": None,
        **values,
    }
    return {name: clean(value) if isinstance(value, str) else value for name, value in row.items()}


def clean(text: str) -> str:
    """Return text every database keeps as it is, so that it still has the same hash when read back."""
    kept = text.encode("utf-8", "replace").decode().replace("\0", "?")
    return kept if len(kept) <= _LONGEST else kept[:_LONGEST] + f"... ({len(kept)} characters)"


def arguments_text(call: Call) -> str:
    """Return the arguments as canonical JSON text."""
    return json.dumps(call.arguments, sort_keys=True, separators=(",", ":"), default=str)


def _target_of(call: Call) -> str:
    named = next((call.arguments[name] for name in _TARGETS if call.arguments.get(name)), "")
    return named[:200] if isinstance(named, str) else ""


def _client_of(call: Call) -> str | None:
    return _target_of(call).partition("/")[0] or None


def rows(query: Any) -> Iterator[AuditRow]:
    """Build rows from a query on the trail; raise ValueError or a kin of it for what none of ours would be."""
    for values in query.select(*_FIELDS).tuples():
        row = AuditRow(**dict(zip(COLUMNS, values, strict=True)))
        if not isfinite(row.duration_ms):
            message = "no duration"
            raise ValueError(message)
        yield row


def read_all() -> Iterator[tuple[int, AuditRow | None]]:
    """Yield the whole trail in order: each row's number, and the row if it can be read as one."""
    page = _page(AuditTable.seq.is_null(False))
    while page:
        yield from page
        page = _page(AuditTable.seq > page[-1][0])


def _page(where: Any) -> list[tuple[int, AuditRow | None]]:
    return _read(AuditTable.select().where(where).order_by(AuditTable.seq).limit(_PAGE))


def listed(query: Any) -> Iterator[AuditRow]:
    """Yield the rows of a query; one that cannot be read is said to be so, and hides no other."""
    for seq, row in _read(query):
        yield row or _unreadable(seq)


def _unreadable(seq: int) -> AuditRow:
    values: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    message = "This row was edited and cannot be read; see: msp-toolkit audit verify"
    given = {"seq": seq, "at": _NEVER, "event": "unreadable", "message": message}
    return AuditRow(**{**values, **given, "duration_ms": 0.0, "client_id": None})


def _read(query: Any) -> list[tuple[int, AuditRow | None]]:
    try:
        return [(row.seq, row) for row in rows(query)]
    except (TypeError, ValueError, OverflowError):  # somebody put what is no time, or no number
        numbers: Any = query.select(AuditTable.seq).tuples()
        return [(seq, _readable(seq)) for (seq,) in numbers]


def _readable(seq: int) -> AuditRow | None:
    try:
        return next(rows(AuditTable.select().where(AuditTable.seq == seq)))
    except (TypeError, ValueError, OverflowError):
        return None


def prove() -> Proof:
    """Recompute the chain and name what does not fit."""
    problems: list[str] = []
    count, expected = 0, 1
    previous: str | None = ""
    for seq, row in read_all():
        count += 1
        name = _name(seq, row)
        if seq < 1:  # before the first one, where nothing lists it
            problems.append(f"{name} was inserted")
            continue
        if seq != expected:
            gap = f"rows {expected} to {seq - 1}" if seq - expected > 1 else f"row {expected}"
            problems.append(f"{gap} removed (before {name})")
        elif row is not None and previous is not None and row.previous != previous:
            problems.append(f"{name} does not follow row {seq - 1}: one of them was edited")
        if row is None or not _is_whole(row):
            problems.append(f"{name} was edited")
        expected, previous = seq + 1, None if row is None else row.hash
    head = AuditHead.get_or_none(AuditHead.id == 1)
    if head is None and count:
        problems.append("the note of the last row was removed")
    elif head is not None and head.seq >= expected:
        problems.append(f"the last rows ({expected} to {head.seq}) were removed")
    elif head is not None and (head.seq, head.hash) != (expected - 1, previous):
        problems.append("the last row is not the one that was noted")
    return Proof(rows=count, head=previous or "", problems=tuple(problems))


def _is_whole(row: AuditRow) -> bool:
    try:
        return digest({name: getattr(row, name) for name in COLUMNS}) == row.hash
    except (TypeError, ValueError):  # bytes where there was text
        return False


def _name(seq: int, row: AuditRow | None) -> str:
    told = f"{row.at:%Y-%m-%d %H:%M:%S} {row.action} by {row.actor}" if row else "unreadable"
    return f"row {seq} ({told})"

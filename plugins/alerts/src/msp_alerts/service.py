"""The alerts service."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from msp_alerts.api import RESOLVED, UPDATED, AlertEntry
from msp_alerts.listener import event_payload
from msp_alerts.tables import AlertRow
from msp_core.v1 import (
    Alert,
    AlertNotFound,
    AlertState,
    Conflict,
    Context,
    InvalidParameters,
    Listing,
    Severity,
    Toolkit,
)
from msp_store.api import Case, Store, Tx, fn

NOTE_LIMIT = 1000
_LONGEST = timedelta(days=366)


class AlertService:
    """Answers what is wrong, and takes what people decide about it."""

    async def list(
        self,
        ctx: Context,
        *,
        client_id: str | None = None,
        severity: Severity | None = None,
        since: datetime | None = None,
        state: AlertState | None = None,
        include_resolved: bool = False,
        limit: int | None = None,
    ) -> Listing[AlertEntry]:
        """Return alerts, worst and newest first."""
        if client_id is not None:
            ctx.require_client(client_id)
        now = ctx.now()
        wanted: list[Any] = []
        if client_id is not None:
            wanted.append(AlertRow.client_id == client_id)
        elif ctx.scope.clients is not None:
            wanted.append(AlertRow.client_id.in_(sorted(ctx.scope.clients)))
        if severity is not None:
            wanted.append(AlertRow.severity == severity)
        if since is not None:
            wanted.append(AlertRow.created_at >= since)
        if state is not None:
            wanted.append(_in_state(state, now))
        elif not include_resolved:
            wanted.append(AlertRow.resolved_at.is_null())
        store = await ctx.get(Store)
        entries, total = await store.read(partial(_select, wanted=wanted, limit=limit, now=now))
        return Listing(items=entries, total=total)

    async def get(self, ctx: Context, alert_id: str) -> AlertEntry:
        """Return one alert."""
        store = await ctx.get(Store)
        return await store.read(lambda _: entry_of(_find(ctx, alert_id), ctx.now()))

    async def acknowledge(
        self, ctx: Context, alert_id: str, *, until: datetime | None = None, note: str = ""
    ) -> AlertEntry:
        """Say that somebody works on it."""
        now = ctx.now()
        if until is not None and not now < until <= now + _LONGEST:
            raise InvalidParameters(
                f"An acknowledgement cannot end at {until.isoformat()}: that is not within a year from now.",
                suggestion="Write 2h, 18:00 or 2026-01-31T08:00.",
            )
        _check_note(note)

        def change(tx: Tx) -> AlertEntry:
            row = _open(ctx, alert_id)
            row.acknowledged, row.acknowledged_by = True, ctx.actor.id
            row.acknowledged_until, row.note, row.updated_at = until, note or row.note, now
            return self._save(ctx, tx, row, UPDATED)

        return await self._write(ctx, change)

    async def resolve(self, ctx: Context, alert_id: str, *, note: str = "") -> AlertEntry:
        """Close an alert by hand."""
        _check_note(note)

        def change(tx: Tx) -> AlertEntry:
            row = _open(ctx, alert_id)
            row.resolved_at = row.updated_at = ctx.now()
            row.note = note or row.note
            return self._save(ctx, tx, row, RESOLVED)

        return await self._write(ctx, change)

    @staticmethod
    async def _write(ctx: Context, change: Callable[[Tx], AlertEntry]) -> AlertEntry:
        return await (await ctx.get(Store)).write(change, keep=ctx.records)

    @staticmethod
    def _save(ctx: Context, tx: Tx, row: Any, event: str) -> AlertEntry:
        row.save()
        if not row.muted:
            tx.emit(event, event_payload([(row.id, row.client_id)]))
        return entry_of(row, ctx.now())


def _select(
    tx: Tx, wanted: list[Any], limit: int | None, now: datetime
) -> tuple[tuple[AlertEntry, ...], int]:
    del tx
    rank = Case(AlertRow.severity, ((Severity.CRITICAL.value, 0), (Severity.WARNING.value, 1)), 2)
    query, count = AlertRow.select(), AlertRow.select(fn.COUNT(AlertRow.id))
    if wanted:
        query, count = query.where(*wanted), count.where(*wanted)
    query = query.order_by(
        AlertRow.resolved_at.is_null(False), rank, AlertRow.created_at.desc(), AlertRow.id.desc()
    )
    if limit is not None:
        query = query.limit(limit)
    entries = tuple(entry_of(row, now) for row in query)
    total = len(entries) if limit is None or len(entries) < limit else count.scalar()
    return entries, int(total)


def _in_state(state: AlertState, now: datetime) -> Any:
    if state is AlertState.RESOLVED:
        return AlertRow.resolved_at.is_null(False)
    ahead = AlertRow.acknowledged_until.is_null() | (AlertRow.acknowledged_until > now)
    valid = (AlertRow.acknowledged == True) & ahead  # noqa: E712 - an expression for the database
    return AlertRow.resolved_at.is_null() & (valid if state is AlertState.ACKNOWLEDGED else ~valid)


def entry_of(row: Any, now: datetime) -> AlertEntry:
    """Turn a row into what people see at a moment: an acknowledgement that has expired is open again."""
    state = AlertState.OPEN
    if row.resolved_at is not None:
        state = AlertState.RESOLVED
    elif row.acknowledged and (row.acknowledged_until is None or row.acknowledged_until > now):
        state = AlertState.ACKNOWLEDGED
    acknowledged = state is AlertState.ACKNOWLEDGED
    return AlertEntry(
        alert=Alert(
            id=str(row.id),
            client_id=row.client_id,
            key=row.key,
            severity=row.severity,
            message=row.message,
            state=state,
            device_id=row.device_id,
            check=row.check_type,
            source=row.source,
            created_at=row.created_at,
            updated_at=row.updated_at,
            acknowledged_by=row.acknowledged_by if acknowledged else None,
            acknowledged_until=row.acknowledged_until if acknowledged else None,
            resolved_at=row.resolved_at,
        ),
        note=row.note,
        muted=bool(row.muted),
        stale=bool(row.stale),
    )


def _find(ctx: Context, alert_id: str) -> Any:
    number = int(alert_id) if alert_id.isascii() and alert_id.isdecimal() else -1
    row = AlertRow.get_or_none(AlertRow.id == number) if 0 < number < 2**63 else None
    if row is None or not ctx.scope.allows_client(row.client_id):
        raise AlertNotFound(
            f"There is no alert {alert_id!r}.",
            suggestion=f"{ctx.spelt('alert.list')} shows the alerts there are.",
            alert_id=alert_id,
        )
    return row


def _open(ctx: Context, alert_id: str) -> Any:
    row = _find(ctx, alert_id)
    if row.resolved_at is not None:
        raise Conflict(
            f"Alert {alert_id} was resolved at {row.resolved_at:%Y-%m-%d %H:%M} UTC.",
            suggestion=f"{ctx.spelt('alert.list')} shows what is open.",
            alert_id=alert_id,
        )
    return row


def _check_note(note: str) -> None:
    if len(note) > NOTE_LIMIT:
        raise InvalidParameters(f"A note has at most {NOTE_LIMIT} characters.")


def create(toolkit: Toolkit) -> AlertService:
    """Make the service of one toolkit."""
    del toolkit
    return AlertService()

"""Hears what health recorded, and keeps the alerts in step."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from msp_alerts.api import OPENED, RESOLVED, UPDATED
from msp_alerts.ledger import Change, Effect, OpenAlert, apply, key_of
from msp_alerts.tables import AlertCursor, AlertRow
from msp_clients.api import Clients
from msp_core.v1 import Actor, ClientStatus, Context, Event
from msp_health.api import STANDING
from msp_store.api import Store, Tx

_EVENTS = {Effect.OPENED: OPENED, Effect.UPDATED: UPDATED, Effect.RESOLVED: RESOLVED}


async def hear(ctx: Context, event: Event) -> None:
    """Bring alerts up to date with one event; hearing it again does nothing."""
    standing = event.name == STANDING
    changes = [Change.read(data, standing=standing) for data in event.payload["changes"]]
    everybody = ctx.toolkit.context(actor=Actor(id="plugin:alerts", kind="plugin"))
    clients = await everybody.get(Clients)
    ids = sorted({change.client_id for change in changes})
    told = {
        client.id
        for client in (await clients.list(everybody, ids=ids)).items
        if client.status is not ClientStatus.SUSPENDED
    }
    store = await everybody.get(Store)
    await store.write(partial(_apply_all, changes=changes, told=told, now=ctx.now()))


async def forget(ctx: Context, event: Event) -> None:
    """Resolve what is open about devices that a person is done with; hearing it again, or late, does nothing more."""
    ended = {
        key_of(one["device_id"], one["check"]): int(one["seq"]) for one in event.payload["ended"]
    }
    store = await ctx.toolkit.get(Store)
    await store.write(partial(_forget_all, ended=ended, now=ctx.now()))


def _forget_all(tx: Tx, ended: Mapping[str, int], now: datetime) -> None:
    keys = sorted(ended)
    newer = {
        row.key
        for row in AlertCursor.select().where(AlertCursor.key.in_(keys))
        if row.seq > ended[row.key]
    }  # the device is back
    over = [key for key in keys if key not in newer]
    heard = []
    for row in AlertRow.select().where(AlertRow.key.in_(over), AlertRow.resolved_at.is_null()):
        row.resolved_at = row.updated_at = now
        row.stale = False
        row.note = row.note or "The device was forgotten."
        row.save()
        if not row.muted:
            heard.append((row.id, row.client_id))
    _move_cursors(tx, {key: ended[key] for key in over})
    if heard:
        tx.emit(RESOLVED, event_payload(heard))


def _move_cursors(tx: Tx, seqs: Mapping[str, int]) -> None:
    tx.upsert_many(
        AlertCursor,
        list(seqs.items()),
        (AlertCursor.key, AlertCursor.seq),
        conflict=(AlertCursor.key,),
        update=(AlertCursor.seq,),
    )


def _apply_all(tx: Tx, changes: Sequence[Change], told: set[str], now: datetime) -> None:
    keys = sorted({change.key for change in changes})
    cursors = {row.key: row.seq for row in AlertCursor.select().where(AlertCursor.key.in_(keys))}
    rows: dict[str, Any] = {
        row.key: row
        for row in AlertRow.select().where(AlertRow.key.in_(keys), AlertRow.resolved_at.is_null())
    }
    moved: dict[str, int] = {}
    effects: dict[Effect, list[tuple[int, str]]] = {}
    for change in changes:
        if change.seq <= moved.get(change.key, cursors.get(change.key, 0)):
            continue
        moved[change.key] = change.seq
        muted = change.client_id not in told
        alert_id, effect = _apply_one(rows, change, muted=muted, now=now)
        if effect is not Effect.NOTHING and not muted:
            effects.setdefault(effect, []).append((alert_id, change.client_id))
    _move_cursors(tx, moved)
    for effect, heard in effects.items():
        tx.emit(_EVENTS[effect], event_payload(heard))


def event_payload(heard: Sequence[tuple[int, str]]) -> Mapping[str, Any]:
    """Return the payload of an event about these alerts and their clients."""
    return {
        "alert_ids": [str(alert_id) for alert_id, _ in heard],
        "client_ids": sorted({client_id for _, client_id in heard}),
    }


def _apply_one(
    rows: dict[str, Any], change: Change, *, muted: bool, now: datetime
) -> tuple[int, Effect]:
    row = rows.get(change.key)
    after, effect = apply(_state(row), change, muted=muted)
    if row is None:
        if after is None:
            return 0, effect
        rows[change.key] = row = AlertRow.create(
            key=change.key,
            client_id=change.client_id,
            device_id=change.device_id,
            check_type=change.check,
            source="health",
            severity=after.severity,
            message=after.message,
            acknowledged=False,
            note="",
            muted=after.muted,
            stale=False,
            created_at=now,
            updated_at=now,
        )
        return row.id, effect
    if after is None:
        row.resolved_at = row.updated_at = now
        row.stale = False
        del rows[change.key]
        row.save()
    elif _state(row) != after:
        row.severity, row.message = after.severity, after.message
        row.acknowledged, row.muted, row.stale = after.acknowledged, after.muted, after.stale
        row.updated_at = now
        row.save()
    return row.id, effect


def _state(row: Any) -> OpenAlert | None:
    if row is None:
        return None
    return OpenAlert(
        severity=row.severity,
        message=row.message,
        acknowledged=bool(row.acknowledged),
        muted=bool(row.muted),
        stale=bool(row.stale),
    )

"""Delivers committed events to subscribers: at least once, by one process at a time, with patience."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from msp_core.v1 import Event, Subscriber
from msp_store.api import Delivery, Store, Tx
from msp_store.tables import OutboxDelivery, OutboxEvent

if TYPE_CHECKING:
    from datetime import datetime

    from msp_core.v1 import Context, Toolkit

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 8
CALL_TIMEOUT = timedelta(seconds=60)
LEASE = timedelta(seconds=90)
"""Longer than one call may take; renewed before each."""
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(hours=1)
_LONGEST_ERROR = 500
_DELIVERY = (
    OutboxDelivery.event_id,
    OutboxDelivery.subscriber,
    OutboxDelivery.attempts,
    OutboxDelivery.last_error,
    OutboxDelivery.delivered_at,
    OutboxDelivery.dead_at,
)


@frozen
class _Attempt:
    """The outcome of one call."""

    subscriber: str
    attempts: int
    error: str

    @property
    def is_dead(self) -> bool:
        return bool(self.error) and self.attempts >= MAX_ATTEMPTS


@frozen
class _Claimed:
    """An event this process holds, and the attempts so far of those subscribers that still wait for it."""

    event: Event
    number: int
    attempts: Mapping[str, int]


async def create(toolkit: "Toolkit") -> "DatabaseOutbox":
    """Make the outbox of a toolkit."""
    return DatabaseOutbox(
        await toolkit.get(Store),
        subscribers=lambda: toolkit.registry.records(Subscriber),
        load=toolkit.registry.load,
    )


class DatabaseOutbox:
    """Implements `msp_store.api.Outbox`."""

    def __init__(
        self,
        store: Store,
        *,
        subscribers: Callable[[], Sequence[Subscriber]],
        load: Callable[[str], Any],
    ) -> None:
        self._store = store
        self._subscribers = subscribers
        self._load = load
        self._owner = uuid.uuid4().hex

    async def deliver(self, ctx: "Context") -> Delivery:
        """Call the subscribers of every event that is due."""
        if ctx.dry_run or ctx.read_only:
            return Delivery(waiting=await self._store.read(_count_open))
        by_event: dict[str, dict[str, Subscriber]] = {}
        for subscriber in self._subscribers():
            by_event.setdefault(subscriber.event, {})[subscriber.id] = subscriber
        total = Delivery()
        claimed = await self._store.write(partial(self._claim, by_event))
        while claimed is not None:
            failed = 0
            for name, attempts in claimed.attempts.items():
                subscriber = by_event[claimed.event.name][name]
                attempt = await self._call(ctx, subscriber, claimed.event, attempts + 1)
                await self._store.write(partial(self._note, claimed, attempt))
                total = _add(total, attempt)
                if attempt.error and not attempt.is_dead:
                    failed = max(failed, attempt.attempts)
            claimed = await self._store.write(partial(self._next, claimed, failed, by_event))
        return evolve(total, waiting=await self._store.read(_count_open))

    async def _call(
        self, ctx: "Context", subscriber: Subscriber, event: Event, number: int
    ) -> _Attempt:
        try:
            async with asyncio.timeout(CALL_TIMEOUT.total_seconds()):
                await self._load(subscriber.run)(ctx, event)
        except TimeoutError:
            error = f"no answer within {CALL_TIMEOUT.total_seconds():.0f} s"
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"[:_LONGEST_ERROR]
            log.debug("subscriber %s failed", subscriber.id, exc_info=True)
        else:
            error = ""
        if error:
            log.warning("event %s: subscriber %s failed: %s", event.name, subscriber.id, error)
        return _Attempt(subscriber.id, number, error)

    def _claim(self, by_event: Mapping[str, Mapping[str, Subscriber]], tx: Tx) -> _Claimed | None:
        """Take the oldest event that is due and that nobody holds."""
        row = (
            OutboxEvent.select()
            .where(
                OutboxEvent.done_at.is_null(),
                _reached(OutboxEvent.due_at, tx, _LONGEST_PAUSE),
                OutboxEvent.lease_until.is_null() | _reached(OutboxEvent.lease_until, tx, LEASE),
            )
            .order_by(OutboxEvent.due_at, OutboxEvent.id)
            .first()
        )
        if row is None:
            return None
        self._update(row.id, tx, lease_owner=self._owner, lease_until=tx.now + LEASE)
        before = {
            delivery.subscriber: delivery
            for delivery in OutboxDelivery.select().where(OutboxDelivery.event_id == row.id)
        }
        attempts = {
            name: before[name].attempts if name in before else 0
            for name in sorted(by_event.get(row.name, ()))
            if name not in before or not (before[name].delivered_at or before[name].dead_at)
        }
        return _Claimed(Event(id=str(row.id), name=row.name, payload=row.payload), row.id, attempts)

    def _note(self, claimed: _Claimed, attempt: _Attempt, tx: Tx) -> None:
        """Record one call at once, so that it is not repeated when this process dies during the next one."""
        tx.upsert_many(
            OutboxDelivery,
            [
                (
                    claimed.number,
                    attempt.subscriber,
                    attempt.attempts,
                    attempt.error,
                    None if attempt.error else tx.now,
                    tx.now if attempt.is_dead else None,
                )
            ],
            _DELIVERY,
            conflict=_DELIVERY[:2],
            update=_DELIVERY[2:],
        )
        self._update(claimed.number, tx, held=True, lease_until=tx.now + LEASE)

    def _next(
        self,
        claimed: _Claimed,
        failed: int,
        by_event: Mapping[str, Mapping[str, Subscriber]],
        tx: Tx,
    ) -> _Claimed | None:
        """Let an event go, done or to be tried again later, and take the next one."""
        values: dict[str, Any] = {"lease_owner": None, "lease_until": None}
        if failed:
            values["due_at"] = tx.now + min(_FIRST_PAUSE * 2 ** (failed - 1), _LONGEST_PAUSE)
        else:
            values["done_at"] = tx.now
        self._update(claimed.number, tx, held=True, **values)
        return self._claim(by_event, tx)

    def _update(self, number: int, _tx: Tx, *, held: bool = False, **values: Any) -> None:
        where = OutboxEvent.id == number
        if held:  # not where the lease ran out and another process has taken over
            where &= OutboxEvent.lease_owner == self._owner
        OutboxEvent.update(**values).where(where).execute()


def _reached(field: Any, tx: Tx, longest: timedelta) -> Any:
    """Tell whether a time has come; one further off than it can be was set by a clock that has since gone back."""
    return (field <= tx.now) | (field > tx.now + longest)


def prune(_tx: Tx, before: "datetime", limit: int) -> Mapping[str, int]:
    """Remove events that were dealt with before a time."""
    old = OutboxEvent.select(OutboxEvent.id).where(OutboxEvent.done_at < before).limit(limit)
    ids = [row[0] for row in old.tuples().execute()]
    calls = OutboxDelivery.delete().where(OutboxDelivery.event_id.in_(ids)).execute()
    events = OutboxEvent.delete().where(OutboxEvent.id.in_(ids)).execute()
    return {"outbox": events, "outbox_deliveries": calls}


def _count_open(_tx: Tx) -> int:
    return int(OutboxEvent.select().where(OutboxEvent.done_at.is_null()).count())


def _add(total: Delivery, attempt: _Attempt) -> Delivery:
    if not attempt.error:
        return evolve(total, delivered=total.delivered + 1)
    return evolve(
        total,
        failed=total.failed + 1,
        dead=total.dead + attempt.is_dead,
        errors=(*total.errors, f"{attempt.subscriber}: {attempt.error}"),
    )

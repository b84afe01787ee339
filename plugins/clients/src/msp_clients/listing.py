"""Lists of clients, which programs ask for again and again: what stays the same from one to the next is kept."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from msp_clients.api import ClientFilter, DeviceFigures, KnowsDevices, KnowsHealth, Overview
from msp_clients.records import client_of, folded, select
from msp_clients.tables import ClientRow
from msp_core.v1 import (
    Client,
    ClientStatus,
    Context,
    InvalidParameters,
    Listing,
    MspError,
    Tier,
    UnknownPlugin,
)
from msp_store.api import Dialect, Store, Tx, fn, from_micros

T = TypeVar("T")
Scope = frozenset[str] | None
"""The clients that may be seen; None: all."""

_TIERS = {tier.value: tier for tier in Tier}
_STATUSES = {status.value: status for status in ClientStatus}


async def overview(store: Store, ctx: Context, wanted: ClientFilter) -> Overview:
    """Return clients with their figures; what cannot be had leaves a note and a gap, never a failure."""
    missing: list[str] = []
    knows_devices = await _optional(ctx, KnowsDevices, missing, _DEVICES)
    knows_health = await _optional(ctx, KnowsHealth, missing, _HEALTH)

    def read(tx: Tx) -> Overview:
        clients = listing(tx, ctx.scope.clients, wanted)
        ids = [client.id for client in clients.items]
        notes = list(missing)
        devices: Mapping[str, DeviceFigures] | None = None
        checked_at: Mapping[str, datetime] = {}
        if knows_devices is not None:
            with _noted(notes, _DEVICES):
                devices = knows_devices.client_devices(tx, ctx, ids)
        if knows_health is not None:
            with _noted(notes, _HEALTH):
                checked_at = knows_health.last_checks(tx, ctx, ids)
        return Overview(clients=clients, devices=devices, checked_at=checked_at, notes=tuple(notes))

    return await store.read(read)


_DEVICES, _HEALTH = "Numbers of devices", "Times of health checks"


@contextmanager
def _noted(notes: list[str], what: str) -> Iterator[None]:
    try:
        yield
    except MspError as error:
        notes.append(f"{what} are not known: {error.message}")


async def _optional(ctx: Context, service: type[T], notes: list[str], what: str) -> T | None:
    with _noted(notes, what), suppress(UnknownPlugin):
        return await ctx.get(service)
    return None


def listing(tx: Tx, scope: Scope, wanted: ClientFilter) -> Listing[Client]:
    """Return the clients by name, and how many there are in all."""
    limit, offset = wanted.limit, wanted.offset
    if offset < 0 or (limit is not None and limit < 0):
        raise InvalidParameters(
            "limit and offset cannot be negative", suggestion="Leave them out to see every client."
        )
    database: Any = tx.db
    rows = database.execute_sql(*_statement(tx.dialect, scope, wanted)).fetchall()
    items = tuple(map(_client, rows))
    is_end = limit is None or 0 < len(items) <= limit
    known = is_end and (items or not offset)
    total = offset + len(items) if known else _query(scope, wanted).count()
    return Listing(items=items[:limit], total=total)


@lru_cache(maxsize=64)
def _statement(_dialect: Dialect, scope: Scope, wanted: ClientFilter) -> tuple[str, list[Any]]:
    """Return SQL and values: writing them takes as long as running them."""
    query = _query(scope, wanted).order_by(ClientRow.folded, ClientRow.id)
    query = query.offset(wanted.offset or None)
    if wanted.limit is not None:
        query = query.limit(wanted.limit + 1)  # one more tells whether counting is needed
    statement: tuple[str, list[Any]] = query.sql()
    return statement


def _query(scope: Scope, wanted: ClientFilter) -> Any:
    if wanted.ids is not None:
        scope = frozenset(wanted.ids) if scope is None else scope.intersection(wanted.ids)
    query = select(scope, include_deleted=wanted.include_deleted)
    if wanted.tier is not None:
        query = query.where(ClientRow.tier == wanted.tier)
    if wanted.status is not None:
        query = query.where(ClientRow.status == wanted.status)
    if wanted.search:
        query = query.where(ClientRow.folded.contains(folded(wanted.search.strip())))
    if wanted.tag:
        tag = json.dumps(wanted.tag.strip().lower())
        # A function keeps the pattern from being written as JSON itself
        query = query.where(fn.COALESCE(ClientRow.tags, "[]").contains(tag))
    return query


@lru_cache(maxsize=1024)
def _client(row: tuple[Any, ...]) -> Client:
    """Build a client from a row as the driver gives it; most rows are the same from list to list."""
    created, updated, deleted = (None if at is None else from_micros(at) for at in row[7:10])
    tags = json.loads(row[5]) if row[5] != "[]" else ()
    return client_of(
        (*row[:3], _TIERS[row[3]], _STATUSES[row[4]], tags, row[6], created, updated, deleted)
    )

"""How the database is: size, steps, events, room on the disk."""

import shutil
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from attrs import frozen

from msp_store.engine import DatabaseStore
from msp_store.tables import OutboxDelivery, OutboxEvent
from msp_store.transaction import Transaction


@frozen(kw_only=True)
class Condition:
    """What was found; sizes are None where they are not known."""

    size_bytes: int | None = None
    wal_bytes: int | None = None
    free_bytes: int | None = None
    applied: tuple[tuple[str, str, datetime], ...] = ()
    events_open: int = 0
    events_overdue: int = 0
    events_dead: int = 0


async def look(store: DatabaseStore, *, heard: Collection[str]) -> Condition:
    """Look without changing anything, not even the tables; raise StoreError where that cannot be done.

    `heard` are the names of events that somebody subscribes to: the others keep nobody waiting.
    """
    path = getattr(store.target, "path", None)
    free = None
    if path is not None:
        folder = next((one for one in path.parents if one.exists()), None)
        free = shutil.disk_usage(folder).free if folder else None
    if store.is_new():
        return Condition(free_bytes=free)

    def read(tx: Transaction) -> dict[str, Any]:
        applied = store.ledger.applied(tx)
        found: dict[str, Any] = {
            "applied": tuple((plugin, name, at) for (plugin, name), at in sorted(applied.items())),
            "size_bytes": _size(tx),
        }
        if ("store", "m0001_initial") in applied:
            found.update(_events(tx, heard))
        return found

    found = await store.read_raw(read)
    wal = path.with_name(path.name + "-wal") if path is not None else None
    return Condition(
        free_bytes=free, wal_bytes=wal.stat().st_size if wal and wal.exists() else None, **found
    )


def _size(tx: Transaction) -> int:
    if tx.dialect == "postgresql":
        return int(tx.db.execute_sql("SELECT pg_database_size(current_database())").fetchone()[0])
    pages = tx.db.execute_sql("PRAGMA page_count").fetchone()[0]
    return int(pages) * int(tx.db.execute_sql("PRAGMA page_size").fetchone()[0])


def _events(tx: Transaction, heard: Collection[str]) -> dict[str, int]:
    waiting = OutboxEvent.select().where(
        OutboxEvent.done_at.is_null(), OutboxEvent.name.in_(list(heard))
    )
    return {
        "events_open": waiting.count(),
        "events_overdue": waiting.where(OutboxEvent.due_at < tx.now - timedelta(hours=1)).count(),
        "events_dead": OutboxDelivery.select().where(OutboxDelivery.dead_at.is_null(False)).count(),
    }

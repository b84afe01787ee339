"""What `doctor` says about the database."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from msp_core.v1 import Finding, MspError, Status, StoreError, Subscriber
from msp_store.api import Store
from msp_store.condition import Condition, look

if TYPE_CHECKING:
    from msp_core.v1 import Context
    from msp_store.engine import DatabaseStore

_MIB = 1024 * 1024
_LITTLE_BYTES = 1024 * _MIB
_TOO_LITTLE_BYTES = 100 * _MIB
_LARGE_WAL_BYTES = 256 * _MIB


async def check(ctx: "Context") -> Iterable[Finding]:
    """Look at the database; one finding for each thing that people should know."""
    try:
        store = cast("DatabaseStore", await ctx.get(Store))
        pending = await store.pending()
        found = await look(
            store, heard={one.event for one in ctx.toolkit.registry.records(Subscriber)}
        )
    except MspError as error:
        # Without a workspace, or with a password that cannot be found, nothing is known about the database itself
        bad = Status.CRITICAL if isinstance(error, StoreError) else Status.UNKNOWN
        return [Finding(status=bad, message=error.message, fix=error.suggestion)]
    if store.is_new():
        text = f"No database yet; it is made by the first command that records something: {store.target.where}"
        return [Finding(status=Status.OK, message=text), *_room(found)]
    size = f", {found.size_bytes / _MIB:.1f} MiB" if found.size_bytes is not None else ""
    findings = [
        Finding(status=Status.OK, message=f"Database reachable: {store.target.where}{size}")
    ]
    if pending:
        findings.append(
            Finding(
                status=Status.WARNING,
                message=f"{len(pending)} changes to its tables are pending",
                fix="Run: msp-toolkit db upgrade",
            )
        )
    path = getattr(store.target, "path", None)
    if path is not None and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        findings.append(
            Finding(
                status=Status.WARNING,
                message="This user may read the database and not write it: nothing can be recorded",
                fix="Give this user write permission for the file and its folder",
            )
        )
    return [*findings, *_room(found), *_events(found)]


def _room(found: Condition) -> Iterable[Finding]:
    if found.free_bytes is not None and found.free_bytes < _LITTLE_BYTES:
        yield Finding(
            status=Status.CRITICAL if found.free_bytes < _TOO_LITTLE_BYTES else Status.WARNING,
            message=f"Only {found.free_bytes / _MIB:.0f} MiB are free where the database is",
            fix="Free some space, or remove old records with: msp-toolkit db prune",
        )
    if found.wal_bytes is not None and found.wal_bytes > _LARGE_WAL_BYTES:
        yield Finding(
            status=Status.WARNING,
            message=f"The database's write-ahead log has grown to {found.wal_bytes / _MIB:.0f} MiB",
            fix="End programs that keep the database open for hours, such as a database browser",
        )


def _events(found: Condition) -> Iterable[Finding]:
    if found.events_overdue:
        yield Finding(
            status=Status.WARNING,
            message=f"{found.events_overdue} events have been waiting for delivery for over an hour",
            fix="They are delivered by the next health check or by a running scheduler; the log says why they failed",
        )
    if found.events_dead:
        yield Finding(
            status=Status.WARNING,
            message=f"{found.events_dead} deliveries of events were given up after repeated failures",
            fix="The column last_error of the table outbox_deliveries says why; db prune removes them in time",
        )

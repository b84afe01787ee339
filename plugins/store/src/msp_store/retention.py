"""Removes what is older than the configuration says to keep, plugin by plugin."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from msp_core.v1 import Migrations
from msp_store.api import Prune
from msp_store.engine import DatabaseStore
from msp_store.transaction import Transaction

CHUNK_ROWS = 10_000
"""Rows removed in one write, so that other writers never wait for long."""


async def prune(
    store: DatabaseStore,
    records: Sequence[Migrations],
    load: Callable[[str], Any],
    *,
    before: datetime,
    dry_run: bool,
) -> Mapping[str, int]:
    """Return the rows removed by table; in a dry run all of it is done in one transaction and rolled back."""
    pruners: list[Prune] = [load(record.prune) for record in records if record.prune]
    if dry_run:
        return await store.write(partial(_all, pruners, before), keep=False)
    totals: dict[str, int] = {}
    for pruner in pruners:
        more = True
        while more:
            removed = await store.write(partial(_chunk, pruner, before))
            _add(totals, removed)
            more = any(removed.values())
    return totals


def _all(pruners: Sequence[Prune], before: datetime, tx: Transaction) -> Mapping[str, int]:
    totals: dict[str, int] = {}
    for pruner in pruners:
        more = True
        while more:
            removed = _chunk(pruner, before, tx)
            _add(totals, removed)
            more = any(removed.values())
    return totals


def _chunk(pruner: Prune, before: datetime, tx: Transaction) -> Mapping[str, int]:
    return pruner(tx, before, CHUNK_ROWS)


def _add(totals: dict[str, int], removed: Mapping[str, int]) -> None:
    for table, count in removed.items():
        totals[table] = totals.get(table, 0) + count

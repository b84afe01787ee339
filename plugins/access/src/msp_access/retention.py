"""What `db prune` removes: changes that ended and plans, when they are old. The audit trail stays whole."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msp_access.api import JournalState
from msp_access.tables import ChangeTable, PlanTable
from msp_store.api import Tx


def prune(tx: Tx, before: datetime, limit: int) -> Mapping[str, int]:
    """Remove ended changes and plans from before a moment; a change in flight waits for a person."""
    del tx
    ended = (ChangeTable.finished_at < before) & (ChangeTable.state != JournalState.IN_FLIGHT)
    return {
        "changes": _remove(ChangeTable, ChangeTable.key, ended, limit),
        "plans": _remove(PlanTable, PlanTable.id, PlanTable.expires_at < before, limit),
    }


def _remove(table: Any, key: Any, where: Any, limit: int) -> int:
    old = table.select(key).where(where).limit(limit)
    return int(table.delete().where(key.in_(old)).execute())

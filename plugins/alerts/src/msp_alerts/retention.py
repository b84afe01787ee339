"""What becomes of old alerts."""

from collections.abc import Mapping
from datetime import datetime

from msp_alerts.tables import AlertRow
from msp_store.api import Tx


def prune(tx: Tx, before: datetime, limit: int) -> Mapping[str, int]:
    """Remove alerts resolved before a moment, about `limit` in one call; open ones stay however old."""
    del tx
    oldest = AlertRow.select(AlertRow.id).where(AlertRow.resolved_at < before).limit(limit)
    ids = [row.id for row in oldest]
    removed = AlertRow.delete().where(AlertRow.id.in_(ids)).execute() if ids else 0
    return {"alerts": removed}

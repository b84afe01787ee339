"""When each client was last checked, for lists of clients; kept apart so that such a list loads little else."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msp_core.v1 import Context, Toolkit
from msp_store.api import Store, Tx

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 500  # ids in one query


async def create(toolkit: Toolkit) -> "Freshness":
    """Build the service on the toolkit's store."""
    return Freshness(await toolkit.get(Store))


class Freshness:
    """See `msp_clients.api.KnowsHealth`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def last_checks(self, ctx: Context, client_ids: Sequence[str]) -> Mapping[str, datetime]:
        """Return when each client was last checked; clients never checked are left out."""
        for client_id in client_ids:
            ctx.require_client(client_id)
        return await self._store.read(lambda tx: _read(tx, client_ids))


def _read(tx: Tx, client_ids: Sequence[str]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    database: Any = tx.db
    for start in range(0, len(client_ids), _BATCH):
        ids = client_ids[start : start + _BATCH]
        # By hand: building such a query takes longer than running it
        marks = ", ".join(["?" if tx.dialect == "sqlite" else "%s"] * len(ids))
        sql = (
            f"SELECT client_id, MAX(checked_at) FROM latest_status WHERE client_id IN ({marks}) "  # noqa: S608
            "GROUP BY client_id"
        )
        rows = database.execute_sql(sql, list(ids)).fetchall()
        found |= {client: _EPOCH + timedelta(microseconds=at) for client, at in rows}
    return found

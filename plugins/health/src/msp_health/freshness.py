"""When each client was last checked, for lists of clients; kept apart so that such a list loads little else."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msp_core.v1 import Context, Toolkit
from msp_store.api import Store, Tx, in_parts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    for ids in in_parts(client_ids):
        marks = ", ".join("?" * len(ids))
        sql = (
            f"SELECT client_id, MAX(checked_at) FROM latest_status WHERE client_id IN ({marks}) "  # noqa: S608
            "GROUP BY client_id"
        )
        rows = tx.execute(sql, ids).fetchall()
        found |= {client: _EPOCH + timedelta(microseconds=at) for client, at in rows}
    return found

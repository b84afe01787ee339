"""When each client was last checked, for lists of clients; kept apart so that such a list loads little else."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msp_core.v1 import Context, Toolkit
from msp_store.api import Tx, from_micros, in_parts


async def create(_toolkit: Toolkit) -> "Freshness":
    """Build the service."""
    return Freshness()


class Freshness:
    """See `msp_clients.api.KnowsHealth`."""

    def last_checks(
        self, tx: Tx, ctx: Context, client_ids: Sequence[str]
    ) -> Mapping[str, datetime]:
        """Return when each client was last checked; clients never checked are left out."""
        ctx.require_client(*client_ids)
        found: dict[str, datetime] = {}
        for ids in in_parts(client_ids):
            marks = ", ".join("?" * len(ids))
            sql = (
                f"SELECT client_id, MAX(checked_at) FROM latest_status WHERE client_id IN ({marks}) "  # noqa: S608
                "GROUP BY client_id"
            )
            rows = tx.execute(sql, ids).fetchall()
            found |= {client: from_micros(at) for client, at in rows}
        return found

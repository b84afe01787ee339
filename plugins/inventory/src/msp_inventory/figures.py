"""How many devices each client has, for lists of clients; kept apart so that such a list loads little else."""

from collections.abc import Mapping, Sequence
from typing import Any

from msp_clients.api import DeviceFigures
from msp_core.v1 import Context, Toolkit
from msp_inventory.default import default_rmm
from msp_inventory.kinds import LinkKind
from msp_inventory.tables import LinkRow
from msp_store.api import Tx, in_parts


async def create(toolkit: Toolkit) -> "Figures":
    """Build the service."""
    return Figures(toolkit)


class Figures:
    """See `msp_clients.api.KnowsDevices`."""

    def __init__(self, toolkit: Toolkit) -> None:
        self._toolkit = toolkit

    def client_devices(
        self, tx: Tx, ctx: Context, client_ids: Sequence[str]
    ) -> Mapping[str, DeviceFigures]:
        """Return how many devices each client has, and its id in the default RMM."""
        ctx.require_client(*client_ids)
        default = default_rmm(self._toolkit)
        counts = device_counts(tx, client_ids)
        links = client_links(client_ids) if default else {}
        return {
            client_id: DeviceFigures(
                count=counts.get(client_id, 0),
                rmm_id=links[client_id].get(default) if default else None,
            )
            for client_id in client_ids
        }


def client_links(client_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return client id -> instance -> external id of present links."""
    found: dict[str, dict[str, str]] = {client_id: {} for client_id in client_ids}
    for ids in in_parts(list(found)):
        query: Any = LinkRow.select(LinkRow.client_id, LinkRow.instance, LinkRow.external_id).where(
            (LinkRow.kind == LinkKind.CLIENT)
            & LinkRow.client_id.in_(ids)
            & LinkRow.missing_since.is_null()
        )
        ordered = query.order_by(LinkRow.instance, LinkRow.external_id.desc())
        for client_id, instance, external_id in ordered.tuples():
            found[client_id][instance] = external_id
    return found


def device_counts(tx: Tx, client_ids: Sequence[str], *, missing: bool = False) -> dict[str, int]:
    """Count the present devices of each client, with `missing` all of them; those without any are left out."""
    found: dict[str, int] = {}
    present = "" if missing else "AND missing_since IS NULL "
    for ids in in_parts(client_ids):
        marks = ", ".join("?" * len(ids))
        sql = (
            f"SELECT client_id, COUNT(*) FROM devices WHERE client_id IN ({marks}) {present}"  # noqa: S608
            "GROUP BY client_id"
        )
        found.update(tx.execute(sql, ids).fetchall())
    return found

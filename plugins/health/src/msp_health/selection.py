"""What a sweep is asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from msp_clients.api import Clients
from msp_core.v1 import Client, Context, Listing, Tier


@frozen(kw_only=True)
class Selection:
    """What is asked for: which clients, which checks, with which limits."""

    clients: tuple[Client, ...]
    types: tuple[str, ...] = ()
    limits_override: Mapping[str, Any] = field(factory=dict)

    def as_data(self) -> Mapping[str, Any]:
        """Return it as kept with the run; one with limits of its own is not recorded."""
        return {"clients": [client.id for client in self.clients], "types": list(self.types)}


async def select_clients(
    ctx: Context, client_ids: Sequence[str] | None, tier: Tier | None, tag: str | None
) -> tuple[Client, ...]:
    """Return the clients asked for, by reference, or all in scope of a tier and tag."""
    clients = await ctx.get(Clients)
    if client_ids is not None:
        found = [await clients.get(ctx, ref) for ref in client_ids]
        return tuple({client.id: client for client in found}.values())
    listing: Listing[Client] = await clients.list(ctx, tier=tier, tag=tag)
    return listing.items

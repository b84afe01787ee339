"""What a sweep is asked for."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from attrs import field, frozen

from msp_clients.api import Clients
from msp_core.v1 import Client, Context, Data, Listing, NotFound, Tier

_SHOWN = 20


@frozen(kw_only=True, eq=False, repr=False)
class Selection(Data):
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
    """Return the clients asked for, by reference, or all in scope of a tier and tag.

    Raises NotFound where clients are there and none is of that tier and tag.
    """
    clients = await ctx.get(Clients)
    if client_ids is not None:
        found = [await clients.get(ctx, ref) for ref in client_ids]
        return tuple({client.id: client for client in found}.values())
    listing: Listing[Client] = await clients.list(ctx, tier=tier, tag=tag)
    if not listing.items and (tier is not None or tag):
        raise await _no_match(ctx, clients, tier, tag)
    return listing.items


async def _no_match(ctx: Context, clients: Clients, tier: Tier | None, tag: str | None) -> NotFound:
    """Say what no client is, and which tags and tiers there are."""
    known = (await clients.list(ctx)).items
    tags = sorted({word for client in known for word in client.tags})
    tiers = [one.value for one in Tier if any(client.tier is one for client in known)]
    asked = [f"of tier {tier.value}"] if tier is not None else []
    asked += [f"with the tag {tag[:80]!r}"] if tag else []
    near = get_close_matches((tag or "").strip().lower(), tags, n=1)
    hint = f"Did you mean {near[0]!r}? " if near and near[0] != tag else ""
    if tag:
        more = ", ..." if len(tags) > _SHOWN else ""
        hint += f"Tags of clients: {', '.join(tags[:_SHOWN]) or 'none'}{more}. "
    if tier is not None:
        hint += f"Tiers of clients: {', '.join(tiers) or 'none'}."
    return NotFound(f"There is no client {' '.join(asked)}.", suggestion=hint.strip())

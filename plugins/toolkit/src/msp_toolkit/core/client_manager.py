"""Clients, synchronously."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve

from msp_clients.api import Clients
from msp_core.v1 import Client, ClientStatus, Context, InvalidParameters, Tier, structure
from msp_inventory.api import Inventory, default_rmm

if TYPE_CHECKING:
    from msp_toolkit.toolkit import MSPToolkit

_FILTERS: dict[str, Any] = {
    "tier": Tier | None,
    "status": ClientStatus | None,
    "search": str | None,
    "tag": str | None,
}


class ClientManager:
    """Create, find, change and remove clients. Methods raise MspErrors (`ClientNotFound`, `InvalidParameters`)."""

    def __init__(self, toolkit: "MSPToolkit") -> None:
        self._toolkit = toolkit

    def create(self, name: str, **kwargs: Any) -> Client:
        """Record a client. Keywords: `contact_email tier status tags notes id`."""
        return self._write("client.add", name=name, **kwargs)

    def get_client(self, client_id: str) -> Client:
        """Return a client by id or exact name."""

        async def get(ctx: Context) -> Client:
            clients = await ctx.get(Clients)
            return (await self._linked(ctx, [await clients.get(ctx, client_id)]))[0]

        return self._toolkit.run(get)

    def list_clients(self, filters: Mapping[str, Any] | None = None) -> list[Client]:
        """Return clients sorted by name. Filters: `tier status search tag`."""
        wanted = dict(filters or {})
        unknown = sorted(set(wanted) - set(_FILTERS))
        if unknown:
            message = f"list_clients has no filter {unknown[0]!r}."
            raise InvalidParameters(message, suggestion=f"Filters: {', '.join(_FILTERS)}.")
        try:
            typed = {name: structure(value, _FILTERS[name], name) for name, value in wanted.items()}
        except ValueError as error:
            message = f"list_clients: {error}."
            raise InvalidParameters(
                message, suggestion="See Tier and ClientStatus for the words."
            ) from None

        async def find(ctx: Context) -> list[Client]:
            clients = await ctx.get(Clients)
            return await self._linked(ctx, (await clients.list(ctx, **typed)).items)

        return self._toolkit.run(find)

    def update(self, client_id: str, **kwargs: Any) -> Client:
        """Change a client. Keywords: `name contact_email tier status tags notes`; the id never changes."""
        return self._write("client.update", client=client_id, **kwargs)

    def delete(self, client_id: str) -> bool:
        """Hide a client from lists and sweeps; its history stays, and `restore` brings it back."""
        self._write("client.delete", client=client_id)
        return True

    def restore(self, client_id: str) -> Client:
        """Bring a deleted client back."""
        return self._write("client.restore", client=client_id)

    def _write(self, tool: str, **arguments: Any) -> Client:
        done = self._toolkit.call(tool, **arguments)
        return done.client  # type: ignore[no-any-return]

    async def _linked(
        self, ctx: Context, clients: "list[Client] | tuple[Client, ...]"
    ) -> list[Client]:
        """Fill in each client's id in the default RMM."""
        instance = default_rmm(self._toolkit.toolkit)
        if instance is None or not clients:
            return list(clients)
        inventory = await ctx.get(Inventory)
        links = await inventory.client_links(ctx, [one.id for one in clients])
        return [evolve(one, rmm_id=links.get(one.id, {}).get(instance)) for one in clients]

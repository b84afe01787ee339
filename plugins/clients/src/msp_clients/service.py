"""The clients service."""

import builtins
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from attrs import evolve

from msp_clients import records
from msp_clients.api import ClientFilter, Entry, Merged, NewClient, Overview
from msp_clients.listing import listing, overview
from msp_clients.naming import checked_key
from msp_core.v1 import (
    Client,
    ClientStatus,
    Context,
    InvalidParameters,
    Listing,
    Tier,
    Toolkit,
)
from msp_store.api import Store, Tx

T = TypeVar("T")


async def create(toolkit: Toolkit) -> "ClientService":
    """Build the service on the toolkit's store."""
    return ClientService(await toolkit.get(Store))


class ClientService:
    """Clients in the store; see `msp_clients.api.Clients`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def _write(self, ctx: Context, fn: Callable[[Tx], T]) -> T:
        """Write, or in a dry run and in read-only mode do the same and keep nothing."""
        return await self._store.write(fn, keep=ctx.records)

    async def create(
        self,
        ctx: Context,
        *,
        name: str,
        contact_email: str = "",
        tier: Tier = Tier.BRONZE,
        status: ClientStatus = ClientStatus.ACTIVE,
        tags: Sequence[str] = (),
        notes: str = "",
        id: str | None = None,
    ) -> Client:
        """Record a new client."""
        new = NewClient(
            name=name,
            contact_email=contact_email,
            tier=tier,
            status=status,
            tags=tuple(tags),
            notes=notes,
            id=id,
        )
        return (await self.create_many(ctx, (new,)))[0]

    async def create_many(self, ctx: Context, new: Sequence[NewClient]) -> tuple[Client, ...]:
        """Record many clients in one transaction."""
        scope = ctx.scope.clients
        return await self._write(ctx, lambda tx: records.add_many(tx, scope, new))

    def claim(
        self, tx: Tx, ctx: Context, name: str, *, but_not: Collection[str]
    ) -> tuple[Client, bool]:
        """Return the only client of that name, or a new one."""
        return records.claim(tx, ctx.scope.clients, name, but_not)

    async def merge(self, ctx: Context, entries: Sequence[Entry]) -> tuple[Merged, ...]:
        """Create and update clients, all entries or none."""
        scope = ctx.scope.clients
        good = [
            entry if entry.settings is None else evolve(entry, settings=_settings(entry.settings))
            for entry in entries
        ]
        return await self._write(ctx, lambda tx: records.merge(tx, scope, good))

    async def get(self, ctx: Context, ref: str, *, include_deleted: bool = False) -> Client:
        """Return one client by id or exact name."""
        return await self._store.read(
            lambda _tx: records.find(ctx, ref, include_deleted=include_deleted)
        )

    async def list(
        self,
        ctx: Context,
        *,
        tier: Tier | None = None,
        status: ClientStatus | None = None,
        search: str | None = None,
        tag: str | None = None,
        ids: Sequence[str] | None = None,
        include_deleted: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> Listing[Client]:
        """Return clients sorted by name."""
        wanted = ClientFilter(
            tier=tier,
            status=status,
            search=search,
            tag=tag,
            ids=None if ids is None else tuple(ids),
            include_deleted=include_deleted,
            limit=limit,
            offset=offset,
        )
        return await self._store.read(lambda tx: listing(tx, ctx.scope.clients, wanted))

    async def overview(self, ctx: Context, wanted: ClientFilter) -> Overview:
        """Return clients with their figures."""
        return await overview(self._store, ctx, wanted)

    async def update(
        self,
        ctx: Context,
        ref: str,
        *,
        name: str | None = None,
        contact_email: str | None = None,
        tier: Tier | None = None,
        status: ClientStatus | None = None,
        tags: Sequence[str] | None = None,
        notes: str | None = None,
    ) -> Client:
        """Change what is given."""
        given = {
            "name": name,
            "contact_email": contact_email,
            "tier": tier,
            "status": status,
            "tags": None if tags is None else tuple(tags),
            "notes": notes,
        }
        changes = {field: value for field, value in given.items() if value is not None}
        return await self._write(
            ctx, lambda tx: records.change(tx, records.find(ctx, ref), changes)
        )

    async def delete(self, ctx: Context, ref: str) -> Client:
        """Hide a client; its rows stay."""
        return await self._write(
            ctx,
            lambda tx: records.mark_deleted(
                tx, records.find(ctx, ref, include_deleted=True), deleted=True
            ),
        )

    async def restore(self, ctx: Context, ref: str) -> Client:
        """Bring a deleted client back."""
        return await self._write(
            ctx,
            lambda tx: records.mark_deleted(
                tx, records.find(ctx, ref, include_deleted=True), deleted=False
            ),
        )

    async def get_config(self, ctx: Context, client_id: str) -> Mapping[str, Any]:
        """Return the client's own settings."""

        def read(_tx: Tx) -> Mapping[str, Any]:
            found = records.find(ctx, client_id).id
            return records.read_configs([found])[found]

        return await self._store.read(read)

    async def get_configs(
        self, ctx: Context, client_ids: Sequence[str]
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return the settings of many clients in one query."""
        ctx.require_client(*client_ids)
        return await self._store.read(lambda _tx: records.read_configs(client_ids))

    async def set_config(self, ctx: Context, client_id: str, values: Mapping[str, Any]) -> None:
        """Set keys of the client's settings; None removes a key."""
        good = _settings(values)

        def write(tx: Tx) -> None:
            records.write_config(tx, records.find(ctx, client_id).id, good)

        await self._write(ctx, write)


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    return {checked_key(key): _json(key, value) for key, value in values.items()}


def _json(key: str, value: Any) -> Any:
    """Return the value as JSON data (tuples become lists), or raise InvalidParameters."""
    plain = builtins.list(value) if isinstance(value, tuple) else value
    try:
        return json.loads(json.dumps(plain, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidParameters(
            f"the value of {key} is not JSON data: {error}",
            suggestion="Use text, numbers, true, false, lists or objects.",
            key=key,
        ) from error

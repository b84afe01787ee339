"""The inventory service."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

from msp_clients.api import Clients
from msp_core.v1 import (
    Client,
    Context,
    Device,
    DeviceKind,
    InvalidParameters,
    Listing,
    ListsDevices,
    NotSupported,
    OsFamily,
    Role,
    Site,
    Toolkit,
    VendorDevice,
)
from msp_inventory import byhand, devices, lookup
from msp_inventory.api import DeviceLinks, Doubt, Link, LinkKind, SyncReport
from msp_inventory.consoles import lists, to_configure
from msp_inventory.default import default_rmm
from msp_inventory.figures import client_links, device_counts
from msp_inventory.reconcile import Counts, Listed, reconcile
from msp_inventory.sayings import tidy
from msp_inventory.syncing import Claimed, Syncing
from msp_inventory.tables import DeviceRow, LinkRow, SiteRow
from msp_store.api import Outbox, Store, Tx

T = TypeVar("T")
_TOGETHER = 2_000  # devices read at once by `targets`, where no single client has more


async def create(toolkit: Toolkit) -> "InventoryService":
    """Build the service on the toolkit's store."""
    return InventoryService(toolkit, await toolkit.get(Store))


class InventoryService:
    """Sites, devices and links in the store; see `msp_inventory.api.Inventory`."""

    def __init__(self, toolkit: Toolkit, store: Store) -> None:
        self._toolkit = toolkit
        self._store = store

    async def _write(self, ctx: Context, fn: Callable[[Tx], T]) -> T:
        """Write, or in a dry run and in read-only mode do the same and keep nothing."""
        return await self._store.write(fn, keep=ctx.records)

    async def devices(
        self,
        ctx: Context,
        client_id: str | None,
        *,
        kind: DeviceKind | None = None,
        os: OsFamily | None = None,
        search: str | None = None,
        include_missing: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> Listing[Device]:
        """Return devices of one client, or of every client in scope."""
        if offset < 0 or (limit is not None and limit < 0):
            raise InvalidParameters(
                "limit and offset cannot be negative",
                suggestion="Leave them out to see every device.",
            )
        clients = await self._toolkit.get(Clients)
        if client_id is not None:
            ids = [(await clients.get(ctx, client_id)).id]
        else:
            ids = [client.id for client in (await clients.list(ctx)).items]
        query = devices.select().where(DeviceRow.client_id.in_(ids))
        if kind is not None:
            query = query.where(DeviceRow.type == kind)
        if os is not None:
            query = query.where(DeviceRow.os == os)
        if search:
            query = query.where(DeviceRow.folded.contains(devices.folded(search.strip())))
        if not include_missing:
            query = query.where(DeviceRow.missing_since.is_null())

        def read(_tx: Tx) -> Listing[Device]:
            page = query.order_by(DeviceRow.id).offset(offset or None).limit(limit)
            items = tuple(devices.device_of(row) for row in page.tuples())
            whole = limit is None and not offset
            return Listing(items=items, total=len(items) if whole else query.count())

        return await self._store.read(read)

    async def missing(self, ctx: Context, client_ids: Sequence[str]) -> tuple[Device, ...]:
        """Return the devices of these clients that no console lists any more."""
        ctx.require_client(*client_ids)
        return await self._store.read(lambda _tx: lookup.missing(client_ids))

    async def device(self, ctx: Context, ref: str, *, client_id: str | None = None) -> Device:
        """Return one device by `client/device`, or by id, name or hostname within a client."""
        scope = ctx.scope.clients
        return await self._store.read(lambda _tx: lookup.find(scope, ref, client_id))

    async def device_links(self, ctx: Context, device_id: str) -> tuple[Link, ...]:
        """Return every link of a device."""
        scope = ctx.scope.clients
        return await self._store.read(
            lambda _tx: lookup.links_of(lookup.find(scope, device_id, None).id)
        )

    async def sites(self, ctx: Context, client_id: str) -> Listing[Site]:
        """Return the client's sites."""
        ctx.require_client(client_id)

        def read(_tx: Tx) -> Listing[Site]:
            query: Any = SiteRow.select(SiteRow.id, SiteRow.client_id, SiteRow.name)
            rows = query.where(SiteRow.client_id == client_id).order_by(SiteRow.id).tuples()
            items = tuple(Site(id=row[0], client_id=row[1], name=row[2]) for row in rows)
            return Listing(items=items, total=len(items))

        return await self._store.read(read)

    async def site_link(self, ctx: Context, site_id: str, instance: str) -> str | None:
        """Return a console's id of one of our sites."""
        ctx.require_client(site_id.partition("/")[0])

        def read(_tx: Tx) -> str | None:
            query: Any = LinkRow.select(LinkRow.external_id).where(
                (LinkRow.kind == LinkKind.SITE)
                & (LinkRow.our_id == site_id)
                & (LinkRow.instance == instance)
                & LinkRow.missing_since.is_null()
            )
            return next((row[0] for row in query.tuples()), None)

        return await self._store.read(read)

    async def targets(
        self, ctx: Context, client_ids: Sequence[str]
    ) -> AsyncIterator[tuple[str, Sequence[DeviceLinks]]]:
        """Yield each client with its devices and their present links; two queries for many clients."""
        ctx.require_client(*client_ids)
        ids = list(dict.fromkeys(client_ids))
        counts = await self._store.read(lambda tx: device_counts(tx, ids, missing=True))
        for batch in _batches(ids, counts):
            found = await self._store.read(
                lambda _tx, batch=batch: lookup.devices_with_links(batch)  # type: ignore[misc]
            )
            for client_id in batch:
                yield client_id, found[client_id]

    async def client_links(
        self, ctx: Context, client_ids: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Return client id -> instance -> external id."""
        ctx.require_client(*client_ids)
        return await self._store.read(lambda _tx: client_links(client_ids))

    async def client_by_link(self, ctx: Context, instance: str, external_id: str) -> str | None:
        """Return our id of a console's client."""
        scope = ctx.scope.clients
        return await self._store.read(
            lambda _tx: lookup.our_client(scope, LinkKind.CLIENT, instance, external_id)
        )

    async def device_by_link(self, ctx: Context, instance: str, external_id: str) -> str | None:
        """Return our id of a console's device."""
        scope = ctx.scope.clients
        return await self._store.read(
            lambda _tx: lookup.our_client(scope, LinkKind.DEVICE, instance, external_id)
        )

    async def link_client(
        self, ctx: Context, client_id: str, instance: str, external_id: str
    ) -> Link:
        """Say which of a console's clients is ours."""
        self._toolkit.instance(instance)
        external_id = byhand.checked_external_id(external_id)
        client = await (await self._toolkit.get(Clients)).get(ctx, client_id)

        return await self._write(
            ctx, lambda tx: byhand.link_client(tx, ctx.scope, client.id, instance, external_id)
        )

    async def link_device(
        self, ctx: Context, device_ref: str, instance: str, external_id: str
    ) -> Link:
        """Say which of a console's devices is ours."""
        self._toolkit.instance(instance)
        external_id = byhand.checked_external_id(external_id)
        default = default_rmm(self._toolkit)

        return await self._write(
            ctx,
            lambda tx: byhand.link_device(
                tx, ctx.scope, device_ref, instance, external_id, default
            ),
        )

    async def add_device(
        self,
        ctx: Context,
        client_id: str,
        name: str,
        *,
        instance: str,
        external_id: str,
        os: OsFamily = OsFamily.OTHER,
        kind: DeviceKind = DeviceKind.OTHER,
    ) -> Device:
        """Record a device that no console lists."""
        self._toolkit.instance(instance)
        external_id = byhand.checked_external_id(external_id)
        label = tidy(name)
        if not label:
            raise InvalidParameters(
                "the device's name is empty", suggestion="Give a name such as web-01."
            )
        client = await (await self._toolkit.get(Clients)).get(ctx, client_id)
        made = VendorDevice(
            external_id=external_id,
            client_external_id=client.id,
            name=label,
            hostname=label,
            kind=kind,
            os=os,
        )
        default = default_rmm(self._toolkit)

        return await self._write(
            ctx, lambda tx: byhand.add_device(tx, ctx.scope, made, instance, default)
        )

    async def forget_device(self, ctx: Context, device_ref: str) -> Device:
        """Remove a device that no console lists, and tell who keeps something about it."""
        listing = [name for name, offers in self._offers(()).items() if ListsDevices in offers]
        device = await self._write(
            ctx, lambda tx: byhand.forget_device(tx, ctx.scope, device_ref, listing)
        )
        if ctx.records:
            delivery = await (await self._toolkit.get(Outbox)).deliver(ctx)
            for error in delivery.errors:
                ctx.warn(f"Not delivered, tried again later: {error}")
        return device

    async def sync(
        self,
        ctx: Context,
        instances: Sequence[str] = (),
        *,
        client_id: str | None = None,
        create_clients: bool = False,
    ) -> SyncReport:
        """Bring clients, sites and devices up to date with these instances."""
        clients = await self._toolkit.get(Clients)
        offers = self._offers(instances)
        only = None if client_id is None else (await clients.get(ctx, client_id)).id
        if create_clients and ctx.scope.clients is not None:
            raise InvalidParameters(
                "you may not add clients outside your own", suggestion="Sync without --create."
            )
        known = {one.id: one for one in (await clients.list(ctx, include_deleted=True)).items}
        links = await self._store.read(lambda _tx: _client_links(sorted(offers)))
        default = default_rmm(self._toolkit)

        async def claim(instance: str, names: dict[str, str]) -> Claimed:
            return await self._write(ctx, lambda tx: _claim(tx, ctx, clients, instance, names))

        async def record(listed: Listed) -> Counts:
            return await self._write(ctx, lambda tx: reconcile(tx, listed, default))

        syncing = Syncing(
            ctx=ctx,
            known=known,
            links=links,
            claim=claim,
            record=record,
            only=only,
            create=create_clients,
            offers=offers,
        )
        results = await syncing.run()
        return SyncReport(
            instances=results,
            unmatched=tuple(syncing.unmatched),
            doubts=await self._doubts(ctx, sorted(offers)),
            recorded=ctx.records,
            notes=() if offers else to_configure(self._toolkit),
        )

    def _offers(self, instances: Sequence[str]) -> dict[str, tuple[type, ...]]:
        """Return what each wanted instance can list; raise where one is unknown or lists nothing."""
        if not instances:
            return {
                one.name: one.adapter.offers
                for one in self._toolkit.instances()
                if one.adapter.role
                is not Role.HOST  # this machine is nobody's, unless somebody says so
                and lists(one.adapter)
            }
        found = {}
        for name in instances:
            adapter = self._toolkit.instance(name).adapter
            if not lists(adapter):
                raise NotSupported(
                    f"{name} lists neither clients nor devices",
                    suggestion="Add its devices with: msp-toolkit device add",
                    instance=name,
                )
            found[name] = adapter.offers
        return found

    async def _doubts(self, ctx: Context, instances: Sequence[str]) -> tuple[Doubt, ...]:
        scope = ctx.scope

        def read(_tx: Tx) -> tuple[Doubt, ...]:
            query: Any = LinkRow.select(
                LinkRow.instance,
                LinkRow.external_id,
                LinkRow.our_id,
                LinkRow.maybe,
                LinkRow.client_id,
            ).where(
                LinkRow.instance.in_(list(instances))
                & (LinkRow.kind == LinkKind.DEVICE)
                & (LinkRow.maybe.cast("TEXT") != "[]")
                & LinkRow.missing_since.is_null()
            )
            return tuple(
                Doubt(instance=row[0], external_id=row[1], device_id=row[2], maybe=tuple(row[3]))
                for row in query.order_by(LinkRow.instance, LinkRow.external_id).tuples()
                if scope.allows_client(row[4])
            )

        return await self._store.read(read)


def _claim(
    tx: Tx, ctx: Context, clients: Clients, instance: str, names: Mapping[str, str]
) -> Claimed:
    """Find or make a client for each of a console's unknown ones, unless another process has just linked it."""
    linked = _client_links([instance]).get(instance, {})
    client_of: dict[str, Client] = {}
    created = 0
    rows: list[tuple[Any, ...]] = []
    for external_id, name in names.items():
        if external_id in linked:
            continue  # linked meanwhile: the next sync brings its devices
        client, is_new = clients.claim(tx, ctx, name, but_not=linked.values())
        linked[external_id] = client.id
        client_of[external_id] = client
        created += is_new
        data = json.dumps({"name": name})
        ids = (external_id, client.id, client.id)
        rows.append((instance, LinkKind.CLIENT, *ids, data, [], tx.now, None))
    return Claimed(client_of=client_of, created=created, linked=devices.write_links(tx, rows))


def _client_links(instances: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    query: Any = LinkRow.select(LinkRow.instance, LinkRow.external_id, LinkRow.our_id).where(
        LinkRow.instance.in_(list(instances)) & (LinkRow.kind == LinkKind.CLIENT)
    )
    for instance, external_id, our_id in query.tuples():
        found.setdefault(instance, {})[external_id] = our_id
    return found


def _batches(ids: Sequence[str], counts: Mapping[str, int]) -> list[list[str]]:
    """Put clients together so that each part holds a bounded number of devices."""
    batches: list[list[str]] = []
    room = 0
    for client_id in ids:
        size = counts.get(client_id, 0)
        if not batches or size > room or len(batches[-1]) >= 500:
            batches.append([])
            room = _TOGETHER
        batches[-1].append(client_id)
        room -= size
    return batches

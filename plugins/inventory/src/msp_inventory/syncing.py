"""Sync: ask every console at once, find out whose clients its clients are, and record one listing after the other."""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import define, field, frozen

from msp_core.v1 import (
    Client,
    Context,
    ListsClients,
    ListsDevices,
    MspError,
    Quarantined,
    SystemFailure,
    VendorClient,
    VendorDevice,
    VendorError,
    VendorSite,
)
from msp_inventory.api import InstanceSync, LinkKind, Unmatched
from msp_inventory.devices import folded
from msp_inventory.reconcile import Counts, Listed
from msp_inventory.sayings import tidy

log = logging.getLogger(__name__)
_TELL_EVERY = 250
_NAMELESS = "client"


@frozen(kw_only=True)
class Answer:
    """Everything one console listed."""

    clients: Sequence[VendorClient]
    sites: Sequence[VendorSite]
    devices: Sequence[VendorDevice]
    quarantined: Sequence[Quarantined]
    lists_clients: bool
    lists_devices: bool
    started_at: datetime
    unreadable: Mapping[LinkKind, frozenset[str] | None]

    @property
    def names(self) -> dict[str, str]:
        """The console's clients, id -> name; those its devices name where it lists no clients."""
        if self.lists_clients:
            return {one.external_id: tidy(one.name) for one in self.clients}
        return {one.client_external_id: one.client_external_id for one in self.devices}


@frozen(kw_only=True)
class Mapped:
    """Whose clients a console's clients are."""

    client_of: dict[str, str]
    created: int
    linked: int
    unmatched: tuple[Unmatched, ...]


@frozen(kw_only=True)
class Claimed:
    """Clients found or made for a console's unknown ones; their links are written already."""

    client_of: dict[str, Client]
    created: int
    linked: int


@define
class Syncing:
    """One sync of several instances: they are asked at the same time, recorded one after the other.

    `links` are the known client links: instance -> external id -> our client id. `claim` finds or makes
    clients for an instance's unknown ones (id -> name); `record` writes one listing.
    """

    ctx: Context
    known: dict[str, Client]
    links: dict[str, dict[str, str]]
    claim: Callable[[str, dict[str, str]], Awaitable[Claimed]]
    record: Callable[[Listed], Awaitable[Counts]]
    only: str | None
    create: bool
    offers: dict[str, tuple[type, ...]]
    unmatched: list[Unmatched] = field(factory=list)
    _turn: asyncio.Lock = field(factory=asyncio.Lock)
    _seen: Counter[str] = field(factory=Counter)

    async def run(self) -> tuple[InstanceSync, ...]:
        """Sync every instance; one that fails is reported and stops no other."""
        names = sorted(self.offers)
        return tuple(await asyncio.gather(*(self._one(name) for name in names)))

    async def _one(self, instance: str) -> InstanceSync:
        started = time.perf_counter()
        answer: Answer | None = None
        try:
            answer = await self._ask(instance)
            self._require_sight(instance, answer)
            async with (
                self._turn
            ):  # one machine in two consoles: the second must see what the first recorded
                mapped = await self._map(instance, answer)
                counts = await self.record(self._listed(instance, answer, mapped))
        except MspError as error:
            return self._failed(instance, started, answer, error)
        except Exception as error:
            log.exception("sync of %s failed", instance)
            text = f"unexpected {type(error).__name__}; the log holds the details"
            return self._failed(instance, started, answer, SystemFailure(text))
        self.unmatched += mapped.unmatched
        return InstanceSync(
            instance=instance,
            complete=True,
            listed_clients=len(mapped.client_of if self._is_limited else answer.names),
            listed_devices=len(answer.devices),
            clients_created=mapped.created,
            clients_linked=counts.clients_linked + mapped.linked,
            sites=counts.sites,
            devices_created=counts.devices_created,
            devices_updated=counts.devices_updated,
            devices_missing=counts.devices_missing,
            devices_returned=counts.devices_returned,
            rows_written=counts.rows_written + mapped.created + mapped.linked,
            duration_s=round(time.perf_counter() - started, 3),
            quarantined=tuple(answer.quarantined),
        )

    def _require_sight(self, instance: str, answer: Answer) -> None:
        """Refuse a listing of nothing at all from a console that had clients: its user has lost the right to see."""
        known = len(self.links.get(instance, ()))
        if known and not answer.clients and not answer.devices:
            message = f"{instance} lists nothing, though {known} of its clients are known; nothing was changed."
            raise VendorError(
                message, suggestion="Check the rights of its API user: msp-toolkit credential check"
            )

    @property
    def _is_limited(self) -> bool:
        return self.ctx.scope.clients is not None

    def _failed(
        self, instance: str, started: float, answer: Answer | None, error: MspError
    ) -> InstanceSync:
        return InstanceSync(
            instance=instance,
            complete=False,
            listed_clients=len(answer.names) if answer else 0,
            listed_devices=len(answer.devices) if answer else 0,
            duration_s=round(time.perf_counter() - started, 3),
            error=error.message,
            error_code=error.code,
            suggestion=error.suggestion,
        )

    async def _ask(self, instance: str) -> Answer:
        """Read the console's whole listing; an error half way loses the answer, never a device."""
        offers = self.offers[instance]
        adapter = await self.ctx.adapter(instance)
        started_at = self.ctx.now()
        clients, sites, devices = (_Gathered(what) for what in ("client", "site", "device"))
        lists_clients, lists_devices = ListsClients in offers, ListsDevices in offers
        if lists_clients:
            async for client in adapter.list_clients(self.ctx):
                clients.add(client)
            async for site in adapter.list_sites(self.ctx):
                sites.add(site)
        wanted = self._wanted(instance, clients.items) if lists_clients else None
        if lists_devices and wanted != ():
            async for device in adapter.list_devices(self.ctx, wanted):
                devices.add(device)
                if not len(devices.items) % _TELL_EVERY:
                    self._tell(instance, len(devices.items))
            self._tell(instance, len(devices.items))
        return Answer(
            clients=clients.items,
            sites=sites.items,
            devices=devices.items,
            quarantined=[
                # What is wrong with clients and sites may name those of others
                *(() if self._is_limited else [*clients.quarantined, *sites.quarantined]),
                *devices.quarantined,
            ],
            lists_clients=lists_clients,
            lists_devices=lists_devices,
            started_at=started_at,
            unreadable={
                LinkKind.CLIENT: clients.unreadable,
                LinkKind.SITE: sites.unreadable,
                LinkKind.DEVICE: devices.unreadable,
            },
        )

    def _wanted(self, instance: str, listed: Sequence[VendorClient]) -> tuple[str, ...] | None:
        """Return the console's ids of the clients asked for or in scope, None for everything."""
        if self.only is None and self.ctx.scope.clients is None:
            return None
        ours = self.known if self.only is None else {self.only: self.known[self.only]}
        names = {folded(client.name) for client in ours.values()}
        linked = self.links.get(instance, {})
        return tuple(
            one.external_id
            for one in listed
            if linked.get(one.external_id) in ours
            or (one.external_id not in linked and folded(tidy(one.name)) in names)
        )

    def _tell(self, instance: str, devices: int) -> None:
        self._seen[instance] = devices
        total = sum(self._seen.values())
        self.ctx.progress.update(total, None, "devices listed")

    async def _map(self, instance: str, answer: Answer) -> Mapped:
        """Decide whose clients the console's clients are: by link, by the same name, by making them."""
        linked = self.links.setdefault(instance, {})
        client_of: dict[str, str] = {}
        strangers: dict[str, str] = {}
        for external_id, name in answer.names.items():
            if external_id in linked:
                client = self.known.get(linked[external_id])
                if client is not None and client.deleted_at is None:
                    client_of[external_id] = client.id
            else:
                strangers[external_id] = name or f"{_NAMELESS} {external_id}"
        client_of.update(self._same_names(strangers, frozenset(linked.values())))
        left = {key: name for key, name in strangers.items() if key not in client_of}
        created = linked_now = 0
        if left and self.create and self.only is None:
            claimed = await self.claim(instance, left)
            self.known.update({client.id: client for client in claimed.client_of.values()})
            client_of.update({key: client.id for key, client in claimed.client_of.items()})
            created, linked_now, left = claimed.created, claimed.linked, {}
        if self.only is not None:
            client_of = {key: ours for key, ours in client_of.items() if ours == self.only}
            left = {}
        linked.update(client_of)
        counted = Counter(device.client_external_id for device in answer.devices)
        unmatched = tuple(
            Unmatched(instance=instance, external_id=key, name=name, devices=counted[key])
            for key, name in left.items()
        )
        return Mapped(
            client_of=client_of,
            created=created,
            linked=linked_now,
            unmatched=() if self._is_limited else unmatched,
        )

    def _same_names(self, strangers: dict[str, str], taken: frozenset[str]) -> dict[str, str]:
        """Match a console's new client to ours where exactly one on each side has the name."""
        ours: dict[str, list[str]] = defaultdict(list)
        for client in self.known.values():
            if client.deleted_at is None and client.id not in taken:
                ours[folded(client.name)].append(client.id)
        theirs = Counter(folded(name) for name in strangers.values())
        return {
            external_id: ours[folded(name)][0]
            for external_id, name in strangers.items()
            if theirs[folded(name)] == 1 and len(ours.get(folded(name), ())) == 1
        }

    def _listed(self, instance: str, answer: Answer, mapped: Mapped) -> Listed:
        only = None if self.only is None else frozenset({self.only})
        return Listed(
            instance=instance,
            clients=answer.clients,
            sites=answer.sites,
            devices=answer.devices,
            client_of=mapped.client_of,
            only=only or self.ctx.scope.clients,
            lists_clients=answer.lists_clients,
            lists_devices=answer.lists_devices,
            started_at=answer.started_at,
            unreadable=answer.unreadable,
        )


class _Gathered:
    """Items of one kind, each id once; what cannot be used is kept apart with the reason."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.items: list[Any] = []
        self.quarantined: list[Quarantined] = []
        self._ids: set[str] = set()

    @property
    def unreadable(self) -> frozenset[str] | None:
        """The ids of what cannot be used; None when something came without one."""
        ids = [item.external_id for item in self.quarantined]
        return frozenset(id for id in ids if id) if all(ids) else None

    def add(self, item: Any) -> None:
        """Take an item as the adapter gave it."""
        if isinstance(item, Quarantined):
            self.quarantined.append(item)
        elif not isinstance(item.external_id, str) or not item.external_id:
            self.quarantined.append(Quarantined(self.what, "it has no id"))
        elif item.external_id in self._ids:
            self.quarantined.append(Quarantined(self.what, "listed twice", item.external_id))
        else:
            self._ids.add(item.external_id)
            self.items.append(item)

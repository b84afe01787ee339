"""Bring the tables in line with one console's whole listing, in one transaction that writes only what changed."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import define, field, frozen

from msp_clients.api import free_id, slug
from msp_core.v1 import VendorClient, VendorDevice, VendorSite
from msp_inventory import devices
from msp_inventory.api import LinkKind
from msp_inventory.matching import Known, Match, clean_host, clean_macs, clean_serial, match
from msp_inventory.sayings import saying, tidy
from msp_inventory.tables import DeviceRow, LinkRow, SiteRow
from msp_store.api import Tx, in_parts


@frozen(kw_only=True)
class Listed:
    """What one console listed, whole, and whose clients its clients are.

    `client_of` maps the console's client ids to ours; things of other clients are left alone. `only` limits what may be
    found missing to these clients (None: all). `lists_clients` and `lists_devices`: the listing was asked for.
    `unreadable` are the ids of items that were listed but could not be read; None when one of them had no id, so that
    it may be any of those that seem to be missing.
    """

    instance: str
    clients: Sequence[VendorClient]
    sites: Sequence[VendorSite]
    devices: Sequence[VendorDevice]
    client_of: Mapping[str, str]
    only: Collection[str] | None
    lists_clients: bool
    lists_devices: bool
    started_at: datetime
    unreadable: Mapping[LinkKind, frozenset[str] | None]


@define(kw_only=True)
class Counts:
    """Rows written, and what they mean."""

    clients_linked: int = 0
    sites: int = 0
    devices_created: int = 0
    devices_updated: int = 0
    devices_missing: int = 0
    devices_returned: int = 0
    rows_written: int = 0


@define(kw_only=True)
class _Link:
    external_id: str
    our_id: str
    client_id: str
    data: str
    maybe: tuple[str, ...]
    seen_at: datetime
    missing_since: datetime | None


@define
class _Work:
    """The links of this instance as they are, those to be written, and the devices they concern."""

    tx: Tx
    listed: Listed
    links: dict[LinkKind, dict[str, _Link]]
    written: dict[tuple[LinkKind, str], _Link] = field(factory=dict)
    dirty: set[str] = field(factory=set)
    born: dict[str, str] = field(factory=dict)  # new device id -> client id
    counts: Counts = field(factory=Counts)

    def put(
        self,
        kind: LinkKind,
        external_id: str,
        our_id: str,
        client_id: str,
        data: str,
        *,
        maybe: tuple[str, ...] = (),
    ) -> None:
        """Note a link to be written: seen now, not missing."""
        self.written[kind, external_id] = _Link(
            external_id=external_id,
            our_id=our_id,
            client_id=client_id,
            data=data,
            maybe=maybe,
            seen_at=self.tx.now,
            missing_since=None,
        )


def reconcile(tx: Tx, listed: Listed, default: str | None) -> Counts:
    """Write what is new, changed, back or missing; `default` is the instance whose ids are a device's RMM id."""
    work = _Work(tx, listed, _links_of(listed.instance))
    _clients(work)
    sites = _sites(work)
    _devices(work, sites)
    _missing(work)
    _write_links(work)
    written = devices.rebuild(tx, work.dirty, work.born, default)
    work.counts.devices_created = written.created
    work.counts.devices_updated = written.updated
    work.counts.devices_missing = written.gone
    work.counts.devices_returned = written.back
    work.counts.rows_written += written.created + written.changed
    return work.counts


def _links_of(instance: str) -> dict[LinkKind, dict[str, _Link]]:
    found: dict[LinkKind, dict[str, _Link]] = {kind: {} for kind in LinkKind}
    query: Any = LinkRow.select(
        LinkRow.kind,
        LinkRow.external_id,
        LinkRow.our_id,
        LinkRow.client_id,
        LinkRow.data,
        LinkRow.maybe,
        LinkRow.seen_at,
        LinkRow.missing_since,
    ).where(LinkRow.instance == instance)
    for kind, external_id, our_id, client_id, data, maybe, seen_at, missing_since in query.tuples():
        found[kind][external_id] = _Link(
            external_id=external_id,
            our_id=our_id,
            client_id=client_id,
            data=data,
            maybe=tuple(maybe),
            seen_at=seen_at,
            missing_since=missing_since,
        )
    return found


def _clients(work: _Work) -> None:
    for client in work.listed.clients:
        ours = work.listed.client_of.get(client.external_id)
        if ours is None:
            continue
        data = json.dumps({"name": tidy(client.name)})
        link = work.links[LinkKind.CLIENT].get(client.external_id)
        if link and (link.our_id, link.data, link.missing_since) == (ours, data, None):
            continue
        work.put(LinkKind.CLIENT, client.external_id, ours, ours, data)
        work.counts.clients_linked += link is None or link.our_id != ours


def _sites(work: _Work) -> Mapping[str, str]:
    """Return our site id of each listed site, after noting new and renamed ones."""
    ours: dict[str, str] = {}
    known: dict[str, tuple[str, str]] = {}  # site id -> client id, name
    new: list[tuple[str, str, str]] = []
    renamed: list[tuple[str, str]] = []
    mapped = [
        site for site in work.listed.sites if site.client_external_id in work.listed.client_of
    ]
    owners = sorted({work.listed.client_of[site.client_external_id] for site in mapped})
    for batch in in_parts(owners):
        query: Any = SiteRow.select(SiteRow.id, SiteRow.client_id, SiteRow.name).where(
            SiteRow.client_id.in_(batch)
        )
        known.update({row[0]: (row[1], row[2]) for row in query.tuples()})
    by_name = {(client, name.casefold()): site_id for site_id, (client, name) in known.items()}
    linked = {link.our_id for link in work.links[LinkKind.SITE].values()}
    for site in mapped:
        client_id = work.listed.client_of[site.client_external_id]
        name = tidy(site.name) or site.external_id
        data = json.dumps({"name": name})
        link = work.links[LinkKind.SITE].get(site.external_id)
        if link is not None and link.client_id == client_id:
            ours[site.external_id] = link.our_id
            if link.data != data:
                renamed.append((link.our_id, name))
        else:
            same = by_name.get((client_id, name.casefold()))
            if same is None or same in linked:
                wanted = f"{client_id}/{slug(name, fallback='site')}"
                same = free_id(wanted, known.__contains__)
                new.append((same, client_id, name))
                known[same] = (client_id, name)
            linked.add(same)
            ours[site.external_id] = same
        if link is None or (link.our_id, link.data, link.missing_since) != (
            ours[site.external_id],
            data,
            None,
        ):
            work.put(LinkKind.SITE, site.external_id, ours[site.external_id], client_id, data)
    _write_sites(work, new, renamed)
    return ours


def _write_sites(
    work: _Work, new: Sequence[tuple[str, str, str]], renamed: Sequence[tuple[str, str]]
) -> None:
    now = work.tx.now
    written = work.tx.insert_many(
        SiteRow,
        [(site_id, client_id, name, now, now) for site_id, client_id, name in new],
        (SiteRow.id, SiteRow.client_id, SiteRow.name, SiteRow.created_at, SiteRow.updated_at),
    )
    for site_id, name in renamed:
        written += (
            SiteRow.update(name=name, updated_at=now)
            .where((SiteRow.id == site_id) & (SiteRow.name != name))
            .execute()
        )
    work.counts.sites = written
    work.counts.rows_written += written


def _devices(work: _Work, sites: Mapping[str, str]) -> None:
    links = work.links[LinkKind.DEVICE]
    by_client: dict[str, list[VendorDevice]] = defaultdict(list)
    for item in work.listed.devices:
        client_id = work.listed.client_of.get(item.client_external_id)
        if client_id is not None:
            by_client[client_id].append(item)
    displaced = _displaced(work)
    unlinked = {
        client_id: frozenset(
            item.external_id
            for item in items
            if item.external_id not in links
            or item.external_id in displaced
            or links[item.external_id].client_id != client_id
        )
        for client_id, items in by_client.items()
    }
    known = _known([client_id for client_id, fresh in unlinked.items() if fresh], work)
    for client_id, items in by_client.items():
        fresh = unlinked[client_id]
        found = match(items, known[client_id], fresh) if fresh else {}
        taken = {device.id for device in known[client_id]} if fresh else set()
        for item in items:
            site_id = sites.get(item.site_external_id) if item.site_external_id else None
            data = saying(item, site_id)
            link = links.get(item.external_id)
            if item.external_id not in fresh and link is not None:
                _seen_again(work, link, data)
            else:
                _first_seen(work, item, client_id, data, found[item.external_id], taken)


def _displaced(work: _Work) -> frozenset[str]:
    """Return listed ids whose device another listed id has become since: a new agent took the device over, and now
    the old one is listed again. They are looked at as if seen for the first time.
    """
    links = work.links[LinkKind.DEVICE]
    keeper: dict[str, str] = {}
    displaced = set()
    listed = [item.external_id for item in work.listed.devices if item.external_id in links]
    for external_id in sorted(listed, key=lambda key: (links[key].missing_since is not None, key)):
        if keeper.setdefault(links[external_id].our_id, external_id) != external_id:
            displaced.add(external_id)
    return frozenset(displaced)


def _seen_again(work: _Work, link: _Link, data: str) -> None:
    if link.data == data and link.missing_since is None:
        return
    work.put(LinkKind.DEVICE, link.external_id, link.our_id, link.client_id, data, maybe=link.maybe)
    work.dirty.add(link.our_id)


def _first_seen(
    work: _Work, item: VendorDevice, client_id: str, data: str, found: Match, taken: set[str]
) -> None:
    device_id = found.device_id
    if device_id is None:
        label = tidy(item.hostname).split(".")[0] or tidy(item.name) or item.external_id
        wanted = f"{client_id}/{slug(label, fallback='device')}"
        device_id = free_id(wanted, taken.__contains__)
        taken.add(device_id)
        work.born[device_id] = client_id
    before = work.links[LinkKind.DEVICE].get(item.external_id)
    if (
        before is not None
    ):  # the console moved it to another client; the old client keeps the old device
        work.dirty.add(before.our_id)
    work.put(LinkKind.DEVICE, item.external_id, device_id, client_id, data, maybe=found.maybe)
    work.dirty.add(device_id)


def _known(client_ids: Sequence[str], work: _Work) -> Mapping[str, list[Known]]:
    """Read the devices of clients that have newly listed machines."""
    links = work.links[LinkKind.DEVICE]
    present = {item.external_id for item in work.listed.devices}
    taken = {link.our_id for key, link in links.items() if key in present}
    found: dict[str, list[Known]] = {client_id: [] for client_id in client_ids}
    for batch in in_parts(client_ids):
        query: Any = DeviceRow.select(
            DeviceRow.id,
            DeviceRow.client_id,
            DeviceRow.serial,
            DeviceRow.macs,
            DeviceRow.hostname,
            DeviceRow.name,
            DeviceRow.os,
        ).where(DeviceRow.client_id.in_(batch))
        for device_id, client_id, serial, macs, hostname, name, os in query.tuples():
            found[client_id].append(
                Known(
                    id=device_id,
                    serial=clean_serial(serial),
                    macs=clean_macs(macs),
                    host=clean_host(hostname, name),
                    os=os,
                    taken=device_id in taken,
                )
            )
    return found


def _missing(work: _Work) -> None:
    """Note what this console no longer lists; links written after its listing began are newer than that."""
    listed = work.listed
    asked = {
        LinkKind.CLIENT: (listed.lists_clients, {one.external_id for one in listed.clients}),
        LinkKind.SITE: (listed.lists_clients, {one.external_id for one in listed.sites}),
        LinkKind.DEVICE: (listed.lists_devices, {one.external_id for one in listed.devices}),
    }
    for kind, (was_asked, read) in asked.items():
        unreadable = listed.unreadable[kind]
        if not was_asked or unreadable is None:
            continue
        present = read | unreadable
        for external_id, link in work.links[kind].items():
            elsewhere = listed.only is not None and link.client_id not in listed.only
            newer = link.seen_at > listed.started_at
            if external_id in present or link.missing_since is not None or elsewhere or newer:
                continue
            link.missing_since = work.tx.now
            work.written[kind, external_id] = link
            if kind is LinkKind.DEVICE:
                work.dirty.add(link.our_id)


def _write_links(work: _Work) -> None:
    rows = [
        (
            work.listed.instance,
            kind,
            external_id,
            link.our_id,
            link.client_id,
            link.data,
            link.maybe,
            link.seen_at,
            link.missing_since,
        )
        for (kind, external_id), link in work.written.items()
    ]
    work.counts.rows_written += devices.write_links(work.tx, rows)

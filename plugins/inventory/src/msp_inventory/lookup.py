"""Find devices, sites and links inside a transaction. Every function names the clients it may see."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from sys import intern
from typing import Any

from msp_core.v1 import Device, DeviceNotFound, InvalidParameters
from msp_inventory import devices
from msp_inventory.api import DeviceLinks, Link, LinkKind
from msp_inventory.tables import DeviceRow, LinkRow
from msp_store.api import in_parts

Scope = Collection[str] | None
_LINK_FIELDS = (
    LinkRow.instance,
    LinkRow.kind,
    LinkRow.external_id,
    LinkRow.our_id,
    LinkRow.seen_at,
    LinkRow.missing_since,
    LinkRow.maybe,
)


def find(scope: Scope, ref: str, client_id: str | None) -> Device:
    """Return the device `client/device` (by id, name or hostname), or raise DeviceNotFound."""
    client, slash, name = ref.strip().partition("/")
    if client_id is not None and not (slash and client == client_id):
        client, name = client_id, ref.strip()
    elif not slash:
        raise InvalidParameters(
            f"{ref[:100]!r} names no device of a client",
            suggestion="Write CLIENT/DEVICE, such as acme-corp/srv-01.",
            parameter="device",
        )
    if scope is not None and client not in scope:
        raise _not_found(scope, client, name)
    folded = devices.folded(name)
    query: Any = devices.select().where(
        (DeviceRow.client_id == client)
        & (
            DeviceRow.id.in_([f"{client}/{name}", f"{client}/{folded}"])
            | (DeviceRow.name == name)
            | (DeviceRow.hostname == name)
        )
    )
    found = [devices.device_of(row) for row in query.tuples()]
    for device in found:
        if device.id in (f"{client}/{name}", f"{client}/{folded}"):
            return device
    if len(found) > 1:
        ids = sorted(device.id for device in found)
        raise InvalidParameters(
            f"several devices of {client} are called {name[:100]!r}",
            suggestion="Name one by its id: " + ", ".join(ids),
            devices=ids,
        )
    if found:
        return found[0]
    raise _not_found(scope, client, name)


def _not_found(scope: Scope, client: str, name: str) -> DeviceNotFound:
    ids: list[str] = []
    if scope is None or client in scope:
        query: Any = DeviceRow.select(DeviceRow.id).where(DeviceRow.client_id == client)
        ids = [row[0] for row in query.limit(5_000).tuples()]
    wanted = f"{client}/{name.lower()}"[:200]
    nearest = difflib.get_close_matches(wanted, ids, n=3, cutoff=0.6)
    hint = f"Did you mean {' or '.join(nearest)}? " if nearest else ""
    return DeviceNotFound(
        f"Device {f'{client}/{name}'[:200]!r} not found",
        suggestion=f"{hint}Use device_list to see a client's devices",
        device=f"{client}/{name}"[:200],
        nearest=nearest,
    )


def links_of(device_id: str) -> tuple[Link, ...]:
    """Return every link of one device, sorted by instance."""
    query: Any = LinkRow.select(*_LINK_FIELDS).where(
        (LinkRow.kind == LinkKind.DEVICE) & (LinkRow.our_id == device_id)
    )
    rows = query.order_by(LinkRow.instance, LinkRow.external_id).tuples()
    return tuple(link_of(row) for row in rows)


def link_of(row: Sequence[Any]) -> Link:
    """Build a link from a row."""
    return Link(
        instance=row[0],
        kind=row[1],
        external_id=row[2],
        our_id=row[3],
        seen_at=row[4],
        missing_since=row[5],
        maybe=tuple(row[6]),
    )


def our_client(scope: Scope, kind: LinkKind, instance: str, external_id: str) -> str | None:
    """Return our id of what a console calls so, None outside the scope."""
    query: Any = LinkRow.select(LinkRow.our_id, LinkRow.client_id).where(
        (LinkRow.instance == instance)
        & (LinkRow.kind == kind)
        & (LinkRow.external_id == external_id)
    )
    row = next(iter(query.tuples()), None)
    if row is None or (scope is not None and row[1] not in scope):
        return None
    return str(row[0])


def missing(client_ids: Sequence[str]) -> tuple[Device, ...]:
    """Return the devices of these clients that no console lists any more."""
    found: list[Device] = []
    for ids in in_parts(client_ids):
        query = devices.select().where(
            DeviceRow.client_id.in_(ids) & DeviceRow.missing_since.is_null(False)
        )
        found += [devices.device_of(row) for row in query.tuples()]
    return tuple(sorted(found, key=lambda device: device.id))


def devices_with_links(client_ids: Sequence[str]) -> Mapping[str, list[DeviceLinks]]:
    """Return the devices of a few clients, missing ones too, with their present links, in two queries."""
    links: dict[str, dict[str, str]] = {}
    query: Any = LinkRow.select(LinkRow.our_id, LinkRow.instance, LinkRow.external_id).where(
        (LinkRow.kind == LinkKind.DEVICE)
        & LinkRow.client_id.in_(client_ids)
        & LinkRow.missing_since.is_null()
    )
    for our_id, instance, external_id in query.tuples():
        links.setdefault(our_id, {})[intern(instance)] = external_id
    found: dict[str, list[DeviceLinks]] = {client_id: [] for client_id in client_ids}
    rows = devices.select().where(DeviceRow.client_id.in_(client_ids))
    for row in rows.order_by(DeviceRow.id).tuples():
        device = devices.device_of(row)
        found[device.client_id].append(DeviceLinks(device=device, links=links.get(device.id, {})))
    return found

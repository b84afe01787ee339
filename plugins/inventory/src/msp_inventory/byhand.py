"""Links and devices that a person makes, and devices a person is done with, inside a transaction."""

import json
from collections.abc import Collection
from typing import Any

from msp_clients.api import free_id, slug
from msp_core.v1 import ClientNotFound, Conflict, Device, InvalidParameters, Scope, VendorDevice
from msp_inventory import devices, lookup
from msp_inventory.api import FORGOTTEN, Link, LinkKind
from msp_inventory.sayings import saying
from msp_inventory.tables import DeviceRow, LinkRow
from msp_store.api import Tx


def checked_external_id(external_id: str) -> str:
    """Return what somebody typed as a console's id without blanks around it; raise InvalidParameters."""
    external_id = external_id.strip()
    if not external_id or len(external_id) > 500 or not external_id.isprintable():
        raise InvalidParameters(
            "the console's id is empty or not printable",
            suggestion="Give the id as the console shows it, or the address for SSH.",
            parameter="external_id",
        )
    return external_id


def link_client(tx: Tx, scope: Scope, client_id: str, instance: str, external_id: str) -> Link:
    """Link a console's client to ours, away from another one if need be."""
    before = _link(instance, LinkKind.CLIENT, external_id)
    if before is not None and not scope.allows_client(before.client_id):
        raise ClientNotFound(
            f"{instance} {external_id} cannot be linked to {client_id}",
            suggestion="Ask somebody whose access is not limited to certain clients.",
        )
    data = before.data if before is not None else "{}"
    link = Link(
        instance=instance,
        kind=LinkKind.CLIENT,
        external_id=external_id,
        our_id=client_id,
        seen_at=tx.now,
    )
    _write(tx, link, client_id, data)
    return link


def link_device(
    tx: Tx,
    scope: Scope,
    device_ref: str,
    instance: str,
    external_id: str,
    default: str | None,
) -> Link:
    """Link a console's device to ours, away from another device of the same client if need be."""
    device = lookup.find(scope.clients, device_ref, None)
    before = _link(instance, LinkKind.DEVICE, external_id)
    if before is not None and before.client_id != device.client_id:
        raise Conflict(
            f"{instance} {external_id} does not belong to {device.client_id}",
            suggestion="Link the client first: msp-toolkit client link CLIENT INSTANCE EXTERNAL_ID",
        )
    other = LinkRow.get_or_none(
        (LinkRow.instance == instance)
        & (LinkRow.kind == LinkKind.DEVICE)
        & (LinkRow.our_id == device.id)
        & (LinkRow.external_id != external_id)
        & LinkRow.missing_since.is_null()
    )
    if other is not None:
        raise Conflict(
            f"{device.id} is {instance} {other.external_id} already",
            suggestion=f"A console lists a machine once; link {other.external_id} elsewhere first.",
        )
    link = Link(
        instance=instance,
        kind=LinkKind.DEVICE,
        external_id=external_id,
        our_id=device.id,
        seen_at=tx.now,
        missing_since=before.missing_since if before is not None else None,
    )
    _write(tx, link, device.client_id, before.data if before is not None else _known(device))
    concerned = {device.id} | ({before.our_id} if before is not None else set())
    devices.rebuild(tx, concerned, {}, default)
    return link


def add_device(
    tx: Tx, scope: Scope, made: VendorDevice, instance: str, default: str | None
) -> Device:
    """Record a device and its only link; `made.client_external_id` is our client's id."""
    client_id = made.client_external_id
    taken = _link(instance, LinkKind.DEVICE, made.external_id)
    if taken is not None:
        theirs = taken.our_id if scope.allows_client(taken.client_id) else "a device"
        raise Conflict(
            f"{instance} {made.external_id} is {theirs} already",
            suggestion="Give another --address, or use the device that is there.",
        )
    query: Any = DeviceRow.select(DeviceRow.id).where(DeviceRow.client_id == client_id)
    ids = {row[0] for row in query.tuples()}
    label = made.name.split(".")[0] or made.name
    device_id = free_id(f"{client_id}/{slug(label, fallback='device')}", ids.__contains__)
    link = Link(
        instance=instance,
        kind=LinkKind.DEVICE,
        external_id=made.external_id,
        our_id=device_id,
        seen_at=tx.now,
    )
    _write(tx, link, client_id, saying(made, None))
    devices.rebuild(tx, {device_id}, {device_id: client_id}, default)
    return lookup.find(None, device_id, None)


def forget_device(tx: Tx, scope: Scope, device_ref: str, listing: Collection[str]) -> Device:
    """Remove a device and its links, unless an instance of `listing` (those a sync asks) lists it now."""
    device = lookup.find(scope.clients, device_ref, None)
    present = {link.instance for link in lookup.links_of(device.id) if link.missing_since is None}
    holders = sorted(present & set(listing))
    if holders:
        names = " and ".join(holders)
        verb = "lists" if len(holders) == 1 else "list"
        raise Conflict(
            f"{names} {verb} {device.id}",
            suggestion=f"Remove it there first, then run `msp-toolkit client sync {' '.join(holders)}`; "
            "a device that no console lists can be forgotten.",
            instances=holders,
        )
    LinkRow.delete().where(
        (LinkRow.kind == LinkKind.DEVICE) & (LinkRow.our_id == device.id)
    ).execute()
    DeviceRow.delete().where(DeviceRow.id == device.id).execute()
    _settle_doubts(tx, device)
    tx.emit(FORGOTTEN, {"client_id": device.client_id, "device_id": device.id})
    return device


def _settle_doubts(tx: Tx, gone: Device) -> None:
    """Take a device that is gone out of what other devices may be the same as."""
    query: Any = devices.select_links().where(
        (LinkRow.kind == LinkKind.DEVICE)
        & (LinkRow.client_id == gone.client_id)
        & (LinkRow.maybe.cast("TEXT") != "[]")
    )
    rows = [list(row) for row in query.tuples() if gone.id in row[6]]
    for row in rows:
        row[6] = [device_id for device_id in row[6] if device_id != gone.id]
    devices.write_links(tx, rows)


def _link(instance: str, kind: LinkKind, external_id: str) -> Any:
    return LinkRow.get_or_none(
        (LinkRow.instance == instance)
        & (LinkRow.kind == kind)
        & (LinkRow.external_id == external_id)
    )


def _write(tx: Tx, link: Link, client_id: str, data: str) -> None:
    row = (link.instance, link.kind, link.external_id, link.our_id, client_id)
    devices.write_links(tx, [(*row, data, link.maybe, link.seen_at, link.missing_since)])


def _known(device: Device) -> str:
    """Write what a hand-made link says of a device: what is known of it, but nothing that ages."""
    facts = {"name": device.name, "kind": device.kind.value, "os": device.os.value}
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))

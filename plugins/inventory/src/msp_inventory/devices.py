"""Rows of devices and links, written inside a transaction."""

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from sys import intern
from typing import Any

from attrs import define

from msp_core.v1 import Device
from msp_inventory.api import LinkKind
from msp_inventory.sayings import Said, put_together
from msp_inventory.tables import DeviceRow, LinkRow
from msp_store.api import Tx, in_parts

_MADE = (
    "name",
    "hostname",
    "type",
    "os",
    "os_name",
    "serial",
    "macs",
    "addresses",
    "online",
    "last_seen",
    "site_id",
    "rmm_device_id",
    "missing_since",
)
_FIELDS = (
    DeviceRow.id,
    DeviceRow.client_id,
    *(getattr(DeviceRow, name) for name in _MADE),
    DeviceRow.created_at,
)
_LINK_FIELDS = (
    LinkRow.instance,
    LinkRow.kind,
    LinkRow.external_id,
    LinkRow.our_id,
    LinkRow.client_id,
    LinkRow.data,
    LinkRow.maybe,
    LinkRow.seen_at,
    LinkRow.missing_since,
)


@define(kw_only=True)
class Rebuilt:
    """Device rows written: `changed` holds updated ones, missing ones and those that came back."""

    created: int = 0
    updated: int = 0
    gone: int = 0
    back: int = 0

    @property
    def changed(self) -> int:
        """Rows of devices that were there before."""
        return self.updated + self.gone + self.back


def write_links(tx: Tx, rows: Sequence[Sequence[Any]]) -> int:
    """Write links, new or known; values in the order of the table."""
    if not rows:
        return 0
    return tx.upsert_many(
        LinkRow, rows, _LINK_FIELDS, conflict=_LINK_FIELDS[:3], update=_LINK_FIELDS[3:]
    )


def select_links() -> Any:
    """Start a query for links, with the values that `write_links` takes."""
    return LinkRow.select(*_LINK_FIELDS)


def rebuild(
    tx: Tx, device_ids: Collection[str], born: Mapping[str, str], default: str | None
) -> Rebuilt:
    """Put devices together from their links again, and write those that came out differently."""
    result = Rebuilt()
    for ids in in_parts(sorted(device_ids)):
        _rebuild(tx, ids, born, default, result)
    return result


def _rebuild(
    tx: Tx, ids: Sequence[str], born: Mapping[str, str], default: str | None, result: Rebuilt
) -> None:
    query: Any = DeviceRow.select(*_FIELDS).where(DeviceRow.id.in_(ids))
    before = {row[0]: row for row in query.tuples()}
    said = _said(ids)
    new, changed = [], []
    for device_id in ids:
        old = before.get(device_id)
        if old is None:
            made = put_together(said[device_id], default)
            client_id, created_at = born[device_id], tx.now
            new.append(_row(device_id, client_id, made, created_at, tx))
            result.created += 1
            continue
        was = dict(zip(_MADE, old[2:-1], strict=True))
        if said.get(device_id):
            made = put_together(said[device_id], default)
        else:  # no console knows it any more; what was known of it stays
            made = {**was, "rmm_device_id": None, "missing_since": was["missing_since"] or tx.now}
        if made == was:
            continue
        if (made["missing_since"] is None) == (was["missing_since"] is None):
            result.updated += 1
        elif made["missing_since"] is None:
            result.back += 1
        else:
            result.gone += 1
        changed.append(_row(device_id, old[1], made, old[-1], tx))
    fields = (*_FIELDS, DeviceRow.folded, DeviceRow.updated_at)
    if new:
        tx.insert_many(DeviceRow, new, fields)
    if changed:
        update = (*_FIELDS[2:-1], DeviceRow.folded, DeviceRow.updated_at)
        tx.upsert_many(DeviceRow, changed, fields, conflict=(DeviceRow.id,), update=update)


def _said(ids: Sequence[str]) -> Mapping[str, list[Said]]:
    found: dict[str, list[Said]] = defaultdict(list)
    query: Any = LinkRow.select(
        LinkRow.our_id, LinkRow.instance, LinkRow.external_id, LinkRow.data, LinkRow.missing_since
    ).where((LinkRow.kind == LinkKind.DEVICE) & LinkRow.our_id.in_(ids))
    for our_id, instance, external_id, data, missing_since in query.tuples():
        found[our_id].append(
            Said(
                instance=instance,
                external_id=external_id,
                data=data,
                missing_since=missing_since,
            )
        )
    return found


def _row(
    device_id: str, client_id: str, made: Mapping[str, Any], created_at: Any, tx: Tx
) -> tuple[Any, ...]:
    texts = (device_id, made["name"], made["hostname"], made["serial"], *made["addresses"])
    return (
        device_id,
        client_id,
        *(made[name] for name in _MADE),
        created_at,
        folded("\n".join(texts)),
        tx.now,
    )


def folded(text: str) -> str:
    """Return the text in one case and one Unicode form, for comparing."""
    return unicodedata.normalize("NFKC", text).casefold()


def select() -> Any:
    """Start a query for devices, for `device_of`."""
    return DeviceRow.select(*_FIELDS)


def device_of(row: Sequence[Any]) -> Device:
    """Build a device from the values of `select`; a sweep holds a whole fleet, so what repeats is kept once."""
    return Device(
        id=row[0],
        client_id=intern(row[1]),
        name=row[2],
        hostname=row[2] if row[3] == row[2] else row[3],
        kind=row[4],
        os=row[5],
        os_name=intern(row[6]),
        serial=row[7],
        macs=tuple(row[8]),
        addresses=tuple(row[9]),
        online=row[10],
        last_seen=row[11],
        site_id=row[12] and intern(row[12]),
        rmm_device_id=row[13],
        missing_since=row[14],
    )

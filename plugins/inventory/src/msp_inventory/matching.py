"""Recognise one machine seen by several consoles. Pure: no database, no I/O."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from attrs import frozen

from msp_core.v1 import OsFamily, VendorDevice

_JUNK_SERIALS = frozenset(
    {
        "",
        "none",
        "null",
        "na",
        "nil",
        "unknown",
        "default",
        "defaultstring",
        "oem",
        "empty",
        "invalid",
        "test",
        "serial",
        "serialnumber",
        "noserial",
        "noserialnumber",
        "notspecified",
        "notapplicable",
        "notavailable",
        "notset",
        "notprovided",
        "tobefilledbyoem",
        "tobefilled",
        "systemserialnumber",
        "chassisserialnumber",
        "baseboardserialnumber",
        "systemmanufacturer",
        "systemproductname",
        "virtualmachine",
        "vmware",
        "vmwarevirtualplatform",
        "virtualbox",
        "innotekgmbh",
        "qemu",
        "kvm",
        "xen",
        "parallels",
        "googlecompute",
        "0123456789",
        "1234567890",
        "123456789",
        "12345678",
        "1234567",
        "123456",
        "12345",
        "1234",
    }
)
_GENERIC_HOSTS = frozenset({"", "localhost", "localhost6", "unknown", "none", "ubuntu", "debian"})
K = TypeVar("K")


@frozen(kw_only=True, slots=True)
class Known:
    """A device we have and what identifies it. `taken`: another machine of the same listing already is it."""

    id: str
    serial: str
    macs: frozenset[str]
    host: str
    os: OsFamily = OsFamily.OTHER
    taken: bool = False


@frozen(slots=True)
class Match:
    """The device a listed machine is; `device_id` None: a new one, maybe one of `maybe`."""

    device_id: str | None
    maybe: tuple[str, ...] = ()


def clean_serial(serial: str) -> str:
    """Return a serial number fit for comparing, empty where it is a placeholder."""
    plain = re.sub(r"[^a-z0-9]", "", serial.lower())
    if len(plain) < 4 or len(set(plain)) == 1 or plain in _JUNK_SERIALS:
        return ""
    return plain


def clean_macs(macs: Iterable[str]) -> frozenset[str]:
    """Return MAC addresses fit for comparing: no multicast, null or locally administered ones."""
    cleaned = set()
    for mac in macs:
        plain = re.sub(r"[^0-9a-f]", "", mac.lower())
        if len(plain) != 12 or plain in ("0" * 12, "f" * 12):
            continue
        if (
            int(plain[1], 16) & 0b11
        ):  # bit 0: multicast; bit 1: locally administered (randomised, virtual)
            continue
        cleaned.add(plain)
    return frozenset(cleaned)


def clean_host(hostname: str, name: str = "") -> str:
    """Return a host name fit for comparing: the first label, lower case, empty where it says nothing."""
    host = (hostname or name).strip().lower().rstrip(".")
    if re.fullmatch(r"[0-9.]+|[0-9a-f:]+:[0-9a-f:]*", host):
        return ""  # an address is no name
    label = host.split(".")[0]
    return "" if label in _GENERIC_HOSTS else label


def _shared(keys: Iterable[Collection[K]]) -> frozenset[K]:
    counted = Counter(key for group in keys for key in group if key)
    return frozenset(key for key, times in counted.items() if times > 1)


def match(
    listed: Sequence[VendorDevice], known: Sequence[Known], unlinked: Collection[str]
) -> Mapping[str, Match]:
    """Decide for each external id in `unlinked` which known device of the same client it is.

    `listed` holds all machines the console lists for this client, linked ones too: a serial, MAC or host name that
    several of them (or several known devices) share identifies none of them. A device that another machine of this
    listing already is, is no candidate: one console never lists one machine twice.
    """
    serials = {item.external_id: clean_serial(item.serial) for item in listed}
    macs = {item.external_id: clean_macs(item.macs) for item in listed}
    hosts = {item.external_id: clean_host(item.hostname, item.name) for item in listed}
    twice_serial = _shared([value] for value in serials.values())
    twice_mac = _shared(macs.values()) | _shared(device.macs for device in known)
    twice_host = _shared([value] for value in hosts.values())

    by_serial: dict[str, list[Known]] = defaultdict(list)
    by_mac: dict[str, list[Known]] = defaultdict(list)
    by_host: dict[str, list[Known]] = defaultdict(list)
    for device in known:
        if device.taken:
            continue
        if device.serial:
            by_serial[device.serial].append(device)
        for mac in device.macs - twice_mac:
            by_mac[mac].append(device)
        if device.host:
            by_host[device.host].append(device)

    found: dict[str, Match] = {}
    for item in listed:
        key = item.external_id
        if key not in unlinked:
            continue
        serial, host = serials[key], hosts[key]
        if serial in twice_serial:
            serial = ""
        steps = (
            by_serial[serial] if serial else [],
            [device for mac in sorted(macs[key] - twice_mac) for device in by_mac[mac]],
            by_host[host] if host else [],
        )
        found[key] = Match(None)
        for step, candidates in enumerate(steps):
            fitting = {
                device.id: device
                for device in candidates
                if step == 0 or _may_be(item.os, serials[key], device)
            }
            if not fitting:
                continue
            doubtful = len(fitting) > 1 or (step == 2 and host in twice_host)
            found[key] = (
                Match(None, tuple(sorted(fitting))) if doubtful else Match(next(iter(fitting)))
            )
            break
    return _each_device_once(found)


def _may_be(os: OsFamily, serial: str, device: Known) -> bool:
    """Tell whether nothing speaks against it: two real serials that differ, two systems that differ."""
    if serial and device.serial and serial != device.serial:
        return False
    unsure = OsFamily.OTHER in (os, device.os)
    return unsure or os is device.os


def _each_device_once(found: Mapping[str, Match]) -> Mapping[str, Match]:
    """Keep apart machines of one listing that all look like the same device."""
    wanted = Counter(one.device_id for one in found.values() if one.device_id)
    return {
        key: Match(None, (one.device_id,)) if one.device_id and wanted[one.device_id] > 1 else one
        for key, one in found.items()
    }

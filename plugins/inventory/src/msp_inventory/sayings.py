"""What consoles say of a machine, and the one device it makes. Pure."""

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

from msp_core.v1 import DeviceKind, OsFamily, VendorDevice

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 255
_MOST = 64  # MAC or IP addresses of one machine


@frozen(kw_only=True, slots=True)
class Said:
    """One link of a device and what its console says."""

    instance: str
    external_id: str
    data: str
    missing_since: datetime | None


def saying(device: VendorDevice, site_id: str | None) -> str:
    """Write what a console says of a machine as canonical JSON: equal text means nothing changed."""
    facts = {
        "name": tidy(device.name) or tidy(device.hostname),
        "hostname": tidy(device.hostname),
        "kind": device.kind.value,
        "os": device.os.value,
        "os_name": tidy(device.os_name),
        "serial": tidy(device.serial),
        "macs": sorted({tidy(mac).lower() for mac in device.macs if mac})[:_MOST],
        "addresses": sorted({tidy(address) for address in device.addresses if address})[:_MOST],
        "online": device.online,
        "last_seen": None if device.last_seen is None else _micros(device.last_seen),
        "site_id": site_id,
    }
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))


def tidy(text: str) -> str:
    """Return others' text in one line of bounded length, without control characters."""
    if text.isprintable() and len(text) <= _LONGEST:
        return text.strip()
    plain = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in text)
    return " ".join(plain.split())[:_LONGEST]


def _micros(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def put_together(said: Sequence[Said], default: str | None) -> dict[str, Any]:
    """Return a device's fields from all its links: each field from the first console that says something.

    Consoles that list the machine now come before those that no longer do, the default instance before the others,
    these by name. So the order in which instances were synced makes no difference.
    """
    present = [one for one in said if one.missing_since is None]
    ranked = sorted(
        present or said, key=lambda one: (one.instance != default, one.instance, one.external_id)
    )
    facts = [json.loads(one.data) for one in ranked]
    seen = [one["last_seen"] for one in facts if one.get("last_seen") is not None]
    missing = None
    if not present:
        missing = max((one.missing_since for one in said if one.missing_since), default=None)
    return {
        "name": _first(facts, "name", ""),
        "hostname": _first(facts, "hostname", ""),
        "type": DeviceKind(_first(facts, "kind", "other", empty=lambda kind: kind == "other")),
        "os": OsFamily(_first(facts, "os", "other", empty=lambda os: os == "other")),
        "os_name": _first(facts, "os_name", ""),
        "serial": _first(facts, "serial", ""),
        "macs": _first(facts, "macs", []),
        "addresses": _first(facts, "addresses", []),
        "online": _first(facts, "online", None, empty=lambda online: online is None),
        "last_seen": _EPOCH + timedelta(microseconds=max(seen)) if seen else None,
        "site_id": _first(facts, "site_id", None),
        "rmm_device_id": next((one.external_id for one in ranked if one.instance == default), None),
        "missing_since": missing,
    }


def _first(
    facts: Sequence[Mapping[str, Any]],
    name: str,
    default: Any,
    *,
    empty: Callable[[Any], bool] = lambda value: not value,
) -> Any:
    return next((one[name] for one in facts if name in one and not empty(one[name])), default)

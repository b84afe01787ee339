"""Rows of Automate as the model's objects. Hand-written: tens of thousands of rows pass here in a sweep."""

import re
from datetime import datetime, tzinfo
from typing import Any

from msp_core.v1 import (
    ConditionKind,
    DeviceKind,
    OsFamily,
    Quarantined,
    Severity,
    VendorAlert,
    VendorClient,
    VendorCondition,
    VendorDevice,
    VendorSite,
)
from msp_rmm_connectwise_automate.lists import Row, as_id, moment

NETWORK = "network-"
"""In front of the ids of network devices: they are numbered apart from computers."""

DEVICE_FIELDS = (
    "Id,ComputerName,FriendlyName,Client,Location,OperatingSystemName,Type,Status,"
    "RemoteAgentLastContact,LastHeartbeat,LocalIPAddress,MACAddress,SerialNumber"
)
NETWORK_FIELDS = "Id,Name,FriendlyName,Client,Location,Status,LastContact,LocalIPAddress,MACAddress"
ALERT_FIELDS = "AlertId,Client,Computer,Device,Monitor,AlertDate,Severity,Message,FieldName"

_KINDS = {"server": DeviceKind.SERVER, "workstation": DeviceKind.WORKSTATION}
_ONLINE = {"online": True, "offline": False}
_FAMILIES = {
    OsFamily.WINDOWS: ("windows",),
    OsFamily.MACOS: ("mac", "os x", "darwin"),
    OsFamily.LINUX: (
        "linux", "ubuntu", "debian", "centos", "red hat", "fedora", "suse", "rocky", "raspbian",
    ),
}  # fmt: skip
_SYSTEMS = tuple((word, family) for family, words in _FAMILIES.items() for word in words)
_SEVERITIES = {
    "critical": Severity.CRITICAL,
    "error": Severity.CRITICAL,
    "failed": Severity.CRITICAL,
    "failure": Severity.CRITICAL,
    "emergency": Severity.CRITICAL,
    "warning": Severity.WARNING,
    "information": Severity.INFO,
    "informational": Severity.INFO,
    "info": Severity.INFO,
    "success": Severity.INFO,
}
_MONITORS = (
    (ConditionKind.DISK, re.compile(r"driv|disk|volume|free space", re.IGNORECASE)),
    (ConditionKind.SERVICE, re.compile(r"servic|\bsvc", re.IGNORECASE)),
    (ConditionKind.CPU, re.compile(r"\bcpu|processor", re.IGNORECASE)),
    (ConditionKind.MEMORY, re.compile(r"memory|\bram\b", re.IGNORECASE)),
    (
        ConditionKind.CONNECTIVITY,
        re.compile(r"offline|heartbeat|check-?in|unreachable|\bdown\b|\bping\b", re.IGNORECASE),
    ),
)


def client(row: Row | None) -> VendorClient | Quarantined:
    """Read a row of /Clients."""
    external_id = _id(row, "Id")
    if row is None or external_id is None:
        return _bad("client", row)
    return VendorClient(external_id=external_id, name=_text(row, "Name") or f"Client {external_id}")


def site(row: Row | None) -> VendorSite | Quarantined:
    """Read a row of /Locations."""
    external_id = _id(row, "Id")
    owner = inner_id(row, "Client")
    if row is None or external_id is None or owner is None:
        return _bad("site", row)
    return VendorSite(
        external_id=external_id,
        client_external_id=owner,
        name=_text(row, "Name") or f"Location {external_id}",
    )


def device(row: Row | None, zone: tzinfo | None) -> VendorDevice | Quarantined:
    """Read a row of /Computers."""
    external_id = _id(row, "Id")
    owner = inner_id(row, "Client")
    if row is None or external_id is None or owner is None:
        return _bad("computer", row)
    hostname = _text(row, "ComputerName")
    system = _text(row, "OperatingSystemName")
    return VendorDevice(
        external_id=external_id,
        client_external_id=owner,
        site_external_id=inner_id(row, "Location"),
        name=_text(row, "FriendlyName") or hostname or f"Computer {external_id}",
        hostname=hostname,
        kind=_KINDS.get(_text(row, "Type").lower(), DeviceKind.OTHER),
        os=_family(system),
        os_name=system,
        serial=_text(row, "SerialNumber"),
        macs=_macs(row),
        addresses=_addresses(row),
        online=online(row),
        last_seen=last_seen(row, zone),
    )


def network_device(row: Row | None, zone: tzinfo | None) -> VendorDevice | Quarantined:
    """Read a row of /NetworkDevices."""
    external_id = _id(row, "Id")
    owner = inner_id(row, "Client")
    if row is None or external_id is None or owner is None:
        return _bad("network device", row)
    name = _text(row, "Name")
    return VendorDevice(
        external_id=f"{NETWORK}{external_id}",
        client_external_id=owner,
        site_external_id=inner_id(row, "Location"),
        name=_text(row, "FriendlyName") or name or f"Network device {external_id}",
        hostname=name,
        kind=DeviceKind.NETWORK,
        macs=_macs(row),
        addresses=_addresses(row),
        online=online(row),
        last_seen=moment(row.get("LastContact"), zone),
    )


def alert(row: Row | None, zone: tzinfo | None) -> VendorAlert | Quarantined:
    """Read a row of /Alerts. A severity with a name unknown here is None, and its name goes into the message."""
    external_id = _id(row, "AlertId")
    if row is None or external_id is None:
        return _bad("alert", row)
    owner = inner_id(row, "Computer")
    if owner in (None, "0"):
        thing = inner_id(row, "Device")
        owner = None if thing in (None, "0") else f"{NETWORK}{thing}"
    return VendorAlert(
        external_id=external_id,
        device_external_id=owner,
        message=_alert_message(row),
        severity=severity(row),
        kind=_inner_text(row, "Monitor", "Name"),
        opened_at=moment(row.get("AlertDate"), zone),
    )


def condition(row: Row, zone: tzinfo | None) -> VendorCondition:
    """Read a row of /Alerts as a triggered condition; what it watches is told by the monitor's name."""
    monitor, message = _inner_text(row, "Monitor", "Name"), _text(row, "Message")
    return VendorCondition(
        kind=_watched(monitor) or _watched(message) or ConditionKind.OTHER,
        message=_alert_message(row),
        severity=severity(row),
        since=moment(row.get("AlertDate"), zone),
    )


def online(row: Row) -> bool | None:
    """Return whether the console says the machine is online; None for a word it does not use today."""
    return _ONLINE.get(_text(row, "Status").lower())


def last_seen(row: Row, zone: tzinfo | None) -> datetime | None:
    """Return when the agent was last heard of."""
    contact = moment(row.get("RemoteAgentLastContact"), zone)
    heartbeat = moment(row.get("LastHeartbeat"), zone)
    if contact is None or heartbeat is None:
        return contact or heartbeat
    return max(contact, heartbeat)


def severity(row: Row) -> Severity | None:
    """Return the severity by its name; the numbers are not documented."""
    return _SEVERITIES.get(_inner_text(row, "Severity", "Name").lower())


def inner_id(row: Row | None, name: str) -> str | None:
    """Return the id of a nested object such as Client."""
    inner = row.get(name) if row is not None else None
    return as_id(inner.get("Id")) if isinstance(inner, dict) else None


def whole(value: object) -> int | None:
    """Return a count that is not negative, also when it came as text."""
    if isinstance(value, str) and value.strip().isdigit() and len(value) < 20:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 2**63 else None


def _alert_message(row: Row) -> str:
    message = (
        _text(row, "Message") or _inner_text(row, "Monitor", "Name") or "Alert without a message"
    )
    name = _inner_text(row, "Severity", "Name")
    return message if severity(row) is not None or not name else f"{message} (severity {name})"


def _watched(text: str) -> ConditionKind | None:
    return next((kind for kind, words in _MONITORS if words.search(text)), None)


def _family(system: str) -> OsFamily:
    lowered = system.lower()
    return next((family for word, family in _SYSTEMS if word in lowered), OsFamily.OTHER)


def _macs(row: Row) -> tuple[str, ...]:
    digits = re.sub(r"[^0-9a-f]", "", _text(row, "MACAddress").lower())
    if len(digits) != 12 or digits == "0" * 12:
        return ()
    return (":".join(digits[place : place + 2] for place in range(0, 12, 2)),)


def _addresses(row: Row) -> tuple[str, ...]:
    # GatewayIPAddress is the public one, shared by the whole site: it identifies nothing
    address = _text(row, "LocalIPAddress")
    return (address,) if address and address not in ("0.0.0.0", "127.0.0.1") else ()  # noqa: S104


def _id(row: Row | None, name: str) -> str | None:
    return as_id(row.get(name)) if row is not None else None


def _text(row: Row, name: str) -> str:
    value: Any = row.get(name)
    return value.strip() if isinstance(value, str) else ""


def _inner_text(row: Row, outer: str, name: str) -> str:
    inner = row.get(outer)
    return _text(inner, name) if isinstance(inner, dict) else ""


def _bad(what: str, row: Row | None) -> Quarantined:
    if row is None:
        return Quarantined(what, "it is not an object")
    lacks = [name for name in ("Id", "AlertId") if name in row]
    known = as_id(row.get(lacks[0])) if lacks else None
    return Quarantined(what, "its id or its client is missing or is neither text nor number", known)

"""NinjaOne's JSON as the toolkit's own objects, written by hand because pages have thousands of rows.

Every function raises ValueError, with a reason for people, for an item that cannot be read.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from msp_core.v1 import (
    ConditionKind,
    DeviceKind,
    OsFamily,
    ServiceFact,
    ServiceStart,
    ServiceState,
    Severity,
    VendorAlert,
    VendorClient,
    VendorDevice,
    VendorSite,
    Volume,
)

Row = Mapping[str, Any]

_FAR = 4e9
"""Up to here, in the year 2096, every number of seconds is a time."""


def external_id(value: Any) -> str | None:
    """Return an id as text, whatever JSON type it came in; None for what is no id."""
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is str:
        return value.strip() or None
    if kind is float and value.is_integer():
        return str(int(value))
    return None


def moment(value: Any) -> datetime | None:
    """Return epoch seconds as an aware time; None for what is none."""
    if type(value) is float and 0 < value < _FAR:
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def text(value: Any) -> str:
    """Return text as it is, and nothing for anything else."""
    return value.strip() if type(value) is str else ""


def texts(value: Any) -> tuple[str, ...]:
    """Return the texts of a list."""
    if not isinstance(value, list):
        return ()
    return tuple([item for item in value if isinstance(item, str) and item])


def size(value: Any) -> int | None:
    """Return a number of bytes; None for what is none."""
    kind = type(value)
    if kind is int:
        return value if value >= 0 else None
    if kind is float and value >= 0 and value.is_integer():
        return int(value)
    if kind is str and value.isascii() and value.isdigit():
        return int(value[:20])
    return None


def row_of(item: Any, what: str) -> Row:
    """Return an item that is an object."""
    if not isinstance(item, dict):
        message = f"the {what} is not an object but {type(item).__name__}"
        raise ValueError(message)
    return item


def id_of(row: Row, name: str, what: str) -> str:
    """Return an id an item must have."""
    found = external_id(row.get(name))
    if found is None:
        message = f"the {what} has no usable {name}"
        raise ValueError(message)
    return found


def client(item: Any) -> VendorClient:
    """Read an organisation."""
    row = row_of(item, "organization")
    found = id_of(row, "id", "organization")
    return VendorClient(external_id=found, name=text(row.get("name")) or f"Organization {found}")


def site(item: Any) -> VendorSite:
    """Read a location."""
    row = row_of(item, "location")
    found = id_of(row, "id", "location")
    return VendorSite(
        external_id=found,
        client_external_id=id_of(row, "organizationId", "location"),
        name=text(row.get("name")) or f"Location {found}",
    )


def device(item: Any) -> VendorDevice:
    """Read a device, brief or detailed."""
    row = row_of(item, "device")
    found = id_of(row, "id", "device")
    node_class = text(row.get("nodeClass")).upper()
    system = row.get("system")
    system = system if isinstance(system, dict) else {}
    os_name = row.get("os")
    os_name = text(os_name.get("name")) if isinstance(os_name, dict) else ""
    hostname = text(row.get("systemName")) or text(row.get("netbiosName"))
    name = text(row.get("displayName")) or hostname or text(row.get("dnsName"))
    return VendorDevice(
        external_id=found,
        client_external_id=id_of(row, "organizationId", "device"),
        name=name or f"Device {found}",
        site_external_id=external_id(row.get("locationId")),
        hostname=hostname,
        kind=device_kind(node_class),
        os=os_family(node_class, os_name),
        os_name=os_name,
        serial=text(system.get("serialNumber")) or text(system.get("biosSerialNumber")),
        macs=texts(row.get("macAddresses")),
        addresses=texts(row.get("ipAddresses")),
        online=online(row),
        last_seen=moment(row.get("lastContact")),
    )


def online(row: Row) -> bool | None:
    """Read `offline`, which cloud and network nodes do not have."""
    offline = row.get("offline")
    return (not offline) if isinstance(offline, bool) else None


def device_kind(node_class: str) -> DeviceKind:
    """Map a node class; an unknown one is OTHER."""
    if node_class.startswith("NMS_"):
        return DeviceKind.NETWORK
    if node_class.startswith("CLOUD_"):
        return DeviceKind.CLOUD
    if node_class.startswith(("ANDROID", "APPLE_")):
        return DeviceKind.MOBILE
    if node_class.endswith(("_SERVER", "VM_HOST", "VMM_HOST")):
        return DeviceKind.SERVER
    if node_class.endswith("_WORKSTATION") or node_class == "MAC":
        return DeviceKind.WORKSTATION
    return DeviceKind.OTHER


def os_family(node_class: str, os_name: str) -> OsFamily:
    """Map a node class, and the name of the system where the class says nothing."""
    for start, family in (
        ("WINDOWS", OsFamily.WINDOWS),
        ("LINUX", OsFamily.LINUX),
        ("MAC", OsFamily.MACOS),
    ):
        if node_class.startswith(start):
            return family
    lowered = os_name.lower()
    if "windows" in lowered:
        return OsFamily.WINDOWS
    if "linux" in lowered or "ubuntu" in lowered:
        return OsFamily.LINUX
    return OsFamily.MACOS if "macos" in lowered else OsFamily.OTHER


_NOT_FIXED = ("removable", "cd", "dvd", "optical", "network", "remote", "ram", "floppy")
_PSEUDO = frozenset(
    {
        *("tmpfs", "devtmpfs", "ramfs", "squashfs", "overlay", "fuse.snapfuse", "autofs"),
        *("proc", "sysfs", "cgroup", "cgroup2", "devfs", "iso9660", "udf", "cdfs"),
        *("nfs", "nfs4", "cifs", "smbfs"),
    }
)


def volume(row: Row) -> Volume | None:
    """Read a volume; None for one that is not a fixed disk of the device."""
    mount = text(row.get("driveLetter")) or text(row.get("name"))
    if not mount:
        message = "the volume has neither a drive letter nor a name"
        raise ValueError(message)
    filesystem = text(row.get("fileSystem"))
    if not is_fixed(text(row.get("deviceType")), filesystem):
        return None
    total, free = size(row.get("capacity")), size(row.get("freeSpace"))
    if total is not None and free is not None and free > total:
        message = f"the volume {mount} has more free space than space"
        raise ValueError(message)
    return Volume(mount=mount, total_bytes=total or None, free_bytes=free, filesystem=filesystem)


@lru_cache(maxsize=1000)
def is_fixed(device_type: str, filesystem: str) -> bool:
    """Tell whether these words of the vendor mean a fixed disk with files of the device's own."""
    return filesystem.lower() not in _PSEUDO and not device_type.lower().startswith(_NOT_FIXED)


_STATES = {
    "RUNNING": ServiceState.RUNNING,
    "STOPPED": ServiceState.STOPPED,
    "START_PENDING": ServiceState.STARTING,
    "CONTINUE_PENDING": ServiceState.STARTING,
    "STOP_PENDING": ServiceState.STOPPING,
    "PAUSE_PENDING": ServiceState.PAUSED,
    "PAUSED": ServiceState.PAUSED,
}
_STARTS = {
    "AUTO_START": ServiceStart.AUTO,
    "BOOT_START": ServiceStart.AUTO,
    "SYSTEM_START": ServiceStart.AUTO,
    "AUTO_START_DELAYED": ServiceStart.DELAYED,
    "DEMAND_START": ServiceStart.MANUAL,
    "DISABLED": ServiceStart.DISABLED,
}


def service(row: Row) -> ServiceFact:
    """Read a Windows service; unknown states and start types stay UNKNOWN."""
    get = row.get
    return service_fact(
        text(get("name")), text(get("state")), text(get("startType")), text(get("displayName"))
    )


@lru_cache(maxsize=20_000)
def service_fact(name: str, state: str, start: str, display_name: str) -> ServiceFact:
    """Make a service; thousands of devices have the same one in the same state and share it."""
    if not name:
        message = "the service has no name"
        raise ValueError(message)
    return ServiceFact(
        name=name,
        state=_STATES.get(state, ServiceState.UNKNOWN),
        start=_STARTS.get(start, ServiceStart.UNKNOWN),
        display_name=display_name,
    )


def condition_kind(source_type: str) -> ConditionKind:
    """Map what triggered an alert; what watches one process, or is unknown, is OTHER."""
    upper = source_type.upper()
    if "PROCESS" in upper:
        return ConditionKind.OTHER
    if upper.endswith(("_CPU", "_CPU_USAGE")):
        return ConditionKind.CPU
    if upper.endswith("_MEMORY"):
        return ConditionKind.MEMORY
    if upper.endswith(("DISK_FREE_SPACE", "DISK_USAGE")):
        return ConditionKind.DISK
    if upper.endswith(("SERVICE_STATE_CHANGED", "_DAEMON", "_DEAMON")):
        return ConditionKind.SERVICE
    if upper == "AGENT_OFFLINE" or upper.startswith("CONDITION_PING"):
        return ConditionKind.CONNECTIVITY
    return ConditionKind.OTHER


_SEVERITIES = {
    "CRITICAL": Severity.CRITICAL,
    "MAJOR": Severity.CRITICAL,
    "MODERATE": Severity.WARNING,
    "MINOR": Severity.WARNING,
}
_PRIORITIES = {"HIGH": Severity.CRITICAL, "MEDIUM": Severity.WARNING, "LOW": Severity.INFO}


def severity(row: Row) -> Severity | None:
    """Read severity, else priority; None where the vendor says nothing (`NONE` says nothing)."""
    found = _SEVERITIES.get(text(row.get("severity")).upper())
    return found or _PRIORITIES.get(text(row.get("priority")).upper())


def alert(row: Row, how_bad: Severity | None) -> VendorAlert:
    """Read an alert whose severity has been looked up."""
    message = text(row.get("message")) or text(row.get("subject")) or text(row.get("sourceName"))
    return VendorAlert(
        external_id=id_of(row, "uid", "alert"),
        device_external_id=external_id(row.get("deviceId")),
        message=message or "(no message)",
        severity=how_bad,
        kind=text(row.get("sourceType")),
        opened_at=moment(row.get("createTime")),
    )

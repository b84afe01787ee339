"""What identifies this machine: id, names, serial number, addresses."""

import ipaddress
import platform
import socket
from pathlib import Path

import psutil

from msp_core.v1 import DeviceKind, OsFamily, VendorDevice

CLIENT = "local"
"""The client all devices of this adapter belong to, as the adapter names it."""
ANY_MACHINE = frozenset({"local", "localhost"})
"""Ids that mean "the machine the toolkit runs on", whichever that is."""
_FAMILIES = {"Linux": OsFamily.LINUX, "Windows": OsFamily.WINDOWS, "Darwin": OsFamily.MACOS}
_VIRTUAL = ("lo", "veth", "docker", "br-", "virbr", "tun", "tap", "utun", "awdl", "llw")
_PLACEHOLDERS = frozenset({"", "none", "0", "to be filled by o.e.m.", "not specified"})
# SMBIOS chassis types, DSP0134 table 17
_SERVER_CHASSIS = frozenset({17, 23, 25, 28, 29})
_DESK_CHASSIS = frozenset({3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 24, 30, 31, 32, 35, 36})


def machine_id(root: Path = Path("/")) -> str:
    """Return an id that stays with the installation: systemd's machine id, else the host name."""
    return _text(root / "etc/machine-id") or socket.gethostname() or "localhost"


def is_this_machine(external_id: str | None) -> bool:
    """Tell whether a device's id in this adapter means the machine we run on."""
    return external_id in ANY_MACHINE or external_id == machine_id()


def describe(root: Path = Path("/")) -> VendorDevice:
    """Return this machine as a device."""
    name = socket.gethostname() or "localhost"
    return VendorDevice(
        external_id=machine_id(root),
        client_external_id=CLIENT,
        name=name.partition(".")[0],
        hostname=name,
        kind=_kind(root),
        os=_FAMILIES.get(platform.system(), OsFamily.OTHER),
        os_name=_os_name(),
        serial=_serial(root),
        macs=_macs(),
        addresses=_addresses(),
        online=True,
    )


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):  # not Linux, or a very small one
        return f"{platform.system()} {platform.release()}".strip()


def _serial(root: Path) -> str:
    """Return the serial number where it is readable, which on Linux takes root."""
    serial = _text(root / "sys/class/dmi/id/product_serial")
    return "" if serial.casefold() in _PLACEHOLDERS else serial


def _kind(root: Path) -> DeviceKind:
    chassis = _text(root / "sys/class/dmi/id/chassis_type")
    number = int(chassis) if chassis.isascii() and chassis.isdigit() else 0
    if number in _SERVER_CHASSIS:
        return DeviceKind.SERVER
    return DeviceKind.WORKSTATION if number in _DESK_CHASSIS else DeviceKind.OTHER


def _macs() -> tuple[str, ...]:
    found = {
        address.address.replace("-", ":").lower()
        for name, addresses in psutil.net_if_addrs().items()
        if not name.startswith(_VIRTUAL)
        for address in addresses
        if address.family == psutil.AF_LINK
    }
    return tuple(sorted(found - {"", "00:00:00:00:00:00"}))


def _addresses() -> tuple[str, ...]:
    found = []
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family in (socket.AF_INET, socket.AF_INET6):
                ip = ipaddress.ip_address(address.address.partition("%")[0])
                if not (ip.is_loopback or ip.is_link_local):
                    found.append(ip)
    # the older family first: it is what people recognise
    return tuple(str(ip) for ip in sorted(set(found), key=lambda ip: (ip.version, int(ip))))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()[:200]
    except OSError:
        return ""

"""Read lists of services: systemd, Debian's SysV, launchd. Lines that are no service are skipped."""

import re
from collections.abc import Iterator

from msp_core.v1 import ServiceFact, ServiceFacts, ServiceStart, ServiceState
from msp_transport_ssh.script import Unreadable

_ACTIVE = {
    "active": ServiceState.RUNNING,
    "reloading": ServiceState.RUNNING,
    "activating": ServiceState.STARTING,
    "deactivating": ServiceState.STOPPING,
    "inactive": ServiceState.STOPPED,
    "failed": ServiceState.FAILED,
}
_ENABLED = {
    "enabled": ServiceStart.AUTO,
    "enabled-runtime": ServiceStart.AUTO,
    "generated": ServiceStart.AUTO,
    "disabled": ServiceStart.MANUAL,
    "static": ServiceStart.MANUAL,
    "indirect": ServiceStart.MANUAL,
    "masked": ServiceStart.DISABLED,
}
_SYSV_LINE = re.compile(r" *\[ ([-+?]) \]  ?(\S+)")
_SYSV = {"+": ServiceState.RUNNING, "-": ServiceState.STOPPED, "?": ServiceState.UNKNOWN}
_BOOT_LINK = re.compile(r"S\d\d(\S+)")
_LAUNCHD_LINE = re.compile(r"(-|\d{1,10})\t(-?\d{1,10})\t(\S.*)")


def parse_systemd(units: str, files: str) -> ServiceFacts:
    """Read `systemctl list-units` and `list-unit-files`."""
    starts = {
        words[0]: _ENABLED.get(words[1], ServiceStart.UNKNOWN)
        for line in files.splitlines()
        if len(words := line.split()) >= 2
    }
    return _some(tuple(_units(units, starts)), "systemd")


def _units(text: str, starts: dict[str, ServiceStart]) -> Iterator[ServiceFact]:
    for line in text.splitlines():
        words = line.lstrip("●*× ").split(maxsplit=4)
        if len(words) >= 4 and words[0].endswith(".service") and words[1] == "loaded":
            yield ServiceFact(
                name=words[0].removesuffix(".service"),
                state=_ACTIVE.get(words[2], ServiceState.UNKNOWN),
                start=starts.get(words[0], ServiceStart.UNKNOWN),
                display_name=words[4] if len(words) > 4 else "",
            )


def parse_sysv(text: str, boot: str) -> ServiceFacts:
    """Read Debian's `service --status-all` and the links of the run levels."""
    at_boot = {match[1] for word in boot.split() if (match := _BOOT_LINK.fullmatch(word))}
    found = (match for line in text.splitlines() if (match := _SYSV_LINE.fullmatch(line)))
    services = tuple(
        ServiceFact(
            name=match[2],
            state=_SYSV[match[1]],
            start=ServiceStart.AUTO if match[2] in at_boot else ServiceStart.MANUAL,
        )
        for match in found
    )
    return _some(services, "SysV")


def parse_launchd(text: str) -> ServiceFacts:
    """Read `launchctl list`: a job without a process is stopped; many jobs run on demand only."""
    found = (match for line in text.splitlines() if (match := _LAUNCHD_LINE.fullmatch(line)))
    services = tuple(
        ServiceFact(
            name=match[3],
            state=ServiceState.STOPPED if match[1] == "-" else ServiceState.RUNNING,
        )
        for match in found
    )
    return _some(services, "launchd")


def _some(services: tuple[ServiceFact, ...], manager: str) -> ServiceFacts:
    if not services:
        raise Unreadable(f"{manager} lists no services")
    return ServiceFacts(services=services)

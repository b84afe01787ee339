"""Read lists of services: systemd, Debian's SysV, launchd. Lines that are no service are skipped."""

import re

from msp_core.v1 import ServiceFact, ServiceFacts, ServiceState
from msp_hosts.api import systemd_services, sysv_services
from msp_transport_ssh.script import Unreadable

_BOOT_LINK = re.compile(r"S\d\d(\S+)")
_LAUNCHD_LINE = re.compile(r"(-|\d{1,10})\t(-?\d{1,10})\t(\S.*)")


def parse_systemd(units: str, files: str) -> ServiceFacts:
    """Read `systemctl list-units` and `list-unit-files`."""
    return _some(systemd_services(units, files), "systemd")


def parse_sysv(text: str, boot: str) -> ServiceFacts:
    """Read Debian's `service --status-all` and the links of the run levels."""
    at_boot = {match[1] for word in boot.split() if (match := _BOOT_LINK.fullmatch(word))}
    return _some(sysv_services(text, at_boot), "SysV")


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

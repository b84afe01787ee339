"""Read the services of this machine: systemd, SysV scripts (Debian's `service`), or Windows."""

import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from msp_core.v1 import ServiceFact, ServiceFacts, ServiceStart, ServiceState
from msp_host_local.process import run
from msp_hosts.api import EndedCommand, systemd_services, sysv_services

TIMEOUT = timedelta(seconds=20)
_UNITS = "systemctl list-units --type=service --all --plain --no-legend --no-pager"
_FILES = "systemctl list-unit-files --type=service --no-legend --no-pager"
_WINDOWS = {
    "running": ServiceState.RUNNING,
    "stopped": ServiceState.STOPPED,
    "paused": ServiceState.PAUSED,
    "start_pending": ServiceState.STARTING,
    "continue_pending": ServiceState.STARTING,
    "stop_pending": ServiceState.STOPPING,
    "pause_pending": ServiceState.STOPPING,
}
_WINDOWS_START = {
    "automatic": ServiceStart.AUTO,
    "manual": ServiceStart.MANUAL,
    "disabled": ServiceStart.DISABLED,
}


class NoServices(Exception):
    """The services of this machine cannot be read; the text says why."""


async def read_services(root: Path = Path("/")) -> ServiceFacts:
    """List all services; raise NoServices with the reason where that is impossible."""
    if sys.platform == "win32":
        return windows_services(psutil.win_service_iter())
    if (root / "run/systemd/system").is_dir():
        units, files = await _output(_UNITS), await _output(_FILES)
        return ServiceFacts(services=systemd_services(units, files))
    if (root / "etc/init.d").is_dir() and (root / "usr/sbin/service").exists():
        automatic = {link.name[3:] for link in (root / "etc").glob("rc[2-5].d/S[0-9][0-9]*")}
        listed = await _output("service --status-all")
        return ServiceFacts(services=sysv_services(listed, automatic))
    raise NoServices("neither systemd nor SysV services are found on this machine")


async def _output(line: str) -> str:
    finished: EndedCommand = await run(["sh", "-c", f"LC_ALL=C {line} 2>/dev/null"], TIMEOUT)
    if finished.exit_code != 0 and not finished.stdout:
        reason = "did not finish" if finished.timed_out else f"failed ({finished.exit_code})"
        raise NoServices(f"`{line.split(' --')[0]}` {reason}")
    return finished.stdout


def windows_services(services: Iterable[Any]) -> ServiceFacts:
    """Read services as psutil lists them on Windows; one that vanishes meanwhile is left out."""
    found = []
    for service in services:
        try:
            known = service.as_dict()
        except (psutil.Error, OSError):
            continue
        found.append(
            ServiceFact(
                name=str(known.get("name") or ""),
                state=_WINDOWS.get(str(known.get("status")), ServiceState.UNKNOWN),
                start=_WINDOWS_START.get(str(known.get("start_type")), ServiceStart.UNKNOWN),
                display_name=str(known.get("display_name") or ""),
            )
        )
    return ServiceFacts(services=tuple(found))

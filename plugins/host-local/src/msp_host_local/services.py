"""Read the services of this machine: systemd, SysV scripts (Debian's `service`), or Windows."""

import re
import sys
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from msp_core.v1 import ServiceFact, ServiceFacts, ServiceStart, ServiceState
from msp_host_local.process import Finished, run

TIMEOUT = timedelta(seconds=20)
_UNITS = "systemctl list-units --type=service --all --plain --no-legend --no-pager"
_FILES = "systemctl list-unit-files --type=service --no-legend --no-pager"
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
        return parse_systemd(units, files)
    if (root / "etc/init.d").is_dir() and (root / "usr/sbin/service").exists():
        automatic = {link.name[3:] for link in (root / "etc").glob("rc[2-5].d/S[0-9][0-9]*")}
        return parse_sysv(await _output("service --status-all"), automatic)
    raise NoServices("neither systemd nor SysV services are found on this machine")


async def _output(line: str) -> str:
    finished: Finished = await run(["sh", "-c", f"LC_ALL=C {line} 2>/dev/null"], TIMEOUT)
    if finished.exit_code != 0 and not finished.stdout:
        reason = "did not finish" if finished.timed_out else f"failed ({finished.exit_code})"
        raise NoServices(f"`{line.split(' --')[0]}` {reason}")
    return finished.stdout


def parse_systemd(units: str, files: str) -> ServiceFacts:
    """Read what systemctl lists about units and unit files; lines it does not print are skipped."""
    starts = {
        words[0]: _ENABLED.get(words[1], ServiceStart.UNKNOWN)
        for line in files.splitlines()
        if len(words := line.split()) >= 2
    }
    return ServiceFacts(services=tuple(_units(units.splitlines(), starts)))


def _units(lines: Iterable[str], starts: dict[str, ServiceStart]) -> Iterator[ServiceFact]:
    for line in lines:
        words = line.lstrip("●*× ").split(maxsplit=4)
        if len(words) >= 4 and words[0].endswith(".service") and words[1] == "loaded":
            yield ServiceFact(
                name=words[0].removesuffix(".service"),
                state=_ACTIVE.get(words[2], ServiceState.UNKNOWN),
                start=starts.get(words[0], ServiceStart.UNKNOWN),
                display_name=words[4] if len(words) > 4 else "",
            )


def parse_sysv(text: str, automatic: Iterable[str]) -> ServiceFacts:
    """Read what Debian's `service --status-all` prints; scripts without a status are UNKNOWN."""
    at_boot = set(automatic)
    found = (match for line in text.splitlines() if (match := _SYSV_LINE.fullmatch(line)))
    return ServiceFacts(
        services=tuple(
            ServiceFact(
                name=match[2],
                state=_SYSV[match[1]],
                start=ServiceStart.AUTO if match[2] in at_boot else ServiceStart.MANUAL,
            )
            for match in found
        )
    )


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

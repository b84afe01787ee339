"""What hosts and transports have in common: output within bounds, how a command ended, services as Linux lists them."""

import re
from collections.abc import Container, Iterator
from datetime import datetime

from attrs import frozen

from msp_core.v1 import Command, CommandResult, ServiceFact, ServiceStart, ServiceState, Target

MOST_BYTES = 1024 * 1024
_CONTROL = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r"}
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


class KeptOutput:
    """Keeps the first mebibyte of a stream and forgets the rest, so that the sender is never blocked."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.truncated = False

    def add(self, data: bytes) -> None:
        """Keep what there is room for."""
        room = MOST_BYTES - len(self._bytes)
        self._bytes += data[:room]
        self.truncated = self.truncated or len(data) > room

    @property
    def text(self) -> str:
        """The text; what would steer a terminal is replaced."""
        return self._bytes.decode(errors="replace").translate(_CONTROL)


@frozen(kw_only=True)
class EndedCommand:
    """How a command ended. `exit_code` is None where it did not end by itself, negative for a signal."""

    exit_code: int | None
    stdout: str
    stderr: str
    timed_out: bool = False
    truncated: bool = False

    def result(
        self,
        target: Target,
        command: Command,
        *,
        via: str,
        started_at: datetime,
        finished_at: datetime,
    ) -> CommandResult:
        """Return it as what an adapter answers; `via` is the instance that ran it."""
        return CommandResult(
            device_id=target.device.id,
            via=via,
            command=command.line,
            exit_code=self.exit_code,
            stdout=self.stdout,
            stderr=self.stderr,
            started_at=started_at,
            finished_at=finished_at,
            timed_out=self.timed_out,
            truncated=self.truncated,
        )


def systemd_services(units: str, files: str) -> tuple[ServiceFact, ...]:
    """Read `systemctl list-units` and `list-unit-files`; lines that they do not print are skipped."""
    starts = {
        words[0]: _ENABLED.get(words[1], ServiceStart.UNKNOWN)
        for line in files.splitlines()
        if len(words := line.split()) >= 2
    }
    return tuple(_units(units, starts))


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


def sysv_services(text: str, at_boot: Container[str]) -> tuple[ServiceFact, ...]:
    """Read Debian's `service --status-all`; scripts without a status are UNKNOWN."""
    found = (match for line in text.splitlines() if (match := _SYSV_LINE.fullmatch(line)))
    return tuple(
        ServiceFact(
            name=match[2],
            state=_SYSV[match[1]],
            start=ServiceStart.AUTO if match[2] in at_boot else ServiceStart.MANUAL,
        )
        for match in found
    )

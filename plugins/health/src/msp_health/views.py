"""What the `health` commands show."""

from datetime import datetime
from typing import ClassVar

from attrs import frozen

from msp_core.v1 import CheckResult, Column, Data, Display, Status, unless_zero
from msp_health.api import Counts, nagios_line


@frozen(kw_only=True, eq=False, repr=False)
class StatusLine(Data):
    """One line of a status table: a client or a device."""

    name: str
    status: Status
    counts: Counts
    checked_at: datetime | None
    message: str = ""


@frozen(kw_only=True, eq=False, repr=False)
class HealthStatus(Data):
    """The last known status of some clients, or of the devices of one."""

    lines: tuple[StatusLine, ...]
    counts: Counts
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """The worst of all."""
        return self.counts.status

    @property
    def exit_code(self) -> int:
        """0 OK, 1 WARNING, 2 CRITICAL, 3 when something is not known and nothing is worse."""
        return 0 if self.status is Status.SKIPPED else self.status.exit_code

    def say(self) -> str:
        """Return the whole in one line."""
        return "\n".join((f"{self.status.value.upper()}: {self.counts}.", *self.notes))

    def nagios(self) -> str:
        """Return the status line and performance data of the Monitoring Plugins."""
        return nagios_line(self.exit_code, str(self.counts), self.counts)

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("name", "Name"),
            Column("status", "Status"),
            Column("counts.ok", "OK"),
            Column("counts.warning", "Warning", format=unless_zero),
            Column("counts.critical", "Critical", format=unless_zero),
            Column("counts.unknown", "Unknown", format=unless_zero),
            Column("counts.error", "Error", format=unless_zero),
            Column("checked_at", "Checked"),
            Column("message", "Worst"),
        ),
        rows="lines",
        summary=lambda status: status.say(),
        nagios="nagios",
        empty="Nothing has been checked yet: run `health check --all`.",
    )


@frozen(kw_only=True, eq=False, repr=False)
class History(Data):
    """Recorded results of one client, newest first."""

    client_id: str
    results: tuple[CheckResult, ...]
    total: int
    days: int
    counts: Counts

    def say(self) -> str:
        """Return the whole in one line."""
        shown = "" if len(self.results) == self.total else f", the newest {len(self.results)} shown"
        noun = "result" if self.total == 1 else "results"
        days = "day" if self.days == 1 else f"{self.days} days"
        return f"{self.client_id}, last {days}: {self.total} {noun}{shown} ({self.counts})."

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("checked_at", "When"),
            Column("device_id", "Device", format=lambda device_id: device_id.rpartition("/")[2]),
            Column("check", "Check"),
            Column("status", "Status"),
            Column("message", "Message"),
        ),
        rows="results",
        summary=lambda history: history.say(),
        empty="Nothing was recorded in this time.",
    )

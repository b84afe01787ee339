"""What other plugins may use of alerts: the service and what it speaks in.

Events: `alerts.opened`, `alerts.updated`, `alerts.resolved`, each `{"alert_ids": [...], "client_ids": [...]}` of alerts
that somebody may be told about; a muted alert (its client is suspended) is recorded and never named in an event.
"""

from datetime import datetime
from typing import ClassVar, Protocol

from attrs import frozen

from msp_core.v1 import (
    Alert,
    AlertState,
    Column,
    Context,
    Data,
    Display,
    Listing,
    Severity,
    moment,
)

OPENED = "alerts.opened"
UPDATED = "alerts.updated"
RESOLVED = "alerts.resolved"
STALE = "the last sweep could not look; it may be over, or worse"
"""What people are told wherever an alert is called stale."""


@frozen(kw_only=True, eq=False, repr=False)
class AlertEntry(Data):
    """An alert with what people decided and what is known about its freshness."""

    alert: Alert
    note: str = ""
    muted: bool = False
    """True while the client is suspended: recorded, but nobody is told."""
    stale: bool = False
    """True when the last sweep could not look, so that the problem may be over or worse."""

    @property
    def is_stale(self) -> bool:
        """Whether it is called stale; a resolved alert is not."""
        return self.stale and self.alert.state is not AlertState.RESOLVED

    @property
    def state(self) -> str:
        """The state for people, with stale and muted."""
        words = [self.alert.state.value]
        if self.is_stale:
            words.append("stale")
        if self.muted:
            words.append("muted")
        return ", ".join(words)

    @property
    def what(self) -> str:
        """The message without the check and device, which have columns of their own in a list."""
        device = (self.alert.device_id or "").rpartition("/")[2]
        _, found, rest = self.alert.message.partition(f" on {device}: ")
        return rest if found else self.alert.message

    def say(self) -> str:
        """Return the alert in a few lines for people."""
        alert = self.alert
        lines = [
            f"Alert {alert.id}: {alert.severity.value.upper()} {alert.message}",
            f"  device {alert.device_id}" if alert.device_id else f"  client {alert.client_id}",
            f"  check {alert.check or '-'}",
            f"  {self.state}; since {moment(alert.created_at)}, updated {moment(alert.updated_at)}",
        ]
        if alert.acknowledged:
            end = alert.acknowledged_until
            until = "it is over" if end is None else moment(end)
            lines.append(f"  acknowledged by {alert.acknowledged_by} until {until}")
        if self.is_stale:
            lines.append(f"  stale: {STALE}")
        if self.note:
            lines.append(f"  note: {self.note}")
        if alert.resolved_at:
            lines.append(f"  resolved {moment(alert.resolved_at)}")
        return "\n".join(lines)

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("alert.id", "Alert"),
            Column("alert.severity", "Severity"),
            Column("alert.client_id", "Client"),
            Column(
                "alert.device_id",
                "Device",
                format=lambda i: (i or "").rpartition("/")[2],
            ),
            Column("alert.check", "Check"),
            Column("state", "State"),
            Column("alert.created_at", "Since"),
            Column("alert.acknowledged_until", "Ack until"),
            Column("what", "What"),
        ),
        summary=lambda entry: entry.say(),
        empty="No alert. Only what `health check` looked at can raise one.",
    )


class Alerts(Protocol):
    """What is wrong and somebody should know: one open alert per problem.

    Every read is limited to the caller's scope; an alert of a client outside it is not found.
    """

    async def list(
        self,
        ctx: Context,
        *,
        client_id: str | None = None,
        severity: Severity | None = None,
        since: datetime | None = None,
        state: AlertState | None = None,
        include_resolved: bool = False,
        limit: int | None = None,
    ) -> Listing[AlertEntry]:
        """Return alerts, worst and newest first: those not resolved, or those in `state`.

        `since` keeps alerts opened at or after that moment. An acknowledgement that has expired is open again.
        """
        ...

    async def get(self, ctx: Context, alert_id: str) -> AlertEntry:
        """Return one alert; raise AlertNotFound."""
        ...

    async def acknowledge(
        self,
        ctx: Context,
        alert_id: str,
        *,
        until: datetime | None = None,
        note: str = "",
    ) -> AlertEntry:
        """Say that somebody works on it, until a moment or for as long as it lasts and gets no worse.

        Raises Conflict for an alert that is resolved, InvalidParameters for a moment in the past.
        """
        ...

    async def resolve(self, ctx: Context, alert_id: str, *, note: str = "") -> AlertEntry:
        """Close an alert by hand. A problem that the next sweep still sees opens a new one."""
        ...

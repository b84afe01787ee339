"""What checks say about devices, and the alerts that come of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from attrs import field, frozen

from msp_core.data import Data
from msp_core.display import Column, Display
from msp_core.status import AlertState, Severity, Status, as_status


@frozen(eq=False, repr=False)
class Metric(Data):
    """One number behind a verdict, with the limits it was held against; also the Nagios performance datum."""

    name: str
    value: float
    unit: str = ""
    """`%`, `B`, `s`, `c` or empty, as the Monitoring Plugins define them."""
    warning: float | None = None
    critical: float | None = None


@frozen(eq=False, repr=False)
class Verdict(Data):
    """What a check says about the facts it was given."""

    status: Status
    message: str
    metrics: tuple[Metric, ...] = ()
    data: Mapping[str, Any] = field(factory=dict)
    """JSON data a later evaluation or a report may need (for example the state of each volume)."""


@frozen(kw_only=True, eq=False, repr=False)
class CheckResult(Data):
    """One recorded row: what one planned check on one device said, and from where it knew.

    `status` also takes other tools' words (`healthy`). `hard` is False while a problem has not yet been seen in
    enough attempts in a row.
    """

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("checked_at"),
            Column("device_id", "device"),
            Column("check"),
            Column("status"),
            Column("message"),
        ),
        empty="Nothing recorded. Run: msp-toolkit health check --all",
    )
    status: Status = field(converter=as_status)
    message: str
    data: Mapping[str, Any] = field(factory=dict)
    metrics: tuple[Metric, ...] = ()
    client_id: str = ""
    device_id: str = ""
    check: str = ""
    title: str = ""
    run_id: str = ""
    checked_at: datetime | None = None
    observed_at: datetime | None = None
    source: str = ""
    """`instance:source` that gave the deciding fact, empty where none did."""
    attempt: int = 1
    hard: bool = True

    @property
    def name(self) -> str:
        """A name for people: device and check."""
        device = self.device_id.rpartition("/")[2]
        return f"{device} {self.title or self.check}".strip()

    @property
    def check_type(self) -> str:
        """The id of the check."""
        return self.check


@frozen(kw_only=True, eq=False, repr=False)
class Alert(Data):
    """A problem somebody should know about. One open alert per `key`."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("id"),
            Column("severity"),
            Column("state"),
            Column("device_id", "device"),
            Column("message"),
            Column("created_at", "since"),
        ),
        empty="No alerts.",
    )
    id: str
    client_id: str
    key: str
    severity: Severity
    message: str
    state: AlertState = AlertState.OPEN
    device_id: str | None = None
    check: str | None = None
    source: str = "health"
    created_at: datetime
    updated_at: datetime
    acknowledged_by: str | None = None
    acknowledged_until: datetime | None = None
    resolved_at: datetime | None = None

    @property
    def acknowledged(self) -> bool:
        """Tell whether somebody has acknowledged the alert and the acknowledgement has not expired."""
        return self.state is AlertState.ACKNOWLEDGED

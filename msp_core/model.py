"""The nouns everybody shares: clients, devices, observations, results, alerts."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Self

from attrs import field, frozen

from msp_core.display import Column, Display


class Tier(StrEnum):
    """Service tier of a client, lowest first."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    PREMIUM = "premium"


class ClientStatus(StrEnum):
    """What a client's status means for the work.

    ACTIVE: swept and told about. SUSPENDED: swept, but nobody is told. INACTIVE: not swept; history stays.
    """

    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"


class Status(StrEnum):
    """Outcome of one planned check.

    UNKNOWN: the facts are missing or too old. ERROR: our own side failed (a plugin raised). SKIPPED: not tried,
    with the reason. Neither is ever shown as OK.
    """

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    ERROR = "error"
    SKIPPED = "skipped"

    @classmethod
    def parse(cls, word: "str | Status") -> "Status":
        """Map a status word, also in other tools' spelling (`healthy`, `warn`, `failed`), onto a Status.

        Raises ValueError for a word that means nothing here.
        """
        lowered = str(word).strip().lower()
        return cls(_STATUS_WORDS.get(lowered, lowered))

    @property
    def rank(self) -> int:
        """Order for "the worst wins": ok < skipped < unknown < error < warning < critical."""
        return _STATUS_RANK[self]

    @property
    def is_problem(self) -> bool:
        """Tell whether something on the device is wrong (WARNING or CRITICAL)."""
        return self in (Status.WARNING, Status.CRITICAL)

    @property
    def exit_code(self) -> int:
        """Exit code of check-like commands: 0 OK, 1 WARNING, 2 CRITICAL, 3 everything that is not known."""
        return {Status.OK: 0, Status.WARNING: 1, Status.CRITICAL: 2}.get(self, 3)


_STATUS_WORDS = {
    "healthy": "ok",
    "success": "ok",
    "passed": "ok",
    "good": "ok",
    "warn": "warning",
    "degraded": "warning",
    "crit": "critical",
    "unhealthy": "critical",
    "failed": "critical",
    "failure": "error",
}
_STATUS_RANK = {
    Status.OK: 0,
    Status.SKIPPED: 1,
    Status.UNKNOWN: 2,
    Status.ERROR: 3,
    Status.WARNING: 4,
    Status.CRITICAL: 5,
}


def _status(word: str | Status) -> Status:
    return Status.parse(word)


def worst(statuses: "Iterable[Status]") -> Status:
    """Return the worst of some statuses; UNKNOWN when there are none."""
    return max(statuses, key=lambda status: status.rank, default=Status.UNKNOWN)


class Severity(StrEnum):
    """How bad an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertState(StrEnum):
    """Where an alert is in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class DeviceKind(StrEnum):
    """What sort of machine a device is."""

    SERVER = "server"
    WORKSTATION = "workstation"
    NETWORK = "network"
    CLOUD = "cloud"
    MOBILE = "mobile"
    OTHER = "other"


class OsFamily(StrEnum):
    """Operating system family, as far as it decides how to talk to a machine."""

    WINDOWS = "windows"
    LINUX = "linux"
    MACOS = "macos"
    OTHER = "other"


@frozen(kw_only=True)
class Client:
    """A company the MSP looks after. `id` is a slug, fixed for life."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("id"),
            Column("name"),
            Column("tier"),
            Column("status"),
            Column("contact_email", "contact"),
            Column("tags"),
        ),
        empty='No clients yet. Add one: msp-toolkit client add --name "Acme Corp"',
    )
    id: str
    name: str
    contact_email: str = ""
    tier: Tier = Tier.BRONZE
    status: ClientStatus = ClientStatus.ACTIVE
    tags: tuple[str, ...] = ()
    notes: str = ""
    rmm_id: str | None = None
    """The client's id in the default RMM instance, where it is linked."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    deleted_at: datetime | None = None


@frozen(kw_only=True)
class Site:
    """A place of a client. `id` is `client-id/site-slug`."""

    id: str
    client_id: str
    name: str


@frozen(kw_only=True)
class Device:
    """A machine of a client, however many consoles see it. `id` is `client-id/device-slug`, fixed for life."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("id"),
            Column("kind"),
            Column("os_name", "os"),
            Column("status"),
            Column("last_seen"),
        ),
        empty="No devices. Bring them in: msp-toolkit client sync --all",
    )
    id: str
    client_id: str
    name: str
    site_id: str | None = None
    hostname: str = ""
    kind: DeviceKind = DeviceKind.OTHER
    os: OsFamily = OsFamily.OTHER
    os_name: str = ""
    serial: str = ""
    macs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    online: bool | None = None
    last_seen: datetime | None = None
    missing_since: datetime | None = None
    """When the last console that knew the device stopped listing it; the device itself is kept."""
    rmm_device_id: str | None = None
    """The device's id in the default RMM instance, where it is linked."""

    @property
    def status(self) -> str:
        """One word for people: `missing`, `online`, `offline` or `unknown`."""
        if self.missing_since is not None:
            return "missing"
        return {True: "online", False: "offline", None: "unknown"}[self.online]

    @property
    def type(self) -> str:
        """The device kind as text."""
        return self.kind.value


@frozen
class Metric:
    """One number behind a verdict, with the limits it was held against; also the Nagios performance datum."""

    name: str
    value: float
    unit: str = ""
    """`%`, `B`, `s`, `c` or empty, as the Monitoring Plugins define them."""
    warning: float | None = None
    critical: float | None = None


@frozen
class Verdict:
    """What a check says about the facts it was given."""

    status: Status
    message: str
    metrics: tuple[Metric, ...] = ()
    data: Mapping[str, Any] = field(factory=dict)
    """JSON data a later evaluation or a report may need (for example the state of each volume)."""


@frozen(kw_only=True)
class CheckResult:
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
    status: Status = field(converter=_status)
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


@frozen(kw_only=True)
class Alert:
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


@frozen(kw_only=True)
class VendorClient:
    """A client as one console knows it (organisation, company, site group)."""

    external_id: str
    name: str


@frozen(kw_only=True)
class VendorSite:
    """A site or location as one console knows it."""

    external_id: str
    client_external_id: str
    name: str


@frozen(kw_only=True)
class VendorDevice:
    """A device as one console knows it; every id is the console's own, as text."""

    external_id: str
    client_external_id: str
    name: str
    site_external_id: str | None = None
    hostname: str = ""
    kind: DeviceKind = DeviceKind.OTHER
    os: OsFamily = OsFamily.OTHER
    os_name: str = ""
    serial: str = ""
    macs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    online: bool | None = None
    last_seen: datetime | None = None


@frozen(kw_only=True)
class VendorAlert:
    """An alert as one console knows it. `severity` is None where the vendor says nothing."""

    external_id: str
    device_external_id: str | None
    message: str
    severity: Severity | None = None
    kind: str = ""
    opened_at: datetime | None = None


@frozen
class Quarantined:
    """One item of a vendor's answer that could not be read; the rest of the page was kept."""

    what: str
    reason: str
    external_id: str | None = None


@frozen(kw_only=True)
class Command:
    """A command line to run on a device. `effect_free` marks a fixed read-only probe."""

    line: str
    timeout: timedelta = timedelta(seconds=60)
    shell: str = ""
    """`cmd`, `powershell`, `sh` or empty for the platform's usual one."""


@frozen(kw_only=True)
class CommandResult:
    """What a remote command did, in the same shape through every transport.

    `exit_code` and `stderr` are None where the transport does not report them. `timed_out` means the command may
    still be running on the device.
    """

    DISPLAY: ClassVar[Display] = Display(summary=lambda result: result.output.rstrip("\n"))
    device_id: str
    via: str
    command: str
    exit_code: int | None
    stdout: str
    stderr: str | None = None
    started_at: datetime
    finished_at: datetime
    timed_out: bool = False
    truncated: bool = False

    @property
    def success(self) -> bool:
        """Tell whether the command is known to have finished with exit code 0."""
        return self.exit_code == 0 and not self.timed_out

    @property
    def output(self) -> str:
        """Standard output and standard error together."""
        return self.stdout + (self.stderr or "")


@frozen(kw_only=True)
class DeploymentResult:
    """What an agent deployment came to: an installer to run, or an installation that was started."""

    target: str
    status: str
    """`installer-ready`, `started` or `installed`."""
    message: str
    installer_url: str | None = None
    expires_at: datetime | None = None

    @property
    def success(self) -> bool:
        """Tell whether the vendor accepted the request."""
        return self.status in ("installer-ready", "started", "installed")


@frozen
class Period:
    """A half-open span of time, start included, end excluded, both aware UTC."""

    start: datetime
    end: datetime

    @classmethod
    def last(cls, span: timedelta, now: datetime) -> Self:
        """Return the span that ends now."""
        return cls(now - span, now)

"""What can be known about a device, in normalised units, with None for "not said".

A fact kind is an attrs class with a `fact_id`. Checks name the kinds they need, sources name the kinds they read;
neither knows the other. A plugin may define further kinds of its own.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from attrs import field, frozen

from msp_core.data import Data
from msp_core.status import Severity


@frozen(kw_only=True, eq=False, repr=False)
class CpuFacts(Data):
    """Processor use. Percentages are of all logical processors together, 0 to 100."""

    fact_id: ClassVar[str] = "cpu"
    used_percent: float | None
    steal_percent: float | None = None
    load_1m: float | None = None
    logical_cpus: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class MemoryFacts(Data):
    """Memory. `available_bytes` is what programs can still get without swapping."""

    fact_id: ClassVar[str] = "memory"
    total_bytes: int | None
    available_bytes: int | None
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None

    @property
    def used_percent(self) -> float | None:
        """Share of the memory that is not available, 0 to 100; None when it is not known."""
        if not self.total_bytes or self.available_bytes is None:
            return None
        return 100.0 * (1 - self.available_bytes / self.total_bytes)


@frozen(kw_only=True, eq=False, repr=False)
class Volume(Data):
    """One mounted file system or drive letter."""

    mount: str
    total_bytes: int | None
    free_bytes: int | None
    filesystem: str = ""
    inodes_total: int | None = None
    inodes_free: int | None = None
    read_only: bool | None = None


@frozen(kw_only=True, eq=False, repr=False)
class DiskFacts(Data):
    """The fixed volumes of a device (no removable or pseudo file systems)."""

    fact_id: ClassVar[str] = "disk"
    volumes: tuple[Volume, ...]


class ServiceState(StrEnum):
    """State of a service; transitional states keep their own word."""

    RUNNING = "running"
    STOPPED = "stopped"
    STARTING = "starting"
    STOPPING = "stopping"
    PAUSED = "paused"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ServiceStart(StrEnum):
    """How a service is started."""

    AUTO = "auto"
    DELAYED = "delayed"
    MANUAL = "manual"
    DISABLED = "disabled"
    UNKNOWN = "unknown"


@frozen(kw_only=True, eq=False, repr=False)
class ServiceFact(Data):
    """One service of a device. `name` is the short system name."""

    name: str
    state: ServiceState
    start: ServiceStart = ServiceStart.UNKNOWN
    display_name: str = ""


@frozen(kw_only=True, eq=False, repr=False)
class ServiceFacts(Data):
    """Services of a device. `complete` is False where only the requested services were asked for."""

    fact_id: ClassVar[str] = "services"
    services: tuple[ServiceFact, ...]
    complete: bool = True


@frozen(kw_only=True, eq=False, repr=False)
class ConnectivityFacts(Data):
    """Whether the console's agent on the device answers, and when it last did."""

    fact_id: ClassVar[str] = "connectivity"
    online: bool | None
    last_seen: datetime | None = None


class ProbeKind(StrEnum):
    """What a network probe does."""

    PING = "ping"
    TCP = "tcp"
    HTTP = "http"
    DNS = "dns"
    TLS = "tls"


@frozen(kw_only=True, eq=False, repr=False)
class ProbeResult(Data):
    """What one network probe saw. `error` is empty when the probe got its answer."""

    kind: ProbeKind
    target: str
    latency_ms: float | None = None
    loss_percent: float | None = None
    http_status: int | None = None
    resolved: tuple[str, ...] = ()
    expires_at: datetime | None = None
    error: str = ""


@frozen(kw_only=True, eq=False, repr=False)
class ProbeFacts(Data):
    """Results of the network probes that were asked for, in the order of the requests."""

    fact_id: ClassVar[str] = "probes"
    results: tuple[ProbeResult, ...]
    probed_at: datetime | None = None
    """When the probes ran, aware UTC; a certificate's days left are counted from here."""


class ConditionKind(StrEnum):
    """What a vendor's own monitor watches."""

    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"
    SERVICE = "service"
    CONNECTIVITY = "connectivity"
    OTHER = "other"


@frozen(kw_only=True, eq=False, repr=False)
class VendorCondition(Data):
    """One triggered condition of a vendor's monitor. `severity` is None where the vendor says nothing."""

    kind: ConditionKind
    message: str
    severity: Severity | None = None
    since: datetime | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ConditionFacts(Data):
    """The vendor's own judgement: triggered conditions, and which kinds are known to be monitored at all.

    A quiet vendor says OK only about a kind in `monitored`; about any other kind it says nothing.
    """

    fact_id: ClassVar[str] = "conditions"
    active: tuple[VendorCondition, ...]
    monitored: frozenset[ConditionKind] = field(factory=frozenset)


Fact = (
    CpuFacts
    | MemoryFacts
    | DiskFacts
    | ServiceFacts
    | ConnectivityFacts
    | ProbeFacts
    | ConditionFacts
)
"""The kernel's own fact kinds; plugins may add others, so code that handles facts takes `object`."""


@frozen(eq=False, repr=False)
class ServiceRequest(Data):
    """Ask a service source about these services only (short system names)."""

    names: tuple[str, ...]
    fact_id: ClassVar[str] = ServiceFacts.fact_id


@frozen(kw_only=True, eq=False, repr=False)
class ProbeRequest(Data):
    """Ask for one network probe. `target` is a host, `host:port`, a URL or a name to resolve, by kind."""

    kind: ProbeKind
    target: str
    timeout: timedelta = timedelta(seconds=5)
    count: int = 3
    server: str = ""
    """DNS server to ask; empty for the system's resolver."""
    fact_id: ClassVar[str] = ProbeFacts.fact_id


FactRequest = ServiceRequest | ProbeRequest


@frozen(kw_only=True, eq=False, repr=False)
class Observation(Data):
    """A fact about one device, with where it comes from and how old it is.

    `observed_at` is None where the vendor does not say when it measured. `vantage` says from where a live
    measurement was taken (`toolkit`, `device`, `vendor`).
    """

    device_id: str
    fact: object
    source: str
    observed_at: datetime | None
    vantage: str = "vendor"


@frozen(kw_only=True, eq=False, repr=False)
class Missing(Data):
    """A fact that a source was asked for and could not give about one device, with the reason for people."""

    device_id: str
    fact_id: str
    source: str
    reason: str

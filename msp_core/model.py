"""The nouns everybody shares: clients, their sites and devices."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Self

from attrs import frozen

from msp_core.data import Data
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


@frozen(kw_only=True, eq=False, repr=False)
class Client(Data):
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


@frozen(kw_only=True, eq=False, repr=False)
class Site(Data):
    """A place of a client. `id` is `client-id/site-slug`."""

    id: str
    client_id: str
    name: str


@frozen(kw_only=True, eq=False, repr=False)
class Device(Data):
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


@frozen(eq=False, repr=False)
class Period(Data):
    """A half-open span of time, start included, end excluded, both aware UTC."""

    start: datetime
    end: datetime

    @classmethod
    def last(cls, span: timedelta, now: datetime) -> Self:
        """Return the span that ends now."""
        return cls(now - span, now)

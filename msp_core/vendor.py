"""What other systems say: clients and devices as a console knows them, commands and what became of them."""

from datetime import datetime, timedelta
from typing import ClassVar

from attrs import frozen

from msp_core.data import Data
from msp_core.display import Display
from msp_core.model import DeviceKind, OsFamily
from msp_core.status import Severity


@frozen(kw_only=True, eq=False, repr=False)
class VendorClient(Data):
    """A client as one console knows it (organisation, company, site group)."""

    external_id: str
    name: str


@frozen(kw_only=True, eq=False, repr=False)
class VendorSite(Data):
    """A site or location as one console knows it."""

    external_id: str
    client_external_id: str
    name: str


@frozen(kw_only=True, eq=False, repr=False)
class VendorDevice(Data):
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


@frozen(kw_only=True, eq=False, repr=False)
class VendorAlert(Data):
    """An alert as one console knows it. `severity` is None where the vendor says nothing."""

    external_id: str
    device_external_id: str | None
    message: str
    severity: Severity | None = None
    kind: str = ""
    opened_at: datetime | None = None


@frozen(eq=False, repr=False)
class Quarantined(Data):
    """One item of a vendor's answer that could not be read; the rest of the page was kept."""

    what: str
    reason: str
    external_id: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Command(Data):
    """A command line to run on a device. `effect_free` marks a fixed read-only probe."""

    line: str
    timeout: timedelta = timedelta(seconds=60)
    shell: str = ""
    """`cmd`, `powershell`, `sh` or empty for the platform's usual one."""


@frozen(kw_only=True, eq=False, repr=False)
class CommandResult(Data):
    """What a remote command did, in the same shape through every transport.

    `exit_code` and `stderr` are None where the transport does not report them. `timed_out` means the command may
    still be running on the device.
    """

    DISPLAY: ClassVar[Display] = Display(
        summary=lambda result: result.output.rstrip("\n"), verbatim=True
    )
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


@frozen(kw_only=True, eq=False, repr=False)
class DeploymentResult(Data):
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

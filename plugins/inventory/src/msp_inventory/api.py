"""What other plugins may use of the inventory: the service and what it speaks in.

Event: `inventory.forgotten`, `{"client_id", "device_id"}`: a person is done with a device. What others keep about it as
it is now should go; what happened stays. It may be heard late, when a console lists the device again.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Protocol

from attrs import frozen

from msp_core.v1 import (
    Column,
    Context,
    Data,
    Device,
    DeviceKind,
    Display,
    Listing,
    OsFamily,
    Quarantined,
    Site,
    unless_zero,
)
from msp_inventory.default import default_rmm as default_rmm
from msp_inventory.kinds import LinkKind as LinkKind

FORGOTTEN = "inventory.forgotten"


@frozen(kw_only=True, eq=False, repr=False)
class Link(Data):
    """The id one console gives to one of our clients, sites or devices."""

    instance: str
    kind: LinkKind
    external_id: str
    our_id: str
    seen_at: datetime
    """When what the console says last changed here; an unchanged listing writes nothing."""
    missing_since: datetime | None = None
    maybe: tuple[str, ...] = ()
    """Devices that may be the same machine; a person decides with `device link`."""


@frozen(kw_only=True, eq=False, repr=False)
class DeviceLinks(Data):
    """A device and its id in every console that lists it now."""

    device: Device
    links: Mapping[str, str]


@frozen(kw_only=True, eq=False, repr=False)
class Unmatched(Data):
    """A console's client that is linked to none of ours; its devices were left out."""

    instance: str
    external_id: str
    name: str
    devices: int


@frozen(kw_only=True, eq=False, repr=False)
class Doubt(Data):
    """A console's device that may be one we know; it was kept apart until a person decides."""

    instance: str
    external_id: str
    device_id: str
    maybe: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class InstanceSync(Data):
    """What the sync of one instance came to. Counts are of rows really written; `error` is empty on success."""

    instance: str
    complete: bool
    listed_clients: int = 0
    listed_devices: int = 0
    clients_created: int = 0
    clients_linked: int = 0
    sites: int = 0
    devices_created: int = 0
    devices_updated: int = 0
    devices_missing: int = 0
    devices_returned: int = 0
    rows_written: int = 0
    duration_s: float = 0.0
    quarantined: tuple[Quarantined, ...] = ()
    error: str = ""
    error_code: str = ""
    suggestion: str = ""
    """What to do about the error."""

    @property
    def result(self) -> str:
        """One word or the reason for people."""
        return self.error or ("done" if self.complete else "incomplete")


@frozen(kw_only=True, eq=False, repr=False)
class SyncReport(Data):
    """What a sync of one or more instances came to."""

    instances: tuple[InstanceSync, ...]
    unmatched: tuple[Unmatched, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    recorded: bool = True
    """False in a dry run and in read-only mode."""
    notes: tuple[str, ...] = ()
    """What to do where no instance could be asked."""

    @property
    def exit_code(self) -> int:
        """1 when an instance failed, 0 otherwise."""
        return int(any(not one.complete for one in self.instances))

    def say(self) -> str:
        """Return what people should know beyond the table, with the commands that settle it."""
        lines = list(self.notes)
        if not self.recorded:
            lines.append("Nothing was recorded: this is what a sync would do.")
        for one in self.instances:
            if one.suggestion:
                lines.append(f"{one.instance}: {one.suggestion}")
            lines += [
                f"{one.instance}: left out {item.what} {item.external_id or ''}: {item.reason}"
                for item in one.quarantined[:10]
            ]
            if len(one.quarantined) > 10:
                lines.append(f"{one.instance}: and {len(one.quarantined) - 10} more left out.")
        if self.unmatched:
            lines.append(
                "These belong to none of our clients yet (--create makes them, or link each with "
                "`client link CLIENT INSTANCE EXTERNAL_ID`):"
            )
            lines += [
                f"  {one.instance} {one.external_id}: {one.name} ({one.devices} devices)"
                for one in self.unmatched
            ]
        if self.doubts:
            lines.append(
                "These may be machines we already know (settle with `device link DEVICE INSTANCE EXTERNAL_ID`):"
            )
            lines += [
                f"  {one.instance} {one.external_id} is {one.device_id}; maybe also {', '.join(one.maybe)}"
                for one in self.doubts
            ]
        return "\n".join(lines)

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("instance", "Instance"),
            Column("listed_clients", "Clients"),
            Column("listed_devices", "Devices"),
            Column("clients_created", "New clients", format=unless_zero),
            Column("devices_created", "New devices", format=unless_zero),
            Column("devices_updated", "Changed", format=unless_zero),
            Column("devices_missing", "Missing", format=unless_zero),
            Column("devices_returned", "Back", format=unless_zero),
            Column("rows_written", "Rows written"),
            Column("result", "Result"),
        ),
        rows="instances",
        summary=lambda report: report.say(),
        empty="No adapter that is configured lists clients or devices.",
    )


class Inventory(Protocol):
    """Sites, devices and links.

    Every read is limited to the caller's scope. A device `ref` is `client/device`, or a device's id part, name or
    hostname when `client_id` is given.
    """

    async def devices(
        self,
        ctx: Context,
        client_id: str | None,
        *,
        kind: DeviceKind | None = None,
        os: OsFamily | None = None,
        search: str | None = None,
        include_missing: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> Listing[Device]:
        """Return devices of one client (None: of every client in scope), sorted by id."""
        ...

    async def missing(self, ctx: Context, client_ids: Sequence[str]) -> tuple[Device, ...]:
        """Return the devices of these clients that no console lists any more, sorted by id."""
        ...

    async def device(self, ctx: Context, ref: str, *, client_id: str | None = None) -> Device:
        """Return one device; raise DeviceNotFound with the nearest names of that client."""
        ...

    async def device_links(self, ctx: Context, device_id: str) -> tuple[Link, ...]:
        """Return every link of a device, missing ones too."""
        ...

    async def sites(self, ctx: Context, client_id: str) -> Listing[Site]:
        """Return the client's sites, sorted by id."""
        ...

    async def site_link(self, ctx: Context, site_id: str, instance: str) -> str | None:
        """Return a console's id of one of our sites, None where it does not list it."""
        ...

    def targets(
        self, ctx: Context, client_ids: Sequence[str]
    ) -> AsyncIterator[tuple[str, Sequence[DeviceLinks]]]:
        """Yield each of these clients with its devices and the links of those listed now, in the order asked.

        Missing devices are among them, without links: they must not be taken for healthy. A client without devices is
        yielded with none. Few queries for many clients; memory holds a part at a time.
        """
        ...

    async def client_links(
        self, ctx: Context, client_ids: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Return client id -> instance -> external id, an entry for every id asked for."""
        ...

    async def client_by_link(self, ctx: Context, instance: str, external_id: str) -> str | None:
        """Return our id of a console's client, None when it is unknown or outside the scope."""
        ...

    async def device_by_link(self, ctx: Context, instance: str, external_id: str) -> str | None:
        """Return our id of a console's device, None when it is unknown or outside the scope."""
        ...

    async def link_client(
        self, ctx: Context, client_id: str, instance: str, external_id: str
    ) -> Link:
        """Say which of a console's clients is ours."""
        ...

    async def link_device(
        self, ctx: Context, device_ref: str, instance: str, external_id: str
    ) -> Link:
        """Say which of a console's devices is ours; a device left without any link becomes missing."""
        ...

    async def add_device(
        self,
        ctx: Context,
        client_id: str,
        name: str,
        *,
        instance: str,
        external_id: str,
        os: OsFamily = OsFamily.OTHER,
        kind: DeviceKind = DeviceKind.OTHER,
    ) -> Device:
        """Record a device that no console lists, reached through `instance` under `external_id` (an SSH address)."""
        ...

    async def forget_device(self, ctx: Context, device_ref: str) -> Device:
        """Remove a device that is missing or was added by hand, and emit `inventory.forgotten`; return it as it was.

        Raises Conflict while a console that is synced lists it.
        """
        ...

    async def sync(
        self,
        ctx: Context,
        instances: Sequence[str] = (),
        *,
        client_id: str | None = None,
        create_clients: bool = False,
    ) -> SyncReport:
        """Bring clients, sites and devices up to date with these instances (none named: all that can list).

        An instance that fails is reported and leaves its devices as they were; the others are done.
        """
        ...

"""The `device` commands that only touch our records, and `client sync|link`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, ClassVar

from attrs import frozen

from msp_core.v1 import (
    Context,
    Data,
    Device,
    DeviceKind,
    Display,
    Doc,
    Listing,
    OsFamily,
    Param,
    Spelling,
    moment,
)
from msp_inventory.api import Inventory, Link, SyncReport

DeviceRef = Annotated[str, Doc("The device, as CLIENT/DEVICE."), Param(arg=True)]
ClientRef = Annotated[str, Doc("The client's id or exact name."), Param(arg=True, mcp="client_id")]
InstanceName = Annotated[str, Doc("The adapter's name in the configuration."), Param(arg=True)]
ExternalId = Annotated[str, Doc("The id as the console shows it."), Param(arg=True)]


@frozen(kw_only=True, eq=False, repr=False)
class DeviceDetails(Data):
    """One device and its links."""

    device: Device
    links: tuple[Link, ...]

    def say(self) -> str:
        """Return the text for people."""
        device = self.device
        lines = [
            ("ID", device.id),
            ("Status", device.status),
            ("Kind", device.kind.value),
            ("System", device.os_name or device.os.value),
            ("Host name", device.hostname),
            ("Site", device.site_id or ""),
            ("Serial", device.serial),
            ("MAC", ", ".join(device.macs)),
            ("Addresses", ", ".join(device.addresses)),
            ("Last seen", _moment(device.last_seen)),
            ("Missing since", _moment(device.missing_since)),
        ]
        text = [device.name, *(f"  {label + ':':<15}{value}" for label, value in lines if value)]
        for link in self.links:
            gone = f", not listed since {_moment(link.missing_since)}" if link.missing_since else ""
            maybe = f"; maybe the same as {', '.join(link.maybe)}" if link.maybe else ""
            text.append(f"  {link.instance + ':':<15}{link.external_id}{gone}{maybe}")
        if device.missing_since is not None:
            text.append(
                "No console lists it any more; its checks are UNKNOWN. "
                f"Gone for good? msp-toolkit device forget {device.id}"
            )
        return "\n".join(text)

    DISPLAY: ClassVar[Display] = Display(summary=lambda found: found.say())


@frozen(kw_only=True, eq=False, repr=False)
class Linked(Data):
    """A link somebody made."""

    link: Link
    recorded: bool

    DISPLAY: ClassVar[Display] = Display(
        summary=lambda made: (
            ("" if made.recorded else "Not recorded: ")
            + f"{made.link.instance} {made.link.external_id} is {made.link.our_id}."
        )
    )


@frozen(kw_only=True, eq=False, repr=False)
class Added(Data):
    """A device somebody added."""

    device: Device
    links: Mapping[str, str]
    recorded: bool

    DISPLAY: ClassVar[Display] = Display(
        summary=lambda made: (
            ("Added " if made.recorded else "Not recorded: would have added ")
            + f"{made.device.id}."
        )
    )


@frozen(kw_only=True, eq=False, repr=False)
class Forgotten(Data):
    """A device somebody is done with, as it was."""

    device: Device
    recorded: bool

    def say(self) -> str:
        """Return what became of it, and how to have it back."""
        device = self.device
        done = "Forgot" if self.recorded else "Not recorded: would have forgotten"
        return (
            f"{done} {device.id}. What was found on it stays in the history: "
            f"health history {device.client_id} --device {device.id}\n"
            "A console that lists it again brings it back with the next sync; so does `device add`."
        )

    DISPLAY: ClassVar[Display] = Display(summary=lambda done: done.say())


def _moment(value: datetime | None) -> str:
    return "" if value is None else moment(value)


async def sync(
    ctx: Context,
    instances: Annotated[
        Sequence[str], Doc("Adapters to ask, by name."), Param(arg=True, all_flag=True)
    ] = (),
    *,
    client: Annotated[str | None, Doc("Only this client.")] = None,
    create: Annotated[bool, Doc("Make clients for those of the console nobody knows.")] = False,
) -> SyncReport:
    """Bring clients, sites and devices up to date with the consoles.

    Writes only what changed. A device that a console no longer lists is marked missing, never deleted.
    """
    inventory = await ctx.get(Inventory)
    return await inventory.sync(ctx, instances, client_id=client, create_clients=create)


async def link_client(
    ctx: Context, client: ClientRef, instance: InstanceName, external_id: ExternalId
) -> Linked:
    """Say which client of a console is ours; the next sync brings its devices."""
    inventory = await ctx.get(Inventory)
    link = await inventory.link_client(ctx, client, instance, external_id)
    return Linked(link=link, recorded=ctx.records)


async def list_devices(
    ctx: Context,
    client: Annotated[
        str | None,
        Doc("The client's id or exact name."),
        Param(arg=True, mcp="client_id", all_flag=True),
    ] = None,
    *,
    kind: Annotated[DeviceKind | None, Doc("Only devices of this kind.")] = None,
    os: Annotated[OsFamily | None, Doc("Only devices with this system.")] = None,
    search: Annotated[
        str | None, Doc("Part of a name, host name, serial number or address.")
    ] = None,
    missing: Annotated[bool, Doc("Also devices no console lists any more.")] = False,
    limit: Annotated[int | None, Doc("At most so many.")] = None,
    offset: Annotated[int, Doc("Leave out so many at the start.")] = 0,
) -> Listing[Device]:
    """List client devices."""
    inventory = await ctx.get(Inventory)
    return await inventory.devices(
        ctx,
        client,
        kind=kind,
        os=os,
        search=search,
        include_missing=missing,
        limit=limit,
        offset=offset,
    )


async def show_device(ctx: Context, device: DeviceRef) -> DeviceDetails:
    """Show one device and its ids in every console."""
    inventory = await ctx.get(Inventory)
    found = await inventory.device(ctx, device)
    return DeviceDetails(device=found, links=await inventory.device_links(ctx, found.id))


async def add_device(
    ctx: Context,
    client: ClientRef,
    name: Annotated[str, Doc("The device's name."), Param(arg=True)],
    *,
    via: Annotated[str, Doc("The adapter that reaches it, by name.")],
    address: Annotated[
        str,
        Doc("Where that adapter finds it, such as a host name or user@host:port for SSH."),
        Param(cli=(Spelling("--address"),)),
    ],
    os: Annotated[OsFamily, Doc("Its operating system.")] = OsFamily.OTHER,
    kind: Annotated[DeviceKind, Doc("What sort of machine it is.")] = DeviceKind.OTHER,
) -> Added:
    """Add a device that no console lists, such as one reached over SSH."""
    inventory = await ctx.get(Inventory)
    made = await inventory.add_device(
        ctx, client, name, instance=via, external_id=address, os=os, kind=kind
    )
    return Added(device=made, links={via: address}, recorded=ctx.records)


async def link_device(
    ctx: Context, device: DeviceRef, instance: InstanceName, external_id: ExternalId
) -> Linked:
    """Say which device of a console is ours."""
    inventory = await ctx.get(Inventory)
    link = await inventory.link_device(ctx, device, instance, external_id)
    return Linked(link=link, recorded=ctx.records)


async def forget_device(ctx: Context, device: DeviceRef) -> Forgotten:
    """Remove a device that is missing or was added by hand.

    It is no longer checked, its latest status goes and its alerts are resolved. What was found on it stays in the
    history until retention removes it.
    """
    inventory = await ctx.get(Inventory)
    gone = await inventory.forget_device(ctx, device)
    return Forgotten(device=gone, recorded=ctx.records)

"""The `client` commands."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeVar

from attrs import frozen

from msp_clients.api import ClientFilter, Clients, DeviceFigures, KnowsSettings, Overview
from msp_core.v1 import (
    Client,
    ClientStatus,
    Column,
    Context,
    Data,
    Display,
    Doc,
    InvalidParameters,
    Listing,
    Param,
    Spelling,
    Tier,
    UnknownPlugin,
    moment,
)

T = TypeVar("T")

ClientRef = Annotated[str, Doc("The client's id or exact name."), Param(arg=True, mcp="client_id")]
Name = Annotated[str, Doc("Client company name")]
Contact = Annotated[str, Doc("Primary contact email"), Param(cli=(Spelling("--contact"),))]
Tags = Annotated[
    Sequence[str], Doc("A word to select by, such as hipaa."), Param(cli=(Spelling("--tag"),))
]
Notes = Annotated[str, Doc("Anything people should know.")]


def _moment(value: datetime | None) -> str:
    return "never" if value is None else moment(value)


def _count(value: int | None) -> str:
    return "" if value is None else str(value)


def _tags(value: Sequence[str]) -> str:
    return " ".join(value)


@frozen(kw_only=True, eq=False, repr=False)
class ClientRow(Data):
    """A client in a list. `devices` and `last_health_check` are None where nothing installed knows them."""

    id: str
    name: str
    tier: Tier
    status: ClientStatus
    contact_email: str
    tags: tuple[str, ...]
    devices: int | None = None
    last_health_check: datetime | None = None
    deleted_at: datetime | None = None

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("id", "ID"),
            Column("name", "Name"),
            Column("tier", "Tier"),
            Column("status", "Status"),
            Column("contact_email", "Contact"),
            Column("tags", "Tags", _tags),
            Column("devices", "Devices", _count),
            Column("last_health_check", "Last health check"),
        ),
    )


@frozen(kw_only=True, eq=False, repr=False)
class ClientDetails(Data):
    """Everything known about one client. `config` holds its own settings."""

    id: str
    name: str
    contact_email: str
    tier: Tier
    status: ClientStatus
    tags: tuple[str, ...]
    notes: str
    rmm_id: str | None
    devices: int | None
    last_health_check: datetime | None
    created_at: datetime | None
    updated_at: datetime | None
    deleted_at: datetime | None
    config: Mapping[str, Any]

    def say(self) -> str:
        """Return the text for people."""
        meaning = {
            ClientStatus.ACTIVE: "",
            ClientStatus.SUSPENDED: " (checked, but nobody is told)",
            ClientStatus.INACTIVE: " (not checked)",
        }[self.status]
        lines = [
            ("ID", self.id),
            ("Contact", self.contact_email),
            ("Tier", self.tier.value),
            ("Status", self.status.value + meaning),
            ("Deleted", _moment(self.deleted_at) if self.deleted_at else ""),
            ("Tags", _tags(self.tags)),
            ("Devices", _count(self.devices)),
            ("RMM id", self.rmm_id or ""),
            ("Last health check", _moment(self.last_health_check)),
            ("Client since", _moment(self.created_at)),
            ("Notes", self.notes.replace("\n", "\n" + " " * 21)),
        ]
        text = [self.name, *(f"  {label + ':':<19}{value}" for label, value in lines if value)]
        if self.config:
            text.append("  Own settings:")
            text += [f"    {key} = {json.dumps(value)}" for key, value in self.config.items()]
        return "\n".join(text)

    DISPLAY: ClassVar[Display] = Display(summary=lambda client: client.say())


@frozen(kw_only=True, eq=False, repr=False)
class ClientSettings(Data):
    """A client's own settings by key."""

    client_id: str
    values: Mapping[str, Any]

    def say(self) -> str:
        """Return one line per setting."""
        if not self.values:
            return f"{self.client_id} has no settings of its own: those of its tier apply."
        return "\n".join(f"{key} = {json.dumps(value)}" for key, value in self.values.items())

    DISPLAY: ClassVar[Display] = Display(summary=lambda settings: settings.say())


@frozen(kw_only=True, eq=False, repr=False)
class ClientDone(Data):
    """What was done to a client, and what to do next."""

    client: Client
    message: str

    DISPLAY: ClassVar[Display] = Display(summary=lambda done: done.message)


async def list_clients(
    ctx: Context,
    *,
    tier: Annotated[Tier | None, Doc("Filter by client tier")] = None,
    status: Annotated[ClientStatus | None, Doc("Filter by client status")] = None,
    search: Annotated[str | None, Doc("Search clients by name")] = None,
    tag: Annotated[str | None, Doc("Only clients with this tag.")] = None,
    deleted: Annotated[bool, Doc("Also show deleted clients.")] = False,
    limit: Annotated[int | None, Doc("At most so many.")] = None,
    offset: Annotated[int, Doc("Leave out so many at the start.")] = 0,
) -> Listing[ClientRow]:
    """List MSP clients with optional filtering by tier, status, or name."""
    wanted = ClientFilter(
        tier=tier,
        status=status,
        search=search,
        tag=tag,
        include_deleted=deleted,
        limit=limit,
        offset=offset,
    )
    found = await (await ctx.get(Clients)).overview(ctx, wanted)
    rows = tuple(
        ClientRow(
            id=client.id,
            name=client.name,
            tier=client.tier,
            status=client.status,
            contact_email=client.contact_email,
            tags=client.tags,
            devices=None if found.devices is None else _figures(found, client.id).count,
            last_health_check=found.checked_at.get(client.id),
            deleted_at=client.deleted_at,
        )
        for client in found.clients.items
    )
    notes = list(found.notes)
    filtered = any((tier, status, search, tag, offset, limit == 0))
    if not found.clients.total and not filtered:
        notes.append(
            "There are no clients yet: `client add --name NAME`, or `client sync --all --create`."
        )
    return Listing(items=rows, total=found.clients.total, notes=tuple(notes))


def _figures(known: Overview, client_id: str) -> DeviceFigures:
    return (known.devices or {}).get(client_id) or DeviceFigures(count=0)


async def show_client(ctx: Context, client: ClientRef) -> ClientDetails:
    """Show one client: contact, tier, status, devices and its own settings."""
    clients = await ctx.get(Clients)
    found = await clients.get(ctx, client)
    config = (await clients.get_configs(ctx, [found.id]))[found.id]
    known = await clients.overview(ctx, ClientFilter(ids=(found.id,)))
    for note in known.notes:
        ctx.warn(note)
    figures = None if known.devices is None else _figures(known, found.id)
    return ClientDetails(
        id=found.id,
        name=found.name,
        contact_email=found.contact_email,
        tier=found.tier,
        status=found.status,
        tags=found.tags,
        notes=found.notes,
        rmm_id=figures.rmm_id if figures else None,
        devices=figures.count if figures else None,
        last_health_check=known.checked_at.get(found.id),
        created_at=found.created_at,
        updated_at=found.updated_at,
        deleted_at=found.deleted_at,
        config=config,
    )


async def read_client(
    ctx: Context, id: Annotated[str, Doc("The client's id or exact name.")]
) -> ClientDetails:
    """Give one client as a document."""
    return await show_client(ctx, id)


async def complete_client(ctx: Context, argument: str, value: str) -> tuple[str, ...]:
    """Give the ids of clients that begin like this, of those the caller may see."""
    del argument  # each parameter that takes a client is completed alike
    found = await (await ctx.get(Clients)).list(ctx)
    ids = sorted(client.id for client in found.items)
    return tuple(one for one in ids if one.startswith(value.lower()))


async def add_client(
    ctx: Context,
    *,
    name: Name,
    contact_email: Contact = "",
    tier: Annotated[Tier, Doc("Service tier")] = Tier.BRONZE,
    status: Annotated[ClientStatus, Doc("Status at the start.")] = ClientStatus.ACTIVE,
    tags: Tags = (),
    notes: Notes = "",
    id: Annotated[
        str | None, Doc("The id, fixed for life; made from the name when left out.")
    ] = None,
) -> ClientDone:
    """Add a client."""
    clients = await ctx.get(Clients)
    made = await clients.create(
        ctx,
        name=name,
        contact_email=contact_email,
        tier=tier,
        status=status,
        tags=tags,
        notes=notes,
        id=id,
    )
    return ClientDone(client=made, message=f"{_done(ctx, 'Added')} {made.name} as {made.id}.")


async def update_client(
    ctx: Context,
    client: ClientRef,
    *,
    name: Annotated[str | None, Doc("A new name; the id stays.")] = None,
    contact_email: Annotated[
        str | None, Doc("Primary contact email"), Param(cli=(Spelling("--contact"),))
    ] = None,
    tier: Annotated[Tier | None, Doc("Service tier")] = None,
    status: Annotated[
        ClientStatus | None,
        Doc("active; suspended: checked, but nobody is told; inactive: not checked."),
    ] = None,
    tags: Annotated[
        Sequence[str],
        Doc("All tags the client shall have."),
        Param(cli=(Spelling("--tag"),)),
    ] = (),
    clear_tags: Annotated[bool, Doc("Remove every tag first.")] = False,
    notes: Annotated[str | None, Doc("Notes; they replace the old ones.")] = None,
) -> ClientDone:
    """Change a client's name, contact, tier, status, tags or notes; what is not given stays."""
    clients = await ctx.get(Clients)
    before = await clients.get(ctx, client)
    after = await clients.update(
        ctx,
        before.id,
        name=name,
        contact_email=contact_email,
        tier=tier,
        status=status,
        tags=tags if tags or clear_tags else None,
        notes=notes,
    )
    if after == before:
        return ClientDone(client=after, message=f"{after.id} is so already; nothing was changed.")
    return ClientDone(client=after, message=f"{_done(ctx, 'Changed')} {after.name} ({after.id}).")


async def delete_client(ctx: Context, client: ClientRef) -> ClientDone:
    """Hide a client from lists and sweeps; its history stays and `client restore` undoes it."""
    gone = await (await ctx.get(Clients)).delete(ctx, client)
    return ClientDone(
        client=gone,
        message=f"{_done(ctx, 'Deleted')} {gone.name}. Its history stays; undo with: client restore {gone.id}",
    )


async def restore_client(ctx: Context, client: ClientRef) -> ClientDone:
    """Bring a deleted client back."""
    clients = await ctx.get(Clients)
    before = await clients.get(ctx, client, include_deleted=True)
    if before.deleted_at is None:
        return ClientDone(client=before, message=f"{before.name} ({before.id}) was not deleted.")
    back = await clients.restore(ctx, before.id)
    return ClientDone(client=back, message=f"{_done(ctx, 'Restored')} {back.name} ({back.id}).")


async def configure_client(
    ctx: Context,
    client: ClientRef,
    *,
    values: Annotated[
        Mapping[str, Any] | None,
        Doc("KEY=VALUE to set; the value is JSON where it reads as JSON, else text."),
        Param(cli=(Spelling("--set"),), mcp="set"),
    ] = None,
    unset: Annotated[Sequence[str], Doc("A key to remove; what the tier says applies again.")] = (),
) -> ClientSettings:
    """Show or change a client's own settings, such as health limits and expected services."""
    clients = await ctx.get(Clients)
    found = await clients.get(ctx, client)
    if values or unset:
        wanted: dict[str, Any] = {key: _parsed(value) for key, value in (values or {}).items()}
        both = sorted(set(wanted) & set(unset))
        if both:
            raise InvalidParameters(
                f"{both[0]} is to be set and removed at once", suggestion="Say one of them."
            )
        await _check_settings(ctx, found, wanted)
        wanted.update(dict.fromkeys(unset))
        await clients.set_config(ctx, found.id, wanted)
        if not ctx.records:
            ctx.warn("Nothing was recorded; these settings are the present ones.")
    return ClientSettings(client_id=found.id, values=await clients.get_config(ctx, found.id))


async def _check_settings(ctx: Context, client: Client, new: Mapping[str, Any]) -> None:
    knows = await _optional(ctx, KnowsSettings)
    if knows is not None and new:
        kept = await (await ctx.get(Clients)).get_config(ctx, client.id)
        for warning in await knows.check_settings(ctx, client, {**kept, **new}, list(new)):
            ctx.warn(warning)


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _done(ctx: Context, verb: str) -> str:
    return f"Not recorded: would have {verb.lower()}" if not ctx.records else verb


async def _optional(ctx: Context, service: type[T]) -> T | None:
    try:
        return await ctx.get(service)
    except UnknownPlugin:
        return None

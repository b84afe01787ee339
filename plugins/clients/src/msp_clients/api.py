"""What other plugins may use of the clients: the service and what it speaks in."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from attrs import frozen

from msp_clients.slugs import free_id as free_id
from msp_clients.slugs import slug as slug
from msp_core.v1 import Client, ClientStatus, Context, Data, Listing, Tier
from msp_store.api import Tx


@frozen(kw_only=True, eq=False, repr=False)
class NewClient(Data):
    """A client that does not exist yet. Without `id` a slug is made from the name."""

    name: str
    contact_email: str = ""
    tier: Tier = Tier.BRONZE
    status: ClientStatus = ClientStatus.ACTIVE
    tags: tuple[str, ...] = ()
    notes: str = ""
    id: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Entry(Data):
    """One row of an import: the fields it gives (of NewClient), already of the right types, and its line.

    `settings` are all the client's own settings after it; None leaves them as they are.
    """

    line: int
    fields: Mapping[str, Any]
    settings: Mapping[str, Any] | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Merged(Data):
    """What became of one entry: `created`, `updated` or `unchanged`."""

    action: str
    client: Client


@frozen(kw_only=True, eq=False, repr=False)
class DeviceFigures(Data):
    """What the inventory knows about one client."""

    count: int
    rmm_id: str | None = None
    """The client's id in the default RMM instance, where it is linked."""


class KnowsDevices(Protocol):
    """Offered by whoever owns devices, so that a list of clients can say how many each has."""

    def client_devices(
        self, tx: Tx, ctx: Context, client_ids: Sequence[str]
    ) -> Mapping[str, DeviceFigures]:
        """Inside the caller's transaction: return the figures of clients; those without devices may be left out."""
        ...


class KnowsHealth(Protocol):
    """Offered by whoever owns health results, so that a list of clients can say how fresh they are."""

    def last_checks(
        self, tx: Tx, ctx: Context, client_ids: Sequence[str]
    ) -> Mapping[str, datetime]:
        """Inside the caller's transaction: return when clients were last checked; those never checked are left out."""
        ...


@frozen(kw_only=True, eq=False, repr=False)
class ClientFilter(Data):
    """Which clients a list shall hold: None and empty mean all. `search` is part of a name, whatever its case."""

    tier: Tier | None = None
    status: ClientStatus | None = None
    search: str | None = None
    tag: str | None = None
    ids: tuple[str, ...] | None = None
    include_deleted: bool = False
    limit: int | None = None
    offset: int = 0


@frozen(kw_only=True, eq=False, repr=False)
class Overview(Data):
    """Clients, and what other plugins know of each by its id; of one moment.

    `devices` is None where nothing installed counts them. `notes` say what could not be had, and why.
    """

    clients: Listing[Client]
    devices: Mapping[str, DeviceFigures] | None
    checked_at: Mapping[str, datetime]
    notes: tuple[str, ...]


class KnowsSettings(Protocol):
    """Offered by whoever reads clients' own settings, so that a wrong one is refused before it is kept."""

    async def check_settings(
        self, ctx: Context, client: Client, settings: Mapping[str, Any], new: Collection[str]
    ) -> tuple[str, ...]:
        """Look at the settings a client would have; raise InvalidParameters where one of the keys in `new` is wrong.

        Returns warnings: what no plugin in use reads, with the line that installs the one that would.
        """
        ...


class Clients(Protocol):
    """The MSP's clients.

    Every read is limited to the caller's scope; a client outside it is reported as not found. A `ref` is an id or
    the exact name. In a dry run and in read-only mode writes return what would be recorded and record nothing.
    Each write emits `client.created|updated|deleted|restored|configured` with `{"client_id": ...}`.
    """

    async def create(
        self,
        ctx: Context,
        *,
        name: str,
        contact_email: str = "",
        tier: Tier = Tier.BRONZE,
        status: ClientStatus = ClientStatus.ACTIVE,
        tags: Sequence[str] = (),
        notes: str = "",
        id: str | None = None,
    ) -> Client:
        """Record a new client; raise InvalidParameters for bad values and Conflict for an id that is taken.

        So is a name of another client, whatever its case, unless `id` tells the two apart.
        """
        ...

    async def create_many(self, ctx: Context, new: Sequence[NewClient]) -> tuple[Client, ...]:
        """Record many clients in one transaction, in order: all of them or none."""
        ...

    def claim(
        self, tx: Tx, ctx: Context, name: str, *, but_not: Collection[str]
    ) -> tuple[Client, bool]:
        """Inside the caller's transaction: return the only client of that name, or a new one, and whether it is new.

        Clients in `but_not` are passed over. So two processes that learn of one client make it once.
        """
        ...

    async def merge(self, ctx: Context, entries: Sequence[Entry]) -> tuple[Merged, ...]:
        """Create and update clients by id (without one: by exact name), all entries or none.

        Raises InvalidParameters with every bad entry and its line in `details["rows"]`.
        """
        ...

    async def get(self, ctx: Context, ref: str, *, include_deleted: bool = False) -> Client:
        """Return one client; raise ClientNotFound with the nearest names inside the scope."""
        ...

    async def list(
        self,
        ctx: Context,
        *,
        tier: Tier | None = None,
        status: ClientStatus | None = None,
        search: str | None = None,
        tag: str | None = None,
        ids: Sequence[str] | None = None,
        include_deleted: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> Listing[Client]:
        """Return clients sorted by name; the arguments are those of ClientFilter."""
        ...

    async def overview(self, ctx: Context, wanted: ClientFilter) -> Overview:
        """Return clients as `list` does, with their figures, read in one transaction."""
        ...

    async def update(
        self,
        ctx: Context,
        ref: str,
        *,
        name: str | None = None,
        contact_email: str | None = None,
        tier: Tier | None = None,
        status: ClientStatus | None = None,
        tags: Sequence[str] | None = None,
        notes: str | None = None,
    ) -> Client:
        """Change what is given (None: leave as it is); the id never changes."""
        ...

    async def delete(self, ctx: Context, ref: str) -> Client:
        """Hide a client from every list and sweep; its history stays and `restore` brings it back."""
        ...

    async def restore(self, ctx: Context, ref: str) -> Client:
        """Bring a deleted client back."""
        ...

    async def get_config(self, ctx: Context, client_id: str) -> Mapping[str, Any]:
        """Return the client's own settings by key, such as `health.disk.critical_percent` or `probes.allowed`."""
        ...

    async def get_configs(
        self, ctx: Context, client_ids: Sequence[str]
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return the settings of many clients in one query; every id asked for has an entry."""
        ...

    async def set_config(self, ctx: Context, client_id: str, values: Mapping[str, Any]) -> None:
        """Set keys of the client's settings to JSON values; None removes a key."""
        ...

"""The `db` commands."""

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from attrs import field, frozen

from msp_core.v1 import (
    Column,
    Context,
    Display,
    Doc,
    InvalidParameters,
    Migrations,
    Secret,
    Subscriber,
)
from msp_store.api import Store

if TYPE_CHECKING:
    from msp_store.engine import DatabaseStore


@frozen(kw_only=True)
class Step:
    """One numbered change to the tables; `applied_at` is None while it is pending."""

    plugin: str
    name: str
    applied_at: datetime | None = None


@frozen(kw_only=True)
class DatabaseStatus:
    """Where the database is, how large, and which steps its tables have been through."""

    type: str
    where: str
    exists: bool
    size_bytes: int | None = None
    wal_bytes: int | None = None
    free_bytes: int | None = None
    events_open: int = 0
    events_dead: int = 0
    steps: tuple[Step, ...] = ()

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("plugin"), Column("name", "step"), Column("applied_at", "applied")),
        rows="steps",
        summary=lambda status: status.text,
    )

    @property
    def pending(self) -> int:
        """Steps not applied yet."""
        return sum(step.applied_at is None for step in self.steps)

    @property
    def text(self) -> str:
        """One line for people."""
        if not self.exists:
            return f"{self.type}: {self.where}: not made yet; the first command that records something makes it"
        size = f", {self.size_bytes / 1_048_576:.1f} MiB" if self.size_bytes is not None else ""
        steps = f"{self.pending} pending" if self.pending else "up to date"
        events = f", {self.events_open} events waiting" if self.events_open else ""
        dead = f", {self.events_dead} deliveries given up" if self.events_dead else ""
        return f"{self.type}: {self.where}{size}: {steps}{events}{dead}"


@frozen(kw_only=True)
class UpgradeReport:
    """The steps that were applied, or in a dry run would be."""

    steps: tuple[Step, ...]
    dry_run: bool = False

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("plugin"), Column("name", "step")),
        rows="steps",
        summary=lambda report: report.text,
        empty="",
    )

    @property
    def text(self) -> str:
        """One line for people."""
        if not self.steps:
            return "The database is up to date."
        return f"{len(self.steps)} steps {'would be' if self.dry_run else 'were'} applied."


@frozen(kw_only=True)
class Pruned:
    """Rows removed from one table."""

    table: str
    rows: int


@frozen(kw_only=True)
class PruneReport:
    """What was removed, or in a dry run would be."""

    before: datetime
    tables: tuple[Pruned, ...]
    dry_run: bool = False

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("table"), Column("rows")),
        rows="tables",
        summary=lambda report: report.text,
        empty="",
    )

    @property
    def text(self) -> str:
        """One line for people."""
        total = sum(pruned.rows for pruned in self.tables)
        verb = "would be removed" if self.dry_run else "removed"
        return f"{total} rows from before {self.before:%Y-%m-%d %H:%M} UTC {verb}."


@frozen(kw_only=True)
class MovedTable:
    """One table: its rows and their digest, the same on both sides (empty in a dry run)."""

    table: str
    rows: int
    digest: str


@frozen(kw_only=True)
class MoveReport:
    """What was copied to the other database."""

    source: str
    target: str
    tables: tuple[MovedTable, ...] = field(default=())
    dry_run: bool = False

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("table"), Column("rows"), Column("digest")),
        rows="tables",
        summary=lambda report: report.text,
    )

    @property
    def text(self) -> str:
        """What was done, and what to do next."""
        rows = sum(table.rows for table in self.tables)
        if self.dry_run:
            return f"{rows} rows in {len(self.tables)} tables would be copied to {self.target}."
        return (
            f"{rows} rows in {len(self.tables)} tables copied to {self.target}; counts and digests are equal. "
            f'Now set type = "postgresql" and url in [database]; {self.source} was not changed.'
        )


async def _store(ctx: Context) -> "DatabaseStore":
    return cast("DatabaseStore", await ctx.get(Store))


async def status(ctx: Context) -> DatabaseStatus:
    """Show where the database is, how large it is, and which changes to its tables are applied or pending."""
    from msp_store.condition import look

    store = await _store(ctx)
    pending = await store.pending()
    found = await look(store, heard={one.event for one in ctx.toolkit.registry.records(Subscriber)})
    steps = [Step(plugin=plugin, name=name, applied_at=at) for plugin, name, at in found.applied]
    steps += [Step(plugin=step.plugin, name=step.name) for step in pending]
    return DatabaseStatus(
        type=store.dialect,
        where=store.target.where,
        exists=not store.is_new(),
        size_bytes=found.size_bytes,
        wal_bytes=found.wal_bytes,
        free_bytes=found.free_bytes,
        events_open=found.events_open,
        events_dead=found.events_dead,
        steps=tuple(steps),
    )


async def upgrade(
    ctx: Context,
    *,
    create: Annotated[bool, Doc("Begin with an empty database where the file is gone.")] = False,
) -> UpgradeReport:
    """Apply the pending changes to the tables. Other commands do so by themselves; this shows what was done."""
    store = await _store(ctx)
    steps = await store.upgrade(anew=create) if ctx.records else await store.pending()
    return UpgradeReport(
        steps=tuple(Step(plugin=step.plugin, name=step.name) for step in steps),
        dry_run=not ctx.records,
    )


async def prune(ctx: Context) -> PruneReport:
    """Remove detailed records older than general.data_retention_days, after rolling them up where a feature does so."""
    from msp_store import retention

    before = ctx.now() - timedelta(days=ctx.toolkit.config.general.data_retention_days)
    removed = await retention.prune(
        await _store(ctx),
        ctx.toolkit.registry.records(Migrations),
        ctx.toolkit.registry.load,
        before=before,
        dry_run=not ctx.records,
    )
    return PruneReport(
        before=before,
        tables=tuple(Pruned(table=table, rows=rows) for table, rows in sorted(removed.items())),
        dry_run=not ctx.records,
    )


async def migrate(
    ctx: Context,
    *,
    to: Annotated[
        str,
        Doc(
            "Address of an empty PostgreSQL database: postgresql://user@host:5432/name. "
            "The password is better given as PGPASSWORD or in ~/.pgpass."
        ),
    ],
) -> MoveReport:
    """Copy all records to an empty PostgreSQL database and prove that counts and digests are equal.

    Everything is copied from one snapshot and committed at the end, or nothing is. Stop other msp-toolkit commands
    first: what they record meanwhile is not in the copy.
    """
    from msp_store import moving
    from msp_store.databases import PostgresqlTarget, conninfo_of

    if not to.startswith(("postgresql://", "postgres://")):
        raise InvalidParameters(
            "--to must be a PostgreSQL address",
            suggestion="Write it like: --to postgresql://user@host:5432/name",
        )
    conninfo = conninfo_of(to)
    if conninfo.get("password"):
        Secret(conninfo["password"], "--to")  # masked from here on
    store = await _store(ctx)
    target = PostgresqlTarget(conninfo={"connect_timeout": 10, **conninfo})
    loop = asyncio.get_running_loop()

    def tell(table: str, rows: int) -> None:
        loop.call_soon_threadsafe(ctx.progress.update, rows, None, table)

    await store.open()
    tables = await store.read_raw(
        lambda tx: moving.copy_all(tx, target, store.ledger, tell, dry_run=not ctx.records)
    )
    return MoveReport(
        source=store.target.where,
        target=target.where,
        tables=tuple(
            MovedTable(table=one.table, rows=one.rows, digest=one.digest)
            for one in sorted(tables, key=lambda one: one.table)
        ),
        dry_run=not ctx.records,
    )

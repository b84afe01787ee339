"""What the store offers."""

from collections.abc import Iterable

from msp_core.v1 import (
    DoctorCheck,
    Effect,
    Migrations,
    Service,
    Settings,
    Surface,
    Tool,
    hookimpl,
)

_OPERATORS = frozenset({Surface.CLI, Surface.PYTHON})
"""The database belongs to whoever runs the toolkit, not to agents."""


@hookimpl
def msp_services() -> Iterable[Service]:
    """Offer the database and the outbox."""
    yield Service(type="msp_store.api:Store", factory="msp_store.service:create_store")
    yield Service(type="msp_store.api:Outbox", factory="msp_store.outbox:create")


@hookimpl
def msp_settings() -> Iterable[Settings]:
    """Offer the section `[database]`."""
    yield Settings(section="database", type="msp_store.settings:DatabaseSettings")


@hookimpl
def msp_migrations() -> Iterable[Migrations]:
    """Offer the outbox tables."""
    yield Migrations(id="store", package="msp_store.migrations", prune="msp_store.outbox:prune")


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the `db` commands."""
    yield Tool(
        name="db.status",
        run="msp_store.tools:status",
        summary="Show where the database is, its size, and the state of its tables",
        effect=Effect.READ,
        surfaces=_OPERATORS,
        example="msp-toolkit db status",
    )
    yield Tool(
        name="db.upgrade",
        run="msp_store.tools:upgrade",
        summary="Apply pending changes to the tables",
        effect=Effect.RECORD,
        surfaces=_OPERATORS,
        example="msp-toolkit db upgrade --dry-run",
    )
    yield Tool(
        name="db.prune",
        run="msp_store.tools:prune",
        summary="Remove detailed records older than the configuration keeps",
        effect=Effect.RECORD,
        surfaces=_OPERATORS | {Surface.SCHEDULE},
        example="msp-toolkit db prune --dry-run",
    )
    yield Tool(
        name="db.migrate",
        run="msp_store.tools:migrate",
        summary="Copy all records to an empty PostgreSQL database and prove that they arrived",
        effect=Effect.RECORD,
        surfaces=_OPERATORS,
        example="msp-toolkit db migrate --to postgresql://msp@db.example.com/msp_toolkit",
    )


@hookimpl
def msp_doctor_checks() -> Iterable[DoctorCheck]:
    """Offer a look at the database."""
    yield DoctorCheck(id="database", title="Database", run="msp_store.doctor:check")

"""What the health plugin offers."""

from collections.abc import Iterable

from msp_core.v1 import (
    DoctorCheck,
    Effect,
    Migrations,
    Service,
    Settings,
    Subscriber,
    Tool,
    hookimpl,
)


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the `health` commands."""
    yield Tool(
        name="health.check",
        run="msp_health.tools:check",
        summary="Run health checks for one or all clients",
        effect=Effect.RECORD,
        example="msp-toolkit health check acme-corp --type disk-space",
    )
    yield Tool(
        name="health.history",
        run="msp_health.tools:history",
        summary="Show what a client's health checks found over time",
        effect=Effect.READ,
        example="msp-toolkit health history acme-corp --days 7",
    )
    yield Tool(
        name="health.status",
        run="msp_health.tools:status",
        summary="Show the last known health of one or all clients",
        effect=Effect.READ,
        example="msp-toolkit health status --all",
    )
    yield Tool(
        name="health.checks",
        run="msp_health.tools:checks",
        summary="List the installed checks and their limits",
        effect=Effect.READ,
        example="msp-toolkit health checks acme-corp",
    )


@hookimpl
def msp_services() -> Iterable[Service]:
    """Offer the health service, also to lists of clients and to their settings."""
    yield Service(type="msp_health.api:Health", factory="msp_health.service:create")
    yield Service(type="msp_clients.api:KnowsSettings", factory="msp_health.clientkeys:create")
    yield Service(type="msp_clients.api:KnowsHealth", factory="msp_health.freshness:create")


@hookimpl
def msp_settings() -> Iterable[Settings]:
    """Offer the section `health_checks`."""
    yield Settings(
        section="health_checks",
        type="msp_health.settings:HealthSettings",
        check="msp_health.thresholds:check",
    )


@hookimpl
def msp_migrations() -> Iterable[Migrations]:
    """Offer the tables."""
    yield Migrations(
        id="health",
        package="msp_health.migrations",
        after=("store",),
        prune="msp_health.queries:prune",
    )


@hookimpl
def msp_subscribers() -> Iterable[Subscriber]:
    """Hear what the inventory no longer knows."""
    yield Subscriber(
        id="health.forgotten", event="inventory.forgotten", run="msp_health.forgetting:hear"
    )


@hookimpl
def msp_doctor_checks() -> Iterable[DoctorCheck]:
    """Offer the look at sweeps."""
    yield DoctorCheck(id="health.sweeps", title="Health sweeps", run="msp_health.doctor:sweeps")

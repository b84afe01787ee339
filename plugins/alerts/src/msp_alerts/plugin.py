"""What the alerts plugin offers."""

from collections.abc import Iterable

from msp_core.v1 import Effect, Migrations, Service, Subscriber, Tool, hookimpl


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the `alert` commands."""
    yield Tool(
        name="alert.list",
        run="msp_alerts.tools:list_alerts",
        summary="Get active alerts for clients",
        effect=Effect.READ,
        example="msp-toolkit alert list --severity critical --since 2d",
    )
    yield Tool(
        name="alert.show",
        run="msp_alerts.tools:show_alert",
        summary="Show one alert",
        effect=Effect.READ,
        example="msp-toolkit alert show 17",
    )
    yield Tool(
        name="alert.ack",
        run="msp_alerts.tools:ack_alert",
        summary="Say that somebody works on an alert",
        effect=Effect.RECORD,
        example='msp-toolkit alert ack 17 --until 18:00 --note "disk ordered"',
    )
    yield Tool(
        name="alert.resolve",
        run="msp_alerts.tools:resolve_alert",
        summary="Close an alert by hand",
        effect=Effect.RECORD,
        example="msp-toolkit alert resolve 17",
    )


@hookimpl
def msp_services() -> Iterable[Service]:
    """Offer the alerts service."""
    yield Service(type="msp_alerts.api:Alerts", factory="msp_alerts.service:create")


@hookimpl
def msp_subscribers() -> Iterable[Subscriber]:
    """Hear what health recorded."""
    yield Subscriber(id="alerts.changed", event="health.changed", run="msp_alerts.listener:hear")
    yield Subscriber(id="alerts.standing", event="health.standing", run="msp_alerts.listener:hear")
    yield Subscriber(
        id="alerts.forgotten", event="health.forgotten", run="msp_alerts.listener:forget"
    )


@hookimpl
def msp_migrations() -> Iterable[Migrations]:
    """Offer the tables."""
    yield Migrations(
        id="alerts",
        package="msp_alerts.migrations",
        after=("store",),
        prune="msp_alerts.retention:prune",
    )

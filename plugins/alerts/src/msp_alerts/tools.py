"""The `alert` commands."""

from typing import Annotated
from zoneinfo import ZoneInfo

from attrs import evolve

from msp_alerts.api import STALE, AlertEntry, Alerts
from msp_alerts.moments import parse_moment
from msp_clients.api import Clients
from msp_core.v1 import (
    AlertState,
    Context,
    Doc,
    Listing,
    Param,
    Severity,
)

AlertId = Annotated[str, Doc("The alert's id, as `alert list` shows it."), Param(arg=True)]
Note = Annotated[str, Doc("What people should know.")]


def _zone(ctx: Context) -> ZoneInfo:
    return ZoneInfo(ctx.toolkit.config.general.timezone)


def _said_when_not_recorded(ctx: Context, entry: AlertEntry) -> AlertEntry:
    if not ctx.records:
        ctx.warn("Nothing was recorded; this is what the alert would be.")
    return entry


async def list_alerts(
    ctx: Context,
    client: Annotated[
        str | None, Doc("Filter by client ID"), Param(arg=True, mcp="client_id")
    ] = None,
    *,
    severity: Annotated[Severity | None, Doc("Filter by severity")] = None,
    since: Annotated[
        str | None, Doc("ISO datetime to get alerts since; also 2d, 3h or 08:00 for so long ago.")
    ] = None,
    state: Annotated[
        AlertState | None, Doc("Only in this state; without it all that are not resolved.")
    ] = None,
    all: Annotated[bool, Doc("Resolved ones as well.")] = False,
    limit: Annotated[int, Doc("Alerts shown at most."), Param(least=1, most=10_000)] = 200,
) -> Listing[AlertEntry]:
    """List what is wrong now, worst and newest first.

    An acknowledgement that has expired counts as open again. `stale` marks a problem that the last sweep could not look
    at: it may be over, or worse.
    """
    client_id = None
    if client is not None:
        client_id = (await (await ctx.get(Clients)).get(ctx, client, include_deleted=True)).id
    begin = parse_moment(since, ctx.now(), _zone(ctx), ahead=False) if since else None
    alerts = await ctx.get(Alerts)
    found = await alerts.list(
        ctx,
        client_id=client_id,
        severity=severity,
        since=begin,
        state=state,
        include_resolved=all,
        limit=limit,
    )
    if any(one.is_stale for one in found.items):
        return evolve(found, notes=(*found.notes, f"Stale: {STALE}."))
    return found


async def show_alert(ctx: Context, alert: AlertId) -> AlertEntry:
    """Show one alert: what, where, since when, and what was decided."""
    return await (await ctx.get(Alerts)).get(ctx, alert)


async def ack_alert(
    ctx: Context,
    alert: AlertId,
    *,
    until: Annotated[
        str | None,
        Doc(
            "When it counts as open again: 2h, 18:00 or 2026-01-31T08:00. Without it: when it gets worse."
        ),
    ] = None,
    note: Note = "",
) -> AlertEntry:
    """Say that somebody works on an alert, until a moment or for as long as it lasts and gets no worse."""
    moment = parse_moment(until, ctx.now(), _zone(ctx), ahead=True) if until else None
    entry = await (await ctx.get(Alerts)).acknowledge(ctx, alert, until=moment, note=note)
    return _said_when_not_recorded(ctx, entry)


async def resolve_alert(ctx: Context, alert: AlertId, *, note: Note = "") -> AlertEntry:
    """Close an alert by hand; a problem that the next sweep still sees opens a new one."""
    entry = await (await ctx.get(Alerts)).resolve(ctx, alert, note=note)
    return _said_when_not_recorded(ctx, entry)

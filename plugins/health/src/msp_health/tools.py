"""The `health` commands."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

from msp_clients.api import Clients
from msp_core.v1 import (
    CheckResult,
    ClientStatus,
    Context,
    Device,
    Doc,
    InvalidParameters,
    Listing,
    Param,
    Period,
    Spelling,
    Status,
    Tier,
    worst,
)
from msp_health.api import (
    CheckInfo,
    ClientStatusSummary,
    Counts,
    Health,
    HealthRun,
    missing_note,
)
from msp_health.selection import select_clients
from msp_health.views import HealthStatus, History, StatusLine
from msp_health.wording import some
from msp_inventory.api import Inventory

Checks = Annotated[
    Sequence[str],
    Doc("Specific check types to run"),
    Param(cli=(Spelling("--type"),), mcp="check_types", choices="checks"),
]
OptionalClient = Annotated[
    str | None,
    Doc("Specific client ID (omit for all clients)"),
    Param(arg=True, mcp="client_id", all_flag=True),
]
Override = Annotated[
    Mapping[str, Any] | None,
    Doc("Override default thresholds: disk_percent=80, disk.critical_percent=97"),
    Param(cli=(Spelling("--threshold"),), mcp="threshold_override"),
]


async def check(
    ctx: Context,
    client: OptionalClient = None,
    *,
    types: Checks = (),
    tier: Annotated[Tier | None, Doc("Only clients of this tier."), Param(selects=True)] = None,
    tag: Annotated[str | None, Doc("Only clients with this tag."), Param(selects=True)] = None,
    threshold: Override = None,
    resume: Annotated[bool, Doc("Finish the newest run that was cut short.")] = False,
) -> HealthRun:
    """Run health checks for one or all clients.

    Collects facts from every console that knows the devices, judges them and records one result for each check on
    each device. With --threshold it asks "what if": nothing is recorded, and nobody is told. Ends with 0 when all is
    well, 1 WARNING, 2 CRITICAL, 3 when something is not known.
    """
    if client is not None and (tier is not None or tag is not None):
        raise InvalidParameters(
            "A client is named, and a tier or tag as well.",
            suggestion="Name the client alone, or use --tier and --tag alone.",
        )
    health = await ctx.get(Health)
    return await health.run(
        ctx,
        client_ids=None if client is None else (client,),
        tier=tier,
        tag=tag,
        types=types,
        limits_override=threshold,
        resume=resume,
    )


async def history(
    ctx: Context,
    client: Annotated[str, Doc("The client's id or exact name."), Param(arg=True, mcp="client_id")],
    *,
    days: Annotated[int, Doc("Days to look back."), Param(least=1, most=3660)] = 7,
    device: Annotated[str | None, Doc("Only this device, by name or id.")] = None,
    check: Annotated[str | None, Doc("Only this check."), Param(choices="checks")] = None,
    problems: Annotated[bool, Doc("Only results that are not OK.")] = False,
    limit: Annotated[int, Doc("Results shown at most."), Param(least=1, most=100_000)] = 100,
) -> History:
    """Show what the health checks of a client found over time, newest first."""
    found = await (await ctx.get(Clients)).get(ctx, client)
    health = await ctx.get(Health)
    now = ctx.now()
    period = Period(now - timedelta(days=days), now + timedelta(microseconds=1))
    listing = await health.history(
        ctx,
        found.id,
        period=period,
        device=device,
        check=check,
        limit=None if problems else limit,
    )
    items, total = listing.items, listing.total
    if problems:
        wrong = [item for item in items if item.status not in (Status.OK, Status.SKIPPED)]
        items, total = tuple(wrong[:limit]), len(wrong)
    numbers = {status: sum(item.status is status for item in items) for status in Status}
    return History(
        client_id=found.id, results=items, total=total, days=days, counts=Counts.of(numbers)
    )


async def status(
    ctx: Context,
    client: OptionalClient = None,
    *,
    tier: Annotated[Tier | None, Doc("Only clients of this tier.")] = None,
    tag: Annotated[str | None, Doc("Only clients with this tag.")] = None,
) -> HealthStatus:
    """Show the last known health of one client, device by device, or of all clients."""
    clients, health = await ctx.get(Clients), await ctx.get(Health)
    inventory = await ctx.get(Inventory)
    if client is not None:
        found = await clients.get(ctx, client)
        gone = await inventory.missing(ctx, [found.id])
        return _by_device(await health.status(ctx, found.id), gone)
    selected = await select_clients(ctx, None, tier, tag)
    ids = [one.id for one in selected if one.status is not ClientStatus.INACTIVE]
    idle = [one.id for one in selected if one.status is ClientStatus.INACTIVE]
    summaries = await health.statuses(ctx, ids)
    lines = [
        StatusLine(name=s.client_id, status=s.status, counts=s.counts, checked_at=s.checked_at)
        for s in summaries
        if s.checked_at is not None
    ]
    never = [s.client_id for s in summaries if s.checked_at is None]
    notes = [f"Never checked: {some(never)}."] if never else []
    if idle:
        notes.append(f"Not shown, because inactive: {some(idle)}.")
    if gone := await inventory.missing(ctx, ids):
        notes.append(missing_note([device.id for device in gone]))
    return HealthStatus(lines=_worst_first(lines), counts=_sum(lines), notes=tuple(notes))


def _by_device(summary: ClientStatusSummary, gone: Sequence[Device]) -> HealthStatus:
    devices: dict[str, list[CheckResult]] = {}
    for result in summary.results:
        devices.setdefault(result.device_id, []).append(result)
    lines = []
    for device_id, results in devices.items():
        numbers = {one: sum(r.status is one for r in results) for one in Status}
        first = max(results, key=lambda result: result.status.rank)
        good = first.status in (Status.OK, Status.SKIPPED)
        lines.append(
            StatusLine(
                name=device_id.rpartition("/")[2],
                status=worst(r.status for r in results),
                counts=Counts.of(numbers),
                checked_at=max((r.checked_at for r in results if r.checked_at), default=None),
                message="" if good else f"{first.check}: {first.message}",
            )
        )
    notes = (missing_note([device.id for device in gone]),) if gone else ()
    return HealthStatus(lines=_worst_first(lines), counts=summary.counts, notes=notes)


def _worst_first(lines: Sequence[StatusLine]) -> tuple[StatusLine, ...]:
    return tuple(sorted(lines, key=lambda line: (-line.status.rank, line.name)))


def _sum(lines: Sequence[StatusLine]) -> Counts:
    return Counts.of({s: sum(getattr(one.counts, s.value) for one in lines) for s in Status})


async def checks(
    ctx: Context,
    client: Annotated[
        str | None,
        Doc("Show the limits as they hold for this client."),
        Param(arg=True, mcp="client_id"),
    ] = None,
) -> Listing[CheckInfo]:
    """List the installed checks, the facts they need, who reads them, and their limits."""
    health = await ctx.get(Health)
    return await health.checks(ctx, client)

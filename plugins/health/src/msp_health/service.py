"""The health service."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from msp_clients.api import Clients
from msp_core.v1 import (
    Check,
    CheckResult,
    Context,
    Device,
    InvalidParameters,
    Listing,
    NotFound,
    Period,
    Status,
    Tier,
    Toolkit,
)
from msp_health import queries
from msp_health.api import (
    CheckInfo,
    ClientStatusSummary,
    DailySummary,
    HealthCheckConfig,
    HealthRun,
    unlisted,
)
from msp_health.catalog import Catalog, CheckSpec, fact_id, load_catalog, select, unknown_check
from msp_health.limits import (
    CHECKS_KEY,
    DEVICES,
    PREFIX,
    ClientLimits,
    LimitsBook,
    LimitsProblem,
    as_plain,
    parse_layer,
)
from msp_health.selection import Selection, select_clients
from msp_health.settings import HealthSettings
from msp_health.sweep import Sweep, resume
from msp_inventory.api import Inventory
from msp_store.api import Store


class HealthService:
    """Checks devices and answers what was found."""

    def __init__(self, toolkit: Toolkit) -> None:
        self._toolkit = toolkit
        self._titles: dict[str, str] | None = None

    async def run(
        self,
        ctx: Context,
        *,
        client_ids: Sequence[str] | None = None,
        tier: Tier | None = None,
        tag: str | None = None,
        types: Sequence[str] = (),
        limits_override: Mapping[str, Any] | None = None,
        resume: bool = False,
    ) -> HealthRun:
        """Check devices and record what was found."""
        if resume:
            return await self._resume(ctx, client_ids, types, limits_override)
        clients = await select_clients(ctx, client_ids, tier, tag)
        selection = Selection(
            clients=clients, types=tuple(types), limits_override=dict(limits_override or {})
        )
        return await Sweep(ctx, selection).run()

    async def _resume(
        self,
        ctx: Context,
        client_ids: Sequence[str] | None,
        types: Sequence[str],
        limits_override: Mapping[str, Any] | None,
    ) -> HealthRun:
        if client_ids or types or limits_override:
            raise InvalidParameters(
                "A run that is resumed keeps its own clients, checks and limits.",
                suggestion="Leave them out: health check --all --resume",
            )
        return await (await resume(ctx)).run()

    async def results(self, ctx: Context, run_id: str, client_id: str) -> tuple[CheckResult, ...]:
        """Return what one run recorded about one client."""
        ctx.require_client(client_id)
        if not run_id.isdecimal():
            raise NotFound(f"There is no run {run_id!r}.", suggestion="A run's id is a number.")
        titles, store = self._known_titles(), await ctx.get(Store)
        return await store.read(lambda tx: queries.read_results(tx, int(run_id), client_id, titles))

    async def history(
        self,
        ctx: Context,
        client_id: str,
        *,
        period: Period,
        device: str | None = None,
        check: str | None = None,
        limit: int | None = None,
    ) -> Listing[CheckResult]:
        """Return recorded results of one client, newest first."""
        ctx.require_client(client_id)
        named = _is_id(device, client_id)
        device_id = device if named else await self._device_id(ctx, client_id, device)
        check_id = self._check_id(check)
        titles, store = self._known_titles(), await ctx.get(Store)
        results, total = await store.read(
            lambda tx: queries.read_history(
                tx, client_id, period, device_id, check_id, limit, titles
            )
        )
        if named and not results:
            await self._device_id(ctx, client_id, device)  # nothing recorded, or no such device
        return Listing(items=results, total=total)

    async def daily(
        self,
        ctx: Context,
        client_id: str,
        *,
        period: Period,
        device: str | None = None,
        check: str | None = None,
    ) -> tuple[DailySummary, ...]:
        """Return one summary per day, device and check."""
        ctx.require_client(client_id)
        named = _is_id(device, client_id)
        device_id = device if named else await self._device_id(ctx, client_id, device)
        check_id = self._check_id(check)
        store = await ctx.get(Store)
        days = await store.read(
            lambda tx: queries.read_daily(tx, client_id, period, device_id, check_id)
        )
        if named and not days:
            await self._device_id(ctx, client_id, device)  # nothing recorded, or no such device
        return days

    async def status(self, ctx: Context, client_id: str) -> ClientStatusSummary:
        """Return the newest result of every device and check of one client."""
        ctx.require_client(client_id)
        gone = await (await ctx.get(Inventory)).missing(ctx, [client_id])
        titles, store = self._known_titles(), await ctx.get(Store)
        results = await store.read(lambda tx: queries.read_latest(tx, client_id, titles))
        return queries.summary_of(client_id, _without_health(results, gone))

    async def statuses(
        self, ctx: Context, client_ids: Sequence[str]
    ) -> tuple[ClientStatusSummary, ...]:
        """Return the counts of many clients."""
        ctx.require_client(*client_ids)
        gone = await (await ctx.get(Inventory)).missing(ctx, client_ids)
        store = await ctx.get(Store)
        return await store.read(
            lambda tx: queries.read_counts(tx, client_ids, [device.id for device in gone])
        )

    async def checks(self, ctx: Context, client_id: str | None = None) -> Listing[CheckInfo]:
        """Return the installed checks and their limits."""
        catalog = load_catalog(self._toolkit)
        book = self._book(ctx, catalog)
        limits = book.for_client(None, {})
        if client_id is not None:
            clients = await ctx.get(Clients)
            client = await clients.get(ctx, client_id)
            limits = book.for_client(client, await clients.get_config(ctx, client.id))
        items = tuple(_info(check, catalog, limits) for check in catalog.checks)
        return Listing(items=items, total=len(items), notes=book.notes)

    async def configure(
        self, ctx: Context, client_id: str, config: HealthCheckConfig
    ) -> Mapping[str, Any]:
        """Set a client's own health settings and return them all."""
        clients = await ctx.get(Clients)
        client = await clients.get(ctx, client_id)
        catalog = load_catalog(self._toolkit)
        values = _as_keys(config, catalog.checks)
        merged = {**await clients.get_config(ctx, client.id), **values}
        kept = {key: value for key, value in merged.items() if value is not None}
        limits = self._book(ctx, catalog).for_client(client, kept)
        for check in catalog.checks:
            for slug in ("", *config.devices):
                limits.require(check, f"{client.id}/{slug}")
        await clients.set_config(ctx, client.id, values)
        return {key: value for key, value in kept.items() if key.startswith(PREFIX)}

    def _book(self, ctx: Context, catalog: Catalog) -> LimitsBook:
        settings = ctx.settings(HealthSettings)
        return LimitsBook(
            catalog.checks, thresholds=settings.thresholds, tiers=settings.tiers, call={}
        )

    def _known_titles(self) -> dict[str, str]:
        if self._titles is None:
            records = self._toolkit.registry.records(Check)
            self._titles = {record.id: record.title for record in records}
        return self._titles

    def _check_id(self, word: str | None) -> str | None:
        """Return the id of an installed check, or of one whose results may be left from before."""
        if word is None:
            return None
        records = self._toolkit.registry.records(Check)
        known = {name: one.id for one in records for name in (one.id, *one.aliases)}
        if word not in known:
            raise unknown_check(word, known)
        return known[word]

    async def _device_id(self, ctx: Context, client_id: str, device: str | None) -> str | None:
        if device is None:
            return None
        inventory = await ctx.get(Inventory)
        return (await inventory.device(ctx, device, client_id=client_id)).id


def _is_id(device: str | None, client_id: str) -> bool:
    """Tell whether a device is named by its id: the history also knows those that were forgotten."""
    return device is not None and device.startswith(f"{client_id}/")


def _without_health(
    results: tuple[CheckResult, ...], missing: Sequence[Device]
) -> tuple[CheckResult, ...]:
    """Take the OK from devices that no console lists any more."""
    if not missing:
        return results
    reasons = {one.id: unlisted(one.missing_since) for one in missing if one.missing_since}
    return tuple(
        evolve(
            result,
            status=Status.UNKNOWN,
            message=f"{reasons[result.device_id]}; before: {result.message}",
        )
        if result.status is Status.OK and result.device_id in reasons
        else result
        for result in results
    )


def _info(check: CheckSpec, catalog: Catalog, limits: ClientLimits) -> CheckInfo:
    merged = limits.get(check, "") if not check.broken else None
    broken = isinstance(merged, LimitsProblem)
    kinds = {kind for need in check.needs for kind in need}
    return CheckInfo(
        id=check.id,
        title=check.title,
        aliases=tuple(check.aliases),
        facts=tuple(" or ".join(fact_id(kind) for kind in need) for need in check.needs),
        limits={} if broken else as_plain(merged),
        sources=tuple(s.key for s in catalog.sources if kinds.intersection(s.facts)),
        problem=check.broken or (merged.reason if isinstance(merged, LimitsProblem) else ""),
    )


def _as_keys(config: HealthCheckConfig, checks: Sequence[CheckSpec]) -> dict[str, Any]:
    """Turn a client's health settings into keys of its configuration; raise InvalidParameters for unknown ones."""
    values: dict[str, Any] = {}
    if config.checks is not None:
        values[CHECKS_KEY] = [check.id for check in select(checks, config.checks)]
    for prefix, thresholds in (
        (PREFIX, config.thresholds),
        *((f"{PREFIX}{DEVICES}{slug}.", limits) for slug, limits in config.devices.items()),
    ):
        flat = _flat(thresholds)
        parse_layer("health settings", flat, checks)
        values.update({f"{prefix}{key}": value for key, value in flat.items()})
    return values


def _flat(thresholds: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in thresholds.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{limit}": item for limit, item in value.items()})
        else:
            flat[key] = value
    return flat


def create(toolkit: Toolkit) -> HealthService:
    """Make the service of one toolkit."""
    return HealthService(toolkit)

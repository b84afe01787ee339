"""The one way through: plan, collect, evaluate, record, tell."""

import asyncio
import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import Any

from attrs import define, field

from msp_clients.api import Clients
from msp_core.v1 import (
    ClientStatus,
    Conflict,
    Context,
    InvalidParameters,
    NotSupported,
    StoreError,
    SystemFailure,
    watched,
)
from msp_health.api import Counts, HealthRun, missing_note
from msp_health.catalog import Catalog, CheckSpec, load_catalog, select, select_listed
from msp_health.collector import Collector
from msp_health.evaluator import Outcome, judge
from msp_health.facts import FactBook
from msp_health.findings import Findings
from msp_health.lanes import by_checks, lanes
from msp_health.latest import Key, Latest
from msp_health.limits import CHECKS_KEY, LimitsBook
from msp_health.planner import Router, Row, Subject, plan_rows, why_unknown
from msp_health.recorder import (
    build_batch,
    load_latest,
    load_recorded,
    record,
    results_of,
)
from msp_health.runs import (
    HEARTBEAT,
    Claim,
    Unfinished,
    close_run,
    find_unfinished,
    hold,
    open_run,
    reopen_run,
)
from msp_health.selection import Selection
from msp_health.settings import HealthSettings
from msp_health.wording import some
from msp_inventory.api import Inventory
from msp_store.api import Outbox, Store, Tx

log = logging.getLogger(__name__)

PROBES_KEY = "probes.allowed"
_BREATH = 200


@define(kw_only=True)
class _Progress:
    """How far the run is, in devices."""

    total: int
    tell: Callable[[int, int | None, str], None]
    heard: set[str] = field(factory=set)

    def add(self, device_ids: Iterable[str]) -> None:
        """Count devices that were read or settled."""
        self.heard.update(device_ids)
        self.tell(len(self.heard), self.total, "devices")


class Sweep:
    """One run over a selection. Used once."""

    def __init__(
        self, ctx: Context, selection: Selection, unfinished: Unfinished | None = None
    ) -> None:
        self._ctx = ctx
        self._settings = ctx.settings(HealthSettings)
        self._selection = selection
        self._unfinished = unfinished
        self._started = ctx.now()
        self._findings = Findings(keep=len(selection.clients) == 1)
        self._notes: list[str] = []
        self._planned = 0
        self._claim: Claim | None = None
        self._write_lock = asyncio.Lock()

    async def run(self) -> HealthRun:
        """Check everything selected and return what was found."""
        if not self._settings.enabled:
            message = "Health checks are switched off in the configuration (health_checks.enabled)."
            raise NotSupported(message, suggestion="Set health_checks.enabled to true.")
        ctx = self._ctx
        self._store = await ctx.get(Store)
        self._inventory = await ctx.get(Inventory)
        self._catalog = load_catalog(ctx.toolkit)
        self._checks = select(self._catalog.checks, self._selection.types)
        limits = LimitsBook(
            self._catalog.checks,
            thresholds=self._settings.thresholds,
            tiers=self._settings.tiers,
            call=self._selection.limits_override,
            selected=self._checks,
        )
        self._notes += limits.notes
        clients = [c for c in self._selection.clients if c.status is not ClientStatus.INACTIVE]
        self._note_inactive()
        ids = [client.id for client in clients]
        configs = await (await ctx.get(Clients)).get_configs(ctx, ids)
        self._limits = {c.id: limits.for_client(c, configs[c.id]) for c in clients}
        for client in clients:
            limits.require_call_fits(self._limits[client.id], self._checks, client.id)
        self._checks_of = {c.id: self._own_checks(c.id, configs[c.id]) for c in clients}
        subjects = await self._subjects(ids, configs)
        if not ctx.records or self._selection.limits_override:
            return await self._without_record(subjects)
        return await self._recorded(ids, subjects)

    def _note_inactive(self) -> None:
        idle = [c.id for c in self._selection.clients if c.status is ClientStatus.INACTIVE]
        if idle:
            self._notes.append(f"Not checked, because inactive: {some(idle)}.")

    def _note_missing(self, subjects: Sequence[Subject]) -> None:
        gone = [s.device.id for s in subjects if s.device.missing_since is not None]
        if gone:
            self._notes.append(missing_note(gone))

    def _own_checks(self, client_id: str, config: Mapping[str, Any]) -> tuple[CheckSpec, ...]:
        """Return the checks a client is to have; a list that cannot be followed to the letter is not followed."""
        listed = config.get(CHECKS_KEY)
        if self._selection.types or listed is None:
            return self._checks
        try:
            return select_listed(self._checks, listed)
        except InvalidParameters as error:
            note = f"{client_id}: {CHECKS_KEY}: {error.message} All checks were made."
            self._notes.append(note)
            return self._checks

    async def _subjects(
        self, ids: Sequence[str], configs: Mapping[str, Mapping[str, Any]]
    ) -> list[Subject]:
        subjects: list[Subject] = []
        async for client_id, devices in self._inventory.targets(self._ctx, ids):
            probes = configs[client_id].get(PROBES_KEY) is True
            subjects += [
                Subject(device=one.device, links=one.links, probes=probes) for one in devices
            ]
        return subjects

    async def _without_record(self, subjects: list[Subject]) -> HealthRun:
        why = "limits of this call alone"
        if not self._ctx.records:
            why = "dry run" if self._ctx.dry_run else "read-only mode"
        self._notes.append(f"Nothing was recorded and nobody was told: {why}.")
        devices = len(subjects)
        collector = await self._check(subjects)
        return self._result("not recorded", collector, devices)

    async def _recorded(self, ids: list[str], subjects: list[Subject]) -> HealthRun:
        expected = sum(len(self._checks_of[s.device.client_id]) for s in subjects)
        try:
            claim = await self._store.write(partial(self._open, ids=ids, expected=expected))
        except (
            asyncio.CancelledError
        ) as error:  # it may be open all the same, with nobody to close it
            if self._claim is not None:
                await self._cut_short(self._claim, expected, error)
            raise
        if claim.busy:
            runs = ", ".join(str(run) for run in sorted(set(claim.busy.values())))
            names = some(sorted(claim.busy))
            self._notes.append(f"Left out, because run {runs} is checking them now: {names}.")
        subjects = [s for s in subjects if s.device.client_id in claim.clients]
        devices = len(subjects)
        heart = asyncio.create_task(self._beat(claim))
        try:
            collector = await self._check(subjects, heart)
        except BaseException as error:
            await self._cut_short(claim, expected, error)
            raise
        finally:
            heart.cancel()
            await asyncio.wait({heart})
        planned = None if self._unfinished else self._planned
        self._findings.counts = await self._store.write(
            partial(close_run, claim=claim, finished=True, now=self._ctx.now(), planned=planned)
        )
        await self._tell()
        return self._result("finished", collector, devices)

    def _open(self, tx: Tx, ids: list[str], expected: int) -> Claim:
        if self._unfinished is not None:
            self._claim = reopen_run(tx, self._unfinished, ids)
        else:
            self._claim = open_run(tx, self._ctx, ids, self._selection.as_data(), expected)
        return self._claim

    async def _beat(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT.total_seconds())
            try:
                await self._store.write(lambda _: hold(claim))
            except StoreError as error:  # it may come back before anybody thinks the run dead
                log.warning("run %s: heartbeat failed: %s", claim.run_id, error.message)

    async def _cut_short(self, claim: Claim, expected: int, error: BaseException) -> None:
        """End the run as interrupted, where that can still be said, and tell what is recorded."""
        if isinstance(error, Conflict):
            return
        counts = self._findings.counts
        try:
            counts = await self._store.write(
                partial(close_run, claim=claim, finished=False, now=self._ctx.now())
            )
        except (StoreError, Conflict, SystemFailure) as failure:
            log.warning("run %s could not be closed: %s", claim.run_id, failure.message)
        done = f"{counts.total} of {expected} checks are recorded in run {claim.run_id}"
        self._ctx.warn(f"Interrupted: {done}. To finish it: health check --all --resume")

    async def _tell(self) -> None:
        outbox = await self._ctx.get(Outbox)
        delivery = await outbox.deliver(self._ctx)
        self._notes += [f"Not delivered, tried again later: {error}" for error in delivery.errors]

    async def _check(
        self, subjects: list[Subject], heart: "asyncio.Task[None] | None" = None
    ) -> Collector:
        ctx, settings = self._ctx, self._settings
        self._note_missing(subjects)
        router = Router(self._catalog, dry_run=ctx.dry_run)
        book = FactBook(ctx.now(), settings.max_age)
        ids = list(dict.fromkeys(s.device.client_id for s in subjects))
        links = await self._inventory.client_links(ctx, ids)
        progress = _Progress(total=len(subjects), tell=ctx.progress.update)
        collector = Collector(ctx, settings, router, book, links, progress.add)
        collector.expect(router.fleet_reads(self._checks, subjects))
        chunks = list(lanes(subjects, settings.chunk_devices))
        work = [asyncio.create_task(self._lane(lane, collector, book, progress)) for lane in chunks]
        watched = {*work, heart} if heart else set(work)
        try:
            while not all(task.done() for task in work):
                done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # the first failure ends the run: of a lane, or the loss of the claim
                watched -= done
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await collector.close()
        return collector

    async def _lane(
        self,
        lane: Iterable[list[Subject]],
        collector: Collector,
        book: FactBook,
        progress: _Progress,
    ) -> None:
        for chunk in lane:
            await self._chunk(chunk, collector, book)
            ids = [subject.device.id for subject in chunk]
            book.forget(ids)
            progress.add(ids)

    async def _chunk(self, chunk: list[Subject], collector: Collector, book: FactBook) -> None:
        clients = list(dict.fromkeys(s.device.client_id for s in chunk))
        rows = self._plan(chunk)
        if self._unfinished is not None and self._claim is not None:
            run_id = self._claim.run_id
            recorded = await self._store.read(lambda tx: load_recorded(tx, run_id, clients))
            rows = [row for row in rows if row.key not in recorded]
        await collector.collect(rows)
        with _collector_paused():
            await self._judge(rows, clients, book, collector.down)

    async def _judge(
        self, rows: Sequence[Row], clients: list[str], book: FactBook, down: Mapping[str, str]
    ) -> None:
        latest = await self._store.read(lambda tx: load_latest(tx, clients))
        outcomes = await self._evaluate(rows, book, latest, down)
        now = self._ctx.now()
        attempts, claim = self._settings.attempts, self._claim
        if claim is not None:
            batch = build_batch(outcomes, attempts, claim.run_id, now)
            async with self._write_lock:
                await record(self._store, claim, batch, clients, now)
        self._planned += len(rows)
        run_id_text = str(claim.run_id) if claim else ""
        self._findings.add(results_of, outcomes, attempts, now, run_id_text)

    def _plan(self, chunk: Sequence[Subject]) -> list[Row]:
        rows: list[Row] = []
        for checks, subjects in by_checks(chunk, self._checks_of):
            rows += plan_rows(checks, subjects, self._limits)
        return rows

    async def _evaluate(
        self,
        rows: Sequence[Row],
        book: FactBook,
        latest: Mapping[Key, Latest],
        down: Mapping[str, str],
    ) -> list[Outcome]:
        catalog: Catalog = self._catalog

        def why(row: Row, need: tuple[type, ...]) -> str:
            return why_unknown(row, need, book, catalog, down)

        outcomes: list[Outcome] = []
        for start in range(0, len(rows), _BREATH):
            part = rows[start : start + _BREATH]
            for check, group in groupby(part, key=lambda row: row.check):
                with watched(f"check {check.id} of plugin {check.plugin}"):
                    outcomes += [judge(row, book, latest.get(row.key), why) for row in group]
            await asyncio.sleep(0)
        return outcomes

    def _result(self, state: str, collector: Collector, devices: int) -> HealthRun:
        counts: Counts = self._findings.counts
        if not counts.total:
            self._notes.append("Nothing was checked: no device of an active client is known.")
        busy = self._claim.busy if self._claim else {}
        return HealthRun(
            run_id=str(self._claim.run_id) if self._claim else "",
            state=state,
            planned=counts.total if self._unfinished else self._planned,
            counts=counts,
            clients=len(self._limits) - len(busy),
            devices=devices,
            started_at=self._unfinished.started_at if self._unfinished else self._started,
            finished_at=self._ctx.now(),
            concerns=self._findings.concerns(),
            sources=collector.notes,
            notes=tuple(self._notes),
            incomplete=bool(busy) or not counts.total,
            results=self._findings.results(),
        )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking a growing chunk again and again: a third of the time, and no cycles."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def resume(ctx: Context) -> Sweep:
    """Return the sweep that finishes the newest run that was cut short."""
    store = await ctx.get(Store)
    unfinished = await store.read(lambda _: find_unfinished(ctx.now(), ctx.scope))
    kept = unfinished.selection
    clients = await ctx.get(Clients)
    listing = await clients.list(ctx, ids=kept["clients"])
    selection = Selection(
        clients=tuple(listing.items),
        types=tuple(kept["types"]),
    )
    return Sweep(ctx, selection, unfinished)

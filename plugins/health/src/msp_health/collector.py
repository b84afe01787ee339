"""Collecting: ask the sources for facts, side by side, so that nobody's trouble reaches anybody else.

A source may be down, slow, hang, raise, send rubbish, repeat itself or never end. Each read has a time limit and a
limit of items; an instance that fails again and again is left alone for the rest of the run. Nothing is judged here.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import define, field

from msp_core.v1 import (
    Context,
    FactQuery,
    Granularity,
    Missing,
    MspError,
    Observation,
    PluginError,
    Quarantined,
    Role,
)
from msp_health.api import SourceNote, said_by
from msp_health.catalog import SourceSpec, fact_id
from msp_health.facts import FactBook, Known
from msp_health.planner import Read, Router, Row
from msp_health.settings import HealthSettings

_GRACE_S = 1.0
_FAILURES = {Granularity.FLEET: 1, Granularity.CLIENT: 2, Granularity.DEVICE: 10}
"""Reads that may fail in a row before the instance is left alone."""
_PATIENT = frozenset((Role.TRANSPORT, Role.HOST, None))
"""Each of their devices stands for itself: one that is off says nothing about the next."""
_BREATH = 500


@define(kw_only=True)
class Tally:
    """What one source did in this run."""

    source: SourceSpec
    reads: int = 0
    observations: int = 0
    quarantined: list[str] = field(factory=list)
    rubbish: int = 0
    foreign: int = 0
    repeated: int = 0
    failures: dict[str, int] = field(factory=dict)
    row_of_failures: int = 0

    def note(self) -> SourceNote:
        """Return it for people."""
        parts = [
            f"{reason}" + (f" ({number} times)" if number > 1 else "")
            for reason, number in list(self.failures.items())[:3]
        ]
        if len(self.failures) > 3:
            parts.append(f"and {len(self.failures) - 3} other failures")
        name = f"plugin {self.source.plugin}"
        if self.rubbish:
            parts.append(f"{name} sent {self.rubbish} things that are no facts")
        if self.foreign:
            parts.append(
                f"{name} answered {self.foreign} times about devices it was not asked about"
            )
        if self.repeated:
            parts.append(f"{name} repeated {self.repeated} answers")
        if self.quarantined:
            parts.append(f"{len(self.quarantined)} items were unreadable: {self.quarantined[0]}")
        return SourceNote(
            instance=self.source.instance,
            source=self.source.id,
            reads=self.reads,
            observations=self.observations,
            quarantined=len(self.quarantined),
            problem="; ".join(parts),
        )


class _Sink:
    """Takes what one read yields and keeps what answers the question; once closed it takes nothing."""

    def __init__(self, read: Read, book: FactBook, tally: Tally) -> None:
        self._read = read
        self._book = book
        self._tally = tally
        self._seen: set[tuple[str, type]] = set()
        self._left = 1000 + 20 * len(read.targets) * max(1, len(read.facts))
        self.closed = False

    def take(self, item: object) -> None:
        """Keep one item; raise PluginError when there are more than any honest answer has."""
        if self._left <= 0:
            message = "it sent far more than it was asked for and was stopped"
            raise PluginError(message)
        self._left -= 1
        if isinstance(item, Observation):
            self._observe(item)
        elif isinstance(item, Missing):
            self._miss(item)
        elif isinstance(item, Quarantined):
            text = f"{item.what} {item.external_id or ''}: {item.reason}"
            self._tally.quarantined.append(text if len(self._tally.quarantined) < 10 else "")
        else:
            self._tally.rubbish += 1

    def _observe(self, item: Observation) -> None:
        kind, when = type(item.fact), item.observed_at
        if item.device_id not in self._read.targets:
            self._tally.foreign += 1
        elif kind not in self._read.source.facts or not _usable(when):
            self._tally.rubbish += 1
        elif (item.device_id, kind) in self._seen:
            self._tally.repeated += 1
        else:
            self._seen.add((item.device_id, kind))
            self._tally.observations += 1
            source = self._read.source
            self._book.add(Known(item, source.mode, source.key))

    def _miss(self, item: Missing) -> None:
        if item.device_id not in self._read.targets:
            self._tally.foreign += 1
            return
        reason = said_by(self._read.source.instance, item.reason)
        self._book.give_reason(item.device_id, item.fact_id, reason)


def _usable(when: object) -> bool:
    return when is None or (isinstance(when, datetime) and when.tzinfo is not None)


class Collector:
    """Asks the sources of one run. `client_ids` maps each client onto its ids in the instances."""

    def __init__(
        self,
        ctx: Context,
        settings: HealthSettings,
        router: Router,
        book: FactBook,
        client_links: Mapping[str, Mapping[str, str]],
        on_read: Callable[[Iterable[str]], None] = lambda _: None,
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._router = router
        self._book = book
        self._client_links = client_links
        self._on_read = on_read
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._adapters: dict[str, asyncio.Task[Any]] = {}
        self._fleet: dict[str, Read] = {}
        self._fleet_tasks: dict[str, asyncio.Task[None]] = {}
        self._tallies: dict[str, Tally] = {}
        self.down: dict[str, str] = {}
        """Instances that are left alone, with the reason."""

    def expect(self, reads: Sequence[Read]) -> None:
        """Say what sources of a whole instance will be asked, so that each is read once for all."""
        self._fleet = {read.source.key: read for read in reads}

    @property
    def notes(self) -> tuple[SourceNote, ...]:
        """What each source came to, by instance."""
        return tuple(self._tallies[key].note() for key in sorted(self._tallies))

    async def collect(self, rows: Sequence[Row]) -> None:
        """Ask until every need is served or nobody is left to ask."""
        tried: set[tuple[str, str, str]] = set()
        while reads := self._router.next_reads(rows, self._book, tried, self.down):
            await asyncio.gather(*(self._perform(read) for read in reads))

    async def close(self) -> None:
        """Stop what still runs."""
        tasks = [*self._fleet_tasks.values(), *self._adapters.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE_S)

    async def _perform(self, read: Read) -> None:
        key = read.source.key
        if key in self._fleet:
            if key not in self._fleet_tasks:
                self._fleet_tasks[key] = asyncio.create_task(self._call(self._fleet[key]))
            await asyncio.shield(self._fleet_tasks[key])
            return
        await asyncio.gather(*(self._call(part) for part in read.split()))

    def _tally(self, source: SourceSpec) -> Tally:
        return self._tallies.setdefault(source.key, Tally(source=source))

    async def _call(self, read: Read) -> None:
        source = read.source
        slots = self._slots.setdefault(
            source.instance, asyncio.Semaphore(self._settings.concurrency)
        )
        async with slots:
            if source.instance in self.down:
                return
            tally = self._tally(source)
            tally.reads += 1
            failure = await self._within_limits(read, _Sink(read, self._book, tally))
            if failure:
                self._failed(read, tally, failure)
            else:
                tally.row_of_failures = 0
            if (
                source.granularity is not Granularity.FLEET
            ):  # that is everything, and nothing is judged yet
                self._on_read(read.targets)

    async def _within_limits(self, read: Read, sink: _Sink) -> str:
        """Run one read; return why it failed, empty when it did not. What came before a failure is kept."""
        limit = getattr(self._settings.timeouts, read.source.granularity.value)
        task = asyncio.create_task(self._consume(read, sink))
        try:
            done, _ = await asyncio.wait({task}, timeout=limit.total_seconds())
            if done:
                return task.result()
            return f"no answer within {limit.total_seconds():g} s"
        finally:
            sink.closed = True
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_GRACE_S)  # one that ignores it is left behind

    async def _consume(self, read: Read, sink: _Sink) -> str:
        source = read.source
        try:
            adapter = None if source.vantage else await self._adapter(source.instance)
            function = self._ctx.toolkit.registry.load(source.read)
            items = function(self._ctx, adapter, self._query(read))
            taken = 0
            async for item in items:
                if sink.closed:
                    break
                sink.take(item)
                taken += 1
                if taken % _BREATH == 0:
                    await asyncio.sleep(0)
        except MspError as error:
            return error.message
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin does, the others go on
            return f"plugin {source.plugin} raised {type(error).__name__}: {error}"
        return ""

    async def _adapter(self, instance: str) -> Any:
        if instance not in self._adapters:
            self._adapters[instance] = asyncio.create_task(self._ctx.adapter(instance))
        return await asyncio.shield(self._adapters[instance])

    def _query(self, read: Read) -> FactQuery:
        instance = read.source.instance
        ids = (
            self._client_links.get(target.device.client_id, {}).get(instance)
            for target in read.targets.values()
        )
        return FactQuery(
            facts=frozenset(read.facts),
            targets=tuple(read.targets.values()),
            client_external_ids=tuple(dict.fromkeys(one for one in ids if one is not None)),
            requests={device: tuple(named) for device, named in read.requests.items()},
        )

    def _failed(self, read: Read, tally: Tally, reason: str) -> None:
        source = read.source
        known = reason if reason in tally.failures or len(tally.failures) < 20 else "other reasons"
        tally.failures[known] = tally.failures.get(known, 0) + 1
        tally.row_of_failures += 1
        if source.role not in _PATIENT and tally.row_of_failures >= _FAILURES[source.granularity]:
            self.down.setdefault(source.instance, reason)
        if source.granularity is Granularity.FLEET:
            self._book.give_source_reason(source.key, said_by(source.instance, reason))
            return
        for device_id in read.targets:
            for kind in read.facts:
                if not self._book.has(device_id, kind):
                    self._book.give_reason(
                        device_id, fact_id(kind), said_by(source.instance, reason)
                    )

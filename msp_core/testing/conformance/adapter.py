"""Cases of sources of facts: about the devices asked for, of the kinds declared, with honest times."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import define

from msp_core.checks import FactQuery, Mode, Source, Target
from msp_core.context import Context
from msp_core.facts import Missing, Observation, ProbeFacts
from msp_core.model import Device
from msp_core.testing.conformance.backend import RmmBackend
from msp_core.testing.conformance.machine import MachineBackend, open_machine
from msp_core.testing.conformance.plugin import PluginConformance
from msp_core.testing.conformance.rig import Rig, open_rig, target
from msp_core.testing.nouns import fake_device
from msp_core.testing.subject import toolkit_for
from msp_core.toolkit import Toolkit
from msp_core.vendor import Quarantined


@define(kw_only=True)
class Asked:
    """A source ready to be read: for an adapter's devices, or for the machine the test runs on."""

    toolkit: Toolkit
    ctx: Context
    adapter: Any
    targets: tuple[Target, ...]
    client_external_ids: tuple[str, ...] = ()
    rig: Rig | None = None


class SourceConformance(PluginConformance):
    """What every source of facts must do.

    For the sources of an adapter kind set `backend` as for `RmmAdapterConformance` or `MachineConformance`, and `kind`;
    sources that read from where the toolkit runs need neither.
    """

    backend: ClassVar[Callable[[], RmmBackend | MachineBackend] | None] = None
    kind: ClassVar[str] = ""
    probes: ClassVar[bool] = False

    @pytest.fixture
    async def asked(self, tmp_path: Path) -> AsyncIterator[Asked]:
        """The devices to ask about."""
        backend: Any = type(self).backend
        if backend is None:
            async with toolkit_for(self.plugin, tmp_path) as toolkit:
                ours = (self.device(), fake_device("OTHER"))
                targets = tuple(Target(one, None) for one in ours)
                yield Asked(toolkit=toolkit, ctx=toolkit.context(), adapter=None, targets=targets)
            return
        kind, made = self.kind or self.plugin, backend()
        if hasattr(made, "elsewhere"):
            async with open_machine(self.plugin, kind, made, tmp_path) as machine:
                ids = (made.external_id, made.elsewhere)
                yield Asked(
                    toolkit=machine.toolkit,
                    ctx=machine.ctx,
                    adapter=machine.adapter,
                    targets=tuple(
                        Target(fake_device(name), id)
                        for name, id in zip(("PC", "ELSEWHERE"), ids, strict=True)
                    ),
                )
            return
        async with open_rig(self.plugin, kind, made, tmp_path) as rig:
            devices = await rig.devices()
            yield Asked(
                toolkit=rig.toolkit,
                ctx=rig.ctx,
                adapter=rig.adapter,
                targets=tuple(map(target, devices)),
                client_external_ids=tuple(sorted({one.client_external_id for one in devices})),
                rig=rig,
            )

    def device(self) -> Device:
        """Return the device that a source without an adapter is asked about."""
        return fake_device()

    def _sources(self, asked: Asked) -> list[Source]:
        kinds = {None} if asked.adapter is None else {self.kind or self.plugin}
        return [
            one
            for one in asked.toolkit.registry.records(Source)
            if asked.toolkit.registry.plugin_of(one) == self.plugin
            and one.adapter in kinds
            and (one.mode is Mode.PROBE) is self.probes
        ]

    def _facts(self, asked: Asked, source: Source) -> frozenset[type]:
        load = asked.toolkit.registry.load
        return frozenset(load(one) if isinstance(one, str) else one for one in source.facts)

    async def _read(self, asked: Asked, source: Source, targets: tuple[Target, ...]) -> list[Any]:
        query = FactQuery(
            facts=self._facts(asked, source),
            targets=targets,
            client_external_ids=asked.client_external_ids if targets else (),
        )
        read = asked.toolkit.registry.load(source.read)
        async with asyncio.timeout(20):
            return [one async for one in read(asked.ctx, asked.adapter, query)]

    @pytest.mark.anyio
    async def test_there_is_a_source(self, asked: Asked) -> None:
        """The plugin offers a source that can be read here."""
        assert self._sources(asked), "no source to read: is `kind` right?"

    @pytest.mark.anyio
    async def test_it_yields_what_a_source_yields(self, asked: Asked) -> None:
        """Observations, or reasons why something is missing or was set aside."""
        for source in self._sources(asked):
            for one in await self._read(asked, source, asked.targets):
                assert isinstance(one, Observation | Missing | Quarantined), f"{source.id}: {one!r}"

    @pytest.mark.anyio
    async def test_it_answers_about_the_devices_asked_for(self, asked: Asked) -> None:
        """Nothing comes about a device nobody asked about, also when only one was asked about."""
        for source in self._sources(asked):
            for targets in (asked.targets, asked.targets[:1]):
                known = {one.device.id for one in targets}
                for one in await self._read(asked, source, targets):
                    if not isinstance(one, Quarantined):
                        assert one.device_id in known, f"{source.id} tells about {one.device_id}"

    @pytest.mark.anyio
    async def test_it_gives_the_kinds_it_declares(self, asked: Asked) -> None:
        """Each fact is of a kind the source's record names, and carries the source's id."""
        for source in self._sources(asked):
            declared = self._facts(asked, source)
            for one in await self._read(asked, source, asked.targets):
                if isinstance(one, Observation):
                    assert type(one.fact) in declared, f"{source.id} gave {type(one.fact).__name__}"
                    assert one.source, f"{source.id} does not name itself"
                if isinstance(one, Missing):
                    assert one.fact_id in {getattr(kind, "fact_id", "") for kind in declared}
                    assert one.reason, f"{source.id} does not say why {one.fact_id} is missing"

    @pytest.mark.anyio
    async def test_each_fact_comes_once(self, asked: Asked) -> None:
        """One observation per device and kind."""
        for source in self._sources(asked):
            found = [
                (one.device_id, type(one.fact))
                for one in await self._read(asked, source, asked.targets)
                if isinstance(one, Observation)
            ]
            assert len(found) == len(set(found)), f"{source.id} repeats itself"

    @pytest.mark.anyio
    async def test_something_is_observed(self, asked: Asked) -> None:
        """A source answers about somebody at least, or says what is missing; probes wait to be asked for by name."""
        for source in self._sources(asked):
            if self._facts(asked, source) <= {ProbeFacts}:
                continue
            assert await self._read(asked, source, asked.targets), (
                f"{source.id} says nothing at all"
            )

    @pytest.mark.anyio
    async def test_times_are_aware(self, asked: Asked) -> None:
        """`observed_at` is UTC, or None where nobody knows when it was measured."""
        for source in self._sources(asked):
            for one in await self._read(asked, source, asked.targets):
                if isinstance(one, Observation) and one.observed_at is not None:
                    assert one.observed_at.utcoffset() == timedelta(0), (
                        f"{source.id}: {one.observed_at}"
                    )

    @pytest.mark.anyio
    async def test_asked_about_nobody_it_says_nothing(self, asked: Asked) -> None:
        """No devices, no facts."""
        for source in self._sources(asked):
            assert await self._read(asked, source, ()) == [], f"{source.id} answers unasked"

    @pytest.mark.anyio
    async def test_it_may_be_left_early(self, asked: Asked) -> None:
        """Who stops reading after the first fact causes no error."""
        for source in self._sources(asked):
            query = FactQuery(facts=self._facts(asked, source), targets=asked.targets)
            stream = asked.toolkit.registry.load(source.read)(asked.ctx, asked.adapter, query)
            async for _ in stream:
                break
            await stream.aclose()

    @pytest.mark.anyio
    async def test_reading_changes_nothing(self, asked: Asked) -> None:
        """A source sends nothing but reading requests, and passes with the door shut."""
        for source in self._sources(asked):
            await self._read(asked, source, asked.targets)
        if asked.rig is not None:
            asked.rig.assert_only_read()

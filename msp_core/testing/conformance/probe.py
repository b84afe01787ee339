"""Cases of probes: sources that run a fixed read-only command on a client's device, for clients that allow it."""

from typing import Any

import pytest

from msp_core.checks import FactQuery, Granularity, Source
from msp_core.facts import Missing, Observation
from msp_core.testing.conformance.adapter import Asked, SourceConformance
from msp_core.testing.vendor import Reply, Request


class ProbeSourceConformance(SourceConformance):
    """What every source of `Mode.PROBE` must do, beside what every source must; set the same as there."""

    probes = True

    @pytest.mark.anyio
    async def test_it_asks_one_device_at_a_time(self, asked: Asked) -> None:
        """A probe runs where it is allowed: its granularity is the device."""
        for source in self._sources(asked):
            assert source.granularity is Granularity.DEVICE, f"{source.id}: {source.granularity}"

    @pytest.mark.anyio
    async def test_reading_changes_nothing(self, asked: Asked) -> None:
        """It passes with the door for changes shut: what it sends is marked READ or PROBE, and nothing else."""
        for source in self._sources(asked):
            answers = await self._read(asked, source, asked.targets[:2])
            refused = [one.reason for one in answers if isinstance(one, Missing)]
            assert not any("ctx.change" in reason for reason in refused), refused[0]

    @pytest.mark.anyio
    async def test_what_it_runs_is_fixed(self, asked: Asked) -> None:
        """Asked twice about one device it sends the same commands; what a device is called does not get into them."""
        for source in self._sources(asked):
            sent = []
            for _ in range(2):
                before = len(self._commands(asked))
                await self._read(asked, source, asked.targets[:1])
                sent.append([one.body for one in self._commands(asked)[before:]])
            assert sent[0] == sent[1], f"{source.id} runs another command the second time"
            name = asked.targets[0].device.name.encode()
            assert not [body for body in sent[0] if name in body], f"{source.id} sends a name"

    @pytest.mark.anyio
    async def test_something_is_run(self, asked: Asked) -> None:
        """On one device at least it runs and observes something, so that the other cases say something."""
        for source in self._sources(asked):
            answers = await self._read(asked, source, asked.targets)
            seen = [one for one in answers if isinstance(one, Observation)]
            assert seen, (
                f"{source.id} observes nothing on {len(asked.targets)} devices: {answers[:1]}"
            )

    @pytest.mark.anyio
    async def test_asked_for_nothing_it_runs_nothing(self, asked: Asked) -> None:
        """Kinds of facts nobody wants are not probed for."""
        for source in self._sources(asked):
            before = len(self._commands(asked))
            query = FactQuery(facts=frozenset(), targets=asked.targets[:1])
            read = asked.toolkit.registry.load(source.read)
            assert [one async for one in read(asked.ctx, asked.adapter, query)] == []
            assert len(self._commands(asked)) == before, f"{source.id} runs a command unasked"

    @pytest.mark.anyio
    async def test_a_refused_probe_is_missing(self, asked: Asked) -> None:
        """A console that does not let us run it gives the reason for each device, and no error."""
        if asked.rig is None:
            pytest.skip("there is no console between")
        for status in (403, 500):
            asked.rig.spoil(Reply(status=status, data={}), on=asked.rig.alters)
            for source in self._sources(asked):
                answers = await self._read(asked, source, asked.targets[:2])
                self._assert_missing(source, answers)

    def _assert_missing(self, source: Source, answers: list[Any]) -> None:
        seen = [one for one in answers if isinstance(one, Observation)]
        assert not seen, f"{source.id} observes although nothing ran: {seen[:1]}"
        assert answers, f"{source.id} does not say why nothing is known"
        assert all(one.reason for one in answers), f"{source.id} gives no reason"

    def _commands(self, asked: Asked) -> list[Request]:
        return [] if asked.rig is None else asked.rig.writes()

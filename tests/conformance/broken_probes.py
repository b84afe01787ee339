"""Probes broken in each thing a probe must do, or must not do. The sound one is NinjaOne's, before its simulator."""

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from msp_core.v1 import (
    CpuFacts,
    Effect,
    Granularity,
    Missing,
    Mode,
    Observation,
    VendorUnavailable,
    hookimpl,
)
from msp_rmm_ninjaone import plugin, probe
from msp_rmm_ninjaone.commands import Scripts

Breakage = Callable[[pytest.MonkeyPatch], None]
BROKEN: dict[str, tuple[str, Breakage]] = {}
PROBE, READ, RUN, SOURCES = probe.probe, probe._read, Scripts.run, plugin.msp_sources


def caught_by(case: str) -> Callable[[Breakage], Breakage]:
    def register(breakage: Breakage) -> Breakage:
        BROKEN[breakage.__name__] = (f"test_{case}", breakage)
        return breakage

    return register


def _record(patch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Change what the record of the probe says."""

    def msp_sources() -> Any:
        for one in SOURCES():
            yield attrs.evolve(one, **changes) if one.mode is Mode.PROBE else one

    patch.setattr(plugin, "msp_sources", hookimpl(msp_sources))


def _line(patch: pytest.MonkeyPatch, change: Callable[[str, Any], str]) -> None:
    """Change the line that is run: `change(line, target)`."""

    async def run(self: Any, target: Any, line: str, **how: Any) -> Any:
        return await RUN(self, target, change(line, target), **how)

    patch.setattr(Scripts, "run", run)


def _answers(patch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    """Change each answer about a device."""

    async def read(*about: Any) -> Any:
        return change(await READ(*about))

    patch.setattr(probe, "_read", read)


@caught_by("it_asks_one_device_at_a_time")
def asks_a_whole_fleet(patch: Any) -> None:
    _record(patch, granularity=Granularity.FLEET)


@caught_by("there_is_a_source")
def calls_itself_live(patch: Any) -> None:
    _record(patch, mode=Mode.LIVE)


@caught_by("reading_changes_nothing")
def sends_a_change(patch: Any) -> None:
    patch.setattr(probe, "Effect", SimpleNamespace(PROBE=Effect.CHANGE))


@caught_by("what_it_runs_is_fixed")
def runs_another_line_each_time(patch: Any) -> None:
    numbers = itertools.count()
    _line(patch, lambda line, _: f"{line} # {next(numbers)}")


@caught_by("what_it_runs_is_fixed")
def puts_the_name_into_the_line(patch: Any) -> None:
    _line(patch, lambda line, target: f"{line} # {target.device.name}")


@caught_by("asked_for_nothing_it_runs_nothing")
def probes_whatever_is_asked(patch: Any) -> None:
    async def always(ctx: Any, adapter: Any, query: Any) -> Any:
        async for one in PROBE(ctx, adapter, attrs.evolve(query, facts=frozenset({CpuFacts}))):
            yield one

    patch.setattr(probe, "probe", always)


@caught_by("asked_for_nothing_it_runs_nothing")
def runs_unasked_and_keeps_it_to_itself(patch: Any) -> None:
    async def always(ctx: Any, adapter: Any, query: Any) -> Any:
        async for one in PROBE(ctx, adapter, attrs.evolve(query, facts=frozenset({CpuFacts}))):
            if query.facts:
                yield one

    patch.setattr(probe, "probe", always)


@caught_by("a_refused_probe_is_missing")
def takes_a_refusal_for_rest(patch: Any) -> None:
    _answers(
        patch,
        lambda one: (
            one
            if isinstance(one, Observation)
            else Observation(
                device_id=one.device_id, fact=CpuFacts(used_percent=0.0), source=one.source
            )
        ),
    )


@caught_by("a_refused_probe_is_missing")
def says_nothing_of_a_refusal(patch: Any) -> None:
    async def silent(ctx: Any, adapter: Any, query: Any) -> Any:
        async for one in PROBE(ctx, adapter, query):
            if isinstance(one, Observation):
                yield one

    patch.setattr(probe, "probe", silent)


@caught_by("a_refused_probe_is_missing")
def gives_no_reason(patch: Any) -> None:
    _answers(patch, lambda one: attrs.evolve(one, reason="") if isinstance(one, Missing) else one)


@caught_by("a_refused_probe_is_missing")
def fails_where_one_device_is_refused(patch: Any) -> None:
    def fail(one: Any) -> Any:
        if isinstance(one, Missing):
            raise VendorUnavailable(one.reason)
        return one

    _answers(patch, fail)


@caught_by("something_is_run")
def never_runs_anything(patch: Any) -> None:
    patch.setattr(probe, "CPU_LINES", {})
    patch.setattr(probe, "MEMORY_LINES", {})

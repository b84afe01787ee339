"""Read the facts of machines over SSH: one script, one round trip for each device."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from msp_core.v1 import (
    ConnectivityFacts,
    Context,
    CpuFacts,
    DiskFacts,
    FactQuery,
    MemoryFacts,
    Missing,
    MspError,
    Observation,
    ServiceFacts,
    Target,
    VendorUnavailable,
)
from msp_transport_ssh import linux, macos
from msp_transport_ssh.adapter import Ssh
from msp_transport_ssh.script import Unreadable, sections

SOURCE = "ssh.facts"
Parsers = Mapping[type, Callable[[Mapping[str, str]], object]]
PARSERS: Mapping[str, Parsers] = {
    system: {
        CpuFacts: module.cpu,
        MemoryFacts: module.memory,
        DiskFacts: module.disks,
        ServiceFacts: module.services,
    }
    for system, module in (("Linux", linux), ("Darwin", macos))
}


async def read(
    ctx: Context, adapter: Ssh, query: FactQuery
) -> AsyncIterator[Observation | Missing]:
    """Yield what was asked about each device, or why it cannot be had."""
    for target in query.targets:
        async for answer in _device(ctx, adapter, target, query.facts):
            yield answer


async def _device(
    ctx: Context, adapter: Ssh, target: Target, kinds: frozenset[type]
) -> AsyncIterator[Observation | Missing]:
    if not adapter.settings.facts:
        reason = f"reading facts is off: set facts = true in [adapters.{adapter.instance}]"
        for kind in kinds:
            yield _missing(target, kind, reason)
        return
    reason, parts = "", None
    try:
        parts = sections(await adapter.read_facts(target))
    except Unreadable as error:
        reason = str(error)
    except MspError as error:
        away = isinstance(error, VendorUnavailable)
        reason = error.message if away else f"{error.message} {error.suggestion}".strip()
        if away and ConnectivityFacts in kinds:
            yield _observed(ctx, target, ConnectivityFacts(online=False))
            kinds = kinds - {ConnectivityFacts}
    if parts is None:
        for kind in kinds:
            yield _missing(target, kind, reason)
        return
    for answer in _facts(parts, kinds):
        if isinstance(answer, tuple):
            yield _missing(target, *answer)
        else:
            yield _observed(ctx, target, answer)


def _facts(parts: Mapping[str, str], kinds: frozenset[type]) -> Iterator[Any]:
    """Yield facts, and (kind, reason) for those that cannot be read."""
    system = parts.get("system", "").strip()[:40]
    if ConnectivityFacts in kinds:
        yield ConnectivityFacts(online=True)
    for kind in kinds - {ConnectivityFacts}:
        parser = PARSERS.get(system, {}).get(kind)
        if parser is None:
            yield kind, f"the system {system!r} cannot be read over SSH (Linux and macOS can)"
            continue
        try:
            yield parser(parts)
        except Unreadable as error:
            yield kind, str(error)


def _observed(ctx: Context, target: Target, fact: object) -> Observation:
    return Observation(
        device_id=target.device.id,
        fact=fact,
        source=SOURCE,
        observed_at=ctx.now(),
        vantage="device",
    )


def _missing(target: Target, kind: type, reason: str) -> Missing:
    fact_id = str(getattr(kind, "fact_id", kind.__name__))
    return Missing(device_id=target.device.id, fact_id=fact_id, source=SOURCE, reason=reason)

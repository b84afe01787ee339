"""Read the facts of this machine, all kinds at once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import psutil
from attrs import frozen

from msp_core.v1 import (
    ConnectivityFacts,
    Context,
    CpuFacts,
    DiskFacts,
    FactQuery,
    MemoryFacts,
    Missing,
    Observation,
    ServiceFacts,
    Target,
)
from msp_host_local.adapter import LocalHost
from msp_host_local.machine import is_this_machine, machine_id
from msp_host_local.readings import read_cpu, read_disks, read_memory
from msp_host_local.services import NoServices, read_services

SOURCE = "local.facts"


async def read(
    ctx: Context, adapter: LocalHost, query: FactQuery
) -> AsyncIterator[Observation | Missing]:
    """Yield what was asked about this machine; a device that is another machine gets the reason."""
    wanted = {kind: reader for kind, reader in _READERS.items() if kind in query.facts}
    found: dict[type, object] = {}
    for target in query.targets:
        if is_this_machine(target.external_id):
            if not found:
                facts = await asyncio.gather(*(_try(reader, adapter) for reader in wanted.values()))
                found = dict(zip(wanted, facts, strict=True))
            for kind, fact in found.items():
                yield _answer(ctx, target, kind, fact)
        else:
            reason = f"the device is linked as this machine, but this is {machine_id()}"
            for kind in wanted:
                yield _answer(ctx, target, kind, _Reason(reason))


@frozen
class _Reason:
    """Why a fact could not be read."""

    text: str


async def _cpu(adapter: LocalHost) -> CpuFacts:
    return await asyncio.to_thread(read_cpu, adapter.settings.cpu_sample)


async def _memory(_adapter: LocalHost) -> MemoryFacts:
    return await asyncio.to_thread(read_memory)


async def _disks(_adapter: LocalHost) -> DiskFacts:
    return await asyncio.to_thread(read_disks)


async def _services(_adapter: LocalHost) -> ServiceFacts:
    return await read_services()


async def _connectivity(_adapter: LocalHost) -> ConnectivityFacts:
    return ConnectivityFacts(online=True)


_READERS: dict[type, Callable[[LocalHost], Coroutine[Any, Any, object]]] = {
    CpuFacts: _cpu,
    MemoryFacts: _memory,
    DiskFacts: _disks,
    ServiceFacts: _services,
    ConnectivityFacts: _connectivity,
}


async def _try(
    reader: Callable[[LocalHost], Coroutine[Any, Any, object]], adapter: LocalHost
) -> object:
    try:
        return await reader(adapter)
    except NoServices as error:
        return _Reason(str(error))
    except (OSError, psutil.Error) as error:
        return _Reason(f"this machine does not say: {error}")


def _answer(ctx: Context, target: Target, kind: type, fact: object) -> Observation | Missing:
    if isinstance(fact, _Reason):
        fact_id = str(getattr(kind, "fact_id", kind.__name__))
        return Missing(device_id=target.device.id, fact_id=fact_id, source=SOURCE, reason=fact.text)
    return Observation(
        device_id=target.device.id,
        fact=fact,
        source=SOURCE,
        observed_at=ctx.now(),
        vantage="device",
    )

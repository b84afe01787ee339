"""Make the probes that were asked for, from where the toolkit runs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from msp_check_network.probes import Prober
from msp_core.v1 import Context, FactQuery, Observation, ProbeFacts, ProbeRequest, ProbeResult
from msp_http.api import HttpClients

SOURCE = "network.probes"
AT_ONCE = 64


async def read(ctx: Context, adapter: Any, query: FactQuery) -> AsyncIterator[Observation]:
    """Yield the results of each device's probes; devices that nothing was asked about stay silent."""
    del adapter  # the toolkit itself probes
    wanted = {
        target.device.id: tuple(
            request
            for request in query.requests.get(target.device.id, ())
            if isinstance(request, ProbeRequest)
        )
        for target in query.targets
    }
    if not any(wanted.values()):
        return
    prober = Prober(await ctx.get(HttpClients))
    gate = asyncio.Semaphore(AT_ONCE)

    async def probe(request: ProbeRequest) -> ProbeResult:
        async with gate:
            return await prober.run(request)

    distinct = dict.fromkeys(request for requests in wanted.values() for request in requests)
    under_way = {request: asyncio.create_task(probe(request)) for request in distinct}
    try:
        for device_id, requests in wanted.items():
            if requests:
                results = tuple([await under_way[request] for request in requests])
                now = ctx.now()
                yield Observation(
                    device_id=device_id,
                    fact=ProbeFacts(results=results, probed_at=now),
                    source=SOURCE,
                    observed_at=now,
                    vantage="toolkit",
                )
    finally:
        for task in under_way.values():
            task.cancel()
        await asyncio.gather(*under_way.values(), return_exceptions=True)
        await prober.aclose()

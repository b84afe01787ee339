"""The source: reads the fact, judges nothing, and answers only about the machine it runs on."""

import socket
import time
from collections.abc import AsyncIterator

from acme_uptime.facts import UptimeFacts
from msp_core.v1 import Context, FactQuery, Missing, Observation

SOURCE = "acme-uptime.clock"


async def read(
    ctx: Context, adapter: None, query: FactQuery
) -> AsyncIterator[Observation | Missing]:
    """Tell about the device that is this machine, and about any other why not: that becomes UNKNOWN."""
    here = socket.gethostname().lower()
    for target in query.targets:
        device, up, reason = target.device, 0.0, "only the toolkit's own machine can be asked"
        if here in (device.hostname.lower(), device.name.lower()):
            try:
                up, reason = time.clock_gettime(time.CLOCK_BOOTTIME), ""
            except (AttributeError, OSError) as error:  # not Linux
                reason = f"this system does not say how long it is up: {error}"
        if reason:
            fact_id = UptimeFacts.fact_id
            yield Missing(device_id=device.id, fact_id=fact_id, source=SOURCE, reason=reason)
            continue
        yield Observation(
            device_id=device.id,
            fact=UptimeFacts(up_seconds=up),
            source=SOURCE,
            observed_at=ctx.now(),
            vantage="toolkit",
        )

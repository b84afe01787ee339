"""What the adapter sends and reads, held against the vendor's own description by Prism."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msp_core.testing import open_door
from msp_core.v1 import Command, Quarantined, ServiceRequest
from msp_lab.testing import prism_proxy
from msp_rmm_ninjaone import facts

pytestmark = [pytest.mark.anyio, pytest.mark.node]


async def test_traffic_agrees_with_the_vendors_description(
    make: Any,
    ctx: Any,
    lab: Any,
    query: Any,
    secrets_of: Any,
    node_tool: Callable[[str], Path],
    vendor_specs: Path,
) -> None:
    """Every request of the adapter passes the proxy, which refuses what the description does not know."""
    program = node_tool("prism")
    async with prism_proxy(lab, "ninjaone", program=program, specs=vendor_specs) as url:
        adapter = await make(url, secrets_of(lab), command_scripts=("41", "42"), page_size=40)
        await adapter.probe(ctx)
        assert [one async for one in adapter.list_clients(ctx)]
        sites = [one async for one in adapter.list_sites(ctx)]
        devices = [one async for one in adapter.list_devices(ctx)]
        client = devices[0].client_external_id
        mine = [one async for one in adapter.read_alerts(ctx, [client])]
        assert not [one for one in mine if isinstance(one, Quarantined)]
        assert [one async for one in adapter.read_alerts(ctx)]
        asked = query(
            devices,
            requests={f"c/{one.external_id}": (ServiceRequest(("Spooler",)),) for one in devices},
        )
        for source in (facts.volumes, facts.services, facts.connectivity, facts.conditions):
            assert len([one async for one in source(ctx, adapter, asked)]) == len(devices)
        target = query([next(one for one in devices if one.online)]).targets[0]
        with open_door():
            done = await adapter.run_command(ctx, target, Command(line="hostname"))
        assert done.success
        await adapter.deploy_agent(
            ctx,
            client_external_id=sites[0].client_external_id,
            site_external_id=sites[0].external_id,
            platform="windows",
        )
    assert adapter.http.counters.failed == 0

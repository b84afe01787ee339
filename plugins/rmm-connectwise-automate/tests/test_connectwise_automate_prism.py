"""Adapter and simulator with Prism between them: both keep to the vendor's own API description."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msp_core.v1 import (
    Command,
    ConditionFacts,
    ConnectivityFacts,
    CpuFacts,
    DiskFacts,
    MemoryFacts,
    Observation,
    ServiceFacts,
)
from msp_lab.testing import prism_proxy
from msp_rmm_connectwise_automate import facts, services

pytestmark = [pytest.mark.anyio, pytest.mark.node]


async def test_every_request_keeps_to_the_description(
    lab: Any, desk_of: Any, node_tool: Callable[[str], Path], vendor_specs: Path
) -> None:
    """Login, lists, facts, alerts, a command and an installer go through without one violation."""
    async with prism_proxy(lab, "automate", program=node_tool("prism"), specs=vendor_specs) as url:
        async with desk_of(lab, url=url, network_devices=True) as desk:
            assert "answers" in await desk.adapter.probe(desk.ctx)
            assert [one async for one in desk.adapter.list_clients(desk.ctx)]
            assert [one async for one in desk.adapter.list_sites(desk.ctx)]
            assert await desk.devices()
            assert [
                one async for one in desk.adapter.read_alerts(desk.ctx, since=desk.ctx.now())
            ] == []
            for source, kinds in (
                (facts.computers, (CpuFacts, MemoryFacts, ConnectivityFacts)),
                (facts.drives, (DiskFacts,)),
                (facts.conditions, (ConditionFacts,)),
                (services.services, (ServiceFacts,)),
            ):
                found = await desk.read(source, *kinds, targets=desk.targets()[:10])
                assert len(found) == 10 * len(kinds)
                assert all(isinstance(one, Observation) for one in found)
            online = next(v for v in lab.world.views("automate") if v.online)
            target = next(t for t in desk.targets() if t.external_id == str(online.device.number))
            assert (await desk.run(target, Command(line="whoami", shell="cmd"))).exit_code == 0

            async def deploy() -> Any:
                site = online.device.site
                return await desk.adapter.deploy_agent(
                    desk.ctx,
                    client_external_id=str(online.device.client.number),
                    site_external_id=str(site.number),
                    platform="windows",
                )

            assert (await desk.ctx.change("agent.deploy", "x", deploy, key="x")).success
        assert not [one for one in lab.control.log if one.status >= 400]

"""A sweep over a simulated fleet: what is planned is recorded, whatever the consoles do."""

import asyncio

import pytest
from msp_core.v1 import ClientStatus, Conflict, InvalidParameters, Status
from msp_clients.api import Clients
from msp_health.api import Health
from msp_health.testing import World

pytestmark = pytest.mark.anyio


async def test_every_planned_check_is_recorded_once(open_world):
    """A sweep records one row for each check on each device, and says how many."""
    toolkit = await open_world(World.of(clients=3, devices=4))
    run = await toolkit.call("health.check")
    assert run.planned == run.counts.total == 3 * 4 * 2
    assert run.counts.ok == 24
    assert run.exit_code == 0
    health, ctx = await toolkit.get(Health), toolkit.context()
    rows = await health.results(ctx, run.run_id, "c2")
    assert len({(row.device_id, row.check) for row in rows}) == len(rows) == 8

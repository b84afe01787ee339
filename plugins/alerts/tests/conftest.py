"""A workspace with a simulated fleet, health and alerts, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from msp_clients.api import Clients
from msp_core.v1 import Toolkit
from msp_health.testing import World, open_toolkit


@pytest.fixture
async def open_world(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Open toolkits over worlds, with their clients recorded; all are closed at the end."""
    async with AsyncExitStack() as stack:

        async def make(world: World, *more: Any, **options: Any) -> Toolkit:
            toolkit = await stack.enter_async_context(
                open_toolkit(tmp_path, world, "msp_alerts.plugin", *more, **options)
            )
            ctx = toolkit.context()
            clients = await toolkit.get(Clients)
            known = {client.id for client in (await clients.list(ctx)).items}
            for client_id in world.devices:
                if client_id not in known:
                    await clients.create(ctx, name=client_id, id=client_id)
            return toolkit

        yield make


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Configuration of an empty database of each kind."""
    if request.param == "sqlite":
        return {}
    return {"type": "postgresql", "url": request.getfixturevalue("postgresql_url")}

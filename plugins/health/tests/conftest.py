"""A workspace with a simulated fleet, and one for command lines."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from msp_clients.api import Clients
from msp_core.testing import Done
from msp_core.v1 import Toolkit
from msp_health.testing import World, open_toolkit


@pytest.fixture
def msp(msp_cli: Callable[..., Done]) -> Callable[..., tuple[str, str]]:
    """Run command lines in one workspace, expect their exit code, and return what they printed."""

    def call(*words: str, code: int = 0) -> tuple[str, str]:
        done = msp_cli(*words)
        assert done.code == code, done
        return done.out, done.err

    return call


@pytest.fixture
async def open_world(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Open toolkits over worlds, with their clients recorded; all are closed at the end."""
    async with AsyncExitStack() as stack:

        async def make(world: World, *more: Any, **options: Any) -> Toolkit:
            toolkit = await stack.enter_async_context(
                open_toolkit(tmp_path, world, *more, **options)
            )
            ctx = toolkit.context()
            clients = await toolkit.get(Clients)
            known = {client.id for client in (await clients.list(ctx)).items}
            for client_id in world.devices:
                if client_id not in known:
                    await clients.create(ctx, name=client_id, id=client_id)
            return toolkit

        yield make

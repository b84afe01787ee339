"""Toolkits with the clients plugin alone, on either database."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from msp_core.discovery import discover
from msp_core.registry import Registry
from msp_core.v1 import Toolkit

MakeToolkit = Callable[..., Any]


def only(*ids: str) -> Registry:
    """Return a registry of these installed plugins."""
    found, failures = discover()
    assert not [failure for failure in failures if failure.plugin in ids]
    return Registry([one for one in found if one.id in ids])


@pytest.fixture
async def open_toolkit(tmp_path: Path) -> AsyncIterator[MakeToolkit]:
    """Open toolkits on one workspace; all are closed at the end."""
    async with AsyncExitStack() as stack:

        async def make(**database: Any) -> Toolkit:
            file = tmp_path / "msp-toolkit.toml"
            file.write_text('[general]\ncompany_name = "Test"\n')
            toolkit = Toolkit.open(
                file, registry=only("store", "clients"), overrides={"database": database}
            )
            return await stack.enter_async_context(toolkit)

        yield make


@pytest.fixture
async def toolkit(open_toolkit: MakeToolkit) -> Toolkit:
    """Open a toolkit on SQLite."""
    return await open_toolkit()


@pytest.fixture(params=["sqlite", "postgresql"])
async def each_toolkit(request: pytest.FixtureRequest, open_toolkit: MakeToolkit) -> Toolkit:
    """Open a toolkit: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return await open_toolkit()
    return await open_toolkit(type="postgresql", url=request.getfixturevalue("postgresql_url"))

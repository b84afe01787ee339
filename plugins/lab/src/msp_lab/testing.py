"""The lab for tests and benchmarks: in this process, or in one of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import pytest

from msp_lab.server import Lab


@asynccontextmanager
async def running_lab(
    *,
    clients: int = 12,
    devices: int = 300,
    seed: int = 1,
    latency_ms: float = 0,
    faults: Sequence[str] = (),
    start: datetime | None = None,
    token_seconds: float = 3600,
) -> AsyncIterator[Lab]:
    """Serve a lab from the running event loop on free ports.

    Without `start` lab time is real time; with it lab time stands still until it is advanced.
    """
    lab = Lab(
        clients=clients,
        devices=devices,
        seed=seed,
        latency_ms=latency_ms,
        faults=faults,
        start=start,
        token_seconds=token_seconds,
    )
    await lab.start()
    try:
        yield lab
    finally:
        await lab.stop()


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """Serve the default lab: import this name into a test module or conftest to use it."""
    async with running_lab() as started:
        yield started

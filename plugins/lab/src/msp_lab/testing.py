"""The lab for tests and benchmarks: in this process, or in one of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from msp_lab.prism import prism_proxy
from msp_lab.process import LabProcess, Size, lab_process
from msp_lab.server import Lab
from msp_lab.specs import specs_folder

__all__ = [
    "Lab",
    "LabProcess",
    "Size",
    "lab",
    "lab_process",
    "prism_proxy",
    "running_lab",
    "vendor_specs",
]


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


@pytest.fixture(scope="session")
def vendor_specs() -> Path:
    """Find the vendors' own descriptions, and skip the test where they are not at hand."""
    found = specs_folder()
    if found is None:
        pytest.skip("no vendor descriptions: set MSP_VENDOR_SPECS to their folder")
    return found

"""The cases of alerts, commands and agents catch what they are for; the sound adapters pass them."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from msp_core.testing.conformance import RmmAdapterConformance
from msp_core.testing.conformance.rig import open_rig
from msp_lab.conformance import Mock, NinjaOne

sys.path.insert(0, str(Path(__file__).parent))
from broken_capabilities import BROKEN
from catching import assert_caught

pytestmark = pytest.mark.anyio
SOUND: dict[str, tuple[str, Callable[[], Any]]] = {
    "mock": ("lab", Mock),
    "ninjaone": ("rmm-ninjaone", NinjaOne),
}


async def run_case(kind: str, case: str, folder: Path) -> None:
    """Run one case against the adapter as it is now."""
    plugin, backend = SOUND[kind]
    method = getattr(RmmAdapterConformance(), case)
    async with open_rig(plugin, kind, backend(), folder) as rig:
        await method(rig)


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_capability_is_caught(name: str, tmp_path: Path) -> None:
    """The case named for it fails with the broken adapter, and passes with the good one."""
    kind, case, breakage = BROKEN[name]
    await assert_caught(partial(run_case, kind, case), breakage, tmp_path)

"""The cases of probes catch what they are for; the sound probe passes them."""

import sys
from functools import partial
from pathlib import Path

import pytest

from msp_core.testing.conformance import ProbeSourceConformance
from msp_core.testing.conformance.adapter import Asked
from msp_core.testing.conformance.rig import open_rig, target
from msp_lab.conformance import NinjaOne

sys.path.insert(0, str(Path(__file__).parent))
from broken_probes import BROKEN
from catching import assert_caught

pytestmark = pytest.mark.anyio


class Cases(ProbeSourceConformance):
    """The cases, of the sound probe."""

    plugin, kind = "rmm-ninjaone", "ninjaone"


async def run_case(case: str, folder: Path) -> None:
    """Run one case against the probe as it is now."""
    async with open_rig("rmm-ninjaone", "ninjaone", NinjaOne(), folder) as rig:
        devices = await rig.devices()
        asked = Asked(
            toolkit=rig.toolkit,
            ctx=rig.ctx,
            adapter=rig.adapter,
            targets=tuple(map(target, devices)),
            rig=rig,
        )
        await getattr(Cases(), case)(asked)


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_probe_is_caught(name: str, tmp_path: Path) -> None:
    """The case named for it fails with the broken probe, and passes with the good one."""
    case, breakage = BROKEN[name]
    await assert_caught(partial(run_case, case), breakage, tmp_path)


def test_every_case_of_probes_has_a_broken_one() -> None:
    """A case that nothing broken was held against may catch nothing."""
    own = {name for name in vars(ProbeSourceConformance) if name.startswith("test_")}
    assert own == own & {case for case, _ in BROKEN.values()}

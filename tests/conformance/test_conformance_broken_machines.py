"""The cases of hosts and transports catch what they are for: this machine passes, each broken host fails its case."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from msp_core.testing.conformance import MachineConformance
from msp_core.testing.conformance.machine import open_machine
from msp_host_local.conformance import ThisMachine

sys.path.insert(0, str(Path(__file__).parent))
from broken_machines import BROKEN
from catching import assert_caught

pytestmark = pytest.mark.anyio


async def run_case(case: str, folder: Path) -> None:
    """Run one case against the host as it is now."""

    class Cases(MachineConformance):
        plugin, kind, backend = "host-local", "local", ThisMachine

    method: Any = getattr(Cases(), case)
    wants = method.__code__.co_varnames[: method.__code__.co_argcount]
    with pytest.MonkeyPatch.context() as patch:
        given = {"tmp_path": folder, "monkeypatch": patch}
        folder.mkdir()  # noqa: ASYNC240 - the loop has nothing else to do
        async with open_machine("host-local", "local", ThisMachine(), folder) as machine:
            await method(machine, **{name: given[name] for name in wants if name in given})


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_host_is_caught(name: str, tmp_path: Path) -> None:
    """The case named for it fails with the broken host, and passes with the good one."""
    case, breakage = BROKEN[name]
    await assert_caught(partial(run_case, case), breakage, tmp_path)


def test_every_case_of_machines_catches_something() -> None:
    """A case that nothing breaks shows nothing; these two are about what the sound host cannot do wrong."""
    cases = {name for name in vars(MachineConformance) if name.startswith("test_")}
    caught = {case for case, _ in BROKEN.values()}
    assert cases - caught == {"test_a_dry_run_leaves_nothing", "test_no_secret_in_a_repr"}

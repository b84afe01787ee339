"""What the cases of hosts are held against: the machine the test runs on."""

from collections.abc import Mapping
from typing import Any

from msp_host_local.machine import machine_id


class ThisMachine:
    """The backend of `MachineConformance`."""

    config: Mapping[str, Any] = {"cpu_sample": "50ms"}
    secrets: Mapping[str, str] = {}
    elsewhere = "another-machine"

    def __init__(self) -> None:
        self.external_id = machine_id()

    async def start(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""

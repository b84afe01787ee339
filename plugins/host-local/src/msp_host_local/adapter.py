"""The adapter `local`: this machine as a device that can be asked and told."""

import sys
from collections.abc import AsyncIterator, Sequence

from attrs import frozen

from msp_core.v1 import (
    AdapterEnv,
    Command,
    CommandResult,
    Context,
    Effect,
    NotSupported,
    Target,
    VendorDevice,
    check_door,
)
from msp_host_local.machine import CLIENT, describe, is_this_machine, machine_id
from msp_host_local.process import run
from msp_host_local.settings import LocalSettings

_SHELLS = {"": ("sh", "-c"), "sh": ("sh", "-c")}
_WINDOWS_SHELLS = {
    "": ("cmd", "/d", "/c"),
    "cmd": ("cmd", "/d", "/c"),
    "powershell": ("powershell", "-NoProfile", "-NonInteractive", "-Command"),
}


def create(env: AdapterEnv) -> "LocalHost":
    """Build the adapter."""
    return LocalHost(env.instance, env.settings)


@frozen
class LocalHost:
    """The machine the toolkit runs on."""

    instance: str
    settings: LocalSettings

    async def probe(self, ctx: Context) -> str:  # noqa: ARG002 - part of the contract
        """Name this machine."""
        device = describe()
        return f"{device.hostname}, {device.os_name}"

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    async def list_devices(
        self,
        ctx: Context,  # noqa: ARG002 - part of the contract
        client_external_ids: Sequence[str] | None = None,
    ) -> AsyncIterator[VendorDevice]:
        """Yield this machine, the only device of the client `local`."""
        if client_external_ids is None or CLIENT in client_external_ids:
            yield describe()

    async def run_command(self, ctx: Context, target: Target, command: Command) -> CommandResult:
        """Run a command line in this machine's shell."""
        check_door(Effect.CHANGE, f"Running a command on {target.device.id}")
        if not is_this_machine(target.external_id):
            raise NotSupported(
                f"{target.device.id} is not the machine this toolkit runs on ({machine_id()}).",
                suggestion="Run it over ssh, or start the toolkit on that machine.",
            )
        shells = _WINDOWS_SHELLS if sys.platform == "win32" else _SHELLS
        if command.shell not in shells:
            raise NotSupported(
                f"This machine has no shell {command.shell!r}.",
                suggestion=f"Use one of: {', '.join(filter(None, shells))}.",
            )
        started_at = ctx.now()
        ended = await run([*shells[command.shell], command.line], command.timeout)
        return ended.result(
            target, command, via=self.instance, started_at=started_at, finished_at=ctx.now()
        )

"""RMM platforms, synchronously: the same four methods whatever the vendor."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from msp_core.v1 import (
    CommandResult,
    Context,
    DeploymentResult,
    Device,
    InvalidParameters,
    Quarantined,
    Role,
    Toolkit,
    UnknownPlugin,
    VendorAlert,
)
from msp_inventory.api import Inventory, default_rmm

if TYPE_CHECKING:
    from msp_toolkit.toolkit import MSPToolkit

T = TypeVar("T")


class RMMAdapter(ABC):
    """What every RMM can do for a program. Client and device ids are the vendor's, or ours where they are linked."""

    @abstractmethod
    def get_devices(self, client_id: str) -> list[Device]:
        """Return the devices the RMM lists for a client, now."""

    @abstractmethod
    def deploy_agent(self, device: Device) -> DeploymentResult:
        """Prepare the RMM's agent for a device's client and platform; returns the installer."""

    @abstractmethod
    def execute_command(self, device_id: str, command: str) -> CommandResult:
        """Run a command line on a device and wait for its result."""

    @abstractmethod
    def get_alerts(self, client_id: str, since: datetime) -> list[VendorAlert]:
        """Return the RMM's open alerts of a client since a moment; one without a zone is in this machine's zone."""


class ConfiguredRMM(RMMAdapter):
    """An RMM of the configuration, `[adapters.<name>]`."""

    kind: str | None = None
    """The adapter kind this class insists on; None takes any."""

    def __init__(self, toolkit: "MSPToolkit", name: str | None = None) -> None:
        self._toolkit = toolkit
        self.name = _named(toolkit.toolkit, name, self.kind)

    def get_devices(self, client_id: str) -> list[Device]:
        """Return the devices the RMM lists for a client, now; raise InvalidParameters for a client without a link."""

        async def read(ctx: Context) -> list[Device]:
            external, ours = await self._client(ctx, client_id)
            adapter = await ctx.adapter(self.name)
            listed = adapter.list_devices(ctx, [external])
            return [
                Device(
                    id=one.external_id, client_id=ours, name=one.name, hostname=one.hostname, kind=one.kind,
                    os=one.os, os_name=one.os_name, serial=one.serial, macs=one.macs, addresses=one.addresses,
                    online=one.online, last_seen=one.last_seen, rmm_device_id=one.external_id,
                )
                async for one in self._readable(ctx, listed)
            ]  # fmt: skip

        return self._toolkit.run(read)

    def deploy_agent(self, device: Device) -> DeploymentResult:
        """Prepare the RMM's agent for a device's client and platform."""
        done = self._toolkit.call(
            "device.deploy-agent",
            client=device.client_id,
            instance=self.name,
            platform=device.os.value,
        )
        return done.result  # type: ignore[no-any-return]

    def execute_command(self, device_id: str, command: str) -> CommandResult:
        """Run a command line on a device and wait for its result."""

        async def find(ctx: Context) -> str:
            if "/" in device_id:
                return device_id
            inventory = await ctx.get(Inventory)
            ours = await inventory.device_by_link(ctx, self.name, device_id)
            if ours is None:
                message = f"{self.name} device {device_id!r} is not in the inventory."
                raise InvalidParameters(
                    message, suggestion="Bring it in first: msp-toolkit client sync --all"
                )
            return ours

        device = self._toolkit.run(find)
        done = self._toolkit.call("device.exec", device=device, command=[command], via=self.name)
        return done.result  # type: ignore[no-any-return]

    def get_alerts(self, client_id: str, since: datetime) -> list[VendorAlert]:
        """Return the RMM's open alerts of a client since a moment; one without a zone is in this machine's zone."""

        async def read(ctx: Context) -> list[VendorAlert]:
            external, _ = await self._client(ctx, client_id)
            adapter = await ctx.adapter(self.name)
            listed = adapter.read_alerts(ctx, [external], since.astimezone(UTC))
            return [one async for one in self._readable(ctx, listed)]

        return self._toolkit.run(read)

    async def _readable(
        self, ctx: Context, listed: AsyncIterator[T | Quarantined]
    ) -> AsyncIterator[T]:
        """Yield what could be read, and warn of the rest."""
        async for one in listed:
            if isinstance(one, Quarantined):
                ctx.warn(f"{self.name}: left out {one.what}: {one.reason}")
            else:
                yield one

    async def _client(self, ctx: Context, client_id: str) -> tuple[str, str]:
        """Return a client's id in the RMM and with us (the RMM's own where it is not linked)."""
        if not client_id:
            message = f"No client is named: client_id is {client_id!r}."
            raise InvalidParameters(
                message,
                suggestion=f"Give a client's id, ours or that of {self.name}; rmm_id is None where the client is not "
                "linked to the default RMM (msp-toolkit client sync links it), or several are configured and none is "
                "the default: call one rmm, or set inventory.default_rmm.",
            )
        inventory = await ctx.get(Inventory)
        linked = (await inventory.client_links(ctx, [client_id])).get(client_id, {}).get(self.name)
        if linked is not None:
            return linked, client_id
        ours = await inventory.client_by_link(ctx, self.name, client_id)
        return client_id, ours or client_id


class ConnectWiseRMM(ConfiguredRMM):
    """ConnectWise Automate."""

    kind = "connectwise-automate"


class NinjaOneRMM(ConfiguredRMM):
    """NinjaOne (NinjaRMM)."""

    kind = "ninjaone"


def configured_rmm(toolkit: "MSPToolkit", name: str | None) -> RMMAdapter:
    """Return the RMM of a name, or the default one, as the class of its kind."""
    named = _named(toolkit.toolkit, name, None)
    kind = toolkit.toolkit.instance(named).adapter.id
    fitting = (one for one in (ConnectWiseRMM, NinjaOneRMM) if one.kind == kind)
    return next(fitting, ConfiguredRMM)(toolkit, named)


def _named(toolkit: Toolkit, name: str | None, kind: str | None) -> str:
    fitting = [one.name for one in toolkit.instances(Role.RMM) if kind in (None, one.adapter.id)]
    if name is not None:
        if name not in fitting:
            toolkit.instance(name)
            message = f"{name} is no {kind or 'RMM'}."
            raise InvalidParameters(
                message, suggestion=f"Choose one of: {', '.join(fitting) or 'none configured'}."
            )
        return name
    only = fitting[0] if len(fitting) == 1 else None
    found = default_rmm(toolkit) if kind is None else only
    if found is not None:
        return found
    if not fitting:
        message = f"No {kind or 'RMM'} is configured."
        raise UnknownPlugin(
            message,
            suggestion=f'Add [adapters.rmm] with kind = "{kind or "ninjaone"}" to the configuration.',
        )
    message = f"No RMM is named, and none of these is the default: {', '.join(fitting)}."
    raise InvalidParameters(
        message,
        suggestion=f"Name one: get_rmm_adapter({fitting[0]!r}); or make one the default: "
        f'[inventory] default_rmm = "{fitting[0]}"',
    )

"""Toolkits with the inventory and consoles whose answers a test decides."""

import types
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from msp_core.discovery import discover
from msp_core.registry import Registry
from msp_core.v1 import (
    Adapter,
    Command,
    CommandResult,
    DeploymentResult,
    DeploysAgents,
    ListsClients,
    ListsDevices,
    Role,
    RunsCommands,
    Target,
    Toolkit,
    VendorClient,
    VendorDevice,
    VendorSite,
    check_door,
    hookimpl,
)
from msp_core.v1 import Effect as EffectLevel

MakeToolkit = Callable[..., Any]


@define
class Console:
    """What one console answers; `fail_after` makes its listing break behind so many devices."""

    clients: list[Any] = field(factory=list)
    sites: list[Any] = field(factory=list)
    devices: list[Any] = field(factory=list)
    fail_after: int | None = None
    error: Exception | None = None
    commands: list[tuple[str, str]] = field(factory=list)
    listings: int = 0


CONSOLES: dict[str, Console] = {}


class ConsoleAdapter:
    """Answers from the console of its instance."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.console = CONSOLES.setdefault(instance, Console())

    async def probe(self, ctx: Any) -> str:
        return "fine"

    async def aclose(self) -> None:
        return None

    async def list_clients(self, ctx: Any) -> AsyncIterator[Any]:
        for one in self.console.clients:
            yield one

    async def list_sites(self, ctx: Any) -> AsyncIterator[Any]:
        for one in self.console.sites:
            yield one

    async def list_devices(
        self, ctx: Any, client_external_ids: Sequence[str] | None = None
    ) -> AsyncIterator[Any]:
        self.console.listings += 1
        for number, one in enumerate(self.console.devices):
            if number == self.console.fail_after:
                raise self.console.error or RuntimeError("broken")
            if client_external_ids is None or one.client_external_id in client_external_ids:
                yield one

    async def run_command(self, ctx: Any, target: Target, command: Command) -> CommandResult:
        check_door(EffectLevel.CHANGE, "a command")
        self.console.commands.append((target.external_id or "", command.line))
        return CommandResult(
            device_id=target.device.id,
            via=self.instance,
            command=command.line,
            exit_code=3 if command.line == "fail" else 0,
            stdout="out\n",
            stderr="",
            started_at=ctx.now(),
            finished_at=ctx.now(),
        )

    async def deploy_agent(
        self, ctx: Any, *, client_external_id: str, site_external_id: str | None, platform: str
    ) -> DeploymentResult:
        check_door(EffectLevel.CHANGE, "a deployment")
        text = f"{client_external_id} {site_external_id} {platform}"
        return DeploymentResult(target=client_external_id, status="installer-ready", message=text)


@frozen(kw_only=True)
class ConsoleSettings:
    """No options."""


def create_console(env: Any) -> ConsoleAdapter:
    """Build the adapter of an instance."""
    return ConsoleAdapter(env.instance)


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer a console that lists, and a transport that only runs commands."""
    lists = (ListsClients, ListsDevices, RunsCommands, DeploysAgents)
    for id, role, offers in (
        ("test-console", Role.RMM, lists),
        ("test-devices", Role.RMM, (ListsDevices,)),
        ("test-transport", Role.TRANSPORT, (RunsCommands,)),
    ):
        yield Adapter(
            id=id,
            title=id,
            role=role,
            factory="inventory_consoles:create_console",
            settings="inventory_consoles:ConsoleSettings",
            offers=offers,
        )


def _registry(*ids: str) -> Registry:
    found, _failures = discover()
    registry = Registry([one for one in found if one.id in ids])
    plugin = types.ModuleType("inventory_consoles")
    for made in (msp_adapters, create_console, ConsoleSettings):
        setattr(plugin, made.__name__, made)
    registry.add(plugin, id="inventory-consoles")
    return registry


@pytest.fixture
async def open_toolkit(tmp_path: Path) -> AsyncIterator[MakeToolkit]:
    """Open toolkits on one workspace with the consoles `rmm` and `ninja` and the transport `ssh`."""
    CONSOLES.clear()
    async with AsyncExitStack() as stack:

        async def make(*, kind: str = "test-console", **database: Any) -> Toolkit:
            file = tmp_path / "msp-toolkit.toml"
            file.write_text(
                f'[adapters.rmm]\nkind = "{kind}"\n[adapters.ninja]\nkind = "{kind}"\n'
                '[adapters.ssh]\nkind = "test-transport"\n'
            )
            toolkit = Toolkit.open(
                file,
                registry=_registry("store", "clients", "inventory"),
                overrides={"database": database},
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


@pytest.fixture
def console() -> Callable[[str], Console]:
    """Return the console of an instance."""
    return lambda name: CONSOLES.setdefault(name, Console())


@pytest.fixture
def vendor_client() -> Callable[..., VendorClient]:
    """Make a console's client."""
    return lambda key, name: VendorClient(external_id=key, name=name)


@pytest.fixture
def vendor_site() -> Callable[..., VendorSite]:
    """Make a console's site."""
    return lambda key, client, name: VendorSite(
        external_id=key, client_external_id=client, name=name
    )


@pytest.fixture
def vendor_device() -> Callable[..., VendorDevice]:
    """Make a console's device."""

    def make(id: str, client: str, name: str, **more: Any) -> VendorDevice:
        more.setdefault("hostname", name)
        more.setdefault("last_seen", datetime(2026, 1, 1, tzinfo=UTC))
        return VendorDevice(external_id=id, client_external_id=client, name=name, **more)

    return make

"""A device that vanishes, through every feature: sync, sweep, status, alerts, forgetting and its return."""

import types
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msp_core.testing import registry_of
from msp_core.v1 import (
    Adapter,
    CpuFacts,
    FactQuery,
    Granularity,
    ListsClients,
    ListsDevices,
    Mode,
    Observation,
    Role,
    Source,
    Toolkit,
    VendorClient,
    VendorDevice,
    hookimpl,
)
from msp_health import testing as fleet

pytestmark = pytest.mark.anyio
HERE = "missing_devices_console"


@define
class Console:
    """The devices a console lists now, and how busy they are; what it was asked."""

    listed: set[int] = field(factory=set)
    busy: set[int] = field(factory=set)
    asked: set[str] = field(factory=set)


_console = Console()


@frozen(kw_only=True)
class ConsoleSettings:
    """No options."""


class ConsoleAdapter:
    """Lists one client and its devices."""

    async def probe(self, ctx: Any) -> str:
        """Say that it is there."""
        return "fine"

    async def aclose(self) -> None:
        """Do nothing."""

    async def list_clients(self, ctx: Any) -> AsyncIterator[VendorClient]:
        """List the client."""
        yield VendorClient(external_id="1", name="Acme")

    async def list_sites(self, ctx: Any) -> AsyncIterator[Any]:
        """List nothing."""
        return
        yield

    async def list_devices(
        self, ctx: Any, client_external_ids: Sequence[str] | None = None
    ) -> AsyncIterator[VendorDevice]:
        """List what is there now."""
        for number in sorted(_console.listed):
            name = f"pc-{number}"
            yield VendorDevice(external_id=name, client_external_id="1", name=name, hostname=name)


def create(env: Any) -> ConsoleAdapter:
    """Build the adapter."""
    return ConsoleAdapter()


async def read(ctx: Any, adapter: Any, query: FactQuery) -> AsyncIterator[Observation]:
    """Answer for whatever is asked about."""
    for target in query.targets:
        _console.asked.add(target.device.id)
        number = int((target.external_id or "pc-0").removeprefix("pc-"))
        used = 95.0 if number in _console.busy else 5.0
        fact = CpuFacts(used_percent=used)
        yield Observation(device_id=target.device.id, fact=fact, source="console", observed_at=None)


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer the console."""
    yield Adapter(
        id="vanishing",
        title="Vanishing",
        role=Role.RMM,
        factory=f"{HERE}:create",
        settings=f"{HERE}:ConsoleSettings",
        offers=(ListsClients, ListsDevices),
    )


@hookimpl
def msp_sources() -> Iterable[Source]:
    """Offer its facts."""
    yield Source(
        id="vanishing.facts",
        adapter="vanishing",
        facts=(CpuFacts,),
        read=f"{HERE}:read",
        granularity=Granularity.CLIENT,
        mode=Mode.LIVE,
    )


def open_toolkit(folder: Path, **overrides: Any) -> Toolkit:
    """Open a toolkit with the real inventory, health and alerts over the console."""
    global _console
    _console = Console()
    ids = ("store", "clients", "inventory", "health", "alerts")
    registry = registry_of({id: f"msp_{id}.plugin" for id in ids})
    plugin = types.ModuleType(HERE)
    for made in (msp_adapters, msp_sources, create, read, ConsoleSettings):
        setattr(plugin, made.__name__, made)
    plugin.msp_checks = fleet.msp_checks  # type: ignore[attr-defined]
    registry.add(plugin, id="vanishing")
    file = folder / "msp-toolkit.toml"
    file.write_text('[adapters.rmm]\nkind = "vanishing"\n')
    return Toolkit.open(file, registry=registry, overrides=overrides)


async def sync(toolkit: Toolkit) -> None:
    """Sync, making the client."""
    await toolkit.call("client.sync", {"instances": ["rmm"], "create": True})


async def sweep(toolkit: Toolkit) -> Any:
    """Check processor use."""
    return await toolkit.call("health.check", {"client": "acme", "types": ["cpu"]})


async def statuses(toolkit: Toolkit) -> dict[str, str]:
    """Return the status of each device."""
    shown = await toolkit.call("health.status", {"client": "acme"})
    return {line.name: line.status.value for line in shown.lines}


async def alerts(toolkit: Toolkit, **arguments: Any) -> dict[str, str]:
    """Return the state of each device's alerts."""
    listing = await toolkit.call("alert.list", arguments)
    return {entry.alert.device_id.rpartition("/")[2]: entry.state for entry in listing.items}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_life_of_a_device_that_vanishes(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """Healthy, busy, missing, forgotten, back: status and alerts say so each time, and history forgets nothing."""
    database = {"path": str(tmp_path / "t.db")}
    if kind == "postgresql":
        database = {"type": kind, "url": request.getfixturevalue("postgresql_url")}
    async with open_toolkit(tmp_path, database=database) as toolkit:
        _console.listed, _console.busy = {1, 2}, {2}
        await sync(toolkit)
        await sweep(toolkit)
        assert await statuses(toolkit) == {"pc-1": "ok", "pc-2": "critical"}
        assert await alerts(toolkit) == {"pc-2": "open"}
        _console.listed = set()
        await sync(toolkit)
        assert (await statuses(toolkit))["pc-1"] == "unknown"
        _console.asked.clear()
        run = await sweep(toolkit)
        assert (run.planned, run.counts.unknown, _console.asked) == (2, 2, set())
        assert await statuses(toolkit) == {"pc-1": "unknown", "pc-2": "unknown"}
        assert await alerts(toolkit) == {"pc-2": "open, stale"}
        await toolkit.call("device.forget", {"device": "acme/pc-2"})
        assert await statuses(toolkit) == {"pc-1": "unknown"}
        assert (await alerts(toolkit), await alerts(toolkit, all=True)) == (
            {},
            {"pc-2": "resolved"},
        )
        past = await toolkit.call("health.history", {"client": "acme", "device": "acme/pc-2"})
        assert past.total == 2
        _console.listed, _console.busy = {1, 2}, {1, 2}
        await sync(toolkit)
        assert (await sweep(toolkit)).counts.critical == 2
        assert await alerts(toolkit) == {"pc-1": "open", "pc-2": "open"}
        past = await toolkit.call("health.history", {"client": "acme", "device": "pc-2"})
        assert past.total == 3


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["list", "drop", "busy", "idle", "sync", "sweep", "sweep", "forget"]),
        st.integers(1, 3),
    ),
    max_size=30,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
async def test_any_history(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """Whatever happens in whatever order: nothing that is not listed looks healthy, nothing forgotten is known."""
    async with open_toolkit(tmp_path_factory.mktemp("any")) as toolkit:
        _console.listed = {1, 2}
        await sync(toolkit)
        for action, number in steps:
            if action == "list":
                _console.listed.add(number)
            elif action == "drop":
                _console.listed.discard(number)
            elif action == "busy":
                _console.busy.add(number)
            elif action == "idle":
                _console.busy.discard(number)
            elif action == "sync":
                await sync(toolkit)
            elif action == "forget":
                await _forget(toolkit, f"acme/pc-{number}")
            else:
                await _sweep_and_compare(toolkit)
            await _compare(toolkit)


async def _forget(toolkit: Toolkit, device_id: str) -> None:
    listing = await toolkit.call("device.list", {"client": "acme", "missing": True})
    gone = {one.id for one in listing.items if one.missing_since is not None}
    if device_id in gone:
        await toolkit.call("device.forget", {"device": device_id})


async def _devices(toolkit: Toolkit) -> dict[str, bool]:
    """Return whether each device is missing."""
    listing = await toolkit.call("device.list", {"client": "acme", "missing": True})
    return {one.name: one.missing_since is not None for one in listing.items}


async def _sweep_and_compare(toolkit: Toolkit) -> None:
    known = await _devices(toolkit)
    run = await sweep(toolkit)
    assert run.planned == run.counts.total == len(known)
    wanted = {
        name: "unknown" if gone else ("critical" if int(name[3:]) in _console.busy else "ok")
        for name, gone in known.items()
    }
    assert await statuses(toolkit) == wanted
    open_alerts = await alerts(toolkit)
    assert {name for name, status in wanted.items() if status == "critical"} <= set(open_alerts)
    assert not {name for name, status in wanted.items() if status == "ok"} & set(open_alerts)


async def _compare(toolkit: Toolkit) -> None:
    known, shown = await _devices(toolkit), await statuses(toolkit)
    assert set(shown) <= set(known)
    assert not [name for name, status in shown.items() if status == "ok" and known[name]]
    assert set(await alerts(toolkit)) <= set(known)

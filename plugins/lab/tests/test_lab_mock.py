"""The made-up fleet as an adapter: no vendor, the same fleet, every fact."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from msp_core.testing import make_toolkit
from msp_core.v1 import (
    Command,
    ConditionFacts,
    ConfigError,
    ConnectivityFacts,
    CpuFacts,
    Device,
    DeviceNotFound,
    DiskFacts,
    FactQuery,
    MemoryFacts,
    Missing,
    NotFound,
    NotSupported,
    Observation,
    PermissionDenied,
    ServiceFacts,
    ServiceState,
    Target,
    Toolkit,
)
from msp_lab.mock import read

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 15, tzinfo=UTC)
ALL = frozenset({CpuFacts, MemoryFacts, DiskFacts, ServiceFacts, ConnectivityFacts, ConditionFacts})


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def toolkit(tmp_path: Path, clock: Clock) -> AsyncIterator[Toolkit]:
    config = {"rmm": {"provider": "mock", "started": START.isoformat()}}
    made = make_toolkit(tmp_path, plugins=["msp_lab.plugin"], config=config, clock=clock)
    async with made:
        yield made


def target(number: int | str) -> Target:
    device = Device(id=f"acme-corp/d{number}", client_id="acme-corp", name=f"d{number}")
    return Target(device, str(number))


async def facts(toolkit: Toolkit, *numbers: int | str, kinds: frozenset[type] = ALL) -> list[Any]:
    adapter = await toolkit.adapter("rmm")
    query = FactQuery(facts=kinds, targets=[target(number) for number in numbers])
    return [item async for item in read(toolkit.context(), adapter, query)]


async def test_lists_the_whole_fleet(toolkit: Toolkit) -> None:
    """Clients, sites and devices are those of the lab, each once; a filter limits them."""
    rmm, ctx = await toolkit.adapter("rmm"), toolkit.context()
    clients = [item async for item in rmm.list_clients(ctx)]
    devices = [item async for item in rmm.list_devices(ctx)]
    sites = {item.external_id async for item in rmm.list_sites(ctx)}
    assert (clients[0].name, len(clients), len(devices)) == ("Acme Corp", 12, 300)
    assert len({d.external_id for d in devices}) == 300
    assert {d.site_external_id for d in devices} <= sites
    acme = [item async for item in rmm.list_devices(ctx, ["1"])]
    assert len(acme) == 25
    assert [item async for item in rmm.list_devices(ctx, ["no", "99"])] == []
    assert "300 devices" in await rmm.probe(ctx)


async def test_gives_every_fact_of_every_device(toolkit: Toolkit) -> None:
    """Each target gets one observation per fact asked for, and no other."""
    found = await facts(toolkit, *range(1, 301))
    assert len(found) == 300 * len(ALL)
    assert {type(item.fact) for item in found} == ALL
    cpu = [item.fact.used_percent for item in found if isinstance(item.fact, CpuFacts)]
    assert sum(used >= 85 for used in cpu) >= 3
    stopped = [
        service
        for item in found
        if isinstance(item.fact, ServiceFacts)
        for service in item.fact.services
        if service.state is ServiceState.STOPPED and service.start.value == "auto"
    ]
    assert len(stopped) >= 3
    only = await facts(toolkit, 1, kinds=frozenset({DiskFacts}))
    assert [type(item.fact) for item in only] == [DiskFacts]


async def test_facts_of_an_offline_device_are_old(toolkit: Toolkit) -> None:
    """An offline device is known to be offline now; its other facts are of its last contact."""
    rmm, ctx = await toolkit.adapter("rmm"), toolkit.context()
    away = next(d for d in [d async for d in rmm.list_devices(ctx)] if not d.online)
    found = {type(item.fact): item for item in await facts(toolkit, away.external_id)}
    assert found[ConnectivityFacts].fact.online is False
    assert found[ConnectivityFacts].observed_at == START
    assert found[CpuFacts].observed_at == away.last_seen
    assert away.last_seen is not None
    assert away.last_seen < START


async def test_time_moves_the_story(toolkit: Toolkit, clock: Clock) -> None:
    """With the toolkit's clock alerts come and go and devices vanish, with a reason."""
    rmm, ctx = await toolkit.adapter("rmm"), toolkit.context()
    before = {item.external_id async for item in rmm.read_alerts(ctx)}
    clock.time = START + timedelta(hours=48)
    after = {item.external_id: item async for item in rmm.read_alerts(ctx)}
    assert before - set(after)
    assert set(after) - before
    recent = [item async for item in rmm.read_alerts(ctx, None, START)]
    assert 0 < len(recent) < len(after)
    listed = {item.external_id async for item in rmm.list_devices(ctx)}
    gone = sorted({str(n) for n in range(1, 301)} - listed)
    assert gone
    missing = await facts(toolkit, gone[0], "nonsense")
    assert {type(item) for item in missing} == {Missing}
    assert len(missing) == 2 * len(ALL)


async def test_commands_and_deployment_go_through_the_door(toolkit: Toolkit) -> None:
    """A command has its output; nothing runs outside `ctx.change`."""
    rmm, ctx = await toolkit.adapter("rmm"), toolkit.context()
    with pytest.raises(PermissionDenied):
        await rmm.run_command(ctx, target(1), Command(line="hostname"))

    async def run(number: int | str, line: str) -> Any:
        command = Command(line=line, timeout=timedelta(seconds=2))
        return await ctx.change(
            "device.exec", "x", lambda: rmm.run_command(ctx, target(number), command), key=line
        )

    good = await run(1, "hostname")
    assert (good.exit_code, good.stdout, good.timed_out) == (0, "ACME-DC01", False)
    assert (await run(1, "nonsense")).exit_code == 1
    with pytest.raises(DeviceNotFound):
        await run(9999, "hostname")

    async def deploy(client: str, platform: str) -> Any:
        return await ctx.change(
            "agent.deploy",
            client,
            lambda: rmm.deploy_agent(
                ctx, client_external_id=client, site_external_id=None, platform=platform
            ),
            key=client + platform,
        )

    assert (await deploy("1", "windows")).success
    with pytest.raises(NotSupported):
        await deploy("1", "beos")
    with pytest.raises(NotFound):
        await deploy("99", "linux")


async def test_an_offline_device_never_answers(toolkit: Toolkit) -> None:
    """A command to an offline device times out and says so."""
    rmm, ctx = await toolkit.adapter("rmm"), toolkit.context()
    away = next(d for d in [d async for d in rmm.list_devices(ctx)] if not d.online)
    command = Command(line="hostname", timeout=timedelta(seconds=0.2))
    done = await ctx.change(
        "device.exec", "x", lambda: rmm.run_command(ctx, target(away.external_id), command), key="k"
    )
    assert (done.timed_out, done.exit_code, done.stdout) == (True, None, "")


async def test_started_services_stay_started(toolkit: Toolkit) -> None:
    """A command that starts a service changes what is read afterwards."""
    found = await facts(toolkit, *range(1, 301), kinds=frozenset({ServiceFacts}))
    device, service = next(
        (item.device_id.rpartition("d")[2], service.name)
        for item in found
        for service in item.fact.services
        if service.state is ServiceState.STOPPED and service.start.value == "auto"
    )
    rmm, ctx = await toolkit.adapter("rmm"), toolkit.context()
    for line in (f"net start {service}", f"systemctl start {service}"):
        command = Command(line=line)
        await ctx.change(
            "x", line, lambda c=command: rmm.run_command(ctx, target(device), c), key=line
        )
    again = (await facts(toolkit, device, kinds=frozenset({ServiceFacts})))[0]
    assert isinstance(again, Observation)
    states = {s.name: s.state for s in again.fact.services}  # type: ignore[attr-defined]
    assert states[service] is ServiceState.RUNNING


def test_wrong_options_are_named(tmp_path: Path) -> None:
    """A fleet of no clients is a configuration error that names the option."""
    config = {"adapters": {"fleet": {"kind": "mock", "clients": 0}}}
    with pytest.raises(ConfigError, match="clients"):
        make_toolkit(tmp_path, plugins=["msp_lab.plugin"], config=config)


async def test_an_instance_of_a_vendor_becomes_a_made_up_one_by_its_kind(tmp_path: Path) -> None:
    """What every vendor's instance has may stay: address, key and timeout change nothing."""
    vendor = {
        "provider": "mock",
        "api_url": "https://your-rmm.example.com/api",
        "api_key_env": "RMM_API_KEY",
        "timeout": 30,
    }
    async with make_toolkit(
        tmp_path, plugins=["msp_lab.plugin"], config={"rmm": vendor}
    ) as toolkit:
        assert toolkit.config.check(toolkit.registry) == ()
        adapter: Any = await toolkit.adapter("rmm")
        assert "12 clients" in await adapter.probe(toolkit.context())

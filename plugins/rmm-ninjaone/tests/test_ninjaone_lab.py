"""The adapter against the simulator: what it lists and reads, in how many requests, and through every fault."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from msp_core.testing import make_toolkit, open_door
from msp_core.v1 import (
    AuthenticationFailed,
    Command,
    ConditionKind,
    CpuFacts,
    CredentialError,
    DeploysAgents,
    InvalidParameters,
    ListsClients,
    ListsDevices,
    MemoryFacts,
    Missing,
    MspError,
    NotSupported,
    Observation,
    OsFamily,
    PermissionDenied,
    Quarantined,
    ReadsAlerts,
    RunsCommands,
    ServiceRequest,
    ServiceState,
    Severity,
    VendorDevice,
    VendorError,
    VendorUnavailable,
)
from msp_http.api import HttpClients
from msp_rmm_ninjaone import facts
from msp_rmm_ninjaone.paging import Pages
from msp_rmm_ninjaone.probe import probe

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("short_waits")]

SCRIPTS = ("Run PowerShell Command", "42")


async def all_of(stream: Any) -> list[Any]:
    return [item async for item in stream]


def truth(lab: Any) -> list[Any]:
    return list(lab.world.views("ninjaone"))


async def test_probe_and_lists(adapter: Any, ctx: Any, lab: Any) -> None:
    """Clients, sites and devices are those of the lab, over many small pages, each once."""
    assert "takes the credentials" in await adapter.probe(ctx)
    clients = await all_of(adapter.list_clients(ctx))
    assert {one.name for one in clients} == {c.name for c in lab.world.fleet.clients_of("ninjaone")}
    sites = await all_of(adapter.list_sites(ctx))
    assert {one.client_external_id for one in sites} <= {one.external_id for one in clients}
    devices = await all_of(adapter.list_devices(ctx))
    views = truth(lab)
    assert len(devices) == len(views) == len({one.external_id for one in devices})
    by_name = {one.name: one for one in devices}
    for view in views:
        found = by_name[view.device.hostname]
        assert found.serial == view.device.serial
        assert found.macs == (view.device.mac,)
        assert found.online is view.online
        assert found.last_seen == view.seen_at
        assert found.last_seen.tzinfo is not None
        assert found.os.value.startswith(view.device.system.family)
        assert found.os_name == view.device.system.name


async def test_devices_of_some_clients(adapter: Any, ctx: Any) -> None:
    """Only devices of the clients asked for come, and none for none."""
    everything = await all_of(adapter.list_devices(ctx))
    clients = sorted({one.client_external_id for one in everything})
    for chosen in (clients[:1], clients[:2]):
        found = await all_of(adapter.list_devices(ctx, chosen))
        assert found == [one for one in everything if one.client_external_id in chosen]
    assert await all_of(adapter.list_devices(ctx, [])) == []
    assert await all_of(adapter.list_devices(ctx, ["../../x"])) == []


async def test_facts_are_true(
    adapter: Any, ctx: Any, lab: Any, query: Any, secrets_of: Any, make: Any
) -> None:
    """Volumes, services, connectivity and conditions agree with the lab's world, in as few requests as stated."""
    adapter = await make(
        lab.ninjaone_url, secrets_of(lab), monitored_conditions=(ConditionKind.CPU,)
    )
    devices = await all_of(adapter.list_devices(ctx))
    names = ("Spooler", "W32Time", "NoSuchService")
    asked = query(
        devices, requests={f"c/{one.external_id}": (ServiceRequest(names),) for one in devices}
    )
    views = {
        f"c/{one.external_id}": view
        for one in devices
        for view in truth(lab)
        if view.device.hostname == one.name
    }
    lab.control.reset_counts()
    disks = {item.device_id: item for item in await all_of(facts.volumes(ctx, adapter, asked))}
    services = {item.device_id: item for item in await all_of(facts.services(ctx, adapter, asked))}
    links = {item.device_id: item for item in await all_of(facts.connectivity(ctx, adapter, asked))}
    alarms = {item.device_id: item for item in await all_of(facts.conditions(ctx, adapter, asked))}
    counts = lab.control.counts("ninjaone")
    assert counts == {
        "GET /v2/queries/volumes": 1,
        "GET /v2/queries/windows-services": 3,
        "GET /v2/devices": 1,
        "GET /v2/alerts": 1,
        "GET /v2/activities": 1,
    }
    assert set(disks) == set(services) == set(links) == set(alarms) == set(views)
    triggered = 0
    for device, view in views.items():
        volumes = {one.mount: one for one in disks[device].fact.volumes}
        assert {one.name for one in view.device.volumes} == set(volumes)
        for index, volume in enumerate(view.device.volumes):
            assert volumes[volume.name].total_bytes == volume.size_bytes
            assert volumes[volume.name].free_bytes == view.free_bytes(index)
        assert disks[device].observed_at == view.seen_at
        assert disks[device].source == "ninja:ninjaone.volumes"
        check_services(services[device], view, names)
        assert links[device].fact.online is view.online
        active = alarms[device].fact.active
        assert len(active) == len(view.alerts)
        assert alarms[device].fact.monitored == {ConditionKind.CPU}
        triggered += len(active)
        for condition, episode in zip(active, view.alerts, strict=True):
            expected = Severity.CRITICAL if episode.severity == "critical" else Severity.WARNING
            assert condition.severity is expected
            assert condition.since is not None
    assert triggered > 0


def check_services(said: Any, view: Any, names: tuple[str, ...]) -> None:
    own = {one.name for one in view.device.services}.intersection(names)
    if view.device.system.family != "windows":
        assert "Windows" in said.reason
    elif not own:
        assert "none of these services" in said.reason
    else:
        assert {one.name for one in said.fact.services} == own
        automatic = {one.name for one in view.device.services if one.automatic}
        for one in said.fact.services:
            running = one.name in automatic and one.name not in view.stopped
            assert (one.state is ServiceState.RUNNING) == running


async def test_pages_of_reports_join(adapter: Any, ctx: Any, lab: Any, query: Any) -> None:
    """A report over many pages gives the same facts as one page, and only about the devices asked for."""
    devices = await all_of(adapter.list_devices(ctx))
    some = devices[3:11]
    found = await all_of(facts.volumes(ctx, adapter, query(some)))
    assert {item.device_id for item in found} == {f"c/{one.external_id}" for one in some}
    for item in found:
        view = next(v for v in truth(lab) if f"c/{1000 + v.device.number}" == item.device_id)
        assert len(item.fact.volumes) == len(view.device.volumes)
    assert await all_of(facts.volumes(ctx, adapter, query([]))) == []


async def test_unnamed_services_are_all_listed(
    adapter: Any, ctx: Any, query: Any, make: Any, lab: Any, secrets_of: Any
) -> None:
    """Without names every service of a device is read, and the fact says that it is complete."""
    adapter = await make(lab.ninjaone_url, secrets_of(lab))
    devices = [one for one in await all_of(adapter.list_devices(ctx)) if one.os is OsFamily.WINDOWS]
    found = await all_of(facts.services(ctx, adapter, query(devices[:2])))
    assert all(item.fact.complete and len(item.fact.services) > 3 for item in found)


async def test_alerts(adapter: Any, ctx: Any, lab: Any) -> None:
    """Alerts carry the severity of their activity; those of one client are no other client's."""
    alerts = await all_of(adapter.read_alerts(ctx))
    episodes = {e.uid: (v, e) for v in truth(lab) for e in v.alerts}
    assert {one.external_id for one in alerts} == set(episodes)
    for one in alerts:
        view, episode = episodes[one.external_id]
        assert one.device_external_id == str(1000 + view.device.number)
        wanted = Severity.CRITICAL if episode.severity == "critical" else Severity.WARNING
        assert one.severity is wanted
    client = next(str(100 + v.device.client.number) for v, _ in episodes.values())
    mine = await all_of(adapter.read_alerts(ctx, [client]))
    assert {one.external_id for one in mine} == {
        uid for uid, (v, _) in episodes.items() if str(100 + v.device.client.number) == client
    }
    middle = sorted(one.opened_at for one in alerts)[len(alerts) // 2]
    recent = await all_of(adapter.read_alerts(ctx, since=middle))
    assert {one.external_id for one in recent} == {
        one.external_id for one in alerts if one.opened_at >= middle
    }


async def test_commands(make: Any, ctx: Any, lab: Any, query: Any, secrets_of: Any) -> None:
    """A command runs through the device's script, gives output and result, and only through the door."""
    adapter = await make(lab.ninjaone_url, secrets_of(lab), command_scripts=SCRIPTS)
    devices = [one for one in await all_of(adapter.list_devices(ctx)) if one.online]
    for family in (OsFamily.WINDOWS, OsFamily.LINUX):
        device = next(one for one in devices if one.os is family)
        target = query([device]).targets[0]
        with pytest.raises(PermissionDenied):
            await adapter.run_command(ctx, target, Command(line="hostname"))
        done = await through_door(adapter, ctx, target, "hostname")
        assert (done.stdout, done.exit_code, done.success) == (device.name, 0, True)
        assert (done.via, done.timed_out, done.device_id) == ("ninja", False, target.device.id)
        done = await through_door(adapter, ctx, target, "exit 4")
        assert (done.exit_code, done.success) == (1, False)


async def through_door(adapter: Any, ctx: Any, target: Any, line: str, **options: Any) -> Any:
    command = Command(line=line, **options)
    with open_door():
        return await adapter.run_command(ctx, target, command)


async def test_commands_that_cannot_run(
    make: Any, ctx: Any, lab: Any, query: Any, secrets_of: Any
) -> None:
    """Without a script, with the wrong one, or on an offline device the answer says what to do or that time ran out."""
    bare = await make(lab.ninjaone_url, secrets_of(lab))
    devices = await all_of(bare.list_devices(ctx))
    offline = next(one for one in devices if one.online is False and one.os is OsFamily.WINDOWS)
    target = query([offline]).targets[0]

    async def run(adapter: Any, **options: Any) -> Any:
        wait = timedelta(seconds=0.3)
        return await through_door(adapter, ctx, target, "hostname", timeout=wait, **options)

    with pytest.raises(NotSupported) as caught:
        await run(bare)
    assert "command_scripts" in caught.value.suggestion
    wrong = await make(lab.ninjaone_url, secrets_of(lab), command_scripts=("No such",))
    with pytest.raises(NotSupported, match="none of the scripts"):
        await run(wrong)
    right = await make(lab.ninjaone_url, secrets_of(lab), command_scripts=SCRIPTS)
    with pytest.raises(NotSupported, match="for sh"):
        await run(right, shell="sh")
    done = await run(right)
    assert (done.timed_out, done.exit_code, done.success) == (True, None, False)


async def test_probes(make: Any, ctx: Any, lab: Any, query: Any, secrets_of: Any) -> None:
    """The CPU probe reads the processor load of Windows devices; what it cannot read is missing with a reason."""
    adapter = await make(lab.ninjaone_url, secrets_of(lab), command_scripts=SCRIPTS)
    devices = [one for one in await all_of(adapter.list_devices(ctx)) if one.online]
    chosen = [one for one in devices if one.os is OsFamily.WINDOWS][:3]
    asked = query(chosen, facts=(CpuFacts, MemoryFacts))
    found = await all_of(probe(ctx, adapter, asked))
    cpu = [one for one in found if isinstance(one, Observation)]
    assert len(cpu) == 3
    for one in cpu:
        view = next(v for v in truth(lab) if one.device_id == f"c/{1000 + v.device.number}")
        assert one.fact.used_percent == round(view.reading.cpu * 100)
        assert one.vantage == "device"
    gone = [one for one in found if isinstance(one, Missing)]
    assert {one.fact_id for one in gone} == {"memory"}
    bare = await make(lab.ninjaone_url, secrets_of(lab))
    found = await all_of(probe(ctx, bare, asked))
    assert {type(one) for one in found} == {Missing}
    mac = [one for one in devices if one.os is OsFamily.MACOS][:1]
    assert (
        "no probe" in (await all_of(probe(ctx, adapter, query(mac, facts=(CpuFacts,)))))[0].reason
    )


async def test_installers(adapter: Any, ctx: Any, lab: Any) -> None:
    """An installer is given for a site; a client with several sites has to name one."""
    sites = await all_of(adapter.list_sites(ctx))
    by_client: dict[str, list[Any]] = {}
    for one in sites:
        by_client.setdefault(one.client_external_id, []).append(one)
    for client, places in by_client.items():
        done = await adapter.deploy_agent(
            ctx, client_external_id=client, site_external_id=places[0].external_id, platform="linux"
        )
        assert done.success
        assert done.installer_url.endswith(".deb")
        if len(places) == 1:
            await adapter.deploy_agent(
                ctx, client_external_id=client, site_external_id=None, platform="windows"
            )
        else:
            with pytest.raises(InvalidParameters, match=f"{len(places)} sites"):
                await adapter.deploy_agent(
                    ctx, client_external_id=client, site_external_id=None, platform="windows"
                )
    with pytest.raises(NotSupported):
        await adapter.deploy_agent(
            ctx, client_external_id="101", site_external_id="201", platform="amiga"
        )
    with pytest.raises(InvalidParameters):
        await adapter.deploy_agent(
            ctx, client_external_id="../x", site_external_id="201", platform="linux"
        )


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        ("500,count=2", "*/devices-detailed"),
        ("503,count=1,skip=3", "*/devices-detailed"),
        ("429,count=2,seconds=1", "*/devices-detailed"),
        ("expire,count=1,skip=2", "*/devices-detailed"),
        ("401,count=1,skip=1", "*/devices-detailed"),
        ("reset,count=2,skip=1", "*/devices-detailed"),
        ("truncate,count=2,skip=1", "*/devices-detailed"),
        ("slow,count=1,seconds=0.5", "*/devices-detailed"),
        ("idtypes", "*"),
    ],
)
async def test_passing_faults_change_nothing(
    adapter: Any, ctx: Any, lab: Any, fault: str, path: str
) -> None:
    """What a vendor does now and then leaves the list complete, each device once."""
    expected = await all_of(adapter.list_devices(ctx))
    kind, _, options = fault.partition(",")
    lab.control.fault(f"ninjaone:{kind},path={path}" + (f",{options}" if options else ""))
    assert await all_of(adapter.list_devices(ctx)) == expected
    assert len(expected) > 40


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("500", VendorUnavailable),
        ("reset", VendorUnavailable),
        ("truncate", VendorError),
        ("html", VendorError),
        ("repeat", VendorError),
        ("403", VendorError),
        ("404", VendorError),
        ("409", VendorError),
        ("401", AuthenticationFailed),
    ],
)
async def test_lasting_faults_are_errors(
    adapter: Any, ctx: Any, lab: Any, query: Any, fault: str, error: type[MspError]
) -> None:
    """A vendor that keeps failing gives an error with a next step; never a short list that looks whole."""
    devices = await all_of(adapter.list_devices(ctx))
    lab.control.fault(f"ninjaone:{fault}")
    with pytest.raises(error) as caught:
        await all_of(adapter.list_devices(ctx))
    assert caught.value.message
    with pytest.raises(error):
        await all_of(facts.volumes(ctx, adapter, query(devices)))


async def test_malformed_items_are_quarantined(
    adapter: Any, ctx: Any, lab: Any, query: Any
) -> None:
    """One broken item per page costs that item and nothing else."""
    devices = await all_of(adapter.list_devices(ctx))
    lab.control.fault("ninjaone:malformed")
    found = await all_of(adapter.list_devices(ctx))
    bad = [one for one in found if isinstance(one, Quarantined)]
    good = [one for one in found if not isinstance(one, Quarantined)]
    assert bad
    assert all(one.reason for one in bad)
    assert len(good) + len(bad) == len(devices)
    assert set(good) <= set(devices)
    for source in (facts.volumes, facts.connectivity, facts.conditions):
        said = await all_of(source(ctx, adapter, query(devices)))
        assert any(isinstance(one, Quarantined) for one in said), source
        answered = [one for one in said if not isinstance(one, Quarantined)]
        assert len(answered) == len(devices)


async def test_an_alert_nobody_can_read_proves_nothing(
    make: Any, ctx: Any, lab: Any, query: Any, secrets_of: Any
) -> None:
    """While one alert has no device, no quiet device counts as monitored."""
    adapter = await make(
        lab.ninjaone_url, secrets_of(lab), monitored_conditions=tuple(ConditionKind)
    )
    devices = await all_of(adapter.list_devices(ctx))
    lab.control.fault("ninjaone:malformed,path=*/alerts")
    said = await all_of(facts.conditions(ctx, adapter, query(devices)))
    told = [one for one in said if isinstance(one, Observation)]
    assert told
    assert not any(one.fact.monitored for one in told)


async def test_credentials(
    make: Any, ctx: Any, lab: Any, secrets_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Both ways to give credentials work; wrong and missing ones are named, and never shown."""
    caplog.set_level(logging.DEBUG)
    both = secrets_of(lab)
    joined = {"api_key": ":".join(both.values())}
    adapter = await make(lab.ninjaone_url, joined)
    assert "takes the credentials" in await adapter.probe(ctx)
    wrong = await make(lab.ninjaone_url, {**both, "client_secret": "canary-wrong-secret"})
    with pytest.raises(AuthenticationFailed) as caught:
        await wrong.probe(ctx)
    assert "canary" not in str(caught.value.as_dict())
    for secrets in ({}, {"api_key": "canary-lonely-key"}):
        poor = await make(lab.ninjaone_url, secrets)
        with pytest.raises(CredentialError) as missing:
            await poor.probe(ctx)
        assert "client_id" in missing.value.message
        assert "canary" not in str(missing.value.as_dict())
    for text in ("canary", both["client_secret"], "lab-ninjaone"):
        assert text not in caplog.text


async def test_one_api_key(lab: Any, secrets_of: Any, tmp_path: Any) -> None:
    """`rmm: provider: ninjarmm` with one API key works where the key holds both halves, by any alias."""
    key = ":".join(secrets_of(lab).values())
    section = {"api_url": f"{lab.ninjaone_url}/api", "api_key_env": "RMM_API_KEY", "timeout": 30}
    for provider in ("ninjarmm", "ninja", "ninjaone"):
        toolkit = make_toolkit(
            tmp_path,
            plugins=("msp_http.plugin", "msp_rmm_ninjaone.plugin"),
            config={"rmm": {"provider": provider, **section}},
            env={"RMM_API_KEY": key},
        )
        async with toolkit:
            adapter = await toolkit.adapter("rmm")
            for protocol in (ListsClients, ListsDevices, ReadsAlerts, RunsCommands, DeploysAgents):
                assert isinstance(adapter, protocol)
            ctx = toolkit.context()
            assert [one async for one in adapter.list_clients(ctx)]
            clients = await toolkit.get(HttpClients)
            assert clients.counters("rmm").requests == 2


class Recorded:
    """Serves the same rows for every report and list."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    async def get_json(self, path: str, params: Any = None) -> Any:
        return {"cursor": {}, "results": self.rows} if "queries" in path else self.rows


async def test_broken_rows_and_lost_devices(make: Any, ctx: Any, query: Any) -> None:
    """A device with a broken row, or none, has no fact and a reason; ids may come as numbers or text."""
    adapter = await make("http://127.0.0.1:9")
    names = {"1": "good", "2": "text id", "3": "broken volume", "4": "lost"}
    devices = [
        VendorDevice(external_id=id, client_external_id="5", name=name, os=OsFamily.WINDOWS)
        for id, name in names.items()
    ]
    disk = {"name": "C:", "capacity": 100, "freeSpace": 40, "timestamp": "1775761481"}
    service = {"name": "Spooler", "state": "RUNNING", "displayName": 7}
    rows = [
        {**disk, **service, "name": "C:", "deviceId": 1, "id": 1, "offline": False},
        {**disk, **service, "name": "C:", "deviceId": "2", "id": "2"},
        {**disk, "deviceId": 3, "id": 3.0},
        {**disk, "deviceId": 3, "name": None},
        {"deviceId": {}, "id": None},
        {"deviceId": True},
        {**disk, "deviceId": 99, "id": 99},
    ]
    adapter.pages = Pages(Recorded(rows), 1000)
    asked = query(devices)

    async def said(source: Any) -> dict[str, Any]:
        found = await all_of(source(ctx, adapter, asked))
        assert sum(isinstance(one, Quarantined) for one in found) >= 2
        return {one.device_id[2:]: one for one in found if not isinstance(one, Quarantined)}

    disks = await said(facts.volumes)
    assert [type(disks[id]) for id in names] == [Observation, Observation, Missing, Missing]
    assert "broken" in disks["3"].reason
    assert disks["1"].observed_at is not None
    services = await said(facts.services)
    kinds = [type(services[id]) for id in names]
    assert kinds == [Observation, Observation, Observation, Missing]
    assert services["3"].fact.services[0].state is ServiceState.UNKNOWN
    links = await said(facts.connectivity)
    assert [links[id].fact.online for id in ("1", "2", "3")] == [True, None, None]
    assert "does not list" in links["4"].reason

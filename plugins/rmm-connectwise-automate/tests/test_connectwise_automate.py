"""The adapter against the simulated server: what it reads is what is true there, in few requests."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from msp_core.v1 import (
    AuthenticationFailed,
    Command,
    ConditionFacts,
    ConditionKind,
    ConnectivityFacts,
    CpuFacts,
    CredentialError,
    DeploysAgents,
    DeviceKind,
    DiskFacts,
    FactQuery,
    InvalidParameters,
    ListsClients,
    ListsDevices,
    MemoryFacts,
    Missing,
    NotSupported,
    Observation,
    OsFamily,
    PermissionDenied,
    Probes,
    ReadsAlerts,
    RunsCommands,
    ServiceFacts,
    ServiceRequest,
    ServiceState,
    Severity,
)
from msp_lab.testing import running_lab
from msp_rmm_connectwise_automate import facts, services

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


async def test_it_offers_what_it_says(desk: Any) -> None:
    """The adapter implements every Protocol its record names, and its probe is one cheap call."""
    for protocol in (Probes, ListsClients, ListsDevices, ReadsAlerts, RunsCommands, DeploysAgents):
        assert isinstance(desk.adapter, protocol)
    assert "ConnectWise Automate 23.0.9.392" in await desk.adapter.probe(desk.ctx)
    assert desk.requests() == {"GET PatchInformation": 1}
    assert desk.logins() == 1


async def test_clients_and_sites(desk: Any) -> None:
    """Every client and location of the server is listed once with its own id as text; no script password is read."""
    clients = [one async for one in desk.adapter.list_clients(desk.ctx)]
    sites = [one async for one in desk.adapter.list_sites(desk.ctx)]
    truth = desk.lab.world.fleet.clients_of("automate")
    assert {(one.external_id, one.name) for one in clients} == {
        (str(c.number), c.name) for c in truth
    }
    assert {(one.external_id, one.client_external_id) for one in sites} == {
        (str(site.number), str(client.number)) for client in truth for site in client.sites
    }
    asked = [served.query for served in desk.lab.control.log if served.path.endswith("Locations")]
    assert asked
    assert all("includefields=Id,Name,Client" in query for query in asked)


async def test_devices_are_what_the_server_has(desk: Any) -> None:
    """Each computer comes once, with name, kind, system, serial, MAC and last contact as they are."""
    devices = {one.external_id: one for one in await desk.devices()}
    views = {str(view.device.number): view for view in desk.lab.world.views("automate")}
    assert devices.keys() == views.keys()
    for number, view in views.items():
        found = devices[number]
        assert found.client_external_id == str(view.device.client.number)
        assert found.hostname == view.device.hostname
        assert found.serial == view.device.serial
        assert found.macs == (view.device.mac.lower(),)
        assert found.online is view.online
        assert found.last_seen == view.seen_at.replace(microsecond=0)
        assert found.kind is (DeviceKind.SERVER if view.device.server else DeviceKind.WORKSTATION)
        family = {"windows": OsFamily.WINDOWS, "linux": OsFamily.LINUX, "mac": OsFamily.MACOS}
        assert found.os is family[view.device.system.family]


async def test_devices_of_some_clients_only(desk: Any) -> None:
    """A filter by client gives that client's computers and asks the server for no others."""
    client = desk.lab.world.fleet.clients_of("automate")[1]
    found = [one async for one in desk.adapter.list_devices(desk.ctx, [str(client.number)])]
    assert {one.client_external_id for one in found} == {str(client.number)}
    assert len(found) == len(desk.lab.world.views("automate", client))
    assert [one async for one in desk.adapter.list_devices(desk.ctx, [])] == []
    assert [one async for one in desk.adapter.list_devices(desk.ctx, ["1 or 1=1"])] == []


async def test_network_devices_are_listed_on_request(lab: Any, desk_of: Any) -> None:
    """Switches and printers come where the settings ask for them, told apart from computers by their ids."""
    async with desk_of(lab, network_devices=True) as desk:
        devices = await desk.devices()
    network = [one for one in devices if one.kind is DeviceKind.NETWORK]
    assert len(network) == 3 * sum(len(c.sites) for c in lab.world.fleet.clients_of("automate"))
    assert all(one.external_id.startswith("network-") for one in network)
    assert len({one.external_id for one in devices}) == len(devices)
    assert not any("community" in repr(one) for one in network)


async def test_processor_memory_and_connectivity_in_one_list(desk: Any) -> None:
    """Three facts of every computer come out of one list, with the age of the reading."""
    targets = desk.targets()
    found = await desk.read(facts.computers, CpuFacts, MemoryFacts, ConnectivityFacts)
    by_kind: dict[type, dict[str, Any]] = {}
    for one in found:
        assert isinstance(one, Observation), one
        by_kind.setdefault(type(one.fact), {})[one.device_id] = one
    assert {kind: len(them) for kind, them in by_kind.items()} == dict.fromkeys(
        (CpuFacts, MemoryFacts, ConnectivityFacts), len(targets)
    )
    for view in desk.lab.world.views("automate"):
        device_id = f"acme/{view.device.number}"
        seen = view.seen_at.replace(microsecond=0)
        cpu, memory = by_kind[CpuFacts][device_id], by_kind[MemoryFacts][device_id]
        assert cpu.fact.used_percent == round(view.reading.cpu * 100)
        assert cpu.observed_at == memory.observed_at == seen
        assert memory.fact.total_bytes == view.device.memory_bytes // MIB * MIB
        assert abs(memory.fact.used_percent - 100 * view.reading.memory) < 0.1
        contact = by_kind[ConnectivityFacts][device_id].fact
        assert (contact.online, contact.last_seen) == (view.online, seen)
    # 150 ids do not fit into one query; a page of a round number of rows is asked on
    assert sum(desk.requests().values()) <= 2


async def test_only_the_facts_asked_for(desk: Any) -> None:
    """A query for one fact brings only that fact, and asks for its fields only."""
    found = await desk.read(facts.computers, ConnectivityFacts, targets=desk.targets()[:3])
    assert [type(one.fact) for one in found] == [ConnectivityFacts] * 3
    query = desk.lab.control.log[-1].query
    assert "CpuUsage" not in query
    assert "Memory" not in query
    assert "Id in (1,2,3)" in query


async def test_drives(desk: Any) -> None:
    """Every computer's drives come out of one list, sizes within a mebibyte of the truth."""
    found = await desk.read(facts.drives, DiskFacts)
    by_device = {one.device_id: one.fact for one in found}
    views = desk.lab.world.views("automate")
    assert by_device.keys() == {f"acme/{view.device.number}" for view in views}
    for view in views:
        volumes = by_device[f"acme/{view.device.number}"].volumes
        assert [one.mount for one in volumes] == [one.name for one in view.device.volumes]
        for index, volume in enumerate(volumes):
            assert abs(volume.free_bytes - view.free_bytes(index)) <= MIB
            assert abs(volume.total_bytes - view.device.volumes[index].size_bytes) <= MIB
    assert sum(desk.requests().values()) <= 2


async def test_services(desk: Any) -> None:
    """A stopped service is seen stopped; a query by name gives those names only."""
    view = next(v for v in desk.lab.world.views("automate") if v.online and v.device.services)
    name = view.device.services[0].name
    desk.lab.world.set_service(view.device, name, running=False)
    one = next(t for t in desk.targets() if t.external_id == str(view.device.number))
    (observed,) = await desk.read(services.services, ServiceFacts, targets=[one])
    states = {service.name: service.state for service in observed.fact.services}
    assert states[name] is ServiceState.STOPPED
    assert len(states) == len(view.device.services)
    assert observed.fact.complete
    assert desk.requests() == {"GET Computers/{computer}/Services": 1}
    query = FactQuery(
        facts=frozenset({ServiceFacts}),
        targets=[one],
        requests={one.device.id: (ServiceRequest((name.upper(), "Missing")),)},
    )
    (observed,) = [x async for x in services.services(desk.ctx, desk.adapter, query)]
    assert [service.name for service in observed.fact.services] == [name]
    assert not observed.fact.complete


async def test_conditions_and_alerts(desk_of: Any) -> None:
    """Open alerts become conditions of their kind; a quiet computer is not declared well."""
    async with running_lab(devices=300, start=datetime(2026, 1, 15, tzinfo=UTC)) as lab:
        lab.control.advance(hours=30)
        async with desk_of(lab) as desk:
            found = {
                one.device_id: one.fact for one in await desk.read(facts.conditions, ConditionFacts)
            }
            alerts = [one async for one in desk.adapter.read_alerts(desk.ctx)]
            views = lab.world.views("automate")
            kinds = {
                "disk": ConditionKind.DISK,
                "service": ConditionKind.SERVICE,
                "cpu": ConditionKind.CPU,
                "memory": ConditionKind.MEMORY,
                "offline": ConditionKind.CONNECTIVITY,
            }
            told = {
                f"acme/{view.device.number}": sorted(kinds[one.kind] for one in view.alerts)
                for view in views
            }
            assert any(told.values())
            assert {key: sorted(c.kind for c in fact.active) for key, fact in found.items()} == told
            assert all(not fact.monitored for fact in found.values())
            assert len(alerts) == sum(len(them) for them in told.values())
            assert {one.severity for one in alerts} <= {Severity.WARNING, Severity.CRITICAL}
            since = sorted(one.opened_at for one in alerts)[len(alerts) // 2]
            later = [one async for one in desk.adapter.read_alerts(desk.ctx, since=since)]
            assert {one.external_id for one in later} == {
                one.external_id for one in alerts if one.opened_at >= since
            }
            client = views[0].device.client
            own = [one async for one in desk.adapter.read_alerts(desk.ctx, [str(client.number)])]
            assert {one.external_id for one in own} == {
                one.external_id
                for one in alerts
                if one.device_external_id
                in {str(v.device.number) for v in lab.world.views("automate", client)}
            }


async def test_targets_that_are_not_there(desk: Any) -> None:
    """A device the server no longer lists, and one that is no computer, are named as missing with the reason."""
    there = desk.targets()[0]
    gone, printer, unlinked = (
        evolve(there, device=evolve(there.device, id=f"acme/{name}"), external_id=external_id)
        for name, external_id in (("gone", "99999"), ("printer", "network-3"), ("unlinked", None))
    )
    targets = [there, gone, printer, unlinked]
    for source, kinds in (
        (facts.computers, (CpuFacts, MemoryFacts, ConnectivityFacts)),
        (facts.drives, (DiskFacts,)),
        (services.services, (ServiceFacts,)),
    ):
        found = await desk.read(source, *kinds, targets=targets)
        answered = {
            (one.device_id, getattr(one, "fact_id", "") or one.fact.fact_id) for one in found
        }
        assert answered == {(t.device.id, kind.fact_id) for t in targets for kind in kinds}
        assert {one.device_id for one in found if isinstance(one, Observation)} == {there.device.id}
        reasons = {one.device_id: one.reason for one in found if isinstance(one, Missing)}
        assert "no longer lists" in reasons["acme/gone"] or "no fixed drive" in reasons["acme/gone"]
        assert "computers only" in reasons["acme/printer"]


async def test_a_filter_that_is_ignored_leaks_nothing(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a server ignores the condition, rows of other clients are left out here."""
    real = desk.adapter.http.get_json

    async def deaf(path: str, *, params: Any = None) -> Any:
        return await real(path, params={**params, "condition": None})

    monkeypatch.setattr(desk.adapter.http, "get_json", deaf)
    client = desk.lab.world.fleet.clients_of("automate")[0]
    found = [one async for one in desk.adapter.list_devices(desk.ctx, [str(client.number)])]
    assert {one.client_external_id for one in found} == {str(client.number)}
    alerts = [one async for one in desk.adapter.read_alerts(desk.ctx, [str(client.number)])]
    numbers = {str(v.device.number) for v in desk.lab.world.views("automate", client)}
    assert {one.device_external_id for one in alerts} <= numbers


def online_target(desk: Any, family: OsFamily) -> Any:
    online = {str(v.device.number) for v in desk.lab.world.views("automate") if v.online}
    return next(t for t in desk.targets() if t.device.os is family and t.external_id in online)


@pytest.mark.parametrize(
    ("line", "shell", "output", "code"),
    [
        ("echo hello", "", "hello", 0),
        ("whoami", "powershell", "nt authority\\system", 0),
        ("Write-Output it's", "powershell", "it's", 0),
        ("no-such-program /x", "", "'no-such-program' is not recognized", 1),
        ("exit 3", "", "", None),
    ],
)
async def test_commands_on_windows(
    desk: Any, line: str, shell: str, output: str | None, code: int | None
) -> None:
    """A command's output and exit code come back; where it ended its own shell the code is not known."""
    target = online_target(desk, OsFamily.WINDOWS)
    result = await desk.run(target, Command(line=line, shell=shell))
    assert result.exit_code == code
    assert "msp-exit" not in result.stdout
    assert result.stdout.startswith(output or "")
    assert (result.via, result.device_id, result.command) == ("rmm", target.device.id, line)
    assert not result.timed_out
    assert result.stderr is None


async def test_commands_on_linux(lab: Any, desk_of: Any) -> None:
    """Linux machines get sh, whose subshell tells the code of `exit` too."""
    async with desk_of(lab) as desk:
        found = [t for t in desk.targets() if t.device.os is OsFamily.LINUX]
        if not found:
            pytest.skip("this lab has no Linux machine in Automate")
        target = online_target(desk, OsFamily.LINUX)
        assert (await desk.run(target, Command(line="whoami"))).stdout == "root"
        assert (await desk.run(target, Command(line="exit 3"))).exit_code == 3


async def test_a_command_changes_something_and_needs_the_door(desk: Any) -> None:
    """Outside ctx.change no command is sent at all."""
    with pytest.raises(PermissionDenied):
        await desk.adapter.run_command(desk.ctx, desk.targets()[0], Command(line="hostname"))
    with pytest.raises(PermissionDenied):
        await desk.adapter.deploy_agent(
            desk.ctx, client_external_id="1", site_external_id=None, platform="windows"
        )
    assert "POST Computers/{computer}/CommandExecute" not in desk.requests()
    assert "POST RemoteAgent/Installers" not in desk.requests()


async def test_a_command_nobody_answers_times_out(desk: Any) -> None:
    """A machine that is off never answers; the result says so and claims no exit code."""
    offline = {str(v.device.number) for v in desk.lab.world.views("automate") if not v.online}
    target = next(t for t in desk.targets() if t.external_id in offline)
    result = await desk.run(
        target, Command(line="hostname", shell="cmd", timeout=timedelta(seconds=1))
    )
    assert result.timed_out
    assert result.exit_code is None
    assert not result.success


async def test_what_cannot_run_a_command(desk: Any) -> None:
    """An unknown system without a named shell, a network device and an unknown shell are refused before any request."""
    target = desk.targets()[0]
    nameless = evolve(target, device=evolve(target.device, os=OsFamily.OTHER))
    printer = evolve(target, external_id="network-7")
    for one, command in (
        (nameless, Command(line="ver")),
        (printer, Command(line="ver")),
        (evolve(target, external_id=None), Command(line="ver")),
        (target, Command(line="ver", shell="fish")),
    ):
        with pytest.raises(NotSupported):
            await desk.run(one, command)
    assert desk.requests() == {}


async def test_an_installer(desk: Any) -> None:
    """The link that comes back downloads an installer, and only for a site of the client."""
    client, other = desk.lab.world.fleet.clients_of("automate")[:2]

    async def deploy(site: str | None, platform: str = "windows") -> Any:
        async def apply() -> Any:
            return await desk.adapter.deploy_agent(
                desk.ctx,
                client_external_id=str(client.number),
                site_external_id=site,
                platform=platform,
            )

        return await desk.ctx.change("agent.deploy", "acme", apply, key=f"{site}{platform}")

    result = await deploy(str(client.sites[0].number))
    assert result.success
    assert result.installer_url.startswith(
        f"{desk.lab.automate_url}/LabTech/Deployment.aspx?InstallerToken="
    )
    path = result.installer_url.removeprefix(desk.lab.automate_url)
    answer = await desk.adapter.http.get(f"{desk.lab.automate_url}{path}")
    assert answer.body.startswith(b"This is a pretended agent installer")
    with pytest.raises(InvalidParameters, match="not among its own"):
        await deploy(str(other.sites[0].number))
    with pytest.raises(NotSupported, match="linux"):
        await deploy(None, "linux")
    if len(client.sites) > 1:
        with pytest.raises(InvalidParameters, match="locations"):
            await deploy(None)


async def test_a_second_factor_that_is_missing(lab: Any, desk_of: Any) -> None:
    """The server's 200 without a token is a refused login with a clear reason; with the passcode it works."""
    async with desk_of(lab, username="lab-mfa") as desk:
        with pytest.raises(AuthenticationFailed, match="second factor") as caught:
            await desk.adapter.probe(desk.ctx)
        assert "two_factor" in caught.value.suggestion
    async with desk_of(lab, username="lab-mfa", two_factor="lab:automate/mfa_passcode") as desk:
        assert "23.0.9.392" in await desk.adapter.probe(desk.ctx)


async def test_wrong_credentials(lab: Any, desk_of: Any) -> None:
    """A wrong user is an authentication failure that quotes no password; a missing one names the credential."""
    async with desk_of(lab, username="nobody") as desk:
        with pytest.raises(AuthenticationFailed) as caught:
            await desk.adapter.probe(desk.ctx)
        assert lab.credentials["automate/password"] not in str(caught.value.as_dict())
    with pytest.raises(CredentialError, match="NO_SUCH_VARIABLE"):
        async with desk_of(lab, two_factor="env:NO_SUCH_VARIABLE") as desk:
            await desk.adapter.probe(desk.ctx)


async def test_an_address_with_and_without_the_api_path(lab: Any, desk_of: Any) -> None:
    """People paste the address in several forms; all of them reach the server."""
    for tail in ("", "/", "/cwa", "/cwa/api", "/cwa/api/v1", "/CWA/API/v1/"):
        async with desk_of(lab, url=lab.automate_url + tail) as desk:
            assert "23.0.9.392" in await desk.adapter.probe(desk.ctx)


async def test_requests_of_a_sweep(desk_of: Any) -> None:
    """1,500 computers: two requests for three facts, a handful for the drives, one for the alerts, one login."""
    async with running_lab(clients=20, devices=3000) as lab, desk_of(lab) as desk:
        targets = desk.targets()
        assert len(targets) > 1000
        await desk.read(facts.computers, CpuFacts, MemoryFacts, ConnectivityFacts, targets=targets)
        await desk.read(facts.drives, DiskFacts, targets=targets)
        await desk.read(facts.conditions, ConditionFacts, targets=targets)
        drives = sum(len(v.device.volumes) for v in lab.world.views("automate"))
        counts = desk.requests()
        assert counts["GET Computers"] <= len(targets) // 1000 + 2
        assert counts["GET Computers/Drives"] <= drives // 1000 + 2
        assert counts["GET Alerts"] == 1
        assert desk.logins() == 1

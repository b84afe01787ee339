"""What a server can do wrong, one after the other: the adapter recovers, or says so; it never loses rows silently."""

import json
import logging
from typing import Any

import pytest

from msp_core.v1 import (
    AuthenticationFailed,
    Command,
    ConnectivityFacts,
    CpuFacts,
    Missing,
    MspError,
    Observation,
    Quarantined,
    ServiceFacts,
    VendorDevice,
    VendorError,
    VendorRefused,
    VendorUnavailable,
)
from msp_rmm_connectwise_automate import facts, services

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("short_waits")]

COMPUTERS = "path=*/computers"


def everything(desk: Any) -> set[str]:
    return {str(view.device.number) for view in desk.lab.world.views("automate")}


def ids(devices: list[Any]) -> list[str]:
    return [one.external_id for one in devices if isinstance(one, VendorDevice)]


@pytest.mark.parametrize(
    ("fault", "logins"),
    [
        (f"automate:401,{COMPUTERS},skip=1,count=1", 2),
        (f"automate:expire,{COMPUTERS},skip=1,count=1", 2),
        (f"automate:429,{COMPUTERS},count=2,seconds=0.1", 1),
        (f"automate:500,{COMPUTERS},skip=1,count=1", 1),
        (f"automate:502,{COMPUTERS},count=1", 1),
        (f"automate:503,{COMPUTERS},count=1", 1),
        (f"automate:504,{COMPUTERS},count=1", 1),
        (f"automate:reset,{COMPUTERS},skip=1,count=1", 1),
        (f"automate:truncate,{COMPUTERS},count=1", 1),
        (f"automate:slow,{COMPUTERS},count=1,seconds=2", 1),
        (f"automate:idtypes,{COMPUTERS}", 1),
        (f"automate:idtypes,{COMPUTERS},skip=1,count=1", 1),
    ],
)
async def test_faults_that_pass(lab: Any, desk_of: Any, fault: str, logins: int) -> None:
    """After a fault that passes, every computer is there once, with its id as the same text."""
    async with desk_of(lab, page_size=50, timeout=1) as desk:
        lab.control.fault(fault)
        found = await desk.devices()
        assert sorted(ids(found)) == sorted(everything(desk))
        assert len(found) == len(ids(found))
        assert desk.logins() == logins
        assert lab.control.faults.listed()[0]["hit"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (f"automate:401,{COMPUTERS},skip=1", AuthenticationFailed),
        (f"automate:403,{COMPUTERS},skip=1", VendorRefused),
        (f"automate:404,{COMPUTERS}", VendorRefused),
        (f"automate:409,{COMPUTERS}", VendorRefused),
        (f"automate:html,{COMPUTERS},skip=1", VendorError),
        (f"automate:repeat,{COMPUTERS}", VendorError),
        ("automate:html,path=*/apitoken", VendorError),
        ("automate:403,path=*/apitoken", AuthenticationFailed),
    ],
)
async def test_faults_that_stay(lab: Any, desk_of: Any, fault: str, error: type[MspError]) -> None:
    """A fault that stays is one clear error; what was read before it came once; nothing looks complete."""
    async with desk_of(lab, page_size=50) as desk:
        lab.control.fault(fault)
        found: list[Any] = []

        async def read() -> None:
            async for one in desk.adapter.list_devices(desk.ctx):
                found.append(one)

        with pytest.raises(error) as caught:
            await read()
        assert len(ids(found)) == len(set(ids(found))) < len(everything(desk))
        assert "rmm" in caught.value.message
        assert sum(desk.requests().values()) < 12


@pytest.mark.slow
@pytest.mark.parametrize("fault", [f"automate:500,{COMPUTERS}", f"automate:reset,{COMPUTERS}"])
async def test_a_server_that_stays_down(lab: Any, desk_of: Any, fault: str) -> None:
    """A server that fails for good is unavailable after a few tries."""
    async with desk_of(lab) as desk:
        lab.control.fault(fault)
        with pytest.raises(VendorUnavailable):
            await desk.devices()


async def test_a_repeated_page_is_named(lab: Any, desk_of: Any) -> None:
    """A server that repeats its first page for ever is caught on the second one."""
    async with desk_of(lab, page_size=50) as desk:
        lab.control.fault("automate:repeat")
        with pytest.raises(VendorError, match="nothing new on page 2"):
            await desk.read(facts.computers, CpuFacts)
        with pytest.raises(VendorError, match="repeats a page"):
            await desk.devices()


async def test_a_malformed_row_is_put_aside(lab: Any, desk_of: Any) -> None:
    """One broken row of each page is reported; every other computer is there."""
    async with desk_of(lab, page_size=50) as desk:
        lab.control.fault(f"automate:malformed,{COMPUTERS}")
        found = await desk.devices()
        bad = [one for one in found if isinstance(one, Quarantined)]
        assert len(bad) == 3
        assert len(ids(found)) == len(everything(desk)) - len(bad)
        observed = await desk.read(facts.computers, CpuFacts)
        lost = [one for one in observed if isinstance(one, Missing)]
        assert len([one for one in observed if isinstance(one, Quarantined)]) == len(lost) > 0
        assert len([one for one in observed if isinstance(one, Observation)]) == 150 - len(lost)


async def test_malformed_lists_of_every_kind(lab: Any, desk_of: Any) -> None:
    """Broken rows in any list are put aside, never raised."""
    async with desk_of(lab) as desk:
        lab.control.fault("automate:malformed")
        for listed in (
            desk.adapter.list_clients(desk.ctx),
            desk.adapter.list_sites(desk.ctx),
            desk.adapter.list_devices(desk.ctx),
        ):
            found = [one async for one in listed]
            assert 1 <= sum(isinstance(one, Quarantined) for one in found) < len(found)
        assert [one async for one in desk.adapter.read_alerts(desk.ctx)]
        for source in (facts.drives, facts.conditions, services.services):
            assert await desk.read(source, targets=desk.targets()[:20])


async def test_one_computer_that_is_refused(lab: Any, desk_of: Any) -> None:
    """Services of one computer that cannot be read leave the other computers alone."""
    async with desk_of(lab) as desk:
        lab.control.fault("automate:403,path=*/computers/3/services")
        targets = desk.targets()[:6]
        found = {
            one.device_id: one
            for one in await desk.read(services.services, ServiceFacts, targets=targets)
        }
        assert found.keys() == {target.device.id for target in targets}
        assert isinstance(found["acme/3"], Missing)
        assert "403" in found["acme/3"].reason
        assert sum(isinstance(one, Observation) for one in found.values()) == 5


async def test_a_command_survives_trouble_while_it_runs(lab: Any, desk_of: Any) -> None:
    """Errors while waiting for a result are waited out; the command is sent once whatever happens."""
    async with desk_of(lab) as desk:
        online = next(v for v in lab.world.views("automate") if v.online)
        target = next(t for t in desk.targets() if t.external_id == str(online.device.number))
        lab.control.fault("automate:503,path=*/commandexecute,skip=1,count=2")
        result = await desk.run(target, Command(line="whoami", shell="cmd"))
        assert (result.stdout, result.exit_code) == ("nt authority\\system", 0)
        assert desk.requests()["POST Computers/{computer}/CommandExecute"] == 1


@pytest.mark.parametrize("fault", ["reset", "500", "truncate"])
async def test_a_command_is_never_sent_twice(lab: Any, desk_of: Any, fault: str) -> None:
    """Where the answer to the start of a command is lost, the command is not started again."""
    async with desk_of(lab) as desk:
        lab.control.fault(f"automate:{fault},path=*/commandexecute,count=1")
        with pytest.raises(VendorError):
            await desk.run(desk.targets()[0], Command(line="whoami", shell="cmd"))
        assert desk.requests()["POST Computers/{computer}/CommandExecute"] == 1


async def test_no_secret_in_errors_or_logs(
    lab: Any, desk_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Passwords, the integration id and tokens are in no error and no log line, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    for fault in (
        "401",
        "403",
        "404",
        "500,count=1",
        "html",
        "truncate,count=1",
        "malformed",
        "repeat",
    ):
        async with desk_of(lab, page_size=50) as desk:
            lab.control.fault(
                f"automate:{fault},path=**" if fault == "403" else f"automate:{fault}"
            )
            for attempt in (desk.devices, lambda: desk.read(facts.computers, ConnectivityFacts)):
                try:
                    said.extend(repr(one) for one in await attempt())
                except MspError as error:
                    said.append(json.dumps(error.as_dict(), default=str) + repr(error.__cause__))
            lab.control.clear_faults()
    issued = list(lab.automate.login._tokens)
    secrets = [
        lab.credentials["automate/password"],
        lab.credentials["automate/client_id"],
        *issued,
    ]
    assert issued
    text = "\n".join(said) + caplog.text
    assert "rmm" in text
    assert not [secret for secret in secrets if secret in text]

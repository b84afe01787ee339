"""Both simulators, every endpoint, held against the vendors' own API descriptions by Prism."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msp_lab.server import Lab
from msp_lab.specs import ERRATA, write_spec
from msp_lab.testing import prism_proxy

pytestmark = [pytest.mark.anyio, pytest.mark.node]

NINJAONE_READS = (
    "/organizations?pageSize=3",
    "/organizations-detailed",
    "/organization/103",
    "/organization/103/locations",
    "/organization/103/devices?pageSize=2",
    "/locations",
    "/devices?df=org%20%3D%20103&pageSize=2&after=1051",
    "/devices-detailed?pageSize=1000",
    "/devices/search?q=DC01",
    "/device/1051",
    "/device/1051/volumes",
    "/device/1051/windows-services?state=RUNNING",
    "/device/1051/alerts",
    "/device/1051/activities",
    "/device/1051/jobs",
    "/device/1051/scripting/options",
    "/alerts",
    "/activities?pageSize=1000",
    "/jobs",
    "/automation/scripts",
    "/organization/103/location/204/installer/WINDOWS_MSI",
    *(
        f"/queries/{name}?pageSize=1000"
        for name in (
            "volumes",
            "windows-services",
            "operating-systems",
            "computer-systems",
            "processors",
            "device-health",
        )
    ),
)
AUTOMATE_READS = (
    "/PatchInformation",
    "/DatabaseServerTime",
    "/Clients?pagesize=5&page=2",
    "/Clients/1",
    "/Locations",
    "/Locations/1",
    "/Computers?options.pageSize=1000&options.condition=Client.Id%20in%20(1,3)",
    "/Computers/Drives?pagesize=1000",
    "/Computers/MaintenanceModes",
    "/Computers/1",
    "/Computers/1/Services",
    "/Computers/1/OperatingSystem",
    "/Computers/1/Alerts",
    "/Computers/1/CommandExecute",
    "/Computers/1/CommandHistory",
    "/Alerts?pagesize=1000",
    "/Commands",
    "/NetworkDevices",
    "/NetworkDevices/10",
)


@pytest.fixture
def prism(node_tool: Callable[[str], Path]) -> Path:
    return node_tool("prism")


def templates(lab: Lab, vendor: str) -> set[str]:
    """Return the offered reads as the request counter spells them."""
    simulator = lab.ninjaone if vendor == "ninjaone" else lab.automate
    return {f"{method} {path}" for method, path in simulator.router.offered}


async def test_ninjaone(
    lab: Lab, session: Any, prism: Path, vendor_specs: Path, log_in_ninjaone: Any
) -> None:
    """Every NinjaOne endpoint answers as its description says, and wrong requests are caught."""
    async with prism_proxy(lab, "ninjaone", program=prism, specs=vendor_specs) as url:
        caller = await log_in_ninjaone(session, lab, url)
        for path in NINJAONE_READS:
            status, body = await caller.call("GET", path)
            assert status == 200, (path, body)
            assert body != "", path
        alert = (await caller.get("/alerts"))[0]
        installer = {"organizationId": 103, "locationId": 204, "installerType": "MAC_PKG"}
        for method, path, body in (
            ("POST", "/device/1051/script/run", {"type": "SCRIPT", "id": 41, "parameters": "ver"}),
            ("POST", "/device/1051/windows-service/Spooler/control", {"action": "STOP"}),
            ("PUT", "/device/1051/maintenance", {"disabledFeatures": ["ALERTS"]}),
            ("DELETE", "/device/1051/maintenance", None),
            ("POST", f"/alert/{alert['uid']}/reset", {}),
            ("DELETE", f"/alert/{(await caller.get('/alerts'))[1]['uid']}", None),
            ("POST", "/organization/generate-installer", installer),
        ):
            status, answer = await caller.call(method, path, json=body)
            assert status in (200, 204), (path, answer)
        lab.control.advance(seconds=1)
        done = await caller.get("/device/1051/activities")
        assert "COMPLETED" in {a["statusCode"] for a in done["activities"]}
        assert (await caller.get("/device/1051"))["id"] == 1051
        link = await caller.get("/organization/103/location/204/installer/WINDOWS_MSI")
        async with session.get(link["url"].replace(lab.ninjaone_url, url)) as answer:
            assert answer.status == 200
        async with session.post(f"{url}/oauth/token", data={"grant_type": "x"}) as answer:
            assert answer.status == 422
        seen = set(lab.control.counts("ninjaone")) | {"POST /oauth/token"}
        assert templates(lab, "ninjaone") <= seen

        for path, expected in (
            ("/devices?pageSize=many", 422),
            ("/device/abc", 422),
            ("/device/1051/windows-services?state=ASLEEP", 422),
            ("/no-such-resource", 404),
            ("/device/1", 404),
        ):
            status, answer = await caller.call("GET", path)
            assert status == expected, (path, answer)
        wrong = {"action": "EXPLODE"}
        path = "/device/1051/windows-service/Spooler/control"
        assert (await caller.call("POST", path, json=wrong))[0] == 422
        async with session.get(f"{url}/v2/devices") as answer:
            assert answer.status == 401

        # The proxy must be able to fail: a simulator that breaks the description is found out.
        lab.control.fault("ninjaone:idtypes")
        for path in (
            "/organizations-detailed",
            "/organization/103/devices",
            "/locations",
            "/devices-detailed",
            "/device/1051",
            "/alerts",
            "/activities",
            "/automation/scripts",
            "/queries/volumes",
            "/queries/device-health",
        ):
            status, answer = await caller.call("GET", path)
            assert (path, status) == (path, 500), answer
            assert answer["title"] == "Request/Response not valid"


async def test_automate(
    lab: Lab, session: Any, prism: Path, vendor_specs: Path, log_in_automate: Any
) -> None:
    """Every Automate endpoint answers as its description says, and wrong requests are caught."""
    async with prism_proxy(lab, "automate", program=prism, specs=vendor_specs) as url:
        caller = await log_in_automate(session, lab, url)
        caller.headers["Accept"] = "application/json"
        for path in AUTOMATE_READS:
            status, body = await caller.call("GET", path)
            assert status == 200, (path, body)
        assert (await caller.call("GET", "/apitoken"))[0] == 200
        alert = (await caller.get("/Alerts"))[0]
        assert await caller.get(f"/Alerts/{alert['AlertId']}") == alert
        command = {"ComputerId": 1, "Command": {"Id": "2"}, "Parameters": ["cmd.exe!!! /c ver"]}
        status, job = await caller.call("POST", "/Computers/1/CommandExecute", json=command)
        assert (status, job.get("Status")) == (200, "Executing"), job
        lab.control.advance(seconds=1)
        done = await caller.get("/Computers/1/CommandExecute", ids=job["Id"])
        assert done[0]["Status"] == "Success"
        assert len(await caller.get("/Computers/1/CommandHistory")) == 1
        wanted = {"LocationId": 1, "InstallerType": 1}
        status, token = await caller.call("POST", "/RemoteAgent/Installers", json=wanted)
        assert status == 200, token
        link = f"{url}/LabTech/Deployment.aspx?InstallerToken={token}"
        async with session.get(link) as answer:
            assert answer.status == 200
        known = lab.credentials
        second = {
            "UserName": known["automate/mfa_username"],
            "Password": known["automate/password"],
        }
        status, pending = await caller.call("POST", "/apitoken", json=second)
        assert (status, pending.get("AccessToken", 0)) == (200, None), pending
        old = caller.headers["Authorization"].removeprefix("Bearer ")
        # Prism takes the quotes off a JSON string on its way to the server, hence two pairs.
        quoted = json.dumps(json.dumps(old))
        headers = {**caller.headers, "Content-Type": "application/json"}
        url_ = f"{caller.url}/apitoken/refresh"
        async with session.post(url_, data=quoted, headers=headers) as answer:
            status, fresh = answer.status, await answer.json()
        assert status == 200, fresh
        caller.headers["Authorization"] = f"Bearer {fresh['AccessToken']}"
        assert templates(lab, "automate") <= set(lab.control.counts("automate"))

        for method, path, body, expected in (
            ("GET", "/Computers?options.page=first", None, 422),
            ("GET", "/Computers/abc/Services", None, 422),
            ("GET", "/NoSuchResource", None, 404),
            ("GET", "/Computers/999", None, 404),
            ("GET", "/Computers?condition=Nope%20%3D%201", None, 400),
            ("POST", "/RemoteAgent/Installers", {"LocationId": "one"}, 422),
            ("POST", "/Computers/1/CommandExecute", {"ComputerId": "one"}, 422),
        ):
            status, answer = await caller.call(method, path, json=body)
            assert status == expected, (path, answer)

        lab.control.fault("automate:idtypes")
        for path in (
            "/Clients",
            "/Locations",
            "/Locations/1",
            "/Computers",
            "/Computers/1",
            "/Computers/Drives",
            "/Computers/1/Services",
            "/Computers/1/CommandExecute",
            "/Alerts",
            "/Commands",
            "/NetworkDevices",
        ):
            status, answer = await caller.call("GET", path)
            assert (path, status) == (path, 500), answer
            assert answer["title"] == "Request/Response not valid"


@pytest.mark.parametrize("vendor", ["ninjaone", "automate"])
async def test_nothing_is_offered_that_the_description_lacks(
    lab: Lab, vendor: str, vendor_specs: Path, tmp_path: Path
) -> None:
    """Every endpoint is in the vendor's description or among the listed errata."""
    simulator = lab.ninjaone if vendor == "ninjaone" else lab.automate
    offered = simulator.router.offered
    assert write_spec(vendor, offered, vendor_specs, tmp_path / "spec.json") == []
    assert write_spec(vendor, [("GET", "/v9/x")], vendor_specs, tmp_path / "s") == ["GET /v9/x"]
    assert all(erratum.fact and erratum.source for erratum in ERRATA)

"""The NinjaOne simulator over real HTTP."""

from datetime import UTC, datetime
from typing import Any

import pytest

from msp_lab.server import Lab
from msp_lab.testing import running_lab

pytestmark = pytest.mark.anyio


async def walk(caller: Any, path: str, size: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    after = 0
    while page := await caller.get(path, pageSize=size, after=after):
        rows += page
        after = page[-1]["id"]
    return rows


async def report(caller: Any, kind: str, size: int, **params: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while page := await caller.get(f"/queries/{kind}", pageSize=size, **params, **cursor):
        if not page["results"]:
            return rows
        rows += page["results"]
        cursor = {"cursor": page["cursor"]["name"]}
    return rows


@pytest.mark.parametrize("size", [1, 7, 154, 155, 1000])
async def test_paging_gives_every_device_once(ninjaone: Any, lab: Lab, size: int) -> None:
    """Whatever the page size, the walk finds each device exactly once."""
    rows = await walk(ninjaone, "/devices-detailed", size)
    names = [row["systemName"] for row in rows]
    assert names == [device.hostname for device in lab.world.fleet.devices("ninjaone")]


async def test_both_prefixes_and_lists_agree(ninjaone: Any, lab: Lab) -> None:
    """Organisations, their devices and the fleet tell the same; /api/v2 is /v2."""
    organisations = await ninjaone.get("/organizations")
    assert [o["name"] for o in organisations][:2] == ["Birchwood Dental", "Cascade Logistics"]
    per_client = [
        len(await ninjaone.get(f"/organization/{o['id']}/devices")) for o in organisations
    ]
    assert sum(per_client) == 155
    ninjaone.url = f"{lab.ninjaone_url}/api/v2"
    assert await ninjaone.get("/organizations") == organisations
    assert len(await ninjaone.get("/locations")) == len(lab.world.fleet.sites) - sum(
        len(c.sites) for c in lab.world.fleet.clients if "ninjaone" not in c.vendors()
    )


@pytest.mark.parametrize("size", [3, 100, 1000])
async def test_reports_walk_with_cursors(ninjaone: Any, lab: Lab, size: int) -> None:
    """A cursor walk gives each volume once, and a cursor may be asked for again."""
    rows = await report(ninjaone, "volumes", size)
    expected = sum(len(d.volumes) for d in lab.world.fleet.devices("ninjaone"))
    assert len(rows) == len({(r["deviceId"], r["name"]) for r in rows}) == expected
    first = await ninjaone.get("/queries/volumes", pageSize=size)
    again = {"cursor": first["cursor"]["name"], "pageSize": size}
    pages = [await ninjaone.get("/queries/volumes", **again) for _ in range(2)]
    assert pages[0]["results"] == pages[1]["results"]


async def test_cursors_expire_and_belong_to_a_report(ninjaone: Any, lab: Lab) -> None:
    """An old cursor and one of another report are refused."""
    name = (await ninjaone.get("/queries/volumes"))["cursor"]["name"]
    other = {"cursor": name}
    assert (await ninjaone.call("GET", "/queries/processors", other))[0] == 400
    lab.control.advance(minutes=11)
    assert (await ninjaone.call("GET", "/queries/volumes", other))[0] == 400


async def test_windows_services_can_be_narrowed(ninjaone: Any) -> None:
    """Name, state and device filter limit the report; only Windows machines have services."""
    stopped = await report(ninjaone, "windows-services", 500, state="STOPPED")
    assert stopped
    assert {row["state"] for row in stopped} == {"STOPPED"}
    one = await report(ninjaone, "windows-services", 500, name="Spooler", df="id = 1051")
    assert [row["deviceId"] for row in one] == [1051]
    assert await report(ninjaone, "windows-services", 500, df="id = 1053") == []


async def test_tokens(ninjaone: Any, lab: Lab, session: Any, log_in_ninjaone: Any) -> None:
    """Wrong credentials, missing scopes and expired tokens are refused in the vendor's words."""
    url = f"{lab.ninjaone_url}/ws/oauth/token"
    for form, status, error in (
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "client_id": "x"}, 401, "invalid_client"),
    ):
        async with session.post(url, data=form) as answer:
            assert (answer.status, (await answer.json())["error"]) == (status, error)
    reader = await log_in_ninjaone(session, lab, scope="monitoring")
    status, body = await reader.call("DELETE", "/device/1051/maintenance")
    assert (status, body["resultCode"]) == (403, "FAILURE")
    ninjaone.headers = {"Authorization": "Bearer no"}
    assert (await ninjaone.call("GET", "/devices"))[0] == 401
    assert (await reader.call("GET", "/devices"))[0] == 200
    lab.control.advance(hours=1)
    assert (await reader.call("GET", "/devices"))[0] == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/device/1", 404),
        ("/device/x", 400),
        ("/organization/101", 404),
        ("/nothing", 404),
        ("/devices?pageSize=x", 400),
        ("/devices?df=org", 400),
    ],
)
async def test_errors_have_the_vendors_body(ninjaone: Any, path: str, status: int) -> None:
    """Every refusal carries resultCode, errorMessage and an incident."""
    found, body = await ninjaone.call("GET", path)
    assert found == status
    assert set(body) == {"resultCode", "errorMessage", "incidentId"}


async def test_alerts_are_reset_and_leave_an_activity(ninjaone: Any) -> None:
    """A reset alert is gone from both lists; its series ends with RESET and has the severity."""
    alerts = await ninjaone.get("/alerts")
    assert len(alerts) > 5
    assert "severity" not in alerts[0]
    uid, device = alerts[0]["uid"], alerts[0]["deviceId"]
    assert uid in [a["uid"] for a in await ninjaone.get(f"/device/{device}/alerts")]
    assert (await ninjaone.call("POST", f"/alert/{uid}/reset", json={}))[0] == 204
    assert uid not in [a["uid"] for a in await ninjaone.get("/alerts")]
    assert (await ninjaone.call("DELETE", f"/alert/{uid}"))[0] == 404
    series = await ninjaone.get(f"/device/{device}/activities", seriesUid=uid)
    assert [a["statusCode"] for a in series["activities"]] == ["RESET", "TRIGGERED"]
    assert series["activities"][1]["severity"] in ("MODERATE", "CRITICAL")


async def test_time_opens_and_closes_alerts(ninjaone: Any, lab: Lab) -> None:
    """Moving the clock changes which alerts are open, and the log tells of both."""
    before = {a["uid"] for a in await ninjaone.get("/alerts")}
    last = (await ninjaone.get("/activities"))["lastActivityId"]
    lab.control.advance(minutes=50)
    newer = await ninjaone.get("/activities", newerThan=last, pageSize=1000)
    after = {a["uid"] for a in await ninjaone.get("/alerts")}
    told = {(a["seriesUid"], a["statusCode"]) for a in newer["activities"]}
    assert told == {(u, "TRIGGERED") for u in after - before} | {
        (u, "RESET") for u in before - after
    }


async def test_script_runs_and_its_output_is_found(ninjaone: Any, lab: Lab) -> None:
    """A run shows as a job, then as a completed activity with its output."""
    options = await ninjaone.get("/device/1051/scripting/options")
    script = next(s for s in options["scripts"] if s["name"] == "Run PowerShell Command")
    log = await ninjaone.get("/device/1051/activities")
    body = {"type": "SCRIPT", "id": script["id"], "parameters": "hostname", "runAs": "system"}
    assert (await ninjaone.call("POST", "/device/1051/script/run", json=body))[0] == 204
    assert len(await ninjaone.get("/device/1051/jobs")) == 1
    lab.control.advance(seconds=1)
    newer = await ninjaone.get("/device/1051/activities", newerThan=log["lastActivityId"])
    codes = [a["statusCode"] for a in newer["activities"]]
    assert codes == ["COMPLETED", "STARTED", "START_REQUESTED"]
    done = newer["activities"][0]
    assert done["activityResult"] == "SUCCESS"
    assert "CASCADE-DC01" in done["message"]
    assert len({a["seriesUid"] for a in newer["activities"]}) == 1
    assert await ninjaone.get("/jobs") == []


async def test_script_refusals(ninjaone: Any, lab: Lab) -> None:
    """Unknown scripts, wrong systems and broken bodies are refused; offline machines wait."""
    run = "/device/1051/script/run"
    assert (await ninjaone.call("POST", run, json={"type": "SCRIPT", "id": 999}))[0] == 404
    assert (await ninjaone.call("POST", run, json={"type": "SCRIPT", "id": 42}))[0] == 400
    assert (await ninjaone.call("POST", run, data=b"{"))[0] == 400
    offline = (await ninjaone.get("/devices", df="offline AND class in (WINDOWS_WORKSTATION)"))[0]
    body = {"type": "SCRIPT", "id": 41, "parameters": "hostname"}
    await ninjaone.call("POST", f"/device/{offline['id']}/script/run", json=body)
    lab.control.advance(minutes=10)
    rows = (await ninjaone.get(f"/device/{offline['id']}/activities"))["activities"]
    assert rows[0]["statusCode"] == "START_REQUESTED"


async def test_services_and_maintenance_change(ninjaone: Any) -> None:
    """A stopped service and an announced maintenance show in the device's own answers."""
    path = "/device/1051/windows-service"
    for action, state in (("STOP", "STOPPED"), ("RESTART", "RUNNING")):
        body = {"action": action}
        assert (await ninjaone.call("POST", f"{path}/Spooler/control", json=body))[0] == 204
        rows = await ninjaone.get("/device/1051/windows-services", name="Spooler")
        assert [row["state"] for row in rows] == [state]
    assert (await ninjaone.call("POST", f"{path}/Nope/control", json=body))[0] == 404
    assert (await ninjaone.call("POST", f"{path}/Spooler/control", json={"action": "X"}))[0] == 400
    plan = {"disabledFeatures": ["ALERTS"], "end": datetime.now(UTC).timestamp() + 3600}
    assert (await ninjaone.call("PUT", "/device/1051/maintenance", json=plan))[0] == 204
    assert (await ninjaone.get("/device/1051"))["maintenance"]["status"] == "IN_MAINTENANCE"
    assert (await ninjaone.call("PUT", "/device/1051/maintenance", json={"end": 1}))[0] == 400
    assert (await ninjaone.call("DELETE", "/device/1051/maintenance"))[0] == 204
    assert "maintenance" not in await ninjaone.get("/device/1051")


async def test_installers(ninjaone: Any, session: Any) -> None:
    """Both installer calls give a link that can be fetched; a foreign location is refused."""
    first = await ninjaone.get("/organization/103/location/204/installer/WINDOWS_MSI")
    body = {"organizationId": 103, "locationId": 204, "installerType": "LINUX_DEB"}
    status, second = await ninjaone.call("POST", "/organization/generate-installer", json=body)
    assert status == 200
    for link in (first, second):
        async with session.get(link["url"]) as answer:
            assert answer.status == 200
    bad = await ninjaone.call("GET", "/organization/103/location/201/installer/WINDOWS_MSI")
    assert bad[0] == 404


async def test_same_lab_same_answers(session: Any, log_in_ninjaone: Any) -> None:
    """Two labs of the same numbers and start give byte for byte the same fleet."""
    start = datetime(2026, 1, 15, tzinfo=UTC)
    answers = []
    for _ in range(2):
        async with running_lab(clients=4, devices=40, start=start) as lab:
            caller = await log_in_ninjaone(session, lab)
            answers.append([await caller.get(p) for p in ("/devices-detailed", "/alerts")])
    assert answers[0] == answers[1]


async def test_vanished_devices_leave_every_list(ninjaone: Any, lab: Lab) -> None:
    """A device that vanished is in no list and answers 404."""
    lab.control.advance(hours=72)
    caller_token_gone = await ninjaone.call("GET", "/devices")
    assert caller_token_gone[0] == 401
    gone = [
        d.number + 1000
        for d in lab.world.fleet.devices("ninjaone")
        if not lab.world.view(d).reading.present
    ]
    assert gone
    assert lab.world.find("ninjaone", gone[0] - 1000) is None
    assert gone[0] - 1000 not in [v.device.number for v in lab.world.views("ninjaone")]

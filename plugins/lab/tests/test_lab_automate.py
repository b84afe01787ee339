"""The ConnectWise Automate simulator over real HTTP."""

from typing import Any

import pytest

from msp_lab.server import Lab

pytestmark = pytest.mark.anyio


async def walk(caller: Any, path: str, size: int, **params: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    page = 1
    while found := await caller.get(path, page=page, pagesize=size, **params):
        rows += found
        page += 1
    return rows


@pytest.mark.parametrize("size", [9, 150, 1000])
async def test_paging_gives_every_computer_once(automate: Any, lab: Lab, size: int) -> None:
    """Whatever the page size, the walk finds each computer exactly once."""
    rows = await walk(automate, "/Computers", size, includefields="Id,ComputerName")
    expected = [d.hostname for d in lab.world.fleet.devices("automate")]
    assert [row["ComputerName"] for row in rows] == expected
    assert set(rows[0]) == {"Id", "ComputerName"}


async def test_long_and_short_option_names_agree(automate: Any) -> None:
    """The description's option names and those clients use give the same rows."""
    short = await automate.get(
        "/Computers",
        condition="Client.Id in (1,5)",
        pagesize=5,
        page=2,
        orderby="ComputerName desc",
        excludefields="Tickets,Groups",
    )
    long = await automate.get(
        "/computers",
        **{
            "options.condition": "Client.Id in (1,5)",
            "options.pageSize": 5,
            "options.page": 2,
            "options.orderBy.name": "ComputerName",
            "options.orderBy.type": "Descending",
            "options.excludedFields": "Tickets,Groups",
        },
    )
    assert short == long
    names = [row["ComputerName"] for row in short]
    assert names == sorted(names, reverse=True)
    assert "Tickets" not in short[0]


async def test_ids_and_id_types(automate: Any) -> None:
    """`ids` picks rows; ids are texts or numbers where the vendor has them so."""
    rows = await automate.get("/Computers", ids="2,1")
    assert [row["Id"] for row in rows] == ["1", "2"]
    assert await automate.get("/Computers/2") == rows[1]
    assert isinstance(rows[0]["Location"]["Id"], int)
    assert isinstance(rows[0]["Client"]["Id"], str)
    drives = await automate.get("/Computers/Drives", condition="ComputerId in (1,2)")
    assert {row["ComputerId"] for row in drives} == {1, 2}
    assert (await automate.get("/Computers/1/Services"))[0]["ComputerId"] == 1
    assert (await automate.get("/Computers/1/OperatingSystem"))["IsServer"] is True


async def test_alerts_tell_of_the_story(automate: Any, lab: Lab) -> None:
    """The list, one computer's list and the single alert agree, with names of severities."""
    alerts = await automate.get("/Alerts", pagesize=1000)
    assert {a["Severity"]["Name"] for a in alerts} == {"Warning", "Critical"}
    assert len({a["AlertId"] for a in alerts}) == len(alerts)
    one = alerts[0]
    mine = await automate.get(f"/Computers/{one['Computer']['Id']}/Alerts")
    assert one in mine
    assert await automate.get(f"/Alerts/{one['AlertId']}") == one
    disks = await automate.get("/Alerts", condition="Monitor.Name like '%Drive%'")
    assert disks
    assert {a["Monitor"]["Id"] for a in disks} == {77}


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/Computers", {"condition": "Nope = 1"}, 400, "BadRequest"),
        ("/Computers", {"condition": "Id = "}, 400, "BadRequest"),
        ("/Computers", {"includefields": "Nope"}, 400, "BadRequest"),
        ("/Computers", {"condition": "LastHeartbeat > '2026-01-01'"}, 500, "InternalServerError"),
        ("/Computers/9999", {}, 404, "NotFound"),
        ("/Computers/26", {}, 404, "NotFound"),
        ("/Computers/x/Services", {}, 400, "BadRequest"),
        ("/Nothing", {}, 404, "NotFound"),
    ],
)
async def test_errors_have_the_vendors_body(
    automate: Any, path: str, params: dict[str, str], status: int, code: str
) -> None:
    """Every refusal carries code, message and errors."""
    found, body = await automate.call("GET", path, params)
    assert (found, body["code"]) == (status, code)
    assert body["errors"][0]["message"] == body["message"]


async def test_tokens_and_the_second_factor(automate: Any, lab: Lab) -> None:
    """Logins, the integration header, refresh and expiry behave as the vendor's."""
    known = lab.credentials
    login = {"username": known["automate/username"], "PASSWORD": known["automate/password"]}
    assert (await automate.call("POST", "/apitoken", json=login))[0] == 200
    assert (await automate.call("POST", "/apitoken", json={**login, "PASSWORD": "x"}))[0] == 401
    assert (await automate.call("POST", "/apitoken", data=b"[]"))[0] == 400
    second = {**login, "username": known["automate/mfa_username"]}
    status, pending = await automate.call("POST", "/APIToken", json=second)
    assert (status, pending["AccessToken"], pending["IsTwoFactorRequired"]) == (200, None, True)
    second["TwoFactorPasscode"] = known["automate/mfa_passcode"]
    status, done = await automate.call("POST", "/APIToken", json=second)
    assert (status, done["IsTwoFactorRequired"], bool(done["AccessToken"])) == (200, False, True)
    old = automate.headers["Authorization"].removeprefix("Bearer ")
    status, fresh = await automate.call("POST", "/apitoken/refresh", json=old)
    assert status == 200
    assert (await automate.call("GET", "/Clients"))[0] == 401
    automate.headers["Authorization"] = f"Bearer {fresh['AccessToken']}"
    assert (await automate.call("GET", "/Clients"))[0] == 200
    lab.control.advance(minutes=61)
    assert (await automate.call("GET", "/Clients"))[0] == 401
    del automate.headers["clientId"]
    assert (await automate.call("POST", "/apitoken", json=login))[0] == 401


async def test_command_runs_to_its_result(automate: Any, lab: Lab) -> None:
    """A command is executing first, then has its output; failures say so."""
    for line, status, output in (
        ('cmd.exe!!! /c "hostname"', "Success", "ACME-DC01"),
        ("cmd.exe!!! /c nonsense", "Failed", "not recognized"),
        ('powershell.exe!!! -NonInteractive -Command "Write-Output \\"hi\\""', "Success", "hi"),
    ):
        body = {"ComputerId": 1, "Command": {"Id": "2"}, "Parameters": [line]}
        code, started = await automate.call("POST", "/Computers/1/CommandExecute", json=body)
        assert (code, started["Status"], started["Output"]) == (200, "Executing", "")
        lab.control.advance(seconds=1)
        rows = await automate.get("/Computers/1/CommandExecute", ids=started["Id"])
        assert [row["Status"] for row in rows] == [status]
        assert output in rows[0]["Output"]
    assert len(await automate.get("/Computers/1/CommandHistory")) == 3


async def test_command_refusals_and_offline(automate: Any, lab: Lab) -> None:
    """Unknown commands and computers are refused; an offline computer never answers."""
    path = "/Computers/1/CommandExecute"
    assert (await automate.call("POST", path, json={"Command": {"Id": "9"}}))[0] == 400
    assert (await automate.call("POST", path, json={"Command": {"Id": "2"}}))[0] == 400
    wrong = {"ComputerId": 2, "Command": {"Id": "2"}, "Parameters": ["cmd!!! ver"]}
    assert (await automate.call("POST", path, json=wrong))[0] == 400
    offline = (await automate.get("/Computers", condition="Status = 'Offline'"))[0]["Id"]
    body = {"Command": {"Id": "2"}, "Parameters": ["cmd.exe!!! /c ver"]}
    path = f"/Computers/{offline}/CommandExecute"
    assert (await automate.call("POST", path, json=body))[0] == 200
    lab.control.advance(minutes=20)
    assert (await automate.get(path))[0]["Status"] == "Executing"


async def test_a_command_can_start_a_stopped_service(automate: Any, lab: Lab) -> None:
    """Starting a service by command ends its alert."""
    alerts = await automate.get("/Alerts", condition="Monitor.Id = 78", pagesize=100)
    computer, name = alerts[0]["Computer"]["Id"], alerts[0]["FieldName"]
    services = await automate.get(f"/Computers/{computer}/Services", condition=f"Name = '{name}'")
    assert services[0]["State"] == "Stopped"
    system = (await automate.get(f"/Computers/{computer}"))["OperatingSystemName"]
    line = f"cmd.exe!!! /c net start {name}" if "Windows" in system else f"systemctl start {name}"
    body = {"Command": {"Id": "2"}, "Parameters": [line]}
    await automate.call("POST", f"/Computers/{computer}/CommandExecute", json=body)
    services = await automate.get(f"/Computers/{computer}/Services", condition=f"Name = '{name}'")
    assert services[0]["State"] == "Running"
    left = await automate.get("/Alerts", condition="Monitor.Id = 78", pagesize=100)
    assert alerts[0]["AlertId"] not in [a["AlertId"] for a in left]


async def test_installers(automate: Any, lab: Lab, session: Any) -> None:
    """An installer token opens the download until it expires."""
    body = {"LocationId": 1, "InstallerType": 1}
    status, token = await automate.call("POST", "/RemoteAgent/Installers", json=body)
    assert (status, type(token)) == (200, str)
    url = f"{lab.automate_url}/LabTech/Deployment.aspx"
    async with session.get(url, params={"InstallerToken": token}) as answer:
        assert answer.status == 200
    missing = {"LocationId": 999, "InstallerType": 1}
    assert (await automate.call("POST", "/RemoteAgent/Installers", json=missing))[0] == 404
    lab.control.advance(hours=25)
    async with session.get(url, params={"InstallerToken": token}) as answer:
        assert answer.status == 404
    assert token not in str(lab.control.log)


async def test_network_devices_and_clients(automate: Any, lab: Lab) -> None:
    """Clients, locations and network devices are those of the fleet."""
    clients = await automate.get("/Clients")
    assert clients[0]["Name"] == "Acme Corp"
    assert await automate.get("/Clients/1") == clients[0]
    places = await automate.get("/Locations", condition="Client.Id = 1")
    assert places[0]["ScriptPassword"]
    safe = await automate.get("/Locations", excludefields="ScriptUsername,ScriptPassword")
    assert "ScriptPassword" not in safe[0]
    things = await automate.get("/NetworkDevices", condition="Client.Id = 1")
    assert {t["DeviceType"]["Name"] for t in things} == {"Switch", "Firewall", "Printer"}
    assert await automate.get(f"/NetworkDevices/{things[0]['Id']}") == things[0]

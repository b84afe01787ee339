"""Automate's condition grammar and NinjaOne's device filter."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_lab import automate_conditions, ninjaone_filter
from msp_lab.clock import LabClock
from msp_lab.fleet import NINJAONE, Fleet
from msp_lab.web import Refusal
from msp_lab.world import World

ROW: dict[str, Any] = {
    "Id": "5",
    "Status": "Online",
    "Type": "Server",
    "ComputerName": "ACME-DC01",
    "IsRebootNeeded": True,
    "TotalMemory": 16383,
    "Client.Id": "3",
    "Client.Name": "Acme Corp",
    "OpenPortsTCP": [135, 443],
    "LoggedInUsers.LoggedInUserName": ["ACME\\bob"],
    "RemoteAgentLastContact": datetime(2026, 1, 15, 10, tzinfo=UTC),
}


def get(name: str) -> object:
    if name not in ROW:
        raise Refusal(400, f"Invalid field: {name}")
    return ROW[name]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("Client.Id = 3", True),
        ("Client.Id eq 3", True),
        ("Client.Id in (1,2,3)", True),
        ("Id in (1, 2)", False),
        ("Id not in (1,2)", True),
        ("Client.Name like '%acme%'", True),
        ("Client.Name not like '%acme%'", False),
        ("Status = 'online'", True),
        ("(Type != 'Workstation')", True),
        ('ComputerName like "%DC%" and IsRebootNeeded = true', True),
        ("IsRebootNeeded = false", False),
        ("OpenPortsTCP contains 443", True),
        ("OpenPortsTCP contains 22", False),
        ("LoggedInUsers.LoggedInUserName like '%bob%'", True),
        ("TotalMemory >= 16000 and (Status = 'Offline' or Type = 'Server')", True),
        ("TotalMemory < 16000", False),
        ("RemoteAgentLastContact <= 2026-01-15T10:00:00.000Z", True),
        ("RemoteAgentLastContact > 2026-01-15", True),
    ],
)
def test_condition(condition: str, expected: bool) -> None:
    """The forms that clients are known to use mean what they say."""
    assert automate_conditions.parse(condition)(get) is expected


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("RemoteAgentLastContact > '2026-01-15'", 500),
        ("LastContact > 2026-01-15", 400),
        ("Id =", 400),
        ("Id = 1 and", 400),
        ("Id not = 1", 400),
        ("(Id = 1", 400),
        ("Id = 1)", 400),
        ("= 1", 400),
        ("Id ~ 1", 400),
        ("Id = banana", 400),
        ("RemoteAgentLastContact > 2026-13-45", 400),
    ],
)
def test_bad_condition(condition: str, status: int) -> None:
    """Mistakes are refused as the real server does: 400, and 500 for a quoted date."""
    with pytest.raises(Refusal) as caught:
        automate_conditions.parse(condition)(get)
    assert caught.value.status == status


@given(st.one_of(st.text(), st.text("()'\"=<>,. andorlikeinIdClient123-TZ:")))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    """No text makes the grammar fail in another way than with a refusal."""
    with contextlib.suppress(Refusal):
        automate_conditions.parse(text)(get)


WORLD = World(Fleet(), LabClock(datetime(2026, 1, 15, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 155),
        ("org = 102", 25),
        ("org in (102, 104)", 50),
        ("org = 103 AND class in (WINDOWS_SERVER)", 3),
        ("org = 103 and org = 104", 0),
        ("id in (1051,1052)", 2),
        ("id = 1", 0),
        ("role = 203 AND org = 103", 2),
        ("status = APPROVED", 155),
        ("created after 2024-01-01", 0),
        ("created before 2024-01-01", 155),
    ],
)
def test_device_filter(text: str, count: int) -> None:
    """Filters select the devices they name."""
    test, organisations = ninjaone_filter.parse(text)
    views = WORLD.views(NINJAONE)
    assert sum(test(view) for view in views) == count
    if organisations is not None:
        inside = [v for v in views if v.device.client.number in organisations]
        assert sum(test(view) for view in inside) == count


def test_online_and_offline_split_the_fleet() -> None:
    """`online` and `offline` are each other's opposite."""
    views = WORLD.views(NINJAONE)
    counts = [sum(ninjaone_filter.parse(t)[0](v) for v in views) for t in ("online", "offline")]
    assert sum(counts) == 155
    assert counts[1] > 0


@pytest.mark.parametrize("text", ["org", "org = x", "org in ()", "nope = 1", "org = 1 OR id = 2"])
def test_bad_device_filter(text: str) -> None:
    """What the filter grammar does not know is refused with 400."""
    with pytest.raises(Refusal) as caught:
        ninjaone_filter.parse(text)
    assert caught.value.status == 400

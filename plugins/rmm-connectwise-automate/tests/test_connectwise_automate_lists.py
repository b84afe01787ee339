"""Paging, ids and dates against servers that are made up, and stranger than the simulated one."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_core.v1 import (
    ConditionKind,
    Quarantined,
    Severity,
    VendorAlert,
    VendorDevice,
    VendorError,
)
from msp_rmm_connectwise_automate import rows
from msp_rmm_connectwise_automate.lists import LISTED, Lists, as_id, is_number, moment


class Env:
    """What Lists wants to know."""

    instance = "rmm"
    time = datetime(2026, 1, 15, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class Server:
    """Answers pages by a function, and counts them."""

    def __init__(self, answer: Callable[[dict[str, Any]], Any], clock: object = None) -> None:
        self.answer = answer
        self.clock = clock
        self.asked: list[dict[str, Any]] = []
        self.clocks = 0

    async def get_json(self, path: str, *, params: Any = None) -> Any:
        await asyncio.sleep(0)
        if path == "/DatabaseServerTime":
            self.clocks += 1
            return self.clock
        self.asked.append(params)
        return self.answer(params)


def lists(server: Server, size: int = 10) -> Lists:
    return Lists(server, Env(), size)  # type: ignore[arg-type]


async def collect(server: Server, size: int = 10) -> list[Any]:
    found: list[Any] = []
    async for page in lists(server, size).pages("/Things", key="Id", fields="Id"):
        found.extend(page)
    return found


def paged(items: list[Any], most: int = 1000) -> Callable[[dict[str, Any]], Any]:
    def answer(params: dict[str, Any]) -> Any:
        size = min(params["pagesize"], most)
        start = (params["page"] - 1) * size
        return items[start : start + size]

    return answer


@given(st.integers(0, 130), st.integers(1, 40))
def test_every_row_comes_once(count: int, size: int) -> None:
    """Whatever the number of rows and the page size, each row comes once, with at most one page too many."""
    items = [{"Id": number} for number in range(count)]
    server = Server(paged(items))
    assert asyncio.run(collect(server, size)) == items
    assert len(server.asked) <= count // size + 2


@given(st.integers(0, 400), st.sampled_from([25, 50, 100]))
def test_a_server_that_gives_less_than_asked(count: int, most: int) -> None:
    """A server with a lower page limit of a round number is still read to its end."""
    items = [{"Id": number} for number in range(count)]
    assert asyncio.run(collect(Server(paged(items, most)), 1000)) == items


@given(st.lists(st.lists(st.integers(0, 12), min_size=4, max_size=4), max_size=8))
def test_rows_that_move_between_pages_come_once(pages: list[list[int]]) -> None:
    """Rows that appear on two pages are given once; a page with nothing new ends in an error, not in a loop."""
    server = Server(
        lambda p: [{"Id": n} for n in pages[p["page"] - 1]] if p["page"] <= len(pages) else []
    )

    async def read() -> list[int]:
        found = []
        try:
            async for page in lists(server, 4).pages("/Things", key="Id", fields="Id"):
                found.extend(row["Id"] for row in page if row)
        except VendorError:
            pass
        return found

    found = asyncio.run(read())
    assert len(found) == len(set(found))
    assert set(found) <= {number for page in pages for number in page}


@pytest.mark.parametrize(
    "page",
    [
        [{"Id": 1}, {"Id": 2}],
        [{"Id": 1}, {"Id": None}],
        [{"Id": None}, {"Name": "x"}],
        ["x", None],
        [{"Id": "1"}, {"Id": 1}],
    ],
)
def test_endless_pages_end(page: list[Any]) -> None:
    """A page repeated for ever is noticed, also where some or all of its rows have no id."""
    server = Server(lambda _: page)
    with pytest.raises(VendorError, match="nothing new"):
        asyncio.run(collect(server, 2))
    assert len(server.asked) <= 3


@pytest.mark.parametrize("answer", [{}, {"TotalRecords": 1, "Data": []}, "x", 5, None])
def test_answers_that_are_no_list(answer: Any) -> None:
    """Anything but an array is a vendor error."""
    with pytest.raises(VendorError, match="not a list"):
        asyncio.run(collect(Server(lambda _: answer)))


def test_a_reader_that_stops_leaves_nothing_running() -> None:
    """Stopping in the middle cancels the page that is under way."""

    async def read() -> int:
        server = Server(paged([{"Id": number} for number in range(100)]))
        pages = lists(server).pages("/Things", key="Id", fields="Id")
        await anext(pages)
        await pages.aclose()
        await asyncio.sleep(0.01)
        return len(asyncio.all_tasks())

    assert asyncio.run(read()) == 1


def test_ids_are_asked_for_in_queries_that_fit() -> None:
    """A few hundred ids are asked for by id in short queries; more by the whole list."""

    async def read(ids: list[str]) -> list[dict[str, Any]]:
        server = Server(lambda _: [])
        reader = lists(server).pages_of(
            "/Things", ids, id_field="ComputerId", key="Id", fields="Id"
        )
        _ = [page async for page in reader]
        return server.asked

    few = asyncio.run(read([str(10_000 + n) for n in range(LISTED)]))
    assert 2 <= len(few) <= 4
    assert all(len(asked["condition"].replace(",", "%2C")) < 1600 for asked in few)
    named = ",".join(
        asked["condition"].removeprefix("ComputerId in (").rstrip(")") for asked in few
    )
    assert named.split(",") == [str(10_000 + n) for n in range(LISTED)]
    whole = asyncio.run(read([str(n) for n in range(LISTED + 1)]))
    assert {asked["condition"] for asked in whole} == {None}


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 30))
def test_pages_known_to_exist_are_fetched_together(count: int, at_least: int, size: int) -> None:
    """Whether the number of rows foretold is right, too small or too big: each row comes once, in order."""
    items = [{"Id": number} for number in range(count)]
    server = Server(paged(items))

    async def read() -> list[Any]:
        pages = lists(server, size).pages("/Things", key="Id", fields="Id", at_least=at_least)
        return [row async for page in pages for row in page]

    assert asyncio.run(read()) == items
    assert len(server.asked) <= max(count, min(at_least, count + 9 * size)) // size + 3
    if at_least <= count:
        assert len(server.asked) <= count // size + 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        ("5", "5"),
        (" 5 ", "5"),
        ("", None),
        (None, None),
        (True, None),
        ({}, None),
        (0, "0"),
    ],
)
def test_ids_become_text(value: object, text: str | None) -> None:
    """Numbers and texts give the same id; everything else gives none."""
    assert as_id(value) == text


@pytest.mark.parametrize("text", ["1 or 1=1", "1)", "٣", "", "-1", "1.0", None])
def test_only_plain_numbers_reach_a_condition(text: str | None) -> None:
    """What is no plain number never becomes part of a query or a path."""
    assert not is_number(text)


def test_dates() -> None:
    """Dates with a zone are taken as they are, without one in the server's zone, and "never" is no date."""
    west = timezone(timedelta(hours=-8))
    at = datetime(2026, 1, 15, 10, 22, 31, tzinfo=UTC)
    assert moment("2026-01-15T10:22:31Z", None) == at
    assert moment("2026-01-15T02:22:31-08:00", None) == at
    assert moment("2026-01-15T02:22:31", west) == at
    assert moment("2026-01-15T02:22:31.1234567", west) == at + timedelta(microseconds=123456)
    assert moment("2026-01-15T02:22:31", None) is None
    for nothing in (
        "0001-01-01T00:00:00",
        "1970-01-01T00:00:00Z",
        "",
        None,
        5,
        "soon",
        "9999-99-99",
    ):
        assert moment(nothing, UTC) is None


@given(st.text() | st.integers() | st.none() | st.floats())
def test_any_date_is_read_or_left_out(value: object) -> None:
    """No text whatever raises."""
    found = moment(value, UTC)
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    ("clock", "offset"),
    [
        ("2026-01-15T04:00:00+02:00", 2),
        ("2026-01-15T04:00:00Z", 0),
        ("2026-01-15T04:00:00", None),
        (None, None),
    ],
)
def test_the_servers_zone_is_asked_for_once_and_only_if_needed(
    clock: object, offset: int | None
) -> None:
    """One question an hour tells the zone of naive dates; none is asked where every date names its zone."""

    async def read() -> None:
        server = Server(lambda _: [], clock)
        reader = lists(server)
        aware = [
            {"At": "2026-01-15T10:22:31Z"},
            {"At": None},
            None,
            {"At": "2026-01-15T10:22:31+02:00"},
        ]
        assert await reader.zone(aware, "At") is UTC
        assert server.clocks == 0
        for _ in range(3):
            zone = await reader.zone([*aware, {"At": "2026-01-15T10:22:31"}], "At")
            found = None if zone is None else zone.utcoffset(None)
            assert found == (None if offset is None else timedelta(hours=offset))
        assert server.clocks == 1
        reader._env.time += timedelta(hours=2)  # type: ignore[attr-defined]
        await reader.zone([{"At": "2026-01-15T10:22:31"}], "At")
        assert server.clocks == 2

    asyncio.run(read())


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = sorted(
    {*rows.DEVICE_FIELDS.split(","), *rows.ALERT_FIELDS.split(","), *rows.NETWORK_FIELDS.split(",")}
)


@given(st.none() | st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_any_row_is_read_or_put_aside(row: dict[str, Any] | None) -> None:
    """Whatever a server puts into its fields, a row becomes an object or a reason, never an exception."""
    assert isinstance(rows.device(row, UTC), VendorDevice | Quarantined)
    assert isinstance(rows.network_device(row, None), VendorDevice | Quarantined)
    assert isinstance(rows.alert(row, UTC), VendorAlert | Quarantined)
    rows.client(row)
    rows.site(row)
    if row is not None:
        rows.condition(row, UTC)
        rows.online(row)


@pytest.mark.parametrize(
    ("severity", "expected", "message"),
    [
        ({"Id": 3, "Name": "Critical"}, Severity.CRITICAL, "Disk full"),
        ({"Id": 2, "Name": " warning "}, Severity.WARNING, "Disk full"),
        ({"Id": 9, "Name": "Catastrophe"}, None, "Disk full (severity Catastrophe)"),
        ({"Id": 9}, None, "Disk full"),
        (None, None, "Disk full"),
    ],
)
def test_severities_by_name(severity: object, expected: Severity | None, message: str) -> None:
    """Known names are mapped; an unknown one survives in the message and is not made up."""
    found = rows.alert(
        {"AlertId": 1, "Severity": severity, "Message": "Disk full", "Computer": {"Id": 5}}, UTC
    )
    assert isinstance(found, VendorAlert)
    assert (found.severity, found.message, found.device_external_id) == (expected, message, "5")


@pytest.mark.parametrize(
    ("monitor", "message", "kind"),
    [
        ("LT - Drive Space", "C: below 5%", ConditionKind.DISK),
        ("SVC - Spooler", "", ConditionKind.SERVICE),
        ("Processor queue", "", ConditionKind.CPU),
        ("RAM", "", ConditionKind.MEMORY),
        ("LT - Offline Agents", "", ConditionKind.CONNECTIVITY),
        ("Custom 17", "Service X is not running", ConditionKind.SERVICE),
        ("Blacklisted events", "Event 4625", ConditionKind.OTHER),
    ],
)
def test_what_a_monitor_watches(monitor: str, message: str, kind: ConditionKind) -> None:
    """The kind of a condition is told by the monitor's name, else by its message."""
    row = {"AlertId": 1, "Monitor": {"Id": 1, "Name": monitor}, "Message": message}
    assert rows.condition(row, UTC).kind is kind


def test_alerts_of_network_devices_and_of_nothing() -> None:
    """An alert about a network device names it as devices are named; one about no device names none."""
    assert (
        rows.alert(
            {"AlertId": 1, "Device": {"Id": 7}, "Computer": {"Id": 0}}, UTC
        ).device_external_id
        == "network-7"
    )  # type: ignore[union-attr]
    assert (
        rows.alert({"AlertId": 1, "Device": None, "Computer": {"Id": 0}}, UTC).device_external_id
        is None
    )  # type: ignore[union-attr]

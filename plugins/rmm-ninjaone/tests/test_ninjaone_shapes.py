"""Shapes, paging and probe output without a vendor: anything may come, nothing may break or be invented."""

import contextlib
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_core.v1 import (
    ConditionKind,
    DeviceKind,
    OsFamily,
    Quarantined,
    VendorDevice,
    VendorError,
    VendorRefused,
)
from msp_rmm_ninjaone import shapes
from msp_rmm_ninjaone.adapter import _read
from msp_rmm_ninjaone.alerts import severities
from msp_rmm_ninjaone.commands import _result
from msp_rmm_ninjaone.paging import Pages, device_filter
from msp_rmm_ninjaone.probe import CPU_LINES, MEMORY_LINES, cpu, memory
from msp_rmm_ninjaone.settings import NinjaOneSettings, Region

pytestmark = pytest.mark.anyio

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = (
    "id organizationId locationId nodeClass offline displayName systemName lastContact system os macAddresses name "
    "driveLetter capacity freeSpace deviceType fileSystem state startType uid message severity priority"
)
items = st.dictionaries(st.sampled_from(FIELDS.split()), values, max_size=12) | values


@given(items)
def test_any_item_is_read_or_quarantined(item: Any) -> None:
    """No JSON value makes a reader fail otherwise than by saying what is wrong with the item."""
    for shape in (shapes.client, shapes.site, shapes.device):
        found = _read(shape, item, "thing")
        if isinstance(found, Quarantined):
            assert found.reason
        else:
            assert isinstance(found.external_id, str)
            assert found.external_id
    if isinstance(item, dict):
        for row_shape in (shapes.volume, shapes.service, lambda row: shapes.alert(row, None)):
            with contextlib.suppress(ValueError):
                row_shape(item)
        shapes.severity(item)


@given(st.floats() | st.integers() | st.text() | st.booleans() | st.none())
def test_times_are_aware_or_none(value: Any) -> None:
    """Whatever stands for a time becomes an aware UTC time or nothing."""
    at = shapes.moment(value)
    assert at is None or at.utcoffset().total_seconds() == 0


def test_unknown_words_survive() -> None:
    """A node class, state or source nobody knows yet becomes OTHER or UNKNOWN, and the device stays."""
    row = {"id": "12", "organizationId": 5.0, "nodeClass": "QUANTUM_NODE", "displayName": "Q"}
    found = shapes.device(row)
    assert found == VendorDevice(external_id="12", client_external_id="5", name="Q")
    assert found.kind is DeviceKind.OTHER
    assert shapes.condition_kind("CONDITION_BRAND_NEW") is ConditionKind.OTHER
    kinds = {
        "CONDITION_AGENT_CPU": "cpu",
        "CONDITION_AGENT_MEMORY": "memory",
        "CONDITION_LINUX_DISK_FREE_SPACE": "disk",
        "CONDITION_WINDOWS_SERVICE_STATE_CHANGED": "service",
        "CONDITION_LINUX_Daemon": "service",
        "AGENT_OFFLINE": "connectivity",
        "CONDITION_WINDOWS_PROCESS_RESOURCE_CPU": "other",
    }
    assert {name: shapes.condition_kind(name).value for name in kinds} == kinds
    for name, kind, family in (
        ("WINDOWS_SERVER", "server", "windows"),
        ("LINUX_WORKSTATION", "workstation", "linux"),
        ("MAC", "workstation", "macos"),
        ("MAC_SERVER", "server", "macos"),
        ("NMS_SWITCH", "network", "other"),
        ("CLOUD_MONITOR_TARGET", "cloud", "other"),
        ("APPLE_IOS", "mobile", "other"),
    ):
        assert shapes.device_kind(name).value == kind
        assert shapes.os_family(name, "").value == family


def test_volumes_that_are_no_disks_are_left_out() -> None:
    """Removable, network and pseudo file systems are no fixed disks; impossible sizes are errors."""
    assert shapes.volume({"name": "D:", "deviceType": "CD-ROM"}) is None
    assert shapes.volume({"name": "/run", "fileSystem": "tmpfs"}) is None
    full = shapes.volume({"name": "C:", "capacity": 100, "freeSpace": 0})
    assert full is not None
    assert (full.total_bytes, full.free_bytes) == (100, 0)
    unsaid = shapes.volume({"name": "C:", "capacity": 100})
    assert unsaid is not None
    assert unsaid.free_bytes is None
    with pytest.raises(ValueError, match="more free space"):
        shapes.volume({"name": "C:", "capacity": 100, "freeSpace": 101})


class Vendor:
    """An HttpClient that serves ids by page, with a ceiling of its own."""

    def __init__(self, ids: list[int], ceiling: int, *, repeat: bool = False) -> None:
        self.ids, self.ceiling, self.repeat = ids, ceiling, repeat
        self.calls: list[dict[str, Any]] = []
        self.refuses_df = False

    async def get_json(self, path: str, params: Any = None) -> Any:
        self.calls.append(dict(params))
        if self.refuses_df and " in (" in str(params.get("df")):
            message = "no such filter"
            raise VendorRefused(message, status=400)
        size = min(params["pageSize"], self.ceiling)
        if "queries" in path:
            start = 0 if self.repeat else int(params.get("cursor") or 0)
            rows = [{"deviceId": one, "name": "C:"} for one in self.ids[start : start + size]]
            return {"cursor": {"name": str(start + len(rows))}, "results": rows}
        after = 0 if self.repeat else int(params.get("after") or 0)
        return [{"id": one} for one in self.ids if one > after][:size]


@given(
    count=st.integers(0, 400), size=st.integers(1, 120), ceiling=st.sampled_from([50, 100, 1000])
)
async def test_every_row_once(count: int, size: int, ceiling: int) -> None:
    """Lists and reports are read to their end, also below a ceiling the vendor does not tell, each row once."""
    ids = list(range(1, count + 1))
    for path in ("/list", "/queries/x"):
        vendor = Vendor(ids, ceiling)
        pages = Pages(vendor, size)  # type: ignore[arg-type]
        stream = pages.of_report(path) if "queries" in path else pages.of_list(path)
        key = "deviceId" if "queries" in path else "id"
        assert [row[key] async for page in stream for row in page] == ids
        assert len(vendor.calls) <= count // min(size, ceiling) + 2


async def gather(stream: Any, into: list[Any]) -> None:
    async for page in stream:
        into += page


@given(count=st.integers(20, 60), size=st.integers(1, 19))
async def test_repeated_pages_end_in_an_error(count: int, size: int) -> None:
    """A vendor that repeats a page for ever is found out after two pages."""
    for path in ("/list", "/queries/x"):
        vendor = Vendor(list(range(1, count)), 1000, repeat=True)
        pages = Pages(vendor, size)  # type: ignore[arg-type]
        stream = pages.of_report(path) if "queries" in path else pages.of_list(path)
        got: list[Any] = []
        with pytest.raises(VendorError, match="repeats a page"):
            await gather(stream, got)
        assert len(got) == size
        assert len(vendor.calls) == 2


async def test_a_refused_filter_is_done_without() -> None:
    """A vendor that does not know `org in (...)` is asked for everything, and not again with the filter."""
    vendor = Vendor([1, 2, 3], 1000)
    vendor.refuses_df = True
    pages = Pages(vendor, 100)  # type: ignore[arg-type]
    for _ in range(2):
        rows = [row async for page in pages.of_list("/x", {"df": "org in (1,2)"}) for row in page]
        assert len(rows) == 3
    assert [call.get("df") for call in vendor.calls] == ["org in (1,2)", None, None]
    single = Vendor([1], 1000)
    single.refuses_df = True
    assert [
        row async for page in Pages(single, 100).of_list("/x", {"df": "org = 1"}) for row in page
    ]  # type: ignore[arg-type]


@given(st.lists(st.text(max_size=8) | st.integers(0, 10**6).map(str)))
def test_filters_hold_numbers_only(clients: list[str]) -> None:
    """No text of an id reaches the vendor's filter language."""
    text = device_filter(clients)
    assert text is None or not set(text) - set("org =in(0123456789,)")


async def test_severities_cost_nothing_when_alerts_say_them() -> None:
    """Keys of the alert come first; NONE says nothing; the walk through activities ends."""

    class Activities:
        calls = 0

        async def get_json(self, _path: str, params: Any) -> Any:
            self.calls += 1
            newest = params["olderThan"] or 10**9
            rows = [
                {"id": newest - n, "seriesUid": f"s{newest - n}", "activityTime": 2e9}
                for n in range(1, 1001)
            ]
            return {"lastActivityId": 1, "activities": rows}

    http = Activities()
    found = await severities(http, [{"uid": "a", "priority": "HIGH"}, "rubbish", {"uid": 7}])  # type: ignore[arg-type]
    assert (found, http.calls) == ({"a": "critical"}, 0)
    assert await severities(http, [{"uid": "b", "severity": "NONE", "createTime": 1e9}]) == {}  # type: ignore[arg-type]
    assert http.calls == 5


@pytest.mark.parametrize(
    ("row", "code", "output"),
    [
        ({"statusCode": "COMPLETED", "activityResult": "SUCCESS", "data": {"output": "x"}}, 0, "x"),
        ({"statusCode": "COMPLETED", "activityResult": "FAILURE", "message": "no"}, None, "no"),
        ({"statusCode": "CANCELLED", "activityResult": "SUCCESS"}, None, ""),
        (
            {"statusCode": "COMPLETED", "activityResult": "FAILURE", "data": {"exitCode": 3}},
            3,
            "",
        ),
        ({"statusCode": "COMPLETED"}, None, ""),
    ],
)
def test_results_claim_no_success_the_vendor_did_not(
    row: dict[str, Any], code: int | None, output: str
) -> None:
    """Exit code 0 comes only from the vendor's own SUCCESS or a code in its data."""
    found = _result(row)
    assert (found.exit_code, found.output) == (code, output)


@given(st.text())
def test_probe_output_is_read_strictly(text: str) -> None:
    """Output that is not exactly what the line prints gives no fact."""
    found = cpu(text)
    assert found is None or 0 <= found.used_percent <= 100
    room = memory(text)
    assert room is None or 0 <= room.available_bytes <= room.total_bytes


def test_linux_probe_lines_work_here() -> None:
    """The Linux lines, run by a real shell on this machine, print what the readers take."""

    def run(line: str) -> str:
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
        return done.stdout

    used = cpu(run(CPU_LINES[OsFamily.LINUX].text))
    assert used is not None
    room = memory(run(MEMORY_LINES[OsFamily.LINUX].text))
    assert room is not None
    assert room.total_bytes is not None
    with open("/proc/meminfo") as lines:
        assert room.total_bytes == int(lines.readline().split()[1]) * 1024


def test_addresses() -> None:
    """Regions and addresses with an API path come to the same."""
    assert NinjaOneSettings().base_url == "https://app.ninjarmm.com"
    assert NinjaOneSettings(region=Region.EU).base_url == "https://eu.ninjarmm.com"
    for url in ("https://x.example", "https://x.example/", "https://x.example/api/v2/"):
        assert NinjaOneSettings(api_url=url).base_url == "https://x.example"
    assert NinjaOneSettings(api_url="https://x.example/api").base_url == "https://x.example"

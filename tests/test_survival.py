"""What the main job survives, end to end through the command line; and where the rest is shown.

| what happens | shown by |
|---|---|
| a plugin raises, exits, returns rubbish, duplicates an id, wants another API version | \
tests/kernel/test_kernel_isolation.py |
| a plugin hangs | test_kernel_isolation.py::test_a_plugin_that_hangs_is_named_and_the_process_ends_with_3, \
msp-health test_health_processes.py::test_a_check_that_never_returns_is_named |
| a vendor is down, slow, 429s, expires tokens, truncates, sends HTML, changes ids' types, repeats pages | here; \
each adapter alone: test_ninjaone_lab.py, test_connectwise_automate_faults.py; msp-http test_http_requests.py |
| a vendor breaks during a sync | here; msp-inventory test_inventory_sync.py::test_a_listing_that_breaks_marks_nothing |
| kill -9 in a sweep | test_survival_processes.py (by the command line), msp-health test_health_kills.py, \
msp-store test_store_kill.py |
| two sweeps of one client at once | \
test_health_kills.py::test_two_processes_on_one_client, test_survival_processes.py |
| two toolkits in one process | here; test_kernel_invoke.py::test_two_toolkits_in_one_process_share_nothing |
| the sync API in a running loop | msp-toolkit test_toolkit_api.py::test_inside_a_running_loop |
| a full disk | test_survival_processes.py, msp-store test_store_failures.py |
| a database goes away and comes back | test_survival_processes.py (a server that restarts in a sweep), \
test_store_failures.py::test_a_server_that_restarts |
| clocks that jump | here; msp-health test_health_records.py, msp-store test_store_outbox.py |
| hostile client names | here; msp-clients test_clients_*.py, tests/kernel/test_kernel_output.py |
| fuzzed command lines and files | tests/test_fuzz.py |
| no query returns another client's row | tests/test_client_isolation.py |
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from msp_core.testing import isolated, run_cli
from msp_core.toolkit import Toolkit

Cell = tuple[str, str]  # device id, check
VENDORS = ("ninjaone", "automate")


class Field:
    """A workspace with both vendors, synced and swept once while all was well."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: str) -> Any:
        return run_cli(*words, cwd=self.folder)

    def rows(self, sql: str) -> list[Any]:
        with sqlite3.connect(self.folder / "data" / "msp-toolkit.db") as database:
            return database.execute(sql).fetchall()

    def fault(self, *faults: str) -> None:
        assert self.run("lab", "fault", "--clear", *faults).code == 0

    def results(self, run_id: str) -> dict[Cell, tuple[str, str]]:
        found = self.rows(
            f"SELECT device_id, check_type, status, message FROM health_checks WHERE run_id = {run_id}"
        )
        return {(device, check): (status, message) for device, check, status, message in found}

    def only_in(self, vendor: str) -> set[str]:
        """Return the devices that this vendor alone knows."""
        links: dict[str, set[str]] = {}
        for device, instance in self.rows(
            "SELECT our_id, instance FROM links WHERE kind = 'device'"
        ):
            links.setdefault(device, set()).add(instance)
        return {device for device, instances in links.items() if instances == {f"lab-{vendor}"}}


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    field = Field(tmp_path_factory.mktemp("survival"))
    assert field.run("init", "--no-input").code == 0
    up = field.run("lab", "up", "--clients", "4", "--devices", "24", "--detach")
    assert up.code == 0, up.err
    try:
        assert field.run("client", "sync", "--all", "--create").code == 0
        assert field.run("health", "check", "--all").code in (0, 1, 2, 3)
        yield field
    finally:
        field.run("lab", "down")


@pytest.fixture
def field(grown: Field, tmp_path: Path) -> Iterator[Field]:
    copy = tmp_path / "workspace"
    shutil.copytree(grown.folder, copy)
    yield Field(copy)
    grown.fault()


def checked(done: Any) -> Mapping[str, Any]:
    """Decode a sweep and hold it to what every sweep must be."""
    assert "Traceback" not in done.err, done.err
    run = json.loads(done.out)
    counts = run["counts"]
    assert run["planned"] == sum(counts.values())
    expected = 2 if counts["critical"] else 1 if counts["warning"] else 0
    if not expected and counts["unknown"] + counts["error"]:
        expected = 3
    assert done.code == expected
    return run


LASTING = {
    "500": "500|was not sent",
    "429,seconds=120": "pause of 120 s",
    "slow,seconds=30": "no answer within",
    "reset": "closed the connection|was not sent",
    "truncate": "cut its answer off|was not sent",
    "html": "web page instead of data",
    "401": "401",
    "403": "403",
    "expire": "401",
    "repeat": "repeats a page",
}
PASSING = ["idtypes", "expire,count=1", "500,count=1", "429,count=1,seconds=1", "reset,count=1"]
LIMITS = ("--set", "health_checks.timeouts.fleet=2s", "--set", "health_checks.timeouts.client=2s")
LIMITS += ("--set", "health_checks.timeouts.device=2s")
FAST = {("ninjaone", "429,seconds=120"), ("automate", "html"), ("automate", "slow,seconds=30")}
FAST |= {("ninjaone", "repeat"), ("automate", "401"), ("ninjaone", "expire")}


@pytest.mark.parametrize(
    ("vendor", "kind"),
    [
        pytest.param(vendor, kind, marks=() if (vendor, kind) in FAST else pytest.mark.slow)
        for vendor in VENDORS
        for kind in LASTING
    ],
)
def test_a_vendor_that_misbehaves_costs_only_its_own_devices(
    field: Field, vendor: str, kind: str
) -> None:
    """Its devices are UNKNOWN with the reason; the other vendor's results are the same, and there as soon."""
    small = ("--set", f"adapters.lab-{vendor}.page_size=2") if kind == "repeat" else ()
    field.fault(f"{vendor}:{kind}")
    limits = LIMITS if kind.startswith("slow") else ()
    run = checked(field.run(*limits, *small, "health", "check", "--all", "--json"))
    before, after = field.results("1"), field.results(run["run_id"])
    assert before.keys() == after.keys()
    other = VENDORS[1 - VENDORS.index(vendor)]
    unaffected, affected = field.only_in(other), field.only_in(vendor)
    assert unaffected
    assert affected
    for cell, (status, _) in after.items():
        if cell[0] in unaffected:
            assert status == before[cell][0], cell
        elif cell[0] in affected and before[cell][0] != "skipped":
            kept = kind == "repeat" and status == before[cell][0]  # what came before the repetition
            assert status == "unknown" or kept, (cell, after[cell])
    said = {message for (device, _), (_, message) in after.items() if device in affected}
    said |= {source["problem"] for source in run["sources"]}
    assert any(re.search(LASTING[kind], text) for text in said), said
    checked_at = "SELECT client_id, MAX(checked_at), MIN(r.started_at) FROM health_checks h"
    checked_at += (
        f" JOIN health_runs r ON r.id = h.run_id WHERE run_id = {run['run_id']} GROUP BY 1"
    )
    both = _mixed(field)
    late = [
        (client, (at - started) / 1e6)
        for client, at, started in field.rows(checked_at)
        if client not in both and any(d.startswith(f"{client}/") for d in unaffected)
    ]
    assert late
    if kind.startswith("slow"):
        assert max(seconds for _, seconds in late) < 2.0, late


def _mixed(field: Field) -> set[str]:
    """Return the clients that both vendors know."""
    found = field.rows(
        "SELECT client_id, COUNT(DISTINCT instance) FROM links WHERE kind = 'device' GROUP BY 1"
    )
    return {client for client, number in found if number > 1}


@pytest.mark.parametrize(
    ("vendor", "kind"),
    [
        pytest.param(vendor, kind, marks=() if number % 2 == index else (pytest.mark.slow,))
        for index, vendor in enumerate(VENDORS)
        for number, kind in enumerate(PASSING)
    ],
)
def test_what_passes_changes_nothing(field: Field, vendor: str, kind: str) -> None:
    """Ids of another type, one expired token, one error, one limit, one reset: the same results."""
    field.fault(f"{vendor}:{kind}")
    run = checked(field.run("health", "check", "--all", "--json"))
    before, after = field.results("1"), field.results(run["run_id"])
    assert {cell: status for cell, (status, _) in after.items()} == {
        cell: status for cell, (status, _) in before.items()
    }


def test_a_vendor_that_is_down(field: Field) -> None:
    """Nobody listens at its address: one client of it alone exits with 3, a sync marks nothing as missing."""
    down = ("--set", "adapters.lab-ninjaone.api_url=http://127.0.0.1:9")
    [client, *_] = sorted(
        {device.split("/")[0] for device in field.only_in("ninjaone")} - _mixed(field)
    )
    alone = field.run(*down, "health", "check", client, "--json")
    run = checked(alone)
    assert alone.code == 3
    assert run["counts"]["ok"] == run["counts"]["warning"] == run["counts"]["critical"] == 0
    assert "127.0.0.1:9" in json.dumps(run)
    synced = field.run(*down, "client", "sync", "--all", "--json")
    assert synced.code != 0
    _nothing_missing(field)


@pytest.mark.parametrize(
    "fault",
    [
        "ninjaone:html",
        "automate:truncate",
        "ninjaone:repeat",
        "automate:repeat",
        "automate:malformed",
        "ninjaone:401",
    ],
)
def test_a_sync_that_fails_marks_nothing(field: Field, fault: str) -> None:
    """What a broken list does not hold is not missing; the other vendor is synced all the same."""
    vendor = fault.partition(":")[0]
    field.fault(fault)
    small = ("--set", f"adapters.lab-{vendor}.page_size=2") if "repeat" in fault else ()
    before = field.rows("SELECT id, name, serial FROM devices ORDER BY id")
    done = field.run(*small, "client", "sync", "--all", "--json")
    reports = {one["instance"]: one for one in json.loads(done.out)["instances"]}
    other = reports[f"lab-{VENDORS[1 - VENDORS.index(vendor)]}"]
    assert not other["error"], other
    if "malformed" not in fault:
        assert done.code != 0
        assert reports[f"lab-{vendor}"]["error"]
    _nothing_missing(field)
    assert field.rows("SELECT id, name, serial FROM devices ORDER BY id") == before


def _nothing_missing(field: Field) -> None:
    for table in ("devices", "links"):
        found = field.rows(f"SELECT COUNT(*) FROM {table} WHERE missing_since IS NOT NULL")
        assert found == [(0,)], table


HOSTILE = {
    "traversal": '../../x"; DROP TABLE clients; --',
    "arabic": "شركة النور للتجارة",
    "long": "N" * 300,
    "formula": '=HYPERLINK("http://127.0.0.1","x")',
    "markup": "<script>alert(1)</script> | **bold** `code` [l](javascript:x)",
    "template": "{{ 7*7 }} ${HOME} $(id) %s %n {0}",
    "bidi": "Acme \u202egpj.exe",
    "combining": "Z" + "\u0301" * 50,
    "emoji": "👩\u200d👩\u200d👧\u200d👦 GmbH",
    "quotes": 'O\'Brien & "Söhne", ltd;\ttabs',
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_everywhere(name: str, tmp_path: Path) -> None:
    """A name is added or refused in words; once added it goes out and comes back in every format."""

    def run(*words: str) -> Any:
        done = run_cli(*words, cwd=tmp_path)
        assert "Traceback" not in done.err
        return done

    run("init", "--no-input")
    added = run("client", "add", "--name", name, "--json")
    if added.code:
        assert json.loads(added.out)["error"]["code"] == "INVALID_PARAMETERS"
        assert added.code == 64
        return
    client = json.loads(added.out)["client"]
    stored = client["name"]
    assert client["id"].replace("-", "").isalnum()
    assert client["id"].isascii()
    for format in ("table", "json", "jsonl", "csv", "yaml", "markdown", "nagios"):
        for words in (("client", "list"), ("client", "show", client["id"])):
            shown = run(*words, "--as", format)
            assert shown.code in (0, 1, 2, 3), shown.err
            assert not any(ord(c) < 32 and c not in "\n\t" for c in shown.out), format
    for format in ("csv", "json"):
        file = f"clients.{format}"
        assert run("client", "export", "--output", file).code == 0
        again = tmp_path / format
        again.mkdir()
        run_cli("init", "--no-input", cwd=again)
        imported = run_cli("client", "import", str(tmp_path / file), cwd=again)
        assert imported.code == 0, imported.err
        listed = json.loads(run_cli("client", "list", "--json", cwd=again).out)["items"]
        assert [one["name"] for one in listed] == [stored]
    assert json.loads(run("client", "show", stored, "--json").out)["name"] == stored


@pytest.fixture
def two_workspaces(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        assert run_cli("init", "--no-input", cwd=folder).code == 0
    return folders


@pytest.mark.anyio
async def test_two_toolkits_share_no_client(two_workspaces: list[Path], tmp_path: Path) -> None:
    """Two workspaces open in one process at the same time: what one records the other does not see."""
    config = [folder / "config" / "msp-toolkit.toml" for folder in two_workspaces]
    with isolated(tmp_path):
        async with Toolkit.open(config[0]) as first, Toolkit.open(config[1]) as second:
            await first.call("client.add", {"name": "Only One"})
            await second.call("client.add", {"name": "Only Two"})
            names = [
                [client.name for client in (await toolkit.call("client.list")).items]
                for toolkit in (first, second)
            ]
    assert names == [["Only One"], ["Only Two"]]


JUMPS = [timedelta(hours=-26), timedelta(days=400), timedelta(seconds=-1)]


@pytest.mark.anyio
@pytest.mark.parametrize("after", [5, 40, 80])
@pytest.mark.parametrize("jump", JUMPS, ids=str)
async def test_a_clock_that_jumps(two_workspaces: list[Path], jump: timedelta, after: int) -> None:
    """Before, inside and between sweeps: every planned check once, the last sweep is the latest."""
    base = datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)  # the hour that Europe leaves out
    calls, folder = 0, two_workspaces[0]

    def clock() -> datetime:
        nonlocal calls
        calls += 1
        return base + timedelta(milliseconds=calls) + (jump if calls > after else timedelta(0))

    settings = {
        "rmm": {"provider": "mock", "clients": 2, "devices": 8},
        "general": {"timezone": "Europe/Berlin"},
    }
    with isolated(folder):
        async with Toolkit.open(overrides=settings, clock=clock) as toolkit:
            await toolkit.call("client.sync", {"create": True})
            for number in (1, 2, 3):
                run = await toolkit.call("health.check")
                assert run.planned == run.counts.total > 0
                assert run.run_id == str(number)
            assert calls > after
            for client in (await toolkit.call("client.list")).items:
                status = await toolkit.call("health.status", {"client": client.id})
                assert status.counts.total > 0
    with sqlite3.connect(folder / "data" / "msp-toolkit.db") as database:
        twice = (
            "SELECT 1 FROM health_checks GROUP BY run_id, device_id, check_type HAVING COUNT(*) > 1"
        )
        assert database.execute(twice).fetchall() == []
        assert database.execute("SELECT DISTINCT run_id FROM latest_status").fetchall() == [(3,)]
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)

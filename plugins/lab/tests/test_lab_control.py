"""The control endpoint, the request log, and a lab in a process of its own."""

import contextlib
import os
import signal
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from msp_lab.clock import LabClock
from msp_lab.process import LabNotStarted, LabProcess, Size, alive, lab_process, read_arguments
from msp_lab.process import start as start_lab
from msp_lab.server import Lab
from msp_lab.testing import running_lab

START = datetime(2026, 1, 15, 9, tzinfo=UTC)


def test_a_fixed_clock_stands_still_until_moved() -> None:
    """Lab time moves by advancing only, and never backwards."""
    clock = LabClock(START)
    assert clock.now() == clock.now() == START
    assert clock.advance(timedelta(hours=2)) == START + timedelta(hours=2)
    assert clock.tick() == 24
    assert clock.elapsed() >= 7200
    with pytest.raises(ValueError, match="back"):
        clock.advance(timedelta(seconds=-1))
    with pytest.raises(ValueError, match="zone"):
        LabClock(datetime(2026, 1, 15))  # noqa: DTZ001


def test_a_running_clock_follows_real_time() -> None:
    """Without a start the lab begins now."""
    assert abs(LabClock().now() - datetime.now(UTC)) < timedelta(seconds=2)


def test_an_advanced_running_clock_stays_right() -> None:
    """What happened is longer ago; nothing is ever in the future, however far the story went."""
    clock = LabClock()
    before = clock.tick()
    assert abs(clock.advance(timedelta(days=30)) - datetime.now(UTC)) < timedelta(seconds=5)
    assert clock.tick() == before + 30 * 24 * 12
    assert clock.at(clock.tick()) <= clock.now()
    assert clock.elapsed() >= timedelta(days=30).total_seconds()


@pytest.mark.anyio
async def test_no_vendor_speaks_of_the_future_of_an_advanced_lab() -> None:
    """A month on, no time in any answer lies ahead of ours."""
    async with running_lab(clients=3, devices=30) as lab:
        lab.control.advance(hours=720)
        now = datetime.now(UTC) + timedelta(seconds=5)
        views = [lab.world.view(device) for device in lab.world.fleet.devices()]
        assert any(view.alerts for view in views)
        assert all(view.seen_at <= view.at <= now for view in views)
        starts = [lab.world.clock.at(one.start) for view in views for one in view.alerts]
        assert all(start <= now for start in starts)


@pytest.mark.anyio
async def test_requests_are_counted_by_pattern(ninjaone: Any, automate: Any, lab: Lab) -> None:
    """Counts say how often each kind of request was made of each vendor."""
    lab.control.reset_counts()
    for number in (1051, 1052, 9):
        await ninjaone.call("GET", f"/device/{number}")
    await ninjaone.call("GET", "/no/such/path")
    await automate.call("GET", "/CLIENTS")
    assert lab.control.counts("ninjaone") == {"GET (no such path)": 1, "GET /v2/device/{id}": 3}
    assert lab.control.total() == 5
    assert [row.status for row in lab.control.log] == [200, 200, 404, 404, 200]


@pytest.mark.anyio
async def test_control_over_http(lab: Lab, session: Any) -> None:
    """Everything the handle can do can be done from another process."""
    url = lab.control_url

    async def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with session.request(method, url + path, json=body) as answer:
            return answer.status, await answer.json() if await answer.text() else None

    before = datetime.fromisoformat((await ask("GET", "/state"))[1]["started"])
    status, moved = await ask("POST", "/advance", {"hours": 2})
    assert status == 200
    after = (await ask("GET", "/state"))[1]
    assert before - datetime.fromisoformat(after["started"]) == timedelta(hours=2)
    assert datetime.fromisoformat(moved["now"]) <= datetime.fromisoformat(after["now"])
    assert (await ask("POST", "/faults", {"fault": "ninjaone:503"}))[0] == 201
    async with session.get(f"{lab.ninjaone_url}/v2/devices") as answer:
        assert answer.status == 503
    assert (await ask("GET", "/faults"))[1] == [{"fault": "ninjaone:503", "seen": 1, "hit": 1}]
    assert (await ask("GET", "/requests"))[1] == {"GET /v2/devices": 1}
    assert (await ask("GET", "/log?limit=5"))[1][0]["faults"] == ["503"]
    assert (await ask("DELETE", "/faults"))[0] == 204
    assert (await ask("DELETE", "/requests"))[0] == 204
    state = (await ask("GET", "/state"))[1]
    assert (state["faults"], state["requests"], state["pid"]) == ([], {}, os.getpid())
    for path, body in (("/advance", {"hours": -1}), ("/advance", []), ("/faults", {"fault": "x"})):
        assert (await ask("POST", path, body))[0] == 400
    assert (await ask("GET", "/nothing"))[0] == 404


@pytest.mark.anyio
async def test_latency_is_added_to_every_request(session: Any) -> None:
    """`latency_ms` delays answers without holding up others."""
    async with running_lab(clients=1, devices=2, latency_ms=250) as lab:
        import asyncio
        import time

        async def one() -> None:
            async with session.get(f"{lab.ninjaone_url}/v2/devices") as answer:
                assert answer.status == 401

        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(20)))
        assert 0.25 <= time.perf_counter() - began < 4.5


@pytest.mark.anyio
async def test_a_taken_port_is_an_error_and_nothing_is_left(lab: Lab) -> None:
    """A lab that cannot have its port ends with OSError and frees the ports it had."""
    taken = int(lab.automate_url.rpartition(":")[2])
    other = Lab(clients=1, devices=1)
    with pytest.raises(OSError, match="address"):
        await other.start(automate_port=taken)
    assert other._runners == []


def test_a_lab_of_its_own_process() -> None:
    """A separate lab answers when it is ready and is gone when it was stopped."""
    size = Size(clients=2, devices=20, seed=9, faults=("ninjaone:429",), start=START.isoformat())
    with lab_process(size) as lab:
        assert lab.answers()
        state = lab.ask("GET", "/state")
        assert isinstance(state, dict)
        assert (state["seed"], state["now"]) == (9, START.isoformat())
        with pytest.raises(ValueError, match="vendor:kind"):
            lab.ask("POST", "/faults", {"fault": "x"})
        assert alive(lab.pid)
        strange = LabProcess(
            pid=1,
            ninjaone_url=lab.ninjaone_url,
            automate_url=lab.automate_url,
            control_url=lab.control_url,
        )
        assert not strange.answers()
    assert not alive(lab.pid)
    assert not lab.answers()


def test_requests_are_noted_in_a_file(tmp_path: Path) -> None:
    """With a log file every request leaves a line, and no token or secret does."""
    log = tmp_path / "lab.log"
    lab = start_lab(Size(clients=1, devices=1), log=log)
    try:
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"{lab.ninjaone_url}/v2/devices")
    finally:
        lab.stop()
    assert "ninjaone GET /v2/devices -> 401" in log.read_text()


def test_ctrl_c_ends_a_lab() -> None:
    """SIGINT stops the process as cleanly as SIGTERM."""
    lab = start_lab(Size(clients=1, devices=1))
    os.kill(lab.pid, signal.SIGINT)
    assert lab.stop()


def test_a_lab_that_cannot_start_says_why() -> None:
    """The reason of the process comes back to whoever started it."""
    with lab_process(Size(clients=1, devices=1)) as lab:
        port = int(lab.control_url.rpartition(":")[2])
        with pytest.raises(LabNotStarted, match="address"):
            start_lab(Size(clients=1, devices=1, control_port=port))
    with pytest.raises(LabNotStarted, match="at least one client"):
        start_lab(Size(clients=0))


def test_arguments_round_trip() -> None:
    """A size survives its way over the command line."""
    size = Size(clients=3, latency_ms=2.5, faults=("*:429", "automate:slow"), start="2026-01-15")
    assert read_arguments(size.arguments()) == (size, None)

"""The commands: a lab that belongs to a workspace, whatever was left behind or happens beside it."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from msp_core.v1 import Conflict, InvalidParameters, NotFound, NotSupported, Toolkit
from msp_lab.credentials import credentials
from msp_lab.installation import Installation
from msp_lab.process import Size, alive
from msp_lab.secrets import create, reference

pytestmark = pytest.mark.anyio
SMALL = {"clients": 2, "devices": 10, "detach": True}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """A workspace where only this plugin is in use; its lab is ended whatever the test did."""
    (tmp_path / "config").mkdir()
    file = tmp_path / "config" / "msp-toolkit.toml"
    others = [one.name for one in entry_points(group="msp_toolkit.plugins") if one.name != "lab"]
    file.write_text(f"[plugins]\ndisabled = {json.dumps(others)}\n")
    yield file
    Installation(state_dir=tmp_path / ".msp", overlay=None).down()


@pytest.fixture
async def toolkit(workspace: Path) -> AsyncIterator[Toolkit]:
    async with Toolkit.open(workspace) as opened:
        yield opened


def overlay(workspace: Path) -> Path:
    return workspace.parent / "conf.d" / "lab.toml"


async def test_up_status_down(toolkit: Toolkit, workspace: Path) -> None:
    """A detached lab answers at once, is found again, and leaves nothing when it is stopped."""
    made = await toolkit.call("lab.up", SMALL)
    assert (made.running, made.clients, made.devices) == (True, 2, 10)
    adapters = tomllib.loads(overlay(workspace).read_text())["adapters"]
    assert adapters["lab-automate"]["kind"] == "connectwise-automate"
    assert adapters["lab-automate"]["api_url"] == made.automate_url
    assert adapters["lab-ninjaone"]["client_secret"] == "lab:ninjaone/client_secret"
    assert not any(value in overlay(workspace).read_text() for value in secret_values(1))
    again = await toolkit.call("lab.status")
    assert (again.pid, again.seed) == (made.pid, 1)
    assert str(made.pid) in again.describe()
    down = await toolkit.call("lab.down")
    assert not down.running
    assert not alive(made.pid)
    assert not overlay(workspace).exists()
    assert (await toolkit.call("lab.down")).note == "No lab was running."
    assert not (await toolkit.call("lab.status")).running


def secret_values(seed: int) -> list[str]:
    return [v for k, v in credentials(seed).items() if k.endswith(("secret", "password"))]


async def gone(pid: int) -> None:
    with anyio.fail_after(60):
        while alive(pid):  # noqa: ASYNC110 - a process tells nobody that it ended
            await anyio.sleep(0.02)


async def test_a_second_up(toolkit: Toolkit) -> None:
    """The same lab again is no error; another one while the first runs is."""
    made = await toolkit.call("lab.up", SMALL)
    same = await toolkit.call("lab.up", SMALL)
    assert (same.pid, same.note) == (made.pid, "This lab is running already.")
    with pytest.raises(Conflict, match="Another lab"):
        await toolkit.call("lab.up", {**SMALL, "seed": 2})


async def test_what_a_crash_left_behind(toolkit: Toolkit, workspace: Path) -> None:
    """After `kill -9` the state file is stale: status says so and up starts anew."""
    made = await toolkit.call("lab.up", SMALL)
    os.kill(made.pid, signal.SIGKILL)
    await gone(made.pid)
    assert not (await toolkit.call("lab.status")).running
    with pytest.raises(NotFound):
        await toolkit.call("lab.advance", {"hours": 1})
    other = await toolkit.call("lab.up", SMALL)
    assert other.pid != made.pid


async def test_a_process_number_that_is_somebody_elses(toolkit: Toolkit, workspace: Path) -> None:
    """A stale file that names a strange process never gets that process killed."""
    stranger = await anyio.open_process([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        made = await toolkit.call("lab.up", SMALL)
        state = workspace.parent.parent / ".msp" / "lab.json"
        noted = json.loads(state.read_text())
        os.kill(made.pid, signal.SIGKILL)
        await gone(made.pid)
        noted["process"]["pid"] = stranger.pid
        state.write_text(json.dumps(noted))
        assert (await toolkit.call("lab.down")).note == "No lab was running."
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


@pytest.mark.parametrize("rubbish", ["", "{", "[]", '{"process": {}, "size": {"faults": 3}}'])
async def test_a_broken_state_file(toolkit: Toolkit, workspace: Path, rubbish: str) -> None:
    """A state file that cannot be read counts as none."""
    state = workspace.parent.parent / ".msp" / "lab.json"
    state.parent.mkdir()
    state.write_text(rubbish)
    assert not (await toolkit.call("lab.status")).running
    assert (await toolkit.call("lab.up", SMALL)).running


async def test_a_taken_port(toolkit: Toolkit) -> None:
    """A port in use is an error that names the reason, and no process is left."""
    made = await toolkit.call("lab.up", SMALL)
    port = int(made.control_url.rpartition(":")[2])
    other = Installation(state_dir=toolkit.state_dir / "other", overlay=None)
    with pytest.raises(Exception, match="address already in use"):
        other.up(Size(clients=1, devices=1, control_port=port))
    assert other.running() is None


async def test_two_ups_at_once(toolkit: Toolkit) -> None:
    """Only one command at a time starts or stops the lab of a workspace."""
    place = Installation(state_dir=toolkit.state_dir, overlay=None)
    with place._lock(), pytest.raises(Conflict, match="Another command"):
        await toolkit.call("lab.up", SMALL)


async def test_somebody_elses_overlay_stays(toolkit: Toolkit, workspace: Path) -> None:
    """`lab down` removes only a file that `lab up` wrote."""
    overlay(workspace).parent.mkdir()
    overlay(workspace).write_text("# mine\n")
    await toolkit.call("lab.down")
    assert overlay(workspace).read_text() == "# mine\n"


async def test_advance_and_fault(toolkit: Toolkit) -> None:
    """Time goes forward, faults are listed with what they did and cleared."""
    await toolkit.call("lab.up", {**SMALL, "fault": ["ninjaone:slow"]})
    before = (await toolkit.call("lab.status")).now
    assert (await toolkit.call("lab.advance", {"hours": 6})).now > before
    rows = await toolkit.call("lab.fault", {"fault": ["*:429,count=2"]})
    assert [row.fault for row in rows.items] == ["ninjaone:slow", "*:429,count=2"]
    assert (await toolkit.call("lab.fault", {"clear": True})).total == 0
    for tool, arguments in (
        ("lab.advance", {"hours": -1}),
        ("lab.advance", {}),
        ("lab.fault", {"fault": ["nobody:429"]}),
    ):
        with pytest.raises(InvalidParameters):
            await toolkit.call(tool, arguments)


async def test_a_dry_run_moves_nothing_in_the_lab(toolkit: Toolkit) -> None:
    """A dry run leaves clock and faults alone, and says so."""
    await toolkit.call("lab.up", {**SMALL, "fault": ["ninjaone:slow,count=1"]})
    for tool, arguments in (
        ("lab.advance", {"hours": 600}),
        ("lab.fault", {"fault": ["*:429"], "clear": True}),
    ):
        ctx = toolkit.context(dry_run=True)
        await toolkit.call(tool, arguments, ctx=ctx)
        assert "left alone" in ctx.warnings[-1]
    status = await toolkit.call("lab.status")
    assert status.faults == ("ninjaone:slow,count=1",)
    assert datetime.fromisoformat(status.now) < datetime.now(UTC) + timedelta(days=1)


@pytest.mark.parametrize(
    "arguments",
    [{"clients": 0}, {"devices": -1}, {"latency_ms": -1.0}, {"fault": ["x"]}, {"seed": -1}],
)
async def test_wrong_sizes(toolkit: Toolkit, arguments: dict[str, Any]) -> None:
    """A lab that cannot be is refused before anything is started."""
    with pytest.raises(InvalidParameters):
        await toolkit.call("lab.up", {**SMALL, **arguments})
    assert not (await toolkit.call("lab.status")).running


async def test_a_dry_run_starts_nothing(toolkit: Toolkit, workspace: Path) -> None:
    """A dry run tells what it would do."""
    ctx = toolkit.context(dry_run=True)
    await toolkit.call("lab.up", SMALL, ctx=ctx)
    assert [plan.kind for plan in ctx.planned] == ["lab.up"]
    assert not overlay(workspace).exists()


def test_in_the_foreground_until_ctrl_c(workspace: Path) -> None:
    """Without --detach the command tells the addresses, waits, and cleans up on Ctrl-C."""
    command = [
        sys.executable,
        "-m",
        "msp_core",
        "lab",
        "up",
        "--clients",
        "1",
        "--devices",
        "3",
    ]
    process = subprocess.Popen(
        command,
        cwd=workspace.parent.parent,
        env={**os.environ, "MSP_CONFIG": str(workspace)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    said = [process.stderr.readline()]
    while "Ctrl-C" not in said[-1] and said[-1]:
        said.append(process.stderr.readline())
    assert overlay(workspace).exists(), said
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "The lab is down." in out
    assert not overlay(workspace).exists()


async def test_references_resolve_to_the_labs_credentials(toolkit: Toolkit) -> None:
    """`lab:` references give the credentials of the lab of their seed, and can be neither set nor deleted."""
    store = create(toolkit)  # type: ignore[arg-type]
    for seed in (1, 77):
        for name, value in credentials(seed).items():
            assert store.get(reference(name, seed).removeprefix("lab:")) == value
    assert store.get("nothing/here") is None
    assert store.get("../../etc") is None
    assert list(store.names()) == []  # nobody stored them: `credential list` leaves them out
    with pytest.raises(NotSupported):
        store.set("a/b", "c")
    with pytest.raises(NotSupported):
        store.delete("a/b")


def test_a_size_is_plain_data() -> None:
    """What the state file holds gives the size back."""
    size = Size(clients=3, faults=("*:429",))
    data = json.loads(json.dumps(attrs.asdict(size)))
    assert Size(**{**data, "faults": tuple(data["faults"])}) == size

"""What is recorded: both databases, roll-ups before removal, dead runs, doctor."""

import asyncio
import os
import sys
import types
from datetime import UTC, datetime, timedelta

import pytest

from msp_clients.api import ClientFilter, Clients
from msp_core.v1 import Check, Conflict, Period, Status, StoreError, SystemFailure, hookimpl
from msp_health import recorder, runs
from msp_health.api import CheckInfo, Health
from msp_health.doctor import sweeps
from msp_health.queries import prune
from msp_health.tables import HealthCheckRow, HealthDay, HealthLease, HealthRunRow, LatestStatus
from msp_health.testing import World, answer
from msp_store.api import Store
from msp_store.testing import assert_tables_match

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """Configuration of an empty database of each kind."""
    if request.param == "sqlite":
        return {}
    return {"type": "postgresql", "url": request.getfixturevalue("postgresql_url")}


class Clock:
    def __init__(self):
        self.now = datetime(2026, 1, 31, 22, tzinfo=UTC)

    def __call__(self):
        return self.now


async def test_both_databases_answer_the_same(open_world, database):
    """History, status, counts and days after the same sweeps, and tables that match their migrations."""
    world, clock = World.of(clients=2, devices=3), Clock()
    toolkit = await open_world(world, clock=clock, overrides={"database": database})
    for used in (10.0, 85.0, 99.0, 10.0):
        world.used["c1/pc-2"] = used
        await toolkit.call("health.check")
        clock.now += timedelta(hours=1)
    health, ctx, store = await toolkit.get(Health), toolkit.context(), await toolkit.get(Store)
    tables = (HealthRunRow, HealthLease, HealthCheckRow, LatestStatus, HealthDay)
    await assert_tables_match(store, *tables)
    period = Period(clock.now - timedelta(days=1), clock.now)
    history = await health.history(ctx, "c1", period=period, device="pc-2", check="cpu")
    assert [(r.status.value, r.message, r.data, r.run_id) for r in history.items] == [
        ("ok", "10 % used", {"used": 10.0}, "4"),
        ("critical", "99 % used", {"used": 99.0}, "3"),
        ("warning", "85 % used", {"used": 85.0}, "2"),
        ("ok", "10 % used", {"used": 10.0}, "1"),
    ]
    assert history.items[0].checked_at == datetime(2026, 2, 1, 1, tzinfo=UTC)
    assert history.items[0].source == "one:by-client.facts"
    days = await health.daily(ctx, "c1", period=period, device="pc-2", check="cpu")
    assert [(d.day.isoformat(), d.counts.total, d.highest) for d in days] == [
        ("2026-01-31", 2, 85.0),
        ("2026-02-01", 2, 99.0),
    ]
    [one, two] = await health.statuses(ctx, ["c1", "c2"])
    assert (one.counts.ok, one.devices, two.counts.ok) == (6, 3, 6)
    assert one.checked_at == datetime(2026, 2, 1, 1, tzinfo=UTC)
    assert (await health.status(ctx, "c1")).counts == one.counts


async def test_roll_ups_keep_the_days_when_results_are_removed(open_world, database):
    """Days look the same before, during and after the removal of single results; newer ones stay."""
    world, clock = World.of(clients=2, devices=2), Clock()
    toolkit = await open_world(world, clock=clock, overrides={"database": database})

    async def silent(query):
        return
        yield

    for used in (10.0, 95.0, None, 40.0):
        if used is None:
            world.behave["one"] = silent
        else:
            world.behave.pop("one", None)
            world.used["c1/pc-1"] = used
        await toolkit.call("health.check")
        clock.now += timedelta(hours=1)
    health, ctx, store = await toolkit.get(Health), toolkit.context(), await toolkit.get(Store)
    period = Period(clock.now - timedelta(days=2), clock.now)
    before = await health.daily(ctx, "c1", period=period)
    assert before[0].worst is Status.CRITICAL
    cutoff = clock.now - timedelta(minutes=90)  # three of the four runs
    removed = {}
    while step := await store.write(lambda tx: prune(tx, cutoff, 3)):
        for table, number in step.items():
            removed[table] = removed.get(table, 0) + number
        assert await health.daily(ctx, "c1", period=period) == before
    assert removed == {"health_checks": 3 * 8, "health_runs": 3}
    history = await health.history(ctx, "c1", period=period)
    assert history.total == 4
    assert (await health.status(ctx, "c1")).counts.total == 4


async def test_a_dead_run_loses_its_clients_and_its_right_to_record(open_world):
    """The lease of a process that is gone is taken over; should it wake up, its write is refused."""
    toolkit = await open_world(World.of(clients=1, devices=1))
    store, ctx = await toolkit.get(Store), toolkit.context()
    dead = await store.write(lambda tx: runs.open_run(tx, ctx, ["c1"], {"clients": ["c1"]}, 2))
    with pytest.raises(Conflict, match="run 1"):
        await toolkit.call("health.check", {"client": "c1"})

    def age(**values):
        return store.write(lambda _: HealthRunRow.update(**values).execute())

    await age(pid=2**22 + 1, heartbeat_at=datetime.now(UTC))  # no such process
    [finding] = [f for f in await sweeps(ctx) if "cut short" in f.message]
    assert finding.status is Status.WARNING
    assert (await toolkit.call("health.check", {"client": "c1"})).run_id == "2"
    with pytest.raises(Conflict, match="taken over"):
        await store.write(lambda _: runs.hold(dead))


@pytest.mark.parametrize("seconds", [-3600, 3600])
async def test_a_silent_run_is_dead_whichever_way_the_clock_jumped(open_world, seconds):
    """A heartbeat an hour old, or an hour ahead after the clock was set back, frees the clients."""
    toolkit = await open_world(World.of(clients=1, devices=1))
    store, ctx = await toolkit.get(Store), toolkit.context()
    await store.write(lambda tx: runs.open_run(tx, ctx, ["c1"], {}, 2))
    beat = datetime.now(UTC) + timedelta(seconds=seconds)
    await store.write(lambda _: HealthRunRow.update(heartbeat_at=beat, pid=os.getpid()).execute())
    assert (await toolkit.call("health.check", {"client": "c1"})).run_id == "2"


async def test_a_clock_set_back_between_sweeps_loses_nothing(open_world):
    """A second sweep at an earlier time is recorded, and is the latest status all the same."""
    world, clock = World.of(clients=1, devices=1), Clock()
    toolkit = await open_world(world, clock=clock)
    world.used["c1/pc-1"] = 99.0
    await toolkit.call("health.check")
    clock.now -= timedelta(days=3)
    world.used["c1/pc-1"] = 10.0
    run = await toolkit.call("health.check")
    assert run.counts.ok == 2
    health = await toolkit.get(Health)
    assert (await health.status(toolkit.context(), "c1")).counts.ok == 2


async def test_the_database_goes_away_and_comes_back(open_world, monkeypatch):
    """A write that fails while the database is away is repeated; a commit whose answer was lost is not done twice."""
    toolkit = await open_world(World.of(clients=2, devices=2))
    store = await toolkit.get(Store)
    real, failures = store.write, ["unreachable", "uncertain", "busy"]

    async def flaky(fn):
        if getattr(fn, "__name__", "") == "write" and failures:
            reason = failures.pop(0)
            if reason == "uncertain":
                await real(fn)
            raise StoreError("the database is away", reason=reason)
        return await real(fn)

    monkeypatch.setattr(store, "write", flaky)
    monkeypatch.setattr("msp_health.recorder._PATIENCE", (0.01, 0.01, 0.01, 0.01))
    run = await toolkit.call("health.check")
    assert (failures, run.planned, run.counts.ok) == ([], 8, 8)


@pytest.mark.parametrize("lost", ["what was judged", "what was recorded"])
async def test_a_run_that_lost_a_row_is_no_success(open_world, monkeypatch, lost):
    """What was planned and is not there at the end fails the run, which says so and is not finished."""
    toolkit = await open_world(World.of(clients=1, devices=2))
    record = recorder.record

    async def careless(store, claim, batch, *rest):
        if lost == "what was judged":
            return
        await record(store, claim, batch, *rest)
        await store.write(lambda _: HealthCheckRow.delete().where(HealthCheckRow.id == 1).execute())

    monkeypatch.setattr("msp_health.sweep.record", careless)
    recorded = 0 if lost == "what was judged" else 3
    with pytest.raises(SystemFailure, match=f"planned 4 checks and recorded {recorded}") as caught:
        await toolkit.call("health.check")
    assert "report" in caught.value.suggestion
    store = await toolkit.get(Store)
    assert await store.read(lambda _: HealthRunRow.get_by_id(1).state) != "finished"


async def test_a_full_disk_ends_the_run_as_interrupted(open_world, monkeypatch):
    """When nothing can be recorded the run fails with the store's reason, and `resume` does the rest later."""
    toolkit = await open_world(World.of(clients=2, devices=2))
    store = await toolkit.get(Store)
    real = store.write

    async def full(fn):
        if getattr(fn, "__name__", "") == "write":
            raise StoreError("no space left", reason="full")
        return await real(fn)

    monkeypatch.setattr(store, "write", full)
    with pytest.raises(StoreError, match="no space left"):
        await toolkit.call("health.check")
    monkeypatch.setattr(store, "write", real)
    run = await toolkit.call("health.check", {"resume": True})
    assert (run.run_id, run.counts.ok) == ("1", 8)


async def test_doctor_says_when_sweeps_end(open_world):
    """Nothing yet is a warning with the command; a finished run is named with its counts."""
    toolkit = await open_world(World.of(clients=1, devices=1))
    [finding] = await sweeps(toolkit.context())
    assert (finding.status, finding.fix) == (Status.WARNING, "msp-toolkit health check --all")
    await toolkit.call("health.check")
    [finding] = await sweeps(toolkit.context())
    assert finding.status is Status.OK
    assert "Run 1 finished" in finding.message
    assert finding.message.endswith(": 2 checks, 2 ok.")


async def test_doctor_names_what_the_last_sweep_could_not_tell(open_world):
    """What is unknown is among the counts: left out, it would pass for OK."""
    world = World.of(clients=1, devices=1)

    async def silence(query):
        for _ in query.targets[:0]:
            yield

    world.behave["one"] = silence
    toolkit = await open_world(world)
    await toolkit.call("health.check")
    [finding] = await sweeps(toolkit.context())
    assert finding.message.endswith(": 2 checks, 0 ok, 2 unknown.")


async def test_a_run_that_lost_its_claim_stops(open_world, monkeypatch):
    """A process that was taken for dead notices at its next heartbeat, stops, and records nothing more."""
    monkeypatch.setattr("msp_health.sweep.HEARTBEAT", timedelta(milliseconds=50))
    world, go = World.of(clients=1, devices=1), asyncio.Event()

    async def wait(query):
        await go.wait()
        async for item in answer(query):
            yield item

    world.behave["one"] = wait
    toolkit = await open_world(world)
    store = await toolkit.get(Store)
    sweep = asyncio.create_task(toolkit.call("health.check"))
    while not world.reads:  # noqa: ASYNC110 - the world has no events
        await asyncio.sleep(0.01)
    await store.write(lambda _: runs.abandon(1))
    with pytest.raises(Conflict, match="taken over"):
        await asyncio.wait_for(sweep, 30)
    go.set()
    run = await toolkit.call("health.check")
    assert (run.run_id, run.counts.ok) == ("2", 2)


async def test_a_missed_heartbeat_ends_nothing(open_world, monkeypatch):
    """While the database is away for a moment the run goes on."""
    monkeypatch.setattr("msp_health.sweep.HEARTBEAT", timedelta(milliseconds=20))
    world = World.of(clients=1, devices=1)
    toolkit = await open_world(world)
    store = await toolkit.get(Store)
    real, beats = store.write, []

    async def away(fn):
        if getattr(fn, "__name__", "") == "<lambda>":
            beats.append(fn)
            raise StoreError("away", reason="unreachable")
        return await real(fn)

    async def slow(query):
        await asyncio.sleep(0.2)
        async for item in answer(query):
            yield item

    world.behave["one"] = slow
    monkeypatch.setattr(store, "write", away)
    run = await toolkit.call("health.check")
    assert run.counts.ok == 2
    assert len(beats) >= 2


async def test_a_check_that_cannot_be_loaded_is_error_rows(open_world):
    """A plugin whose code is missing gives ERROR rows that name it; the other checks go on."""

    @hookimpl
    def msp_checks():
        yield Check(
            id="ghost",
            title="Ghost",
            needs=(),
            limits="acme_ghost.check:L",
            evaluate="acme_ghost.check:e",
        )

    module = types.ModuleType("msp_ghost.plugin")
    module.msp_checks = msp_checks
    monkey = {module.__name__: module, "msp_ghost": types.ModuleType("msp_ghost")}
    sys.modules.update(monkey)
    try:
        toolkit = await open_world(World.of(clients=1, devices=2), module)
        run = await toolkit.call("health.check", {"client": "c1"})
        assert (run.counts.error, run.counts.ok, run.planned) == (2, 4, 6)
        assert "cannot be loaded" in run.concerns[0].message
        assert "acme_ghost.check" in run.concerns[0].message
        listing = await toolkit.call("health.checks")
        assert "cannot be loaded" in next(i for i in listing.items if i.id == "ghost").limits_text
    finally:
        for name in monkey:
            del sys.modules[name]


def test_limits_are_written_as_they_are_set():
    """Lists and switches as TOML has them, not as Python does; what is not set is left out."""
    limits = {
        "warning_percent": 85.0,
        "names": ["WinDefend"],
        "failed": True,
        "is": "ok",
        "no": None,
    }
    info = CheckInfo(id="x", title="X", aliases=(), facts=(), limits=limits)
    assert info.limits_text == 'warning_percent=85, names=["WinDefend"], failed=true, is=ok'


async def test_what_people_read(open_world):
    """The words below the table of a sweep, and the status line of the Monitoring Plugins."""
    world = World.of(clients=1, devices=1)
    world.used["c1/pc-1"] = 85.0
    toolkit = await open_world(world, clock=Clock())
    run = await toolkit.call("health.check", {"client": "c1", "types": ["cpu"]})
    assert run.say() == (
        "WARNING: 0 ok, 1 warning.\n1 check on 1 device of 1 client in 0.0 s.\nRecorded as run 1."
    )
    status = await toolkit.call("health.status", {"client": "c1"})
    assert status.say() == "WARNING: 0 ok, 1 warning."
    assert status.nagios() == (
        "WARNING: 0 ok, 1 warning | 'ok'=0 'warning'=1 'critical'=0 'unknown'=0 'error'=0 'skipped'=0"
    )
    history = await toolkit.call("health.history", {"client": "c1"})
    assert history.say() == "c1, last 7 days: 1 result (0 ok, 1 warning)."
    overview = await (await toolkit.get(Clients)).overview(toolkit.context(), ClientFilter())
    assert overview.checked_at == {"c1": Clock().now}

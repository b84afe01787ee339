"""A sweep over a simulated fleet: what is planned is recorded, whatever the consoles do."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from msp_clients.api import Clients, KnowsHealth
from msp_core.testing import eventually
from msp_core.v1 import (
    ClientStatus,
    Conflict,
    CpuFacts,
    InvalidParameters,
    Missing,
    NotFound,
    NotSupported,
    Observation,
    Period,
    Quarantined,
    Scope,
    Status,
    UnknownPlugin,
    VendorUnavailable,
)
from msp_health import sweep as sweep_module
from msp_health.api import Health, HealthCheckConfig
from msp_health.testing import World, answer
from msp_store.api import Store

pytestmark = pytest.mark.anyio
CHECKS = 2


async def results(toolkit, run, *clients):
    health, ctx = await toolkit.get(Health), toolkit.context()
    rows = [row for client in clients for row in await health.results(ctx, run.run_id, client)]
    assert len({(row.device_id, row.check) for row in rows}) == len(rows)
    return rows


def balanced(run, planned):
    assert run.planned == planned
    assert run.counts.total == planned
    return run.counts


async def test_every_planned_check_is_recorded_once(open_world):
    """A sweep records one row for each check on each device, and says how many."""
    toolkit = await open_world(World.of(clients=3, devices=4))
    run = await toolkit.call("health.check")
    assert balanced(run, 3 * 4 * CHECKS).ok == 24
    assert (run.exit_code, run.state, run.concerns) == (0, "finished", ())
    assert len(await results(toolkit, run, "c1", "c2", "c3")) == 24


async def test_problems_are_listed_worst_first_with_exit_code(open_world):
    """WARNING gives 1, CRITICAL 2, and the table starts with the worst."""
    world = World.of(clients=1, devices=3)
    world.used = {"c1/pc-1": 85.0}
    toolkit = await open_world(world)
    run = await toolkit.call("health.check", {"client": "c1"})
    assert run.exit_code == 1
    world.used["c1/pc-3"] = 99.0
    run = await toolkit.call("health.check", {"client": "c1"})
    assert run.exit_code == 2
    assert [(c.word, c.device) for c in run.concerns[:2]] == [("critical", "pc-3")] * 2
    assert run.nagios().startswith("CRITICAL: 2 ok, 2 warning, 2 critical - pc-3 cpu: 99 % used")
    assert len(run.results) == 6


@pytest.mark.parametrize("kind", ["fleet", "client", "device"])
async def test_a_vendor_that_is_down_harms_nobody_else(open_world, kind):
    """The clients of a console that is down are UNKNOWN with its reason; those of the other are checked."""
    world = World.of(clients=4, devices=3, instances=("good", "bad"))

    async def down(query):
        raise VendorUnavailable("bad.example.com refuses connections")
        yield

    world.behave["bad"] = down
    toolkit = await open_world(world, kinds={"good": kind, "bad": kind})
    run = await toolkit.call("health.check")
    counts = balanced(run, 4 * 3 * CHECKS)
    assert (counts.ok, counts.unknown) == (12, 12)
    assert run.exit_code == 3
    assert {c.message for c in run.concerns} == {"bad: bad.example.com refuses connections"}
    notes = {note.instance: note.problem for note in run.sources}
    assert "refuses connections" in notes["bad"]
    assert not notes["good"]


async def test_a_vendor_that_hangs_delays_nobody_else(open_world):
    """While one console hangs the results of the other are recorded; it is given up after its time limit."""
    world = World.of(clients=2, devices=3, instances=("good", "bad"))

    async def hang(query):
        try:
            await asyncio.sleep(3600)
            yield
        finally:
            given_up.append(query)

    given_up = []
    world.behave["bad"] = hang
    toolkit = await open_world(world, overrides={"health_checks": {"timeouts": {"client": "3s"}}})
    health, ctx = await toolkit.get(Health), toolkit.context()
    sweep = asyncio.create_task(toolkit.call("health.check"))

    async def recorded():
        return (await health.status(ctx, "c1")).results

    await eventually(recorded)
    assert not given_up, "the good console waited for the bad one"
    run = await sweep
    assert balanced(run, 12).unknown == 6
    assert {c.message for c in run.concerns} == {"bad: no answer within 3 s"}


async def test_a_slow_vendor_is_waited_for(open_world):
    """Slow answers within the limit count; reads of one console go side by side, those of others first."""
    world = World.of(clients=6, devices=2, instances=("fast", "slow"))
    reading, most = 0, 0

    async def slow(query):
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await asyncio.sleep(0.4)
        reading -= 1
        async for item in answer(query):
            yield item

    world.behave["slow"] = slow
    toolkit = await open_world(world)
    run = await toolkit.call("health.check")
    assert balanced(run, 24).ok == 24
    assert most == 3


async def test_a_broken_console_is_left_alone_after_two_clients(open_world):
    """After two failed reads in a row the rest of the run asks it no more, and says why."""
    world = World.of(clients=6, devices=1)

    async def down(query):
        raise VendorUnavailable("no route")
        yield

    world.behave["one"] = down
    toolkit = await open_world(
        world, overrides={"health_checks": {"chunk_devices": 1, "concurrency": 1}}
    )
    run = await toolkit.call("health.check")
    assert balanced(run, 12).unknown == 12
    assert len(world.reads) == 2
    assert {concern.message for concern in run.concerns} == {"one: no route"}


async def test_a_source_that_ignores_its_end_is_left_behind(open_world):
    """A read that swallows its cancellation does not hold up the sweep, and what it sends later counts for nothing."""
    world = World.of(clients=1, devices=2)
    done = asyncio.Event()

    async def deaf(query):
        while not done.is_set():
            try:
                await asyncio.sleep(0.3)
            except asyncio.CancelledError:
                await done.wait()
        async for item in answer(query):
            yield item

    world.behave["one"] = deaf
    toolkit = await open_world(
        world, overrides={"health_checks": {"timeouts": {"client": "100ms"}}}
    )
    run = await toolkit.call("health.check")
    done.set()
    await asyncio.sleep(0.05)
    assert balanced(run, 4).unknown == 4


async def test_rubbish_is_dropped_and_said(open_world):
    """Things that are no facts, another client's device and repetitions change no result and are reported."""
    world = World.of(clients=2, devices=2, instances=("one", "two"))

    async def rubbish(query):
        yield "hello"
        yield None
        yield Observation(
            device_id="c2/pc-1", fact=CpuFacts(used_percent=99.0), source="x", observed_at=None
        )
        yield Observation(
            device_id="c1/pc-1",
            fact="not a fact",
            source="x",
            observed_at=datetime(2026, 1, 1),  # noqa: DTZ001 - the rubbish
        )
        async for item in answer(query):
            yield item
        async for item in answer(query):
            yield item
        yield Quarantined("device", "its size is text", "7")

    world.behave["one"] = rubbish
    toolkit = await open_world(world)
    run = await toolkit.call("health.check")
    assert balanced(run, 8).ok == 8
    [note] = [note for note in run.sources if note.instance == "one"]
    assert "3 things that are no facts" in note.problem
    assert "about devices it was not asked about" in note.problem
    assert "repeated 4 answers" in note.problem
    assert "its size is text" in note.problem
    rows = await results(toolkit, run, "c2")
    assert {row.status for row in rows} == {Status.OK}


async def test_a_source_that_never_ends_is_stopped(open_world):
    """A source that repeats itself for ever without a pause ends; the facts it gave count."""
    world = World.of(clients=2, devices=2, instances=("one", "two"))

    async def endless(query):
        while True:
            async for item in answer(query):
                yield item

    world.behave["one"] = endless
    toolkit = await open_world(world)
    run = await asyncio.wait_for(toolkit.call("health.check"), 20)
    assert balanced(run, 8).ok == 8
    assert any("far more than it was asked for" in note.problem for note in run.sources)


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(3), TypeError()])
async def test_a_source_that_raises_names_its_plugin(open_world, error):
    """Whatever a source raises becomes the reason of its devices; what it gave before is kept."""
    world = World.of(clients=2, devices=2, instances=("one", "two"))

    async def broken(query):
        async for item in answer(query):
            yield item
            break
        raise error

    world.behave["one"] = broken
    toolkit = await open_world(world)
    run = await toolkit.call("health.check")
    counts = balanced(run, 8)
    assert (counts.ok, counts.unknown) == (5, 3)
    assert all(f"plugin fleet raised {type(error).__name__}" in c.message for c in run.concerns)


async def test_missing_facts_carry_the_sources_reason(open_world):
    """What a source says it could not read is the reason of the UNKNOWN row."""
    world = World.of(clients=1, devices=1)

    async def partial(query):
        yield Missing(device_id="c1/pc-1", fact_id="disk", source="x", reason="the disk is asleep")
        yield Observation(
            device_id="c1/pc-1", fact=CpuFacts(used_percent=1), source="x", observed_at=None
        )

    world.behave["one"] = partial
    toolkit = await open_world(world)
    run = await toolkit.call("health.check", {"client": "c1"})
    assert (run.counts.ok, run.counts.unknown) == (1, 1)
    assert run.concerns[0].message == "one: the disk is asleep"
    assert run.exit_code == 3


async def test_a_check_that_raises_gives_error_rows_naming_the_plugin(open_world, monkeypatch):
    """An exception in a check is an ERROR row of that check; the other checks go on."""

    def explode(*_, **__):
        raise SystemExit("no")

    monkeypatch.setattr("msp_health.testing.judge_disk", explode)
    toolkit = await open_world(World.of(clients=1, devices=2))
    run = await toolkit.call("health.check", {"client": "c1"})
    assert (run.counts.ok, run.counts.error) == (2, 2)
    assert run.concerns[0].message == "plugin fleet (check disk) raised SystemExit: no"
    monkeypatch.setattr("msp_health.testing.judge_disk", lambda *_, **__: "fine")
    run = await toolkit.call("health.check", {"client": "c1"})
    assert run.counts.error == 2
    assert "returned str, not a Verdict" in run.concerns[0].message


async def test_stale_facts_are_unknown_with_their_age(open_world):
    """A fact older than allowed is not used, one from a clock far ahead neither."""
    world = World.of(clients=1, devices=1)
    toolkit = await open_world(world)
    world.observed_at = datetime.now(UTC) - timedelta(days=5)
    run = await toolkit.call("health.check", {"client": "c1"})
    assert run.counts.unknown == 2
    message = run.concerns[0].message
    assert message == "the last cpu reading is 5 days old, at most 48 hours is allowed"
    world.observed_at = datetime.now(UTC) + timedelta(days=400)
    run = await toolkit.call("health.check", {"client": "c1"})
    assert "in the future: a clock is wrong" in run.concerns[0].message
    world.observed_at = datetime.now(UTC) + timedelta(minutes=5)
    assert (await toolkit.call("health.check", {"client": "c1"})).counts.ok == 2


async def test_dry_run_and_read_only_judge_and_record_nothing(open_world):
    """A dry run and read-only mode find the same and leave no trace."""
    world = World.of(clients=1, devices=2)
    world.used = {"c1/pc-1": 99.0}
    toolkit = await open_world(world)
    for options in ({"dry_run": True}, {"read_only": True}):
        ctx = toolkit.context(**options)
        run = await toolkit.call("health.check", {"client": "c1"}, ctx=ctx)
        assert (run.counts.critical, run.run_id, run.state) == (2, "", "not recorded")
        assert any("Nothing was recorded" in note for note in run.notes)
        assert len(run.results) == 4
    health = await toolkit.get(Health)
    assert (await health.status(toolkit.context(), "c1")).results == ()


async def test_inactive_clients_are_left_out_and_said(open_world):
    """An inactive client is not swept, a suspended one is; nothing checked is not OK."""
    toolkit = await open_world(World.of(clients=3, devices=1))
    clients, ctx = await toolkit.get(Clients), toolkit.context()
    await clients.update(ctx, "c1", status=ClientStatus.INACTIVE)
    await clients.update(ctx, "c2", status=ClientStatus.SUSPENDED)
    run = await toolkit.call("health.check")
    assert balanced(run, 4).ok == 4
    assert "Not checked, because inactive: c1." in run.notes
    shown = await ctx.toolkit.call("health.status")
    assert "c1" not in {line.name for line in shown.lines}
    assert "Not shown, because inactive: c1." in shown.notes
    run = await toolkit.call("health.check", {"client": "c1"})
    assert (run.planned, run.exit_code) == (0, 3)


async def test_types_by_alias_and_did_you_mean(open_world):
    """`disk-space` selects the disk check; an unknown type names the installed ones and the nearest."""
    toolkit = await open_world(World.of(clients=1, devices=1))
    run = await toolkit.call("health.check", {"client": "c1", "types": ["disk-space"]})
    assert [row.check for row in run.results] == ["disk"]
    with pytest.raises(UnknownPlugin) as caught:
        await toolkit.call("health.check", {"types": ["dsk"]})
    assert "Did you mean 'disk'?" in caught.value.suggestion
    health = await toolkit.get(Health)
    with pytest.raises(InvalidParameters) as refused:
        await health.run(toolkit.context(), types=["dsk"])
    assert "Installed checks: cpu, disk." in refused.value.suggestion


async def test_limits_by_layers(open_world):
    """Configuration, tier, client, device and call each override the one before."""
    world = World.of(clients=1, devices=2)
    world.used = {"c1/pc-1": 50.0, "c1/pc-2": 50.0}
    toolkit = await open_world(
        world,
        overrides={
            "health_checks": {
                "thresholds": {"cpu_percent": 0},
                "tiers": {"bronze": {"disk": {"warning_percent": 30, "critical_percent": 45}}},
            }
        },
    )
    clients, health, ctx = await toolkit.get(Clients), await toolkit.get(Health), toolkit.context()

    async def judged(**arguments):
        run = await toolkit.call("health.check", {"client": "c1", **arguments})
        return {row.device_id[3:] + " " + row.check: row.status.value for row in run.results}

    assert await judged() == {
        "pc-1 cpu": "critical",  # the built-in levels 80 and 90 leave half of the room
        "pc-1 disk": "critical",
        "pc-2 cpu": "critical",
        "pc-2 disk": "critical",
    }
    await clients.set_config(ctx, "c1", {"health.disk.critical_percent": 99})
    await health.configure(
        ctx, "c1", HealthCheckConfig(devices={"pc-2": {"cpu_percent": 70, "disk_percent": 90}})
    )
    assert await judged() == {
        "pc-1 cpu": "critical",
        "pc-1 disk": "warning",
        "pc-2 cpu": "ok",
        "pc-2 disk": "ok",
    }
    called = await judged(threshold={"cpu_percent": 0, "disk": {"warning_percent": 98}})
    assert called["pc-2 cpu"] == "critical"
    assert called["pc-1 disk"] == "ok"
    with pytest.raises(InvalidParameters, match="Client c1: threshold override"):
        await judged(threshold={"disk": {"warning_percent": 99.5}})


async def test_wrong_limits_are_refused_or_become_error_rows(open_world):
    """A wrong override is refused before anything runs; a client's wrong setting is an ERROR row saying where."""
    toolkit = await open_world(World.of(clients=2, devices=1))
    clients, ctx = await toolkit.get(Clients), toolkit.context()
    for override in (
        {"dsk_percent": 5},
        {"disk.warnin_percent": 5},
        {"cpu_percent": "much"},
        {"cpu": {"warning_percent": True}},
        {"cpu": {"warning_percent": 95, "critical_percent": 90}},
    ):
        with pytest.raises(InvalidParameters):
            await toolkit.call("health.check", {"threshold": override})
    await clients.set_config(ctx, "c1", {"health.disk.critical_percent": 5, "health.gone.x": 1})
    run = await toolkit.call("health.check")
    assert (run.counts.error, run.counts.ok) == (1, 3)
    assert "settings of client c1" in run.concerns[0].message


async def test_configure_refuses_what_no_check_has(open_world):
    """A client's settings are checked before they are kept."""
    toolkit = await open_world(World.of(clients=1, devices=1))
    health, ctx = await toolkit.get(Health), toolkit.context()
    with pytest.raises(InvalidParameters, match="no limit of an installed check"):
        await health.configure(ctx, "c1", HealthCheckConfig(thresholds={"disk.size": 5}))
    kept = await health.configure(
        ctx, "c1", HealthCheckConfig(checks=("disk-space",), thresholds={"disk": {"margin": 1}})
    )
    assert kept == {"health.checks": ["disk"], "health.disk.margin": 1}
    run = await toolkit.call("health.check")
    assert run.planned == 1
    kept = await health.configure(ctx, "c1", HealthCheckConfig(thresholds={"disk.margin": None}))
    assert kept == {"health.checks": ["disk"]}


async def test_recovery_level_and_attempts(open_world):
    """A state ends below its recovery level only; with three attempts a problem is hard the third time."""
    world = World.of(clients=1, devices=1)
    toolkit = await open_world(world, overrides={"health_checks": {"attempts": 3}})

    async def cpu(used):
        world.used["c1/pc-1"] = used
        run = await toolkit.call("health.check", {"client": "c1", "types": ["cpu"]})
        [row] = run.results
        return row.status.value, row.attempt, row.hard

    assert await cpu(10) == ("ok", 1, True)
    assert await cpu(81) == ("warning", 1, False)
    assert await cpu(91) == ("critical", 2, False)
    assert await cpu(86) == ("critical", 3, True)  # above 85, where critical ends
    assert await cpu(76) == ("warning", 3, True)
    assert await cpu(74) == ("ok", 1, True)


async def test_unknown_keeps_the_recovery_level(open_world):
    """After a gap without facts the last judgement still decides about recovery."""
    world = World.of(clients=1, devices=1)
    world.used["c1/pc-1"] = 92.0
    toolkit = await open_world(world)

    async def silent(query):
        return
        yield

    await toolkit.call("health.check", {"client": "c1"})
    world.behave["one"] = silent
    run = await toolkit.call("health.check", {"client": "c1"})
    assert run.counts.unknown == 2
    assert run.concerns[0].message == "one said nothing about cpu"
    del world.behave["one"]
    world.used["c1/pc-1"] = 87.0
    assert (await toolkit.call("health.check", {"client": "c1"})).counts.critical == 2


async def test_two_sweeps_of_one_client_never_overlap(open_world):
    """A second sweep of a client says which run is checking it; one of all clients leaves it out and is incomplete."""
    world = World.of(clients=2, devices=1, instances=("slow", "fast"))
    go = asyncio.Event()

    async def wait(query):
        await go.wait()
        async for item in answer(query):
            yield item

    world.behave["slow"] = wait
    toolkit = await open_world(world)
    first = asyncio.create_task(toolkit.call("health.check", {"client": "c1"}))
    while not world.reads:  # noqa: ASYNC110 - the world has no events
        await asyncio.sleep(0.01)
    with pytest.raises(Conflict, match="c1 is being checked right now by run 1"):
        await toolkit.call("health.check", {"client": "c1"})
    other = await toolkit.call("health.check")
    assert (other.planned, other.exit_code, other.incomplete) == (2, 3, True)
    assert "Left out, because run 1 is checking them now: c1." in other.notes
    go.set()
    assert (await first).exit_code == 0
    assert (await toolkit.call("health.check")).planned == 4


async def test_cancelling_says_what_is_recorded_and_resume_finishes(open_world):
    """A cancelled sweep keeps what it wrote, says so, frees its clients, and `resume` adds exactly the rest."""
    world = World.of(clients=4, devices=2, instances=("fast", "slow"))

    async def hang(query):
        await asyncio.sleep(3600)
        yield

    world.behave["slow"] = hang
    toolkit = await open_world(world)
    health, ctx = await toolkit.get(Health), toolkit.context()
    sweep = asyncio.create_task(toolkit.call("health.check", ctx=ctx))
    while not (await health.status(toolkit.context(), "c3")).results:  # noqa: ASYNC110 - polls the database
        await asyncio.sleep(0.01)
    sweep.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweep
    assert ctx.warnings == [
        "Interrupted: 8 of 16 checks are recorded in run 1. To finish it: health check --all --resume"
    ]
    del world.behave["slow"]
    theirs = toolkit.context(scope=Scope(clients=frozenset({"c1"})))
    with pytest.raises(NotFound, match=r"^No run of the last 24 hours was cut short\.$"):
        await toolkit.call("health.check", {"resume": True}, ctx=theirs)  # nor whose run there is
    run = await toolkit.call("health.check", {"resume": True})
    assert (run.run_id, run.state) == ("1", "finished")
    assert balanced(run, 16).ok == 16
    assert len(await results(toolkit, run, "c1", "c2", "c3", "c4")) == 16
    with pytest.raises(NotFound, match="cut short"):
        await toolkit.call("health.check", {"resume": True})
    with pytest.raises(InvalidParameters, match="keeps its own"):
        await toolkit.call("health.check", {"resume": True, "client": "c1"})


async def test_switched_off(open_world):
    """`enabled = false` refuses to run."""
    toolkit = await open_world(
        World.of(clients=1, devices=1), overrides={"health_checks": {"enabled": False}}
    )
    with pytest.raises(NotSupported, match="switched off"):
        await toolkit.call("health.check")


async def test_reads_are_as_few_as_the_granularity_allows(open_world):
    """A fleet source is read once for all clients, a client source once a client, a device source once a device."""
    for kind, expected in (("fleet", 1), ("client", 5), ("device", 20)):
        world = World.of(clients=5, devices=4, instances=(kind,))
        toolkit = await open_world(
            world, kinds={kind: kind}, overrides={"health_checks": {"chunk_devices": 6}}
        )
        run = await toolkit.call("health.check")
        assert balanced(run, 40).ok == 40
        # a chunk that ends inside a client asks for the two parts of it
        extra = {"fleet": 0, "client": 2, "device": 0}[kind]
        assert expected <= len(world.reads) <= expected + extra


async def test_history_status_and_daily(open_world):
    """What was recorded is answered by history, status and day, and only about the client asked for."""
    world = World.of(clients=2, devices=2)
    toolkit = await open_world(world)
    for used in (10.0, 95.0):
        world.used["c1/pc-1"] = used
        await toolkit.call("health.check")
    history = await toolkit.call("health.history", {"client": "c1", "days": 1})
    assert history.total == 8
    assert {row.client_id for row in history.results} == {"c1"}
    one = await toolkit.call(
        "health.history", {"client": "c1", "device": "pc-1", "check": "cpu", "limit": 1}
    )
    assert [row.message for row in one.results] == ["95 % used"]
    assert one.total == 2
    assert one.results[0].metrics[0].value == 95
    wrong = await toolkit.call("health.history", {"client": "c1", "problems": True})
    assert [row.status.value for row in wrong.results] == ["critical", "critical"]
    status = await toolkit.call("health.status")
    assert [(line.name, line.status.value) for line in status.lines] == [
        ("c1", "critical"),
        ("c2", "ok"),
    ]
    assert status.exit_code == 2
    single = await toolkit.call("health.status", {"client": "c1"})
    assert single.lines[0].message == "cpu: 95 % used"
    health, ctx = await toolkit.get(Health), toolkit.context()
    now = datetime.now(UTC)
    period = Period(now - timedelta(days=1), now + timedelta(seconds=1))
    [day] = await health.daily(ctx, "c1", period=period, device="pc-1", check="cpu")
    assert (day.lowest, day.highest, day.mean, day.worst.value) == (10.0, 95.0, 52.5, "critical")


async def test_a_scope_hides_other_clients(open_world):
    """Every read refuses a client outside the scope as if it did not exist; a sweep of all covers the scope only."""
    toolkit = await open_world(World.of(clients=2, devices=1))
    await toolkit.call("health.check")
    ctx = toolkit.context(scope=Scope(clients=frozenset({"c1"})))
    health, freshness = await toolkit.get(Health), await toolkit.get(KnowsHealth)
    now = datetime.now(UTC)
    period = Period(now - timedelta(days=1), now)
    for call in (
        health.status(ctx, "c2"),
        health.statuses(ctx, ["c2"]),
        (await toolkit.get(Store)).read(lambda tx: freshness.last_checks(tx, ctx, ["c2"])),
        health.history(ctx, "c2", period=period),
        health.daily(ctx, "c2", period=period),
        health.results(ctx, "1", "c2"),
        health.checks(ctx, "c2"),
        health.configure(ctx, "c2", HealthCheckConfig()),
        health.run(ctx, client_ids=["c2"]),
    ):
        with pytest.raises(NotFound):
            await call
    run = await toolkit.call("health.check", ctx=ctx)
    assert run.clients == 1
    status = await toolkit.call("health.status", ctx=ctx)
    assert [line.name for line in status.lines] == ["c1"]


async def test_checks_are_listed_with_their_limits(open_world):
    """`health checks` shows limits as they hold for a client, and who reads the facts."""
    toolkit = await open_world(
        World.of(clients=1, devices=1),
        overrides={"health_checks": {"thresholds": {"cpu_percent": 70, "memory_percent": 90}}},
    )
    listing = await toolkit.call("health.checks", {"client": "c1"})
    [cpu, disk] = listing.items
    assert (cpu.limits["warning_percent"], cpu.limits["critical_percent"]) == (70, 85)
    assert disk.limits["warning_percent"] == 80
    assert cpu.sources == ("one:by-client.facts",)
    assert "memory_percent" in listing.notes[0]


async def test_cancelled_while_the_run_is_opened(open_world, monkeypatch):
    """A sweep stopped in that moment leaves an interrupted run and no client held: the next one goes ahead."""
    toolkit = await open_world(World.of(clients=2, devices=2))
    loop, opened = asyncio.get_running_loop(), sweep_module.open_run

    def slowly(*arguments):
        claim = opened(*arguments)
        loop.call_soon_threadsafe(stopped.cancel)
        time.sleep(0.1)
        return claim

    monkeypatch.setattr(sweep_module, "open_run", slowly)
    stopped = asyncio.create_task(toolkit.call("health.check"))
    with pytest.raises(asyncio.CancelledError):
        await stopped
    monkeypatch.undo()
    run = await toolkit.call("health.check")
    assert balanced(run, 8).ok == 8

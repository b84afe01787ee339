"""Devices that no console lists any more, devices that were forgotten, and limits of one call."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from msp_core.v1 import DeviceNotFound, Period, Status
from msp_health.api import FORGOTTEN, Health, HealthCheckConfig
from msp_health.tables import HealthCheckRow, HealthRunRow, LatestStatus
from msp_health.testing import World, answer
from msp_inventory.api import FORGOTTEN as DEVICE_FORGOTTEN
from msp_store.api import Outbox, Store
from msp_store.tables import OutboxEvent

pytestmark = pytest.mark.anyio
SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)
REASON = "not listed by any console since 2026-03-01 12:00 UTC"


@pytest.fixture(params=["sqlite", "postgresql"])
def overrides(request):
    """Configuration of an empty database of each kind."""
    if request.param == "sqlite":
        return {}
    url = request.getfixturevalue("postgresql_url")
    return {"database": {"type": "postgresql", "url": url}}


def vanish(world, *numbers):
    """Let devices of c1 be listed no more."""
    mine = world.devices["c1"]
    for number in numbers:
        at = next(n for n, one in enumerate(mine) if one.device.id == f"c1/pc-{number}")
        gone = evolve(mine[at].device, missing_since=SINCE)
        mine[at] = evolve(mine[at], device=gone, links={})


def come_back(world, number):
    """Let a device of c1 be listed again."""
    mine = world.devices["c1"]
    at = next(n for n, one in enumerate(mine) if one.device.id == f"c1/pc-{number}")
    back = evolve(mine[at].device, missing_since=None)
    mine[at] = evolve(mine[at], device=back, links={"one": f"1-{number}"})


async def forget(toolkit, world, number):
    """Remove a device of c1 from the world, as the inventory would."""
    device_id = f"c1/pc-{number}"
    world.devices["c1"] = [one for one in world.devices["c1"] if one.device.id != device_id]
    await tell(toolkit, device_id)


async def tell(toolkit, device_id):
    """Tell that a device was forgotten."""
    store, outbox = await toolkit.get(Store), await toolkit.get(Outbox)
    payload = {"client_id": device_id.partition("/")[0], "device_id": device_id}
    await store.write(lambda tx: tx.emit(DEVICE_FORGOTTEN, payload))
    delivery = await outbox.deliver(toolkit.context())
    assert delivery.errors == ()


async def latest(toolkit):
    """Return device and check of every latest status, with its number."""
    store = await toolkit.get(Store)
    return await store.read(
        lambda _: {(row.device_id, row.check_type): row.seq for row in LatestStatus.select()}
    )


async def events(toolkit, name):
    """Return the payloads of an event, in order."""
    store = await toolkit.get(Store)
    return await store.read(
        lambda _: [
            row.payload for row in OutboxEvent.select().order_by(OutboxEvent.id) if row.name == name
        ]
    )


async def test_missing_devices_are_unknown_and_nobody_is_asked(open_world, overrides):
    """Each check of a missing device is one UNKNOWN row, gathered as one reason; a returned device is checked."""
    world = World.of(clients=2, devices=3)
    toolkit = await open_world(world, overrides=overrides)
    assert (await toolkit.call("health.check")).counts.ok == 12
    vanish(world, 1, 2)
    world.reads.clear()
    run = await toolkit.call("health.check")
    assert (run.planned, run.counts.total, run.counts.ok, run.counts.unknown) == (12, 12, 8, 4)
    assert sum(asked for _, asked in world.reads) == 4
    [concern] = run.concerns
    assert (concern.device, concern.check, concern.message) == ("2 devices", "cpu, disk", REASON)
    assert run.exit_code == 3
    assert "device forget c1/pc-1" in run.say()
    shown = await toolkit.call("health.status", {"client": "c1"})
    assert [(one.name, one.status.value) for one in shown.lines[:2]] == [
        ("pc-1", "unknown"),
        ("pc-2", "unknown"),
    ]
    assert REASON in shown.lines[0].message
    assert "device forget c1/pc-1" in shown.say()
    come_back(world, 1)
    come_back(world, 2)
    run = await toolkit.call("health.check")
    assert (run.counts.ok, run.exit_code) == (12, 0)
    assert (await toolkit.call("health.status", {"client": "c1"})).notes == ()


async def test_a_client_with_nothing_but_missing_devices(open_world):
    """Its sweep is all UNKNOWN and asks nobody."""
    world = World.of(clients=1, devices=2)
    vanish(world, 1, 2)
    toolkit = await open_world(world)
    run = await toolkit.call("health.check", {"client": "c1"})
    assert (run.planned, run.counts.unknown, world.reads) == (4, 4, [])


async def test_the_last_ok_ends_with_the_sync_that_misses_the_device(open_world, overrides):
    """Status does not wait for the next sweep: an OK of a missing device is UNKNOWN; a problem stays one."""
    world = World.of(clients=2, devices=2)
    world.used = {"c1/pc-2": 95.0}
    toolkit = await open_world(world, overrides=overrides)
    await toolkit.call("health.check")
    vanish(world, 1, 2)
    health, ctx = await toolkit.get(Health), toolkit.context()
    summary = await health.status(ctx, "c1")
    assert (summary.counts.ok, summary.counts.unknown, summary.counts.critical) == (0, 2, 2)
    first = next(one for one in summary.results if one.device_id == "c1/pc-1")
    assert first.message == f"{REASON}; before: 10 % used"
    ours, theirs = await health.statuses(ctx, ["c1", "c2"])
    assert ours.counts == summary.counts
    assert (theirs.counts.ok, theirs.counts.unknown) == (4, 0)
    every = await toolkit.call("health.status")
    assert every.counts.unknown == 2
    assert "device forget c1/pc-1" in every.say()


async def test_forgetting_removes_the_latest_status_alone(open_world, overrides):
    """History stays and can be read by the device's id, results and days; the event is heard twice without harm."""
    world = World.of(clients=2, devices=2)
    world.used = {"c1/pc-1": 95.0}
    toolkit = await open_world(world, overrides=overrides)
    await toolkit.call("health.check")
    vanish(world, 1)
    await toolkit.call("health.check")
    seqs = await latest(toolkit)
    await forget(toolkit, world, 1)
    await tell(toolkit, "c1/pc-1")
    assert set(await latest(toolkit)) == {key for key in seqs if key[0] != "c1/pc-1"}
    [told] = await events(toolkit, FORGOTTEN)
    assert {(one["device_id"], one["check"]): one["seq"] for one in told["ended"]} == {
        key: seq for key, seq in seqs.items() if key[0] == "c1/pc-1"
    }
    listing = await toolkit.call("health.history", {"client": "c1", "device": "c1/pc-1"})
    assert listing.total == 4
    health, ctx = await toolkit.get(Health), toolkit.context()
    now = ctx.now()
    period = Period(now - timedelta(days=1), now + timedelta(days=1))
    days = await health.daily(ctx, "c1", period=period, device="c1/pc-1")
    assert sum(day.counts.total for day in days) == 4
    for read in (health.history, health.daily):
        with pytest.raises(DeviceNotFound):
            await read(ctx, "c1", period=period, device="c1/never-was")
    run = await toolkit.call("health.check")
    assert (run.planned, run.counts.ok) == (6, 6)


async def test_a_late_event_leaves_a_device_that_is_back_alone(open_world):
    """The inventory knows it again when the event is heard: its status goes on."""
    world = World.of(clients=1, devices=2)
    toolkit = await open_world(world)
    await toolkit.call("health.check")
    before = await latest(toolkit)
    await tell(toolkit, "c1/pc-1")
    assert await latest(toolkit) == before
    assert await events(toolkit, FORGOTTEN) == []


async def test_another_device_of_that_name_is_not_the_one_forgotten(open_world):
    """A device that is called as the forgotten one's id ended does not keep its status alive."""
    world = World.of(clients=1, devices=2)
    toolkit = await open_world(world)
    await toolkit.call("health.check")
    world.devices["c1"] = world.devices["c1"][1:]
    other = world.devices["c1"][0]
    named = evolve(other.device, name="c1/pc-1")
    world.devices["c1"] = [evolve(other, device=named)]
    await tell(toolkit, "c1/pc-1")
    assert {device for device, _ in await latest(toolkit)} == {"c1/pc-2"}


async def test_numbers_go_up_across_forgetting(open_world, overrides):
    """A device that is back is numbered above all its results from before, also after many sweeps."""
    world = World.of(clients=1, devices=2)
    toolkit = await open_world(world, overrides=overrides)
    last = 0
    for _ in range(3):
        for _ in range(3):
            await toolkit.call("health.check", {"types": ["cpu"]})
            seq = (await latest(toolkit))[("c1/pc-1", "cpu")]
            assert seq > last
            last = seq
        mine = world.devices["c1"][0]
        await forget(toolkit, world, 1)
        world.devices["c1"].insert(0, mine)


async def test_forgotten_during_a_sweep(open_world, overrides):
    """A sweep under way records its planned rows, but no status and no event of a device forgotten meanwhile."""
    world = World.of(clients=1, devices=2)
    world.used = {"c1/pc-1": 95.0, "c1/pc-2": 95.0}
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def slow(query):
        reading.set()
        await go_on.wait()
        async for item in answer(query):
            yield item

    toolkit = await open_world(world, overrides=overrides)
    world.behave["one"] = slow
    sweep = asyncio.create_task(toolkit.call("health.check", {"types": ["cpu"]}))
    await reading.wait()
    await forget(toolkit, world, 1)
    go_on.set()
    run = await sweep
    assert (run.planned, run.counts.critical) == (2, 2)
    assert set(await latest(toolkit)) == {("c1/pc-2", "cpu")}
    told = [
        one["device_id"]
        for event in await events(toolkit, "health.changed")
        for one in event["changes"]
    ]
    assert told == ["c1/pc-2"]


async def test_limits_of_one_call_record_nothing(open_world, overrides):
    """ "What if" answers and leaves rows, status, hard states, runs and events as they were."""
    world = World.of(clients=1, devices=2)
    toolkit = await open_world(world, overrides=overrides)
    await toolkit.call("health.check")
    before = await latest(toolkit)
    run = await toolkit.call("health.check", {"client": "c1", "threshold": {"cpu_percent": 5}})
    assert (run.planned, run.counts.total) == (4, 4)
    assert run.counts.warning + run.counts.critical == 2
    assert (run.run_id, run.state, run.exit_code) == ("", "not recorded", 1)
    assert "Nothing was recorded and nobody was told: limits of this call alone." in run.say()
    assert {one.status for one in run.results} == {Status.OK, Status.WARNING}
    store = await toolkit.get(Store)
    rows = await store.read(
        lambda _: (HealthCheckRow.select().count(), HealthRunRow.select().count())
    )
    assert rows == (4, 1)
    assert await latest(toolkit) == before
    assert await events(toolkit, "health.changed") == []
    status = await toolkit.call("health.status", {"client": "c1"})
    assert status.exit_code == 0


async def test_lasting_limits_are_recorded(open_world):
    """The same limits in the client's settings are no question: they count."""
    world = World.of(clients=1, devices=1)
    toolkit = await open_world(world)
    health, ctx = await toolkit.get(Health), toolkit.context()
    await health.configure(ctx, "c1", HealthCheckConfig(thresholds={"cpu_percent": 5}))
    run = await toolkit.call("health.check")
    assert run.state == "finished"
    assert len(await events(toolkit, "health.changed")) == 1

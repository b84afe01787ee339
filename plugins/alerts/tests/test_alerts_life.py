"""The life of alerts, from sweeps over a simulated fleet."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msp_alerts import listener
from msp_alerts.api import Alerts
from msp_alerts.tables import AlertCursor, AlertRow
from msp_clients.api import Clients
from msp_core.v1 import (
    AlertNotFound,
    ClientStatus,
    Conflict,
    InvalidParameters,
    Migrations,
    NotFound,
    Scope,
    Severity,
    Status,
)
from msp_health.testing import World
from msp_store.api import Outbox, Store
from msp_store.tables import OutboxEvent
from msp_store.testing import assert_tables_match

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self):
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.now


async def states(toolkit, **arguments):
    listing = await toolkit.call("alert.list", arguments)
    return [
        (e.alert.device_id[3:], e.alert.check, e.alert.severity.value, e.state)
        for e in listing.items
    ]


async def sweep(toolkit, world, used, **arguments):
    world.used["c1/pc-1"] = used
    return await toolkit.call("health.check", {"types": ["cpu"], **arguments})


async def test_opens_updates_resolves(open_world, database):
    """A problem opens one alert, worsening updates it, an OK resolves it; the next problem is a new alert."""
    world = World.of(clients=1, devices=2)
    toolkit = await open_world(world, overrides={"database": database})
    await sweep(toolkit, world, 10)
    assert await states(toolkit) == []
    await sweep(toolkit, world, 85)
    assert await states(toolkit) == [("pc-1", "cpu", "warning", "open")]
    await sweep(toolkit, world, 95)
    assert await states(toolkit) == [("pc-1", "cpu", "critical", "open")]
    await sweep(toolkit, world, 95)
    [entry] = (await toolkit.call("alert.list")).items
    assert entry.alert.message == "CPU on pc-1: 95 % used"
    await sweep(toolkit, world, 97)
    [entry] = (await toolkit.call("alert.list")).items
    assert entry.alert.message == "CPU on pc-1: 97 % used"
    await sweep(toolkit, world, 10)
    assert await states(toolkit) == []
    assert await states(toolkit, state="resolved") == [("pc-1", "cpu", "critical", "resolved")]
    await sweep(toolkit, world, 95)
    assert len(await states(toolkit, all=True)) == 2
    assert (await toolkit.call("alert.show", {"alert": "2"})).alert.id == "2"


async def test_a_soft_problem_opens_nothing(open_world):
    """With two attempts the first sight of a problem is no alert."""
    world = World.of(clients=1, devices=1)
    toolkit = await open_world(world, overrides={"health_checks": {"attempts": 2}})
    await sweep(toolkit, world, 95)
    assert await states(toolkit) == []
    await sweep(toolkit, world, 95)
    assert len(await states(toolkit)) == 1


async def test_unknown_neither_opens_nor_resolves(open_world):
    """While nobody can look, an open alert stays and is called stale; a device never seen well has none."""
    world = World.of(clients=1, devices=2)

    async def silent(query):
        return
        yield

    toolkit = await open_world(world)
    world.behave["one"] = silent
    await sweep(toolkit, world, 95)
    assert await states(toolkit) == []
    del world.behave["one"]
    await sweep(toolkit, world, 95)
    world.behave["one"] = silent
    await sweep(toolkit, world, 95)
    assert await states(toolkit) == [("pc-1", "cpu", "critical", "open, stale")]
    listed = await toolkit.call("alert.list", {})
    assert listed.notes == ("Stale: the last sweep could not look; it may be over, or worse.",)
    shown = await toolkit.call("alert.show", {"alert": listed.items[0].alert.id})
    assert "stale: the last sweep could not look" in shown.say()
    del world.behave["one"]
    await sweep(toolkit, world, 95)
    assert await states(toolkit) == [("pc-1", "cpu", "critical", "open")]
    assert (await toolkit.call("alert.list", {})).notes == ()
    world.behave["one"] = silent
    await sweep(toolkit, world, 10)
    del world.behave["one"]
    await sweep(toolkit, world, 10)
    assert await states(toolkit) == []


async def test_acknowledged_until_a_moment(open_world, database):
    """An acknowledgement hides nothing, carries who, and is open again when its time is over."""
    world, clock = World.of(clients=1, devices=1), Clock()
    toolkit = await open_world(world, clock=clock, overrides={"database": database})
    await sweep(toolkit, world, 85)
    acked = await toolkit.call("alert.ack", {"alert": "1", "until": "2h", "note": "disk ordered"})
    assert acked.alert.acknowledged
    assert acked.alert.acknowledged_by.startswith("local:")
    assert "disk ordered" in acked.say()
    assert await states(toolkit, state="acknowledged") == [
        ("pc-1", "cpu", "warning", "acknowledged")
    ]
    assert await states(toolkit, state="open") == []
    await sweep(toolkit, world, 86)
    assert await states(toolkit) == [("pc-1", "cpu", "warning", "acknowledged")]
    clock.now += timedelta(hours=3)
    assert await states(toolkit, state="open") == [("pc-1", "cpu", "warning", "open")]
    await toolkit.call("alert.ack", {"alert": "1"})
    await sweep(toolkit, world, 95)
    assert await states(toolkit) == [("pc-1", "cpu", "critical", "open")]
    with pytest.raises(InvalidParameters, match="cannot end"):
        await toolkit.call("alert.ack", {"alert": "1", "until": "2020-01-01"})


async def test_resolved_by_hand_comes_back_while_the_problem_lasts(open_world):
    """Closing an alert does not silence a problem that the next sweep still sees."""
    world = World.of(clients=1, devices=1)
    toolkit = await open_world(world)
    await sweep(toolkit, world, 95)
    closed = await toolkit.call("alert.resolve", {"alert": "1", "note": "done"})
    assert closed.state == "resolved"
    with pytest.raises(Conflict, match="was resolved"):
        await toolkit.call("alert.ack", {"alert": "1"})
    await sweep(toolkit, world, 95)
    assert [e.alert.id for e in (await toolkit.call("alert.list")).items] == ["2"]


async def test_dry_run_acknowledges_nothing(open_world):
    """A dry run shows what would be and leaves it."""
    world = World.of(clients=1, devices=1)
    toolkit = await open_world(world)
    await sweep(toolkit, world, 95)
    ctx = toolkit.context(dry_run=True)
    shown = await toolkit.call("alert.ack", {"alert": "1"}, ctx=ctx)
    assert shown.alert.acknowledged
    assert ctx.warnings == ["Nothing was recorded; this is what the alert would be."]
    assert await states(toolkit) == [("pc-1", "cpu", "critical", "open")]


async def test_suspended_clients_are_recorded_and_muted(open_world):
    """Alerts of a suspended client exist and are in no event until the client is active again."""
    world, told = World.of(clients=1, devices=1), []
    toolkit = await open_world(world)
    clients, ctx, store = await toolkit.get(Clients), toolkit.context(), await toolkit.get(Store)

    def events():
        from msp_store.tables import OutboxEvent

        return store.read(
            lambda _: [row.name for row in OutboxEvent.select() if "alerts." in row.name]
        )

    await clients.update(ctx, "c1", status=ClientStatus.SUSPENDED)
    await sweep(toolkit, world, 95)
    assert await states(toolkit) == [("pc-1", "cpu", "critical", "open, muted")]
    assert await events() == told == []
    await clients.update(ctx, "c1", status=ClientStatus.ACTIVE)
    await sweep(toolkit, world, 95)
    assert await states(toolkit) == [("pc-1", "cpu", "critical", "open")]
    assert await events() == ["alerts.opened"]


async def test_filters_and_scope(open_world):
    """List by client, severity and time; another client's alert does not exist."""
    world, clock = World.of(clients=2, devices=1), Clock()
    world.used = {"c1/pc-1": 85.0, "c2/pc-1": 95.0}
    toolkit = await open_world(world, clock=clock)
    await toolkit.call("health.check", {"types": ["cpu"]})
    clock.now += timedelta(hours=5)
    assert [row[2] for row in await states(toolkit)] == ["critical", "warning"]
    assert len(await states(toolkit, client="c1")) == 1
    assert len(await states(toolkit, client="c1", severity="critical")) == 0
    assert await states(toolkit, since="4h") == []
    assert len(await states(toolkit, since="2026-03-01T11:00:00Z")) == 2
    scoped = toolkit.context(scope=Scope(clients=frozenset({"c1"})))
    alerts = await toolkit.get(Alerts)
    [mine] = (await alerts.list(scoped)).items
    assert mine.alert.client_id == "c1"
    other = next(
        e for e in (await alerts.list(toolkit.context())).items if e.alert.client_id == "c2"
    )
    for call in (
        alerts.get(scoped, other.alert.id),
        alerts.acknowledge(scoped, other.alert.id),
        alerts.resolve(scoped, other.alert.id),
    ):
        with pytest.raises(AlertNotFound):
            await call
    with pytest.raises(NotFound):
        await alerts.list(scoped, client_id="c2")
    for odd in ("", "x", "-1", "9" * 40, "１"):
        with pytest.raises(AlertNotFound):
            await alerts.get(toolkit.context(), odd)


def event(number, name, *changes):
    return SimpleNamespace(id=str(number), name=name, payload={"changes": list(changes)})


def payload(status, seq, device="pc-1", stale=False):
    return {
        "client_id": "c1",
        "device_id": f"c1/{device}",
        "check": "cpu",
        "title": "CPU",
        "status": status.value,
        "previous": None,
        "seq": seq,
        "message": f"result {seq}",
        "stale": stale,
    }


async def test_repeated_and_late_events_do_nothing(open_world, database):
    """An event delivered again, or after a newer one, changes nothing: a resolved alert stays resolved."""
    toolkit = await open_world(World.of(clients=1, devices=1), overrides={"database": database})
    ctx = toolkit.context()
    opened = event(1, "health.changed", payload(Status.CRITICAL, 1))
    standing = event(2, "health.standing", payload(Status.CRITICAL, 2))
    recovered = event(3, "health.changed", payload(Status.OK, 3))
    for one in (opened, opened, standing, opened, standing, recovered, standing, opened, recovered):
        await listener.hear(ctx, one)
    assert [row[3] for row in await states(toolkit, all=True)] == ["resolved"]
    await listener.hear(ctx, event(5, "health.changed", payload(Status.OK, 5)))
    await listener.hear(ctx, event(4, "health.changed", payload(Status.CRITICAL, 4)))
    assert len(await states(toolkit, all=True)) == 1


async def test_the_database_refuses_a_second_open_alert(open_world, database):
    """One open alert per key is a rule of the database itself."""
    toolkit = await open_world(World.of(clients=1, devices=1), overrides={"database": database})
    store = await toolkit.get(Store)
    await listener.hear(toolkit.context(), event(1, "health.changed", payload(Status.CRITICAL, 1)))
    now = datetime.now(UTC)
    twice = {
        "key": "health:c1/pc-1:cpu",
        "client_id": "c1",
        "source": "health",
        "severity": Severity.INFO,
        "message": "",
        "acknowledged": False,
        "note": "",
        "muted": False,
        "stale": False,
        "created_at": now,
        "updated_at": now,
    }
    with pytest.raises(Conflict, match="contradicts what is stored"):
        await store.write(lambda _: AlertRow.create(**twice))
    await store.write(lambda _: AlertRow.create(**twice, resolved_at=now))
    await assert_tables_match(store, AlertRow, AlertCursor)


steps = st.lists(
    st.tuples(
        st.sampled_from(["pc-1", "pc-2"]),
        st.sampled_from(
            [
                "ok",
                "warning",
                "critical",
                "unknown",
                "again",
                "late",
                "resolve",
                "ack",
                "forget",
                "forget late",
            ]
        ),
    ),
    max_size=25,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_against_a_simple_model(sqlite_store, steps):
    """Any history of results, repetitions, late events and decisions leaves what a page of rules says."""
    anyio.run(_play, sqlite_store, steps)


async def _play(sqlite_store, steps):
    store = sqlite_store(Migrations(id="alerts", package="msp_alerts.migrations"))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    hard, seq, sent, model, acked, ended = {}, {}, {}, {}, {}, {}

    def hear(changes, standing):
        found = [listener.Change.read(data, standing=standing) for data in changes]
        return store.write(lambda tx: listener._apply_all(tx, found, {"c1"}, now))

    def forget(seqs):
        return store.write(lambda tx: listener._forget_all(tx, seqs, now))

    for device, step in steps:
        key = f"health:c1/{device}:cpu"
        if step in ("ok", "warning", "critical", "unknown"):
            seq[device] = seq.get(device, 0) + 1
            before = hard.get(device, "ok")
            if step == "unknown" and before == "ok":
                continue
            after = before if step == "unknown" else step
            hard[device] = after
            if after == before == "ok":
                continue
            data = payload(Status(after), seq[device], device, stale=step == "unknown")
            sent.setdefault(device, []).append((data, after == before))
            await hear([data], after == before)
            if after == "ok":
                model.pop(key, None)
            elif step != "unknown":
                if acked.get(key) and (before, after) == ("warning", "critical"):
                    acked[key] = False
                model[key] = (after, False)
            elif key in model:
                model[key] = (model[key][0], True)
            if key not in model:
                acked.pop(key, None)
        elif step == "forget" and device in seq:
            ended.setdefault(device, []).append({key: seq[device]})
            await forget(ended[device][-1])
            for known in (hard, model, acked):
                known.pop(device, None)
                known.pop(key, None)
            seq[device] = (1 + seq[device] // 1000) * 1000  # as health goes on, above all before
        elif step == "forget late" and ended.get(device):
            if len(ended[device]) > 1 or hard.get(device):  # heard by now, and the device is back
                await forget(ended[device][0])
        elif step in ("again", "late") and sent.get(device):
            data, standing = sent[device][-1 if step == "again" else 0]
            await hear([data], standing)
        elif step in ("resolve", "ack") and key in model:

            def decide(_, key=key, step=step):
                row = AlertRow.get((AlertRow.key == key) & AlertRow.resolved_at.is_null())
                row.resolved_at = now if step == "resolve" else None
                row.acknowledged = step == "ack"
                row.save()

            await store.write(decide)
            acked[key] = step == "ack"
            if step == "resolve":
                del model[key], acked[key]
        rows = await store.read(
            lambda _: {
                row.key: (row.severity.value, row.stale, row.acknowledged)
                for row in AlertRow.select().where(AlertRow.resolved_at.is_null())
            }
        )
        assert rows == {k: (*v, acked.get(k, False)) for k, v in model.items()}
    await store.aclose() if hasattr(store, "aclose") else store.close()


async def test_old_resolved_alerts_are_removed(open_world):
    """Retention removes alerts resolved long ago; open ones stay however old."""
    from msp_alerts.retention import prune

    world, clock = World.of(clients=1, devices=2), Clock()
    world.used = {"c1/pc-2": 95.0}
    toolkit = await open_world(world, clock=clock)
    await sweep(toolkit, world, 95)
    await sweep(toolkit, world, 10)
    store = await toolkit.get(Store)
    clock.now += timedelta(days=400)
    before = clock.now - timedelta(days=90)
    assert await store.write(lambda tx: prune(tx, before, 100)) == {"alerts": 1}
    assert [row[0] for row in await states(toolkit, all=True)] == ["pc-2"]


async def forget(toolkit, device_id, seqs):
    """Tell what ended with a forgotten device."""
    store, outbox = await toolkit.get(Store), await toolkit.get(Outbox)
    ended = [
        {"client_id": device_id[:2], "device_id": device_id, "check": check, "seq": seq}
        for check, seq in seqs.items()
    ]
    payload = {"client_ids": [device_id[:2]], "ended": ended}
    await store.write(lambda tx: tx.emit("health.forgotten", payload))
    assert (await outbox.deliver(toolkit.context())).errors == ()


async def resolved_events(toolkit):
    store = await toolkit.get(Store)
    return await store.read(
        lambda _: [
            row.payload["alert_ids"]
            for row in OutboxEvent.select().order_by(OutboxEvent.id)
            if row.name == "alerts.resolved"
        ]
    )


async def test_forgetting_a_device_resolves_its_alerts(open_world, database):
    """Open alerts of the device end with a note and are told once; others stay; the past stays readable."""
    world = World.of(clients=2, devices=2)
    world.used = dict.fromkeys(("c1/pc-1", "c1/pc-2", "c2/pc-1"), 95.0)
    toolkit = await open_world(world, overrides={"database": database})
    await toolkit.call("health.check")
    number = next(
        e.alert.id
        for e in (await toolkit.call("alert.list", {"client": "c1"})).items
        if (e.alert.device_id, e.alert.check) == ("c1/pc-1", "cpu")
    )
    await toolkit.call("alert.ack", {"alert": number, "note": "on its way out"})
    for _ in range(2):
        await forget(toolkit, "c1/pc-1", {"cpu": 1000, "disk": 1000})
    left = [e.alert.device_id for e in (await toolkit.call("alert.list")).items]
    assert sorted(left) == ["c1/pc-2", "c1/pc-2", "c2/pc-1", "c2/pc-1"]
    over = (await toolkit.call("alert.list", {"client": "c1", "state": "resolved"})).items
    notes = {e.alert.check: e.note for e in over}
    assert notes == {"cpu": "on its way out", "disk": "The device was forgotten."}
    assert [len(ids) for ids in await resolved_events(toolkit)] == [2]


async def test_forgetting_heard_late_leaves_a_device_that_is_back_alone(open_world, database):
    """What ended before the device came back ends nothing new, and results from before open nothing."""
    toolkit = await open_world(World.of(clients=1, devices=1), overrides={"database": database})
    ctx = toolkit.context()
    before = event(1, "health.changed", payload(Status.CRITICAL, 1000))
    await listener.hear(ctx, before)
    await forget(toolkit, "c1/pc-1", {"cpu": 1001})
    await listener.hear(ctx, before)
    assert await states(toolkit) == []
    await listener.hear(ctx, event(2, "health.changed", payload(Status.WARNING, 3000)))
    await forget(toolkit, "c1/pc-1", {"cpu": 1001})
    await listener.hear(ctx, before)
    assert await states(toolkit) == [("pc-1", "cpu", "warning", "open")]


async def test_forgetting_tells_nobody_while_the_client_is_suspended(open_world):
    """A muted alert ends without an event."""
    world = World.of(clients=1, devices=1)
    toolkit = await open_world(world)
    clients = await toolkit.get(Clients)
    await clients.update(toolkit.context(), "c1", status=ClientStatus.SUSPENDED)
    await sweep(toolkit, world, 95)
    await forget(toolkit, "c1/pc-1", {"cpu": 1000})
    assert await states(toolkit) == []
    assert await resolved_events(toolkit) == []


async def test_what_if_limits_open_and_resolve_nothing(open_world):
    """Limits of one call neither raise an alert nor end one."""
    world = World.of(clients=1, devices=1)
    toolkit = await open_world(world)
    await sweep(toolkit, world, 50, threshold={"cpu_percent": 5})
    assert await states(toolkit) == []
    await sweep(toolkit, world, 95)
    await sweep(
        toolkit, world, 95, threshold={"cpu": {"warning_percent": 99, "critical_percent": 99}}
    )
    assert await states(toolkit) == [("pc-1", "cpu", "critical", "open")]


def test_one_parameter_names_the_client():
    """The schema of `alert list` has one parameter for the client, called client_id outside Python."""
    from msp_alerts.tools import list_alerts
    from msp_core.schema import parameters

    named = [one for one in parameters(list_alerts) if "client" in one.name]
    assert [(one.name, one.param.mcp, one.param.arg) for one in named] == [
        ("client", "client_id", True)
    ]

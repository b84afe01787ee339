"""Events: told after the commit, at least once, by one process at a time, with patience."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from msp_core.v1 import Subscriber
from msp_store.engine import DatabaseStore
from msp_store.outbox import MAX_ATTEMPTS, DatabaseOutbox, prune

pytestmark = pytest.mark.anyio
START = datetime(2026, 3, 1, tzinfo=UTC)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self):
        self.time = START

    def __call__(self):
        return self.time


class Ears:
    """Subscribers that remember what they heard, and fail as told."""

    def __init__(self, *names, event="news"):
        self.heard = []
        self.failing = {}
        self.records = [Subscriber(id=name, event=event, run=f"ears:{name}") for name in names]

    def load(self, ref):
        name = ref.partition(":")[2]

        async def run(ctx, event):
            await asyncio.sleep(0)
            if self.failing.get(name):
                raise RuntimeError(self.failing[name])
            self.heard.append((name, event.payload["n"]))

        return run

    def outbox(self, store):
        return DatabaseOutbox(store, subscribers=lambda: self.records, load=self.load)


CTX = SimpleNamespace(dry_run=False, read_only=False)


def emit(store, *numbers):
    return store.write(lambda tx: [tx.emit("news", {"n": n}) for n in numbers])


async def test_every_subscriber_hears_every_event_once(each_store):
    """Committed events reach all subscribers of their name, in order, and are then done."""
    store, ears = each_store(), Ears("a", "b")
    await emit(store, 1, 2)
    await store.write(lambda tx: tx.emit("other", {}))
    delivery = await ears.outbox(store).deliver(CTX)
    assert ears.heard == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert (delivery.delivered, delivery.failed, delivery.waiting) == (4, 0, 0)
    again = await ears.outbox(store).deliver(CTX)
    assert again.delivered == 0
    assert len(ears.heard) == 4


async def test_what_was_rolled_back_is_never_told(each_store):
    """An event of a transaction that failed does not exist."""
    store, ears = each_store(), Ears("a")

    def fails(tx):
        tx.emit("news", {"n": 1})
        raise KeyError

    with pytest.raises(KeyError):
        await store.write(fails)
    await ears.outbox(store).deliver(CTX)
    assert ears.heard == []


async def test_a_failing_subscriber_is_tried_again_alone(each_store):
    """The others are not told twice; pauses grow; at the end it is given up and counted."""
    clock = Clock()
    store, ears = each_store(now=clock), Ears("bad", "good")
    ears.failing["bad"] = "no"
    await emit(store, 1)
    pauses = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        delivery = await ears.outbox(store).deliver(CTX)
        assert (delivery.failed, delivery.delivered) == (1, 1 if attempt == 1 else 0)
        assert delivery.errors == ("bad: RuntimeError: no",)
        waited = clock.time
        while attempt < MAX_ATTEMPTS and delivery.waiting:
            clock.time += timedelta(seconds=1)
            due = await store.read(
                lambda tx: tx.db.execute_sql("SELECT due_at FROM outbox").fetchone()[0]
            )
            if due <= int(clock.time.timestamp() * 1_000_000):
                break
        pauses.append((clock.time - waited).total_seconds())
    assert delivery.dead == 1
    assert delivery.waiting == 0
    assert pauses[:-1] == sorted(pauses[:-1])
    assert pauses[0] == 5
    assert ears.heard == [("good", 1)]
    ears.failing.clear()
    clock.time += timedelta(days=1)
    assert (await ears.outbox(store).deliver(CTX)).delivered == 0


async def test_a_mended_subscriber_gets_what_it_missed(each_store):
    """After a failure the event comes again once it is due."""
    clock = Clock()
    store, ears = each_store(now=clock), Ears("a")
    ears.failing["a"] = "down"
    await emit(store, 1)
    await ears.outbox(store).deliver(CTX)
    ears.failing.clear()
    assert (await ears.outbox(store).deliver(CTX)).delivered == 0
    clock.time += timedelta(seconds=5)
    assert (await ears.outbox(store).deliver(CTX)).delivered == 1
    assert ears.heard == [("a", 1)]


async def test_several_processes_share_the_work(each_store):
    """Stores that deliver at the same time never tell the same event twice."""
    store, ears = each_store(), Ears("a")
    await emit(store, *range(40))
    others = [DatabaseStore(store.target, store.ledger._records.values()) for _ in range(3)]
    await asyncio.gather(*(ears.outbox(one).deliver(CTX) for one in [store, *others]))
    assert sorted(n for _, n in ears.heard) == list(range(40))
    for other in others:
        await other.aclose()


async def test_a_dead_process_loses_its_lease(each_store):
    """An event held by a process that died is taken over when the lease has run out."""
    clock = Clock()
    store, ears = each_store(now=clock), Ears("a")
    await emit(store, 1)
    dead = ears.outbox(store)
    names = {"news": {"a": ears.records[0]}}
    assert await store.write(lambda tx: dead._claim(names, tx)) is not None
    assert (await ears.outbox(store).deliver(CTX)).delivered == 0
    clock.time += timedelta(minutes=2)
    assert (await ears.outbox(store).deliver(CTX)).delivered == 1


async def test_a_clock_that_jumps_back_stops_nothing(each_store):
    """A lease or a pause far in the future was set by a clock that has gone back, and does not count."""
    clock = Clock()
    store, ears = each_store(now=clock), Ears("a")
    ears.failing["a"] = "x"
    await emit(store, 1)
    await ears.outbox(store).deliver(CTX)
    ears.failing.clear()
    clock.time -= timedelta(days=400)
    assert (await ears.outbox(store).deliver(CTX)).delivered == 1


@pytest.mark.parametrize("mode", ["dry_run", "read_only"])
async def test_nobody_is_told_in_a_dry_run(each_store, mode):
    """Neither a dry run nor read-only mode delivers; the event stays."""
    store, ears = each_store(), Ears("a")
    await emit(store, 1)
    ctx = SimpleNamespace(dry_run=mode == "dry_run", read_only=mode == "read_only")
    delivery = await ears.outbox(store).deliver(ctx)
    assert (delivery.delivered, delivery.waiting) == (0, 1)
    assert ears.heard == []


async def test_a_hanging_subscriber_is_ended(each_store, monkeypatch):
    """A call that takes too long counts as failed, and the next subscriber is called."""
    monkeypatch.setattr("msp_store.outbox.CALL_TIMEOUT", timedelta(seconds=0.05))
    store, ears = each_store(), Ears("b")

    async def hang(ctx, event):
        await asyncio.sleep(60)

    ears.records.insert(0, Subscriber(id="a", event="news", run="ears:hang"))
    outbox = DatabaseOutbox(
        store,
        subscribers=lambda: ears.records,
        load=lambda ref: hang if ref == "ears:hang" else ears.load(ref),
    )
    await emit(store, 1)
    delivery = await outbox.deliver(CTX)
    assert (delivery.delivered, delivery.failed) == (1, 1)
    assert "no answer" in delivery.errors[0]


async def test_old_events_are_pruned_and_open_ones_kept(each_store):
    """Only what was dealt with before the limit goes, in chunks."""
    clock = Clock()
    store, ears = each_store(now=clock), Ears("a")
    await emit(store, *range(5))
    await ears.outbox(store).deliver(CTX)
    clock.time += timedelta(days=10)
    await emit(store, 99)
    assert not any((await store.write(lambda tx: prune(tx, START, 100))).values())
    later = START + timedelta(days=1)
    assert await store.write(lambda tx: prune(tx, later, 3)) == {
        "outbox": 3,
        "outbox_deliveries": 3,
    }
    assert await store.write(lambda tx: prune(tx, later, 3)) == {
        "outbox": 2,
        "outbox_deliveries": 2,
    }
    assert (await ears.outbox(store).deliver(CTX)).delivered == 1

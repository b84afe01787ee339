"""Reads and writes: whole, isolated, one at a time."""

import asyncio
import contextvars
import threading
import time

import pytest

from msp_core.v1 import Conflict, StoreError
from msp_store.api import IntegerField, IntegrityError, JsonField, Model, TextField, in_parts
from msp_store.tables import OutboxDelivery, OutboxEvent
from msp_store.testing import assert_tables_match

pytestmark = pytest.mark.anyio


class Event(Model):
    id = IntegerField(primary_key=True)
    name = TextField()
    payload = JsonField()

    class Meta:
        table_name = "outbox"


def names(tx):
    return [name for (name,) in Event.select(Event.name).order_by(Event.id).tuples()]


async def test_a_write_is_read_back(each_store):
    """What a write committed is what a read finds."""
    store = each_store()
    await store.write(lambda tx: tx.emit("a", {"n": 1}))
    assert await store.read(lambda tx: Event.select(Event.name, Event.payload).tuples()[:]) == [
        ("a", {"n": 1})
    ]


async def test_sql_by_hand_is_the_same_on_both(each_store):
    """A question mark stands for a value and a percent sign for itself, with values and without."""
    store = each_store()

    def write(tx):
        for number, name in enumerate(("50%", "50", "51%")):
            tx.emit(name, {"n": number})
        changed = tx.execute("UPDATE outbox SET due_at = 7 WHERE name = ?", ("51%",))
        return changed.rowcount

    def read(tx):
        with_values = "SELECT name FROM outbox WHERE name LIKE '50%' AND name <> ? ORDER BY id"
        without = "SELECT name, due_at = 7 FROM outbox WHERE name LIKE '5_%' ORDER BY id"
        return tx.execute(with_values, ("50",)).fetchall(), tx.execute(without).fetchall()

    assert await store.write(write) == 1
    some, rest = await store.read(read)
    assert [tuple(row) for row in some] == [("50%",)]
    assert [tuple(row) for row in rest] == [("50%", False), ("50", False), ("51%", True)]


@pytest.mark.parametrize("number", [0, 1, 500, 501, 2_101])
def test_many_values_are_looked_for_in_parts(number):
    """Each value is in one part, and no part is more than the oldest SQLite takes."""
    parts = list(in_parts(range(number)))
    assert [value for part in parts for value in part] == list(range(number))
    assert all(0 < len(part) < 999 for part in parts)


async def test_the_models_are_what_the_migrations_made(each_store):
    """The store's own models and tables have the same columns."""
    await assert_tables_match(each_store(), OutboxEvent, OutboxDelivery)


async def test_an_exception_rolls_everything_back(each_store):
    """A function that raises leaves nothing behind, and its exception arrives unchanged."""
    store = each_store()

    def half(tx):
        tx.emit("lost", {})
        raise LookupError("no")

    with pytest.raises(LookupError):
        await store.write(half)
    assert await store.read(names) == []


async def test_a_rehearsal_does_all_and_keeps_nothing(each_store):
    """What would be is returned, and neither a row nor an event stays; the next write is as ever."""
    store = each_store()
    assert await store.write(lambda tx: (tx.emit("a", {}), names(tx))[1], keep=False) == ["a"]
    with pytest.raises(LookupError):
        await store.write(lambda _tx: {}["no"], keep=False)
    assert await store.read(names) == []
    await store.write(lambda tx: tx.emit("b", {}))
    assert await store.read(names) == ["b"]


async def test_a_read_cannot_write(each_store):
    """A function given to read that writes is refused by the database, and nothing is kept."""
    store = each_store()
    with pytest.raises(StoreError) as refused:
        await store.read(lambda tx: tx.emit("no", {}))
    assert refused.value.details["reason"] == "read-only"
    assert await store.read(names) == []


async def test_a_read_is_one_snapshot(each_store):
    """Two queries of one read agree although something is committed between them."""
    store = each_store()
    await store.write(lambda tx: tx.emit("first", {}))
    began, go_on = threading.Event(), threading.Event()

    def twice(tx):
        before = names(tx)
        began.set()
        assert go_on.wait(10)
        return before, names(tx)

    reading = asyncio.create_task(store.read(twice))
    await asyncio.to_thread(began.wait, 10)
    await store.write(lambda tx: tx.emit("second", {}))
    go_on.set()
    before, after = await reading
    assert before == after == ["first"]
    assert await store.read(names) == ["first", "second"]


async def test_nesting_is_refused(each_store):
    """A read or write started inside another one is an error, not a deadlock, however it gets there."""
    store = each_store()
    loop = asyncio.get_running_loop()
    for inner in (store.write, store.read):

        def outer(tx, inner=inner):
            tx.emit("outer", {})
            return asyncio.run_coroutine_threadsafe(inner(names), loop).result(10)

        with pytest.raises(StoreError) as refused:
            await store.write(outer)
        assert refused.value.details["reason"] == "nested"
    assert await store.read(names) == []


async def test_an_async_function_is_refused(each_store):
    """A coroutine function given to write is a mistake that is named, and nothing is kept."""

    async def wrong(tx):
        tx.emit("never", {})

    store = each_store()
    with pytest.raises(TypeError, match="plain"):
        await store.write(wrong)
    assert await store.read(names) == []


@pytest.mark.parametrize("how", ["native", "anyio"])
async def test_a_cancelled_caller_does_not_stop_a_write(each_store, how):
    """A write that has begun is finished before the cancellation passes."""
    import anyio

    store = each_store()
    began = threading.Event()

    def slow(tx):
        began.set()
        time.sleep(0.2)
        tx.emit("kept", {})

    await store.open()
    if how == "native":
        task = asyncio.create_task(store.write(slow))
        await asyncio.to_thread(began.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        async with anyio.create_task_group() as group:
            group.start_soon(store.write, slow)
            await asyncio.to_thread(began.wait, 10)
            group.cancel_scope.cancel()
    assert await store.read(names) == ["kept"]


async def test_two_stores_never_mix(sqlite_store):
    """Models used by two stores at once reach each store's own database."""
    stores = [sqlite_store() for _ in range(3)]

    async def fill(number):
        for _ in range(20):
            await stores[number].write(lambda tx: tx.emit(f"s{number}", {}))
            assert set(await stores[number].read(names)) == {f"s{number}"}

    await asyncio.gather(*(fill(number) for number in range(3)))
    for number, store in enumerate(stores):
        assert await store.read(names) == [f"s{number}"] * 20


async def test_a_model_outside_says_what_to_do(sqlite_store):
    """A query outside of read and write is refused with words, also while a store is open."""
    store = sqlite_store()
    await store.open()
    with pytest.raises(AttributeError, match=r"Store\.read or Store\.write"):
        list(Event.select())


async def test_writers_wait_for_each_other(each_store):
    """Read-modify-write from many tasks and two stores of one database loses nothing."""
    store = each_store()
    await store.write(lambda tx: tx.emit("0", {}))
    from msp_store.engine import DatabaseStore

    other = DatabaseStore(store.target, store.ledger._records.values())

    def add_one(tx):
        row = Event.get()
        Event.update(name=str(int(row.name) + 1)).execute()

    try:
        await asyncio.gather(*((store if n % 2 else other).write(add_one) for n in range(60)))
    finally:
        await other.aclose()
    assert await store.read(names) == ["60"]


async def test_a_contradiction_is_a_conflict(each_store):
    """An IntegrityError that leaves the function becomes Conflict; inside atomic() it can be handled."""
    store = each_store()

    def twice(tx):
        OutboxDelivery.insert(event_id=1, subscriber="x").execute()

    with pytest.raises(Conflict):
        await store.write(twice)  # there is no event 1

    def handled(tx):
        tx.emit("one", {})
        try:
            with tx.db.atomic():
                OutboxDelivery.insert(event_id=99, subscriber="x").execute()
        except IntegrityError:
            tx.emit("two", {})

    if store.dialect == "postgresql":
        await store.write(handled)
        assert await store.read(names) == ["one", "two"]


async def test_context_variables_reach_the_function(each_store):
    """The correlation id of the call is seen by what the function logs."""
    variable = contextvars.ContextVar("variable", default="")
    variable.set("abc")
    assert await each_store().read(lambda tx: variable.get()) == "abc"


async def test_readers_run_side_by_side(each_store):
    """Four slow reads take about as long as one."""
    store = each_store()
    await store.open()
    barrier = threading.Barrier(4, timeout=10)
    await asyncio.gather(*(store.read(lambda tx: barrier.wait()) for _ in range(4)))


async def test_closing_finishes_what_was_begun(sqlite_store):
    """aclose waits for the write that runs, and the store refuses work afterwards."""
    store = sqlite_store()
    await store.open()
    begun = threading.Event()
    task = asyncio.create_task(
        store.write(lambda tx: (begun.set(), time.sleep(0.1), tx.emit("last", {})))
    )
    await asyncio.to_thread(begun.wait, 10)
    await store.aclose()
    await task
    with pytest.raises(RuntimeError, match="closed"):
        await store.read(names)


async def test_a_glance_reads_what_was_committed_and_nothing_else(each_store):
    """It answers as a read does, cannot write, and leaves no table usable behind it."""
    store = each_store()
    await store.write(lambda tx: tx.emit("a", {}), sync=False)
    assert await store.glance(names) == ["a"]
    with pytest.raises(StoreError):
        await store.glance(lambda tx: tx.emit("b", {}))
    with pytest.raises(AttributeError, match="only be used inside"):
        names(None)
    await store.write(lambda tx: tx.emit("c", {}))
    assert await store.glance(names) == ["a", "c"]


async def test_a_glance_does_not_wait_for_a_writer(sqlite_store):
    """While another transaction is open, it sees what was there before, at once."""
    store = sqlite_store()
    await store.write(lambda tx: tx.emit("a", {}))
    inside, leave = threading.Event(), threading.Event()

    def slow(tx):
        tx.emit("b", {})
        inside.set()
        assert leave.wait(30)

    writing = asyncio.create_task(store.write(slow))
    assert await asyncio.to_thread(inside.wait, 30)
    assert await store.glance(names) == ["a"]
    leave.set()
    await writing
    assert await store.glance(names) == ["a", "b"]


async def test_what_need_not_be_synced_is_within_a_second(sqlite_store, monkeypatch):
    """Of commits that do not wait for the disk one a second does; every other commit does."""
    store = sqlite_store()
    clock = [100.0]
    monkeypatch.setattr("msp_store.databases.monotonic", lambda: clock[0])

    def level(tx):
        return tx.db.execute_sql("PRAGMA synchronous").fetchone()[0]

    full, normal = 2, 1
    assert await store.write(level) == full
    assert await store.write(level, sync=False) == normal
    assert await store.write(level) == full
    assert await store.write(level, sync=False) == normal
    clock[0] += 1.1
    assert [await store.write(level, sync=False) for _ in range(3)] == [full, normal, normal]

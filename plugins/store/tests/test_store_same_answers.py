"""SQLite and PostgreSQL answer alike: the same random history, the same results after every step."""

import asyncio
from datetime import UTC
from enum import StrEnum

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from msp_core.v1 import Conflict
from msp_store.api import (
    EXCLUDED,
    BooleanField,
    CompositeKey,
    EnumField,
    FloatField,
    IntegerField,
    JsonField,
    Model,
    TextField,
    UtcDateTimeField,
    fn,
)
from msp_store.columns import boolean, integer, json, real, text, timestamp
from msp_store.migrating import TableMigrator


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Row(Model):
    client = TextField()
    key = TextField()
    number = IntegerField()
    share = FloatField(null=True)
    on_duty = BooleanField(null=True)
    colour = EnumField(Colour)
    data = JsonField(null=True)
    seen = UtcDateTimeField(null=True)

    class Meta:
        table_name = "differential"
        primary_key = CompositeKey("client", "key")


FIELDS = [Row.client, Row.key, Row.number, Row.share, Row.on_duty, Row.colour, Row.data, Row.seen]

clients = st.sampled_from(["acme", "Acme", "zeta", "éclair", "عميل"])
# any text at all, lone surrogates and NUL included
words = st.text(st.characters(), max_size=12)
keys = st.one_of(st.sampled_from(["a", "B", "b", "_", "ä", "💾", "0"]), words)
json_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc\0", max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
rows = st.tuples(
    clients,
    keys,
    st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.booleans(),
    st.sampled_from(Colour),
    json_data,
    st.none() | st.datetimes(timezones=st.just(UTC)),
)
batches = st.lists(rows, max_size=8)
steps = st.one_of(
    st.tuples(st.just("insert"), batches),
    st.tuples(st.just("insert one"), rows),
    st.tuples(st.just("upsert"), batches),
    st.tuples(st.just("upsert one"), rows),
    st.tuples(st.just("update"), clients, st.integers(-100, 100)),
    st.tuples(st.just("delete"), clients),
    st.tuples(st.just("fail"), batches),
)


def apply(tx, step):
    """Do one step; what it returns is part of the answer."""
    kind, *arguments = step
    match kind:
        case "insert":
            return tx.insert_many(Row, arguments[0], FIELDS)
        case "insert one":
            Row.insert(dict(zip(FIELDS, arguments[0], strict=True))).execute()
        case "upsert":
            return tx.upsert_many(Row, arguments[0], FIELDS, conflict=FIELDS[:2], update=FIELDS[2:])
        case "upsert one":
            insert = Row.insert(dict(zip(FIELDS, arguments[0], strict=True)))
            insert.on_conflict(
                conflict_target=[Row.client, Row.key], update={Row.number: EXCLUDED.number}
            ).execute()
        case "update":
            return (
                Row.update(number=arguments[1], on_duty=True)
                .where(Row.client == arguments[0])
                .execute()
            )
        case "delete":
            return Row.delete().where(Row.client == arguments[0]).execute()
        case "fail":
            tx.upsert_many(Row, arguments[0], FIELDS, conflict=FIELDS[:2], update=FIELDS[2:])
            raise KeyError("rolled back")
    return None


def questions(tx):
    """Ask what features ask: order, filters, groups, sums, pages."""
    order = (Row.client, Row.key)
    small = (Row.number > -1000) & (Row.number < 1000)
    return [
        list(Row.select().order_by(*order).tuples()),
        list(Row.select(Row.key).order_by(Row.key.desc(), Row.client).limit(3).offset(1).tuples()),
        list(
            Row.select(Row.client, fn.COUNT(1)).group_by(Row.client).order_by(Row.client).tuples()
        ),
        Row.select(fn.SUM(Row.number)).where(small).scalar(),
        Row.select(fn.MAX(Row.seen)).scalar(),
        list(Row.select(Row.share).order_by(Row.share.asc(nulls="first"), *order).tuples()),
        Row.select().where(Row.on_duty == True).count(),  # noqa: E712
        Row.select().where(Row.colour == Colour.RED, Row.data.is_null(False)).count(),
        list(Row.select(Row.client).distinct().order_by(Row.client).tuples()),
        Row.select().where(fn.LOWER(Row.client).contains("acm")).count(),
    ]


def run(runner, store, step):
    try:
        result = runner.run(store.write(lambda tx: apply(tx, step)))
    except (Conflict, KeyError) as error:
        result = type(error).__name__
    return result, runner.run(store.read(questions))


@pytest.fixture
def pair(sqlite_store, postgresql_store):
    """A SQLite and a PostgreSQL store with the same table."""

    def make(tx):
        TableMigrator(tx).create_table(
            "differential", text("client"), text("key"), integer("number"), real("share", null=True),
            boolean("on_duty", null=True), text("colour"), json("data", null=True), timestamp("seen", null=True),
            primary_key=("client", "key"),
        )  # fmt: skip

    with asyncio.Runner() as runner:
        stores = [sqlite_store(), postgresql_store()]
        for store in stores:
            runner.run(store.write(make))
        yield runner, stores


@pytest.mark.slow
def test_the_same_history_gives_the_same_answers(pair):
    """Random inserts, upserts, updates, deletes and failures: both databases answer every question alike."""
    runner, stores = pair

    @settings(max_examples=60)
    @given(st.lists(steps, max_size=8))
    @example([("insert", [("acme", "a", 0, -0.0, None, Colour.RED, [-0.0], None)])])
    @example([("insert one", ("acme", "a", 0, -0.0, None, Colour.RED, None, None))])
    def histories(history):
        for store in stores:
            runner.run(store.write(lambda tx: Row.delete().execute()))
        for step in history:
            first, second = (run(runner, store, step) for store in stores)
            assert repr(first) == repr(
                second
            )  # 1, 1.0, True and Decimal(1) are not the same answer

    histories()

"""Reads and writes: whole, isolated, one at a time."""

import asyncio

import pytest
from msp_store.api import IntegerField, Model, TextField

pytestmark = pytest.mark.anyio


class Event(Model):
    id = IntegerField(primary_key=True)
    name = TextField()

    class Meta:
        table_name = "outbox"


async def test_a_write_is_read_back(each_store):
    """What a write committed is what a read finds."""
    store = each_store()
    await store.write(lambda tx: tx.emit("a", {"n": 1}))
    assert await store.read(lambda tx: Event.select(Event.name).tuples()[:]) == [("a",)]

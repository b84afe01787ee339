"""The audit trail: what is in it, and that it cannot be changed unseen."""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msp_access import chain
from msp_access.api import Access, Proof
from msp_access.tables import AuditHead, AuditTable
from msp_core.v1 import Actor, Context, InvalidParameters, MspError, Scope, Surface, Toolkit, plain
from msp_store.api import Store

pytestmark = pytest.mark.anyio


def model(toolkit: Toolkit, **more: Any) -> Context:
    """Return the context of a model's call."""
    return toolkit.context(actor=Actor(id="key:m", kind="key"), surface=Surface.MCP, **more)


def person(toolkit: Toolkit, **more: Any) -> Context:
    """Return the context of a person's command."""
    return toolkit.context(surface=Surface.CLI, **more)


async def trail(toolkit: Toolkit) -> list[tuple[str, str, str, str]]:
    """Return event, action, outcome and error of every row, oldest first."""
    access = await toolkit.get(Access)
    rows = (await access.audit(person(toolkit), after=0)).items
    return [(row.event, row.action, row.outcome, row.error_code) for row in rows]


async def test_what_leaves_a_row(each_toolkit: Toolkit) -> None:
    """Recording, changing, refused calls and everything a model does; not what a person only reads."""
    call = each_toolkit.call
    await call("thing.look", {}, ctx=person(each_toolkit))
    await call("thing.look", {}, ctx=model(each_toolkit))
    await call("thing.note", {"text": "x"}, ctx=person(each_toolkit))
    await call("thing.alter", {}, ctx=person(each_toolkit))
    await call("thing.alter", {}, ctx=person(each_toolkit, dry_run=True))
    for ctx in (model(each_toolkit), person(each_toolkit, scope=Scope(tools=frozenset()))):
        with pytest.raises(MspError):
            await call("thing.alter", {}, ctx=ctx)
    with pytest.raises(MspError):
        await call("thing.look", {"nonsense": 1}, ctx=person(each_toolkit))
    with pytest.raises(MspError):
        await call("thing.look", {"nonsense": 1}, ctx=model(each_toolkit))
    assert await trail(each_toolkit) == [
        ("call", "thing.look", "ok", ""),
        ("call", "thing.note", "ok", ""),
        ("change", "alteration", "begun", ""),
        ("call", "thing.alter", "ok", ""),
        ("call", "thing.alter", "planned", ""),
        ("call", "thing.alter", "refused", "APPROVAL_REQUIRED"),
        ("call", "thing.alter", "refused", "PERMISSION_DENIED"),
        ("call", "thing.look", "refused", "INVALID_PARAMETERS"),
    ]
    proof = await call("audit.verify", {}, ctx=person(each_toolkit))
    assert (proof.rows, proof.problems, proof.exit_code) == (8, (), 0)
    row = (
        await (await each_toolkit.get(Access)).audit(person(each_toolkit), action="thing.note")
    ).items[0]
    assert json.loads(row.arguments) == {"text": "x"}
    assert row.actor.startswith("local:")
    assert row.surface == "cli"


async def test_filters_and_export(each_toolkit: Toolkit, tmp_path: Path) -> None:
    """Rows are found by actor, tool and outcome; an export holds all of them and overwrites nothing."""
    for number in range(5):
        await each_toolkit.call("thing.note", {"text": f"=n{number}"}, ctx=person(each_toolkit))
    await each_toolkit.call("thing.look", {}, ctx=model(each_toolkit))
    found = await each_toolkit.call(
        "audit.list", {"tool": "thing.note", "limit": 2}, ctx=person(each_toolkit)
    )
    assert (len(found.items), found.total, found.items[0].seq) == (2, 5, 5)
    assert (
        await each_toolkit.call("audit.list", {"actor": "key:m"}, ctx=person(each_toolkit))
    ).total == 1
    assert (
        await each_toolkit.call("audit.list", {"since": "1h"}, ctx=person(each_toolkit))
    ).total == 6
    for format in ("jsonl", "csv"):
        file = tmp_path / f"audit.{format}"
        done = await each_toolkit.call(
            "audit.export", {"output": str(file), "format": format}, ctx=person(each_toolkit)
        )
        assert done.rows == 6
        with pytest.raises(InvalidParameters):
            await each_toolkit.call("audit.export", {"output": str(file)}, ctx=person(each_toolkit))
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    previous = ""
    for line in lines:  # the export proves itself, without the toolkit
        assert line["previous"] == previous
        assert chain.digest({**line}) == line["hash"]
        previous = line["hash"]
    assert done.head == previous


async def _prove(store: Store) -> Proof:
    return await store.read(lambda _tx: chain.prove())


async def _fill(store: Store, count: int) -> None:
    values = {
        "event": "call", "actor": "local:a", "surface": "cli", "action": "thing.note", "target": "",
        "effect": "record", "outcome": "ok", "error_code": "", "message": "", "arguments": "{}",
        "duration_ms": 1.5, "correlation_id": "c", "client_id": None,
    }  # fmt: skip

    def write(tx: Any) -> None:
        AuditTable.delete().execute()
        AuditHead.delete().execute()
        for number in range(count):
            chain.append(tx, {**values, "message": f"m{number}"})

    await store.write(write)


_COLUMNS = [
    "actor",
    "action",
    "outcome",
    "message",
    "arguments",
    "client_id",
    "duration_ms",
    "at",
    "hash",
]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_every_tampering_is_found_and_named(toolkit: Toolkit, data: st.DataObject) -> None:
    """Any edited or removed row is found, wherever it is, and named by its number."""
    store = await toolkit.get(Store)
    count = data.draw(st.integers(1, 8))
    await _fill(store, count)
    assert (await _prove(store)).problems == ()
    victim = data.draw(st.integers(1, count))
    how = data.draw(st.sampled_from([*_COLUMNS, "remove", "rehash", "cut"]))

    def tamper(_tx: Any) -> None:
        row = AuditTable.get(AuditTable.seq == victim)
        if how == "remove":
            row.delete_instance()
        elif how == "cut":
            AuditTable.delete().where(AuditTable.seq >= victim).execute()
        elif how == "rehash":  # somebody who knows the rule for one row
            row.message = "harmless"
            values = {name: getattr(row, name) for name in chain.COLUMNS}
            AuditTable.update(message="harmless", hash=chain.digest(values)).where(
                AuditTable.seq == victim
            ).execute()
        else:
            new = {"duration_ms": 9.0, "at": _tx.now, "client_id": "x"}.get(how, "tampered")
            AuditTable.update({getattr(AuditTable, how): new}).where(
                AuditTable.seq == victim
            ).execute()

    await store.write(tamper)
    problems = " ".join((await _prove(store)).problems)
    if how == "rehash":
        named = f"row {victim + 1}" if victim < count else "last row"
    elif how in ("cut", "remove") and (how == "cut" or victim == count):
        named = f"last rows ({victim} to {count})"
    else:
        named = f"row {victim}"
    assert named in problems, (how, victim, count, problems)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "never"), ("at", 10**18), ("at", b"x"), ("duration_ms", "long"), ("duration_ms", 1e999),
        ("actor", b"\xff"), ("message", 7), ("hash", b""), ("previous", b"\x00"),
    ],
)  # fmt: skip
async def test_a_row_of_wrong_types_is_named(
    toolkit: Toolkit, column: str, value: Any, tmp_path: Path
) -> None:
    """What no column of ours would hold is found as an edit, and keeps neither proof nor list from the other rows."""
    store = await toolkit.get(Store)
    await _fill(store, 4)
    update = f"UPDATE audit SET {column} = ? WHERE seq = 2"
    await store.write(lambda tx: tx.db.execute_sql(update, (value,)))
    await store.write(lambda _tx: AuditTable.update(actor="x").where(AuditTable.seq == 4).execute())
    proof = await _prove(store)
    named = [problem for problem in proof.problems if problem.endswith("was edited")]
    assert proof.rows == 4
    assert named[0].startswith("row 2 (")
    assert named[-1].startswith("row 4 (")
    listed = await toolkit.call("audit.list", {}, ctx=person(toolkit))
    assert [row.seq for row in listed.items] == [4, 3, 2, 1]
    json.dumps(plain(listed), allow_nan=False)
    for format in ("jsonl", "csv"):
        file = tmp_path / f"trail.{format}"
        made = await toolkit.call(
            "audit.export", {"output": str(file), "format": format}, ctx=person(toolkit)
        )
        assert made.rows == 4
        assert len(file.read_text().splitlines()) == 4 + (format == "csv")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
async def test_an_export_is_whole_or_not_there(
    toolkit: Toolkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk in the middle is told, and leaves nothing that could be taken for a trail."""
    await _fill(await toolkit.get(Store), 4)
    file = tmp_path / "trail.jsonl"

    opened = Path.open

    def full(path: Path, *words: Any, **more: Any) -> Any:
        if path != file:
            return opened(path, *words, **more)
        path.touch()
        return opened(Path("/dev/full"), "w")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(InvalidParameters, match="No space left"):
            await toolkit.call("audit.export", {"output": str(file)}, ctx=person(toolkit))
    assert not file.exists()
    assert (
        await toolkit.call("audit.export", {"output": str(file)}, ctx=person(toolkit))
    ).rows == 4


@pytest.mark.parametrize("number", [0, -5, -(2**31)])
async def test_a_row_before_the_first_is_found(each_toolkit: Toolkit, number: int) -> None:
    """No list shows it, and the proof names it all the same."""
    store = await each_toolkit.get(Store)
    await _fill(store, 3)
    await store.write(
        lambda _tx: AuditTable.update(seq=number).where(AuditTable.seq == 2).execute()
    )
    proof = await _prove(store)
    assert proof.problems[0].startswith(f"row {number} (")
    assert proof.problems[0].endswith("was inserted")
    assert proof.problems[1].startswith("row 2 removed (")


@pytest.mark.parametrize(
    "text", ["a\x00b", "\ud800", "é\u2028", "x" * 50_000, "'; DROP TABLE audit; --"]
)
async def test_odd_text_keeps_the_chain_whole(each_toolkit: Toolkit, text: str) -> None:
    """Text that a database would store differently still proves."""
    await each_toolkit.call("thing.note", {"text": text}, ctx=person(each_toolkit))
    await each_toolkit.call("thing.note", {"text": "after"}, ctx=person(each_toolkit))
    proof = await each_toolkit.call("audit.verify", {}, ctx=person(each_toolkit))
    assert (proof.rows, proof.problems) == (2, ())


_WRITER = """
import asyncio, sys
from msp_core.v1 import Actor, Surface, Toolkit
async def main():
    async with Toolkit.open(sys.argv[1]) as toolkit:
        for _ in range(30):
            ctx = toolkit.context(surface=Surface.MCP, actor=Actor(id="key:" + sys.argv[2], kind="key"))
            await toolkit.call("client.list", {}, ctx=ctx)
asyncio.run(main())
"""


async def test_two_processes_keep_one_chain(toolkit: Toolkit) -> None:
    """Rows of two processes at once are all there, in one unbroken chain."""
    runs = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WRITER, str(toolkit.config.path), name
        )
        for name in ("a", "b")
    ]
    assert [await run.wait() for run in runs] == [0, 0]
    proof = await (await toolkit.get(Access)).verify(person(toolkit))
    assert (proof.rows, proof.problems) == (60, ())


async def test_doctor_finds_what_is_wrong(toolkit: Toolkit) -> None:
    """The doctor's checks name a tampered row."""
    from msp_access.doctor import check_audit, check_changes

    await toolkit.call("thing.note", {}, ctx=person(toolkit))
    assert [one.status for one in await check_audit(person(toolkit))] == ["ok"]
    assert [one.status for one in await check_changes(person(toolkit))] == ["ok"]
    store = await toolkit.get(Store)
    await store.write(lambda _tx: AuditTable.update(actor="nobody").execute())
    findings = list(await check_audit(person(toolkit)))
    assert [one.status for one in findings] == ["critical"]
    assert "row 1" in findings[0].message


async def test_only_who_sees_everything_sees_the_trail(open_toolkit: Callable) -> None:
    """Every method of the records refuses an actor that is limited to certain clients."""
    toolkit = await open_toolkit()
    access, ctx = (
        await toolkit.get(Access),
        person(toolkit, scope=Scope(clients=frozenset({"acme"}))),
    )
    for call in (
        access.audit(ctx),
        access.verify(ctx),
        access.plans(ctx),
        access.decide(ctx, "x", approve=True),
        access.changes(ctx),
        access.settle(ctx, "k", happened=True),
    ):
        with pytest.raises(MspError) as caught:
            await call
        assert caught.value.code == "PERMISSION_DENIED"


async def test_a_locked_database_loses_no_row(
    open_toolkit: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is called meanwhile gives nothing out, waits together, and is noted when it can be, up to a bound."""
    monkeypatch.setattr("msp_access.trail.MOST_KEPT", 30)
    toolkit = await open_toolkit(busy_timeout_s=0.5)

    async def look(**arguments: str) -> str:
        try:
            return str(await toolkit.call("thing.look", arguments, ctx=model(toolkit)))
        except MspError as error:
            return error.code

    assert await look() == "seen"
    with closing(sqlite3.connect(toolkit.root / "data/msp-toolkit.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        assert await gathered(look, 20) == ["STORE_UNAVAILABLE"] * 20
        assert await look(text="x") == "INVALID_PARAMETERS"
        assert await gathered(look, 40) == ["STORE_UNAVAILABLE"] * 40
        assert time.monotonic() - started < 4
        db.execute("ROLLBACK")
    assert await gathered(look, 5) == ["seen"] * 5
    rows = await trail(toolkit)
    assert [row[2] for row in rows] == ["ok"] * 21 + ["refused"] + ["ok"] * 9 + ["ok"] * 5
    listed = (await (await toolkit.get(Access)).audit(person(toolkit), after=0)).items
    assert listed[1].at < listed[-1].at - timedelta(seconds=1)
    assert (await toolkit.call("audit.verify", {}, ctx=person(toolkit))).problems == ()


async def gathered(look: Callable[[], Any], times: int) -> list[str]:
    """Do the same many times at once."""
    return list(await asyncio.gather(*(look() for _ in range(times))))

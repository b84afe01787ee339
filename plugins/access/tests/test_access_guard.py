"""The guard as the kernel asks it: approvals, limits, the journal, failing closed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from msp_access.api import Access, JournalState, PlanState
from msp_access.retention import prune
from msp_access.tables import AuditHead, AuditTable, ChangeTable, KeyTable, PlanTable
from msp_clients.api import Clients
from msp_core.v1 import (
    Actor,
    ApprovalRequired,
    ClientNotFound,
    Conflict,
    Context,
    Format,
    MspError,
    NotFound,
    PermissionDenied,
    Scope,
    Surface,
    Toolkit,
    render,
)
from msp_store.api import Store
from msp_store.testing import assert_tables_match

pytestmark = [pytest.mark.anyio]


def model(toolkit: Toolkit, **more: Any) -> Context:
    """Return the context of a model's call."""
    return toolkit.context(actor=Actor(id="key:m", kind="key"), surface=Surface.MCP, **more)


def person(toolkit: Toolkit, **more: Any) -> Context:
    """Return the context of a person's command."""
    return toolkit.context(surface=Surface.CLI, **more)


async def refused(
    toolkit: Toolkit, ctx: Context, tool: str = "thing.alter", **arguments: Any
) -> str:
    """Make a call that needs approval and return the plan's id."""
    with pytest.raises(ApprovalRequired) as caught:
        await toolkit.call(tool, arguments, ctx=ctx)
    plan = str(caught.value.details["plan"])
    assert plan in caught.value.suggestion
    return plan


async def test_tables_are_as_migrated(each_toolkit: Toolkit) -> None:
    """Models and migrations agree."""
    store = await each_toolkit.get(Store)
    await assert_tables_match(store, AuditTable, AuditHead, ChangeTable, PlanTable, KeyTable)


async def test_a_model_changes_only_what_a_person_approved(
    each_toolkit: Toolkit, done: list[str]
) -> None:
    """Refused with a plan, approved by a person, run once, then refused again."""
    plan = await refused(each_toolkit, model(each_toolkit), targets=["a"])
    assert await refused(each_toolkit, model(each_toolkit), targets=["a"]) == plan  # the same waits
    assert done == []
    waiting = (await each_toolkit.call("approval.list", {}, ctx=person(each_toolkit))).items
    assert [(one.id, one.tool, one.state) for one in waiting] == [
        (plan, "thing.alter", PlanState.PENDING)
    ]
    said = await each_toolkit.call("approval.approve", {"plan": plan}, ctx=person(each_toolkit))
    assert "once" in said.message
    other = await refused(each_toolkit, model(each_toolkit), targets=["b"])  # not what was approved
    assert other != plan
    stranger = each_toolkit.context(actor=Actor(id="key:x", kind="key"), surface=Surface.MCP)
    await refused(each_toolkit, stranger, targets=["a"])
    assert await each_toolkit.call("thing.alter", {"targets": ["a"]}, ctx=model(each_toolkit)) == [
        "altered a"
    ]
    assert await refused(each_toolkit, model(each_toolkit), targets=["a"]) not in (plan, other)
    assert done == ["a"]
    access = await each_toolkit.get(Access)
    states = {one.id: one.state for one in (await access.plans(person(each_toolkit))).items}
    assert states[plan] is PlanState.USED


async def test_until_when_an_approval_holds(toolkit: Toolkit) -> None:
    """It is said as all times are, in the zone of whoever reads it; nothing of the kind is said of a denial."""
    zone = ZoneInfo("Asia/Kathmandu")
    for tool, state in (
        ("approval.approve", PlanState.APPROVED),
        ("approval.deny", PlanState.DENIED),
    ):
        plan = await refused(toolkit, model(toolkit), targets=[state.value])
        said = await toolkit.call(tool, {"plan": plan}, ctx=person(toolkit))
        until = f"until {said.plan.expires_at.astimezone(zone):%Y-%m-%d %H:%M}."
        shown = render(said, Format.TABLE, zone=zone)
        assert said.plan.state is state
        assert (until in shown) is (state is PlanState.APPROVED)


async def test_one_approval_is_used_once_by_many(each_toolkit: Toolkit, done: list[str]) -> None:
    """Of ten calls made at once with one approval, one runs."""
    plan = await refused(each_toolkit, model(each_toolkit), targets=["a"])
    await each_toolkit.call("approval.approve", {"plan": plan}, ctx=person(each_toolkit))
    results = await asyncio.gather(
        *(
            each_toolkit.call("thing.alter", {"targets": ["a"]}, ctx=model(each_toolkit))
            for _ in range(10)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(one, ApprovalRequired) for one in results) == 9
    assert done == ["a"]


async def test_who_may_approve(toolkit: Toolkit) -> None:
    """Neither a model nor a program nor a limited person approves; a plan is decided once."""
    plan = await refused(toolkit, model(toolkit), targets=["a"])
    access = await toolkit.get(Access)
    for ctx in (
        model(toolkit),
        toolkit.context(surface=Surface.PYTHON),
        toolkit.context(surface=Surface.CLI, actor=Actor(id="key:m", kind="key")),
        person(toolkit, dry_run=True),
        person(toolkit, scope=Scope(clients=frozenset({"acme"}))),
    ):
        with pytest.raises(PermissionDenied):
            await access.decide(ctx, plan, approve=True)
    with pytest.raises(NotFound):
        await access.decide(person(toolkit), "nope", approve=True)
    await access.decide(person(toolkit), plan, approve=False, note="not today")
    with pytest.raises(Conflict):
        await access.decide(person(toolkit), plan, approve=True)
    await refused(toolkit, model(toolkit), targets=["a"])


async def test_plans_and_approvals_expire(open_toolkit: Callable, done: list[str]) -> None:
    """A plan cannot be approved after its time, an approval not used after its own."""
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    toolkit = await open_toolkit({"plan_expires_after": "10m"}, clock=lambda: now[0])
    plan = await refused(toolkit, model(toolkit), targets=["a"])
    now[0] += timedelta(minutes=11)
    with pytest.raises(Conflict) as caught:
        await toolkit.call("approval.approve", {"plan": plan}, ctx=person(toolkit))
    assert "expired" in caught.value.message
    second = await refused(toolkit, model(toolkit), targets=["a"])
    assert second != plan
    await toolkit.call("approval.approve", {"plan": second}, ctx=person(toolkit))
    now[0] += timedelta(minutes=11)
    await refused(toolkit, model(toolkit), targets=["a"])
    assert done == []


async def test_dry_runs_need_no_approval(toolkit: Toolkit, done: list[str]) -> None:
    """A model may always ask what a change would do."""
    assert await toolkit.call("thing.alter", {}, ctx=model(toolkit, dry_run=True)) == [
        "(known after apply)"
    ]
    assert done == []


async def test_caps_stop_one_call_and_its_repeat_goes_on(
    open_toolkit: Callable, done: list[str]
) -> None:
    """Beyond the cap a person has to approve; what was done before is not done again."""
    toolkit = await open_toolkit(
        {"max_clients_per_change": 2, "surfaces": {"mcp": {"approval": "never"}}}
    )
    targets = ["acme/a", "acme/b", "globex/a", "umbrella/a"]
    arguments = {"targets": targets}
    plan = await refused(toolkit, model(toolkit), **arguments)
    assert done == ["acme/a", "acme/b", "globex/a"]
    await toolkit.call("approval.approve", {"plan": plan}, ctx=person(toolkit))
    await toolkit.call("thing.alter", arguments, ctx=model(toolkit))
    assert done[-1] == "umbrella/a"
    devices = await open_toolkit({"max_devices_per_change": 1})
    await refused(devices, person(devices), targets=["acme/a", "acme/b"])


async def test_a_destroying_change_inside_needs_its_own_approval(
    open_toolkit: Callable, done: list[str]
) -> None:
    """Where only destroying needs approval, a change passes and a wreck does not."""
    toolkit = await open_toolkit({"surfaces": {"mcp": {"approval": "destroy"}}})
    await toolkit.call("thing.alter", {}, ctx=model(toolkit))
    await refused(toolkit, model(toolkit), "thing.wreck")
    assert done == ["one"]


async def test_the_key_makes_it_the_same_change(each_toolkit: Toolkit, done: list[str]) -> None:
    """A done key is answered from the journal; a failed one is tried again."""
    first = await each_toolkit.call("thing.alter", {"key": "k1"}, ctx=person(each_toolkit))
    again = await each_toolkit.call("thing.alter", {"key": "k1"}, ctx=person(each_toolkit))
    assert first == again == ["altered one"]
    assert done == ["one"]
    for _ in range(2):
        with pytest.raises(MspError):
            await each_toolkit.call(
                "thing.alter", {"key": "k2", "targets": ["broken"]}, ctx=person(each_toolkit)
            )
    assert done == ["one", "broken", "broken"]
    found = await each_toolkit.call("change.list", {}, ctx=person(each_toolkit))
    assert {one.key: (one.state, one.attempts) for one in found.items} == {
        "k1": (JournalState.DONE, 1),
        "k2": (JournalState.FAILED, 2),
    }


_CRASH = """
import asyncio, os, signal, sys
from msp_core.v1 import Toolkit, Surface
async def main():
    async with Toolkit.open(sys.argv[1]) as toolkit:
        ctx = toolkit.context(surface=Surface.CLI)
        guard = await toolkit.guard()
        from msp_core.v1 import Call, Change, Effect
        call = Call(tool="thing.alter", effect=Effect.CHANGE, surface=Surface.CLI, actor=ctx.actor, scope=ctx.scope,
                    correlation_id="crash", started_at=ctx.now(), dry_run=False)
        change = Change(kind="alteration", target="one", key="k", effect=Effect.CHANGE, actor=ctx.actor,
                        correlation_id="crash")
        print((await guard.begin_change(call, change)).state, flush=True)
        if sys.argv[2] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def _start(toolkit: Toolkit, how: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CRASH, str(toolkit.config.path), how, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"new\n"
    return process


@pytest.mark.kill
async def test_a_process_that_died_leaves_its_change_in_flight(
    toolkit: Toolkit, done: list[str]
) -> None:
    """It is not applied again by guess; a person settles it, and an idempotent one is repeated."""
    assert await (await _start(toolkit, "die")).wait() == -signal.SIGKILL
    found = await toolkit.call("change.list", {"state": "in-flight"}, ctx=person(toolkit))
    assert [one.key for one in found.items] == ["k"]
    for _ in range(2):
        with pytest.raises(Conflict) as caught:
            await toolkit.call("thing.alter", {"key": "k"}, ctx=person(toolkit))
        assert "change list" in caught.value.suggestion
    assert done == []
    await toolkit.call("change.settle", {"key": "k", "happened": False}, ctx=person(toolkit))
    await toolkit.call("thing.alter", {"key": "k"}, ctx=person(toolkit))
    assert done == ["one"]
    with pytest.raises(Conflict):
        await toolkit.call("change.settle", {"key": "k", "happened": True}, ctx=person(toolkit))


@pytest.mark.kill
async def test_a_change_another_process_is_at_is_left_to_it(
    toolkit: Toolkit, done: list[str]
) -> None:
    """While the other process lives the change is refused, also to be settled; after its death it is in flight."""
    process = await _start(toolkit, "live")
    try:
        arguments = {"key": "k", "idempotent": True}
        with pytest.raises(Conflict) as caught:
            await toolkit.call("thing.alter", arguments, ctx=person(toolkit))
        assert "right now" in caught.value.message
        with pytest.raises(Conflict):
            await toolkit.call("change.settle", {"key": "k", "happened": True}, ctx=person(toolkit))
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        await toolkit.call("thing.alter", arguments, ctx=person(toolkit))
        assert done == ["one"]
    finally:
        if process.returncode is None:
            process.kill()


async def test_limits_narrow_what_a_call_sees(open_toolkit: Callable) -> None:
    """An actor limited to a client sees no other one, whatever it asks for."""
    limits = {"clients": ["acme"], "tools": ["client.*"]}
    toolkit = await open_toolkit({"actors": {"key:m": limits}})
    clients = await toolkit.get(Clients)
    for name in ("acme", "globex"):
        await clients.create(toolkit.context(), name=name)
    found = await toolkit.call("client.list", {}, ctx=model(toolkit))
    assert [one.id for one in found.items] == ["acme"]
    with pytest.raises(ClientNotFound):
        await toolkit.call("client.show", {"client_id": "globex"}, ctx=model(toolkit))
    with pytest.raises(PermissionDenied):
        await toolkit.call("thing.look", {}, ctx=model(toolkit))
    with pytest.raises(PermissionDenied):
        await toolkit.call(
            "audit.list", {}, ctx=person(toolkit, scope=Scope(clients=frozenset({"acme"})))
        )


async def test_read_only_mode(open_toolkit: Callable, done: list[str]) -> None:
    """Checks run without being recorded, changes are refused."""
    toolkit = await open_toolkit({"read_only": True})
    assert await toolkit.call("thing.look", {}, ctx=person(toolkit)) == "seen"
    assert await toolkit.call("thing.note", {}, ctx=person(toolkit)) == "not noted"
    for tool in ("thing.alter", "thing.wreck"):
        with pytest.raises(PermissionDenied):
            await toolkit.call(tool, {}, ctx=person(toolkit))
    assert done == []


async def test_without_a_database_nothing_is_changed(
    open_toolkit: Callable, tmp_path: Path, done: list[str]
) -> None:
    """Reading works; a change whose trail could not be written is refused before it happens."""
    (tmp_path / "broken.db").write_text("this is no database, it is a text of some length " * 50)
    toolkit = await open_toolkit(path=str(tmp_path / "broken.db"))
    assert await toolkit.call("thing.look", {}, ctx=person(toolkit)) == "seen"
    for tool in ("thing.alter", "thing.wreck"):
        with pytest.raises(MspError) as caught:
            await toolkit.call(tool, {}, ctx=person(toolkit))
        assert caught.value.code == "STORE_UNAVAILABLE"
    assert done == []


async def test_reading_by_hand_opens_no_database(toolkit: Toolkit) -> None:
    """What a person reads on the command line neither opens the database nor leaves a trace."""
    await toolkit.call("thing.look", {}, ctx=person(toolkit))
    assert not list(toolkit.root.rglob("*.db"))


async def test_old_records_are_pruned_but_never_the_trail(each_toolkit: Toolkit) -> None:
    """Ended changes and plans go, changes in flight and the audit trail stay."""
    for key in ("a", "b", "c"):
        await each_toolkit.call("thing.alter", {"key": key}, ctx=person(each_toolkit))
    await refused(each_toolkit, model(each_toolkit), targets=["a"])
    store = await each_toolkit.get(Store)
    await store.write(
        lambda _tx: (
            ChangeTable.update(state=JournalState.IN_FLIGHT).where(ChangeTable.key == "c").execute()
        )
    )
    later = each_toolkit.now() + timedelta(days=1)
    assert await store.write(lambda tx: prune(tx, later, 1)) == {"changes": 1, "plans": 1}
    assert await store.write(lambda tx: prune(tx, later, 10)) == {"changes": 1, "plans": 0}
    access = await each_toolkit.get(Access)
    assert [one.key for one in (await access.changes(person(each_toolkit))).items] == ["c"]
    assert (await access.verify(person(each_toolkit))).problems == ()
    assert (await access.audit(person(each_toolkit))).total == 7


def test_the_guard_loads_little() -> None:
    """It is built for every command, so it brings neither the database layer nor the tables."""
    code = (
        "import sys, msp_access.guard;"
        "print([m for m in sys.modules if m.split('.')[0] in ('peewee', 'psycopg', 'msp_store')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

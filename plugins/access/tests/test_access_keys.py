"""Keys, plans that were offered, and rate limits."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msp_access.rates import Rates
from msp_access.settings import RateLimits
from msp_core.v1 import (
    Actor,
    ApprovalRequired,
    Approvals,
    Conflict,
    Context,
    Effect,
    InvalidParameters,
    Keys,
    NotFound,
    PermissionDenied,
    RateLimited,
    Surface,
    Tool,
    Toolkit,
    call_of,
)
from msp_store.api import Store

pytestmark = [pytest.mark.anyio]


def model(toolkit: Toolkit, **more: Any) -> Context:
    """Return the context of a model's call."""
    return toolkit.context(actor=Actor(id="key:m", kind="key"), surface=Surface.MCP, **more)


def person(toolkit: Toolkit, **more: Any) -> Context:
    """Return the context of a person's command."""
    return toolkit.context(surface=Surface.CLI, **more)


async def proposed(toolkit: Toolkit, tool: str, arguments: dict[str, Any], **more: Any) -> Any:
    """Plan a call as a surface does: a dry run, then a proposal."""
    ctx = model(toolkit, dry_run=True, **more)
    await toolkit.call(tool, arguments, ctx=ctx)
    record = toolkit.registry.find(Tool, tool)
    assert record is not None
    call = call_of(record, arguments, model(toolkit, **more))
    return await (await toolkit.get(Approvals)).propose(call, ctx.planned)


async def planned(toolkit: Toolkit, tool: str, arguments: dict[str, Any], plan: str) -> Any:
    """Make a call that carries out a plan."""
    ctx = model(toolkit)
    ctx.plan = plan
    return await toolkit.call(tool, arguments, ctx=ctx)


async def test_an_offered_plan_runs_once_for_the_same_call(
    each_toolkit: Toolkit, done: list[str]
) -> None:
    """What was shown may be carried out one time, with the same arguments by the same caller."""
    plan = await proposed(each_toolkit, "thing.alter", {"targets": ["a"]})
    assert not plan.person
    assert done == []
    with pytest.raises(Conflict):
        await planned(each_toolkit, "thing.alter", {"targets": ["b"]}, plan.id)
    with pytest.raises(Conflict):
        await planned(each_toolkit, "thing.alter", {"targets": ["a"]}, "nope-nope")
    await planned(each_toolkit, "thing.alter", {"targets": ["a"]}, plan.id)
    assert done == ["a"]
    with pytest.raises(Conflict, match="used"):
        await planned(each_toolkit, "thing.alter", {"targets": ["a"]}, plan.id)
    with pytest.raises(ApprovalRequired):
        await each_toolkit.call("thing.alter", {"targets": ["a"]}, ctx=model(each_toolkit))
    assert done == ["a"]


async def test_a_plan_allows_what_follows_from_its_changes(
    each_toolkit: Toolkit, done: list[str]
) -> None:
    """A target made from an earlier change is known after that, if the tool says so: a name that reads so is a name."""
    plan = await proposed(each_toolkit, "thing.chain", {"said": False})
    with pytest.raises(Conflict, match="says nothing of alteration on thing-7/disk"):
        await planned(each_toolkit, "thing.chain", {"said": False}, plan.id)
    assert done == ["created"]
    plan = await proposed(each_toolkit, "thing.chain", {})
    assert await planned(each_toolkit, "thing.chain", {}, plan.id) == "thing-7/disk"
    assert done == ["created", "created", "thing-7/disk"]


async def test_what_destroys_or_is_beyond_the_caps_needs_a_person(
    each_toolkit: Toolkit, done: list[str]
) -> None:
    """Its plan cannot be carried out by the caller alone; once approved it runs."""
    wreck = await proposed(each_toolkit, "thing.wreck", {})
    wide = {"targets": ["acme/a", "globex/a"]}
    many = await proposed(each_toolkit, "thing.alter", wide)
    assert wreck.person
    assert many.person
    assert "1 client" in many.reason
    with pytest.raises(ApprovalRequired):
        await planned(each_toolkit, "thing.alter", wide, many.id)
    assert done == []
    await each_toolkit.call("approval.approve", {"plan": many.id}, ctx=person(each_toolkit))
    await planned(each_toolkit, "thing.alter", wide, many.id)
    assert done == ["acme/a", "globex/a"]


async def test_a_surface_may_note_what_a_person_said(toolkit: Toolkit, done: list[str]) -> None:
    """Yes lets the call run once, no never; both are in the trail, and neither is for another call."""
    approvals = await toolkit.get(Approvals)
    record = toolkit.registry.find(Tool, "thing.wreck")
    assert record is not None
    call = call_of(record, {}, model(toolkit))
    plan = await proposed(toolkit, "thing.wreck", {})
    other = call_of(record, {"target": "x"}, model(toolkit))
    with pytest.raises(Conflict):
        await approvals.decide(other, plan.id, approve=True, by="a person")
    await approvals.decide(call, plan.id, approve=True, by="a person")
    await planned(toolkit, "thing.wreck", {}, plan.id)
    assert len(done) == 1
    second = await proposed(toolkit, "thing.wreck", {})
    await approvals.decide(call, second.id, approve=False, by="a person")
    with pytest.raises(Conflict, match="denied"):
        await planned(toolkit, "thing.wreck", {}, second.id)
    trail = (await toolkit.call("audit.list", {}, ctx=person(toolkit))).items
    said = [row.outcome for row in trail if row.event == "approval"]
    assert said == ["denied", "approved"]
    assert (await toolkit.call("audit.verify", {}, ctx=person(toolkit))).problems == ()


async def test_a_key_is_shown_once_and_stored_as_a_hash(each_toolkit: Toolkit) -> None:
    """Its text stands for exactly the scope it was made with, and is nowhere in the database."""
    made = await each_toolkit.call(
        "key.create",
        {"name": "ci", "clients": ["acme"], "tools": ["thing.*"], "expires": "1d"},
        ctx=person(each_toolkit),
    )
    keys = await each_toolkit.get(Keys)
    found = await keys.principal(made.text)
    assert found is not None
    assert found.actor == Actor(id=f"key:{made.key.id}", kind="key")
    assert found.read_only
    assert found.scope.clients == frozenset({"acme"})
    assert found.scope.tools is not None
    assert "thing.alter" in found.scope.tools
    assert "client.list" not in found.scope.tools
    assert found.scope.max_effect is Effect.RECORD
    for wrong in (
        "",
        "msp",
        made.text[:-1],
        made.text + "x",
        f"msp_{made.key.id}_",
        "msp_x_" + "y",
    ):
        assert await keys.principal(wrong) is None
    secret = made.text.split("_", 2)[2]
    store = await each_toolkit.get(Store)
    rows = await store.read(
        lambda tx: [
            list(tx.db.execute_sql(f"select * from {table}")) for table in ("access_keys", "audit")
        ]
    )
    assert secret not in str(rows)
    assert secret not in str(await each_toolkit.call("key.list", {}, ctx=person(each_toolkit)))


async def test_keys_are_rotated_revoked_and_expire(open_toolkit: Callable) -> None:
    """Each makes the old text useless at once; only a person at the command line may."""
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    toolkit = await open_toolkit({}, clock=lambda: now[0])
    keys = await toolkit.get(Keys)
    assert not await keys.any()
    first = await toolkit.call("key.create", {"name": "k"}, ctx=person(toolkit))
    assert await keys.any()
    second = await toolkit.call("key.rotate", {"key": "k"}, ctx=person(toolkit))
    assert await keys.principal(first.text) is None
    assert await keys.principal(second.text) is not None
    now[0] += timedelta(days=91)
    assert await keys.principal(second.text) is None
    with pytest.raises(NotFound):
        await toolkit.call("key.revoke", {"key": "k"}, ctx=person(toolkit))
    third = await toolkit.call("key.create", {"name": "k", "allow": "change"}, ctx=person(toolkit))
    principal = await keys.principal(third.text)
    assert principal is not None
    assert (principal.read_only, principal.scope.max_effect) == (False, Effect.CHANGE)
    with pytest.raises(Conflict):
        await toolkit.call("key.create", {"name": "k"}, ctx=person(toolkit))
    await toolkit.call("key.revoke", {"key": third.key.id}, ctx=person(toolkit))
    assert await keys.principal(third.text) is None
    states = [
        key.state
        for key in (await toolkit.call("key.list", {"all": True}, ctx=person(toolkit))).items
    ]
    assert sorted(states) == ["expired", "revoked"]
    assert await keys.any()  # nobody becomes the local user because the last key is gone
    for ctx in (model(toolkit), toolkit.context(), person(toolkit, dry_run=True)):
        with pytest.raises(PermissionDenied):
            await toolkit.call("key.create", {"name": "x"}, ctx=ctx)
    for wrong in ({"name": " "}, {"name": "a\nb"}, {"name": "x", "expires": "0s"}):
        with pytest.raises(InvalidParameters):
            await toolkit.call("key.create", wrong, ctx=person(toolkit))


async def test_a_caller_is_limited_and_told_when_to_return(open_toolkit: Callable) -> None:
    """Beyond a minute's calls the next is refused before anything runs; people are not limited."""
    toolkit = await open_toolkit({"rate_limits": {"read": 5}})
    outcomes = await asyncio.gather(
        *(toolkit.call("client.list", {}, ctx=model(toolkit)) for _ in range(20)),
        return_exceptions=True,
    )
    refused = [one for one in outcomes if isinstance(one, RateLimited)]
    assert len(refused) == 15
    assert 0 < refused[0].details["retry_after_s"] <= 13
    for _ in range(10):
        await toolkit.call("client.list", {}, ctx=person(toolkit))


@pytest.mark.parametrize(
    ("name", "arguments"), [("client.list", {"search": 7}), ("client.show", {"client": "x"})]
)
async def test_calls_that_can_only_be_refused_count(
    open_toolkit: Callable, name: str, arguments: dict[str, Any]
) -> None:
    """Arguments that do not fit, and tools that the caller may not use: after a minute's worth they wait too."""
    limits = {"actors": {"key:m": {"tools": ["client.list"]}}, "rate_limits": {"read": 5}}
    toolkit = await open_toolkit(limits)
    outcomes = await asyncio.gather(
        *(toolkit.call(name, arguments, ctx=model(toolkit)) for _ in range(8)),
        return_exceptions=True,
    )
    limited = [isinstance(one, RateLimited) for one in outcomes]
    assert limited == [False] * 5 + [True] * 3
    rows = await toolkit.call("audit.list", {"refused": True}, ctx=person(toolkit))
    assert len(rows.items) == 8


async def test_a_bucket_refills_steadily(toolkit: Toolkit) -> None:
    """A minute's calls at once, then one each time a call's share of the minute has passed."""
    now = [0.0]
    rates = Rates(RateLimits(read=60), clock=lambda: now[0])
    record = toolkit.registry.find(Tool, "client.list")
    assert record is not None
    call = call_of(record, {}, model(toolkit))
    for _ in range(60):
        rates.take(call)
    with pytest.raises(RateLimited) as caught:
        rates.take(call)
    now[0] += caught.value.details["retry_after_s"]
    rates.take(call)
    with pytest.raises(RateLimited):
        rates.take(call)
    now[0] += 3600
    for _ in range(60):
        rates.take(call)
    with pytest.raises(RateLimited):
        rates.take(call)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tools": ["thing_look"]}, "Did you mean thing.look"),
        ({"tools": ["thing.look", "nothing.*"]}, "nothing"),
        ({"tools": [""]}, "''"),
        ({"clients": [" "]}, "client list"),
        ({"expires": "99999999d"}, "expires"),
    ],
)
async def test_a_key_that_could_do_nothing_is_not_made(
    toolkit: Toolkit, arguments: dict[str, Any], says: str
) -> None:
    """A name of a tool that is none is told to whoever makes the key, not to whoever uses it."""
    with pytest.raises(InvalidParameters) as caught:
        await toolkit.call("key.create", {"name": "ci", **arguments}, ctx=person(toolkit))
    assert says in caught.value.message + caught.value.suggestion
    assert not (await toolkit.call("key.list", {}, ctx=person(toolkit))).items


async def test_documents_are_tools_too(open_toolkit: Callable) -> None:
    """A pattern lets a key read documents and choose prompts, and nothing else does where tools are named."""
    toolkit = await open_toolkit()
    keys = await toolkit.get(Keys)
    for patterns, may in ((["resource.*"], True), (["client.*"], False)):
        made = await toolkit.call(
            "key.create", {"name": patterns[0], "tools": patterns}, ctx=person(toolkit)
        )
        scope = (await keys.principal(made.text)).scope
        assert ("resource.client" in scope.tools) is may
        assert ("client.list" in scope.tools) is not may


async def test_a_plan_that_waits_is_the_one_to_approve(toolkit: Toolkit, done: list[str]) -> None:
    """Who makes the call with it too early is told of that plan, and no other is made."""
    plan = await proposed(toolkit, "thing.wreck", {})
    with pytest.raises(ApprovalRequired) as caught:
        await planned(toolkit, "thing.wreck", {}, plan.id.upper())
    assert caught.value.details["plan"] == plan.id
    waiting = await toolkit.call("approval.list", {}, ctx=person(toolkit))
    assert [one.id for one in waiting.items] == [plan.id]
    assert done == []


async def test_what_a_plan_and_a_change_say_is_masked(toolkit: Toolkit, done: list[str]) -> None:
    """A secret in the name of what is changed is in no row that people read, and the change is made as planned."""
    arguments = {"targets": ["acme/password=hunter22x"]}
    plan = await proposed(toolkit, "thing.alter", arguments)
    await planned(toolkit, "thing.alter", arguments, plan.id)
    assert done == arguments["targets"]
    call = call_of(toolkit.tool("thing.wreck"), {}, model(toolkit))
    waiting = await proposed(toolkit, "thing.wreck", {})
    approvals = await toolkit.get(Approvals)
    await approvals.decide(call, waiting.id, approve=True, by="somebody")
    for shown in ("audit.list", "approval.list"):
        found = await toolkit.call(shown, {}, ctx=person(toolkit))
        assert found.items
        assert "hunter22x" not in str(found)

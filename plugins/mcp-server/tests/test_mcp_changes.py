"""Changes by an agent: planned first, approved where they must be, and never by the agent's own word."""

import json
from collections.abc import Callable
from typing import Any

import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from msp_core.v1 import Surface
from msp_mcp_server.desk import Desk
from msp_mcp_server.server import build

pytestmark = [pytest.mark.anyio]
Agent = Callable[..., Client]


def code_of(result: Any) -> str:
    """Return the error code of a result."""
    assert result.is_error, result
    return str(json.loads(result.content[0].text)["error"]["code"])


def details_of(result: Any) -> dict[str, Any]:
    """Return the details of an error."""
    found: dict[str, Any] = json.loads(result.content[0].text)["error"]["details"]
    return found


class Person:
    """Somebody in front of the agent's window, who says the same to every question."""

    def __init__(self, action: str, **content: Any) -> None:
        self.action = action
        self.content = content
        self.asked: list[str] = []

    async def __call__(self, _ctx: Any, params: Any) -> types.ElicitResult:
        """Answer."""
        self.asked.append(params.message)
        return types.ElicitResult(action=self.action, content=self.content or None)  # type: ignore[arg-type]


async def test_a_change_is_planned_first(desk: Desk, agent: Agent, done: list[str]) -> None:
    """The first call tells what would happen; the second, with the plan's id, does it once."""
    arguments = {"doors": ["acme-corp/a", "acme-corp/b"]}
    async with agent(desk) as client:
        planned = await client.call_tool("door_open", arguments)
        assert not planned.is_error
        plan = planned.structured_content["plan"]
        assert plan["changes"] == ["open acme-corp/a", "open acme-corp/b"]
        assert plan["id"] in planned.content[0].text
        assert done == []
        other = await client.call_tool("door_open", {"doors": ["acme-corp/c"], "plan": plan["id"]})
        assert code_of(other) == "CONFLICT"
        opened = await client.call_tool("door_open", {**arguments, "plan": plan["id"]})
        assert opened.structured_content["doors"] == ["acme-corp/a", "acme-corp/b"]
        again = await client.call_tool("door_open", {**arguments, "plan": plan["id"]})
        assert code_of(again) == "CONFLICT"
        other = (await client.call_tool("door_open", arguments)).structured_content["plan"]["id"]
        typed = await client.call_tool("door_open", {**arguments, "plan": f" {other.upper()} "})
        assert not typed.is_error
        again = await client.call_tool("door_open", {**arguments, "plan": other})
        assert code_of(again) == "CONFLICT"
    assert done == ["open acme-corp/a", "open acme-corp/b"] * 2


async def test_a_plan_is_of_what_is_masked_too(desk: Desk, agent: Agent, done: list[str]) -> None:
    """A plan of one call is not taken for another that looks the same where secrets are hidden."""
    async with agent(desk) as client:
        planned = await client.call_tool("door_open", {"doors": ["acme-corp/token: first1"]})
        plan = planned.structured_content["plan"]["id"]
        other = {"doors": ["acme-corp/token: second"], "plan": plan}
        assert code_of(await client.call_tool("door_open", other)) == "CONFLICT"
    assert done == []


HIDING = (
    "ok <!-- && rm -rf / -->",
    "ok <b; rm -rf />",
    "[ok](rm-rf)",
    "ok\n# rm -rf /",
    "```rm -rf```",
    "ok \U000e0072\u202emr",
    "ok \x1b]rm -rf\x07",
    "x" * 3000 + " rm -rf /",
)


@pytest.mark.parametrize("text", HIDING)
async def test_nothing_hides_in_what_a_person_approves(desk: Desk, agent: Agent, text: str) -> None:
    """Markup and invisible characters are spelled out in a plan and a question, and no part is left out unsaid."""
    person = Person("decline")
    async with agent(desk, elicitation_callback=person) as client:
        await client.call_tool("door_demolish", {"door_id": f"acme-corp/{text}"})
        planned = await client.call_tool("door_open", {"doors": [f"acme-corp/{text}"]})
    told = planned.structured_content["plan"]["changes"][0]
    for shown in (person.asked[0], told, planned.content[0].text):
        if len(text) < 3000:
            plain = shown.encode().decode("unicode_escape", "replace")
            assert text in plain or text.encode("unicode_escape").decode() in shown
        else:
            assert "characters more" in shown or text in shown
        assert "\u202e" not in shown
        assert "\x1b" not in shown


async def test_a_person_is_told_of_what_is_hidden(desk: Desk, agent: Agent) -> None:
    """What looks like a secret is not shown, and its place is named."""
    person = Person("decline")
    async with agent(desk, elicitation_callback=person) as client:
        await client.call_tool("door_demolish", {"door_id": "acme-corp/token: $(reboot)"})
    assert "$(reboot)" not in person.asked[0]
    assert "looks like a secret" in person.asked[0]


async def test_destroying_waits_for_a_person_on_the_command_line(
    desk: Desk, agent: Agent, done: list[str]
) -> None:
    """Without a window to ask in, nothing an agent sends makes it happen; a person's approval does, once."""
    arguments = {"door_id": "acme-corp/a"}
    async with agent(desk) as client:
        for more in ({}, {"confirm": True}):
            refused = await client.call_tool("door_demolish", {**arguments, **more})
            assert code_of(refused) == "APPROVAL_REQUIRED"
        refused = await client.call_tool("door_demolish", arguments)
        plan = details_of(refused)["plan"]
        assert details_of(refused)["changes"] == ["demolish acme-corp/a"]
        assert f"approval approve {plan}" in details_of(refused)["suggestion"]
        early = await client.call_tool("door_demolish", {**arguments, "plan": plan})
        assert code_of(early) == "APPROVAL_REQUIRED"
        forged = await client.call_tool("door_demolish", {**arguments, "plan": "aaaa-bbbb"})
        assert code_of(forged) == "CONFLICT"
        assert done == []
        person = desk.toolkit.context(surface=Surface.CLI)
        await desk.toolkit.call("approval.approve", {"plan": plan}, ctx=person)
        assert not (await client.call_tool("door_demolish", {**arguments, "plan": plan})).is_error
        assert (
            code_of(await client.call_tool("door_demolish", {**arguments, "plan": plan}))
            == "CONFLICT"
        )
    assert done == ["demolish acme-corp/a"]


async def test_beyond_the_cap_a_change_needs_a_person(
    open_desk: Callable[..., Any], agent: Agent, done: list[str]
) -> None:
    """More clients or devices than one call may touch: not the agent alone, and none of them is touched."""
    desk = await open_desk(access={"max_devices_per_change": 2})
    async with agent(desk) as client:
        for doors in (
            ["acme-corp/a", "birchwood-dental/a"],
            ["acme-corp/a", "acme-corp/b", "acme-corp/c"],
        ):
            refused = await client.call_tool("door_open", {"doors": doors})
            assert code_of(refused) == "APPROVAL_REQUIRED"
            plan = details_of(refused)["plan"]
            second = await client.call_tool("door_open", {"doors": doors, "plan": plan})
            assert code_of(second) == "APPROVAL_REQUIRED"
    assert done == []


@pytest.mark.parametrize(
    ("person", "happens"),
    [
        (Person("accept", approve=True), True),
        (Person("accept", approve=False), False),
        (Person("accept"), False),
        (Person("decline"), False),
        (Person("cancel"), False),
    ],
)
async def test_a_person_is_asked_in_the_agents_window(
    desk: Desk, agent: Agent, done: list[str], person: Person, happens: bool
) -> None:
    """Only a yes lets it happen, once, and the question says in our words what it would be."""
    person.asked.clear()
    async with agent(desk, elicitation_callback=person) as client:
        result = await client.call_tool("door_demolish", {"door_id": "acme-corp/a"})
        if happens:
            assert not result.is_error
        else:
            assert code_of(result) == "PERMISSION_DENIED"
    assert done == (["demolish acme-corp/a"] if happens else [])
    assert len(person.asked) == 1
    assert "demolish acme-corp/a" in person.asked[0]
    assert "door_demolish" in person.asked[0]
    assert ".." not in person.asked[0]
    trail = await desk.toolkit.call("audit.list", {"tool": "door.demolish"})
    assert "approval" in {row.event for row in trail.items}


async def test_asking_in_the_window_can_be_turned_off(
    open_desk: Callable[..., Any], agent: Agent, done: list[str]
) -> None:
    """Then an agent that would say yes for its person cannot."""
    desk = await open_desk(mcp={"elicitation": False})
    person = Person("accept", approve=True)
    async with agent(desk, elicitation_callback=person) as client:
        result = await client.call_tool("door_demolish", {"door_id": "acme-corp/a"})
        assert code_of(result) == "APPROVAL_REQUIRED"
    assert done == []
    assert person.asked == []


async def test_an_answer_to_no_question_is_refused(desk: Desk, done: list[str]) -> None:
    """An agent that sends a yes nobody asked for, for another call, or twice, gets nothing for it."""
    yes = {"approve": types.ElicitResult(action="accept", content={"approve": True})}
    async with Client(build(desk), mode="auto", elicitation_callback=Person("decline")) as client:

        async def call(door: str, state: str | None) -> Any:
            return await client.session.call_tool(
                "door_demolish",
                {"door_id": door},
                input_responses=yes,
                request_state=state,
                allow_input_required=True,
            )

        asked = await call("acme-corp/a", None)
        assert isinstance(asked, types.InputRequiredResult)
        assert asked.request_state is not None
        for door, state in (
            ("acme-corp/a", "aaaa-bbbb"),
            ("acme-corp/b", asked.request_state),
            ("acme-corp/a", asked.request_state + "x"),
        ):
            with pytest.raises(MCPError, match="Invalid or expired requestState"):
                await call(door, state)
        assert done == []
        assert not (await call("acme-corp/a", asked.request_state)).is_error
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await call("acme-corp/a", asked.request_state)
    assert done == ["demolish acme-corp/a"]


async def test_without_access_control_nothing_changes(
    open_desk: Callable[..., Any], agent: Agent, done: list[str]
) -> None:
    """Nobody to approve means no."""
    desk = await open_desk(without=("access",), access={})
    async with agent(desk) as client:
        result = await client.call_tool("door_open", {})
        assert code_of(result) == "PERMISSION_DENIED"
    assert done == []

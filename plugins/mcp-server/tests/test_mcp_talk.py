"""What goes between a call and its agent while it runs: questions, messages, completions, subscriptions."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage

from msp_core.testing import eventually
from msp_core.v1 import Actor, Principal, Scope
from msp_mcp_server import talk, waiting
from msp_mcp_server.desk import Desk
from msp_mcp_server.hygiene import safe
from msp_mcp_server.server import build

pytestmark = [pytest.mark.anyio]
Agent = Callable[..., Client]


class Person:
    """Somebody in front of the agent's window, with an answer to each question in turn."""

    def __init__(self, *answers: dict[str, Any] | None) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    async def __call__(self, _ctx: Any, params: Any) -> types.ElicitResult:
        """Answer."""
        self.asked.append(params)
        content = self.answers[len(self.asked) - 1]
        return types.ElicitResult(
            action="decline" if content is None else "accept", content=content
        )


async def test_a_tool_asks_the_person(desk: Desk, agent: Agent) -> None:
    """Both questions reach the window, typed; the tool runs once, and the trail has one row for it."""
    person = Person({"colour": "red", "coats": 2}, {"colour": "blue"})
    async with agent(desk, elicitation_callback=person) as client:
        result = await client.call_tool("door_choose", {})
    assert result.structured_content["result"] == "red 2, inside blue"
    assert [one.message for one in person.asked] == ["How shall it look?", "And inside?"]
    schema = person.asked[0].requested_schema
    assert schema["properties"]["colour"] == {"type": "string", "description": "Any colour"}
    assert schema["properties"]["coats"]["type"] == "integer"
    assert schema["properties"]["coats"]["default"] == 1
    assert schema["required"] == ["colour"]
    trail = await desk.toolkit.call("audit.list", {"tool": "door.choose"})
    assert [row.outcome for row in trail.items] == ["ok"]


async def test_a_person_may_decline(desk: Desk, agent: Agent) -> None:
    """No is an answer the tool gets; what does not fit the form is an error for the model."""
    async with agent(desk, elicitation_callback=Person(None)) as client:
        result = await client.call_tool("door_choose", {})
        assert result.structured_content["result"] == "as it is"
    async with agent(desk, elicitation_callback=Person({"coats": 1})) as client:
        result = await client.call_tool("door_choose", {})
        assert json.loads(result.content[0].text)["error"]["code"] == "INVALID_PARAMETERS"


async def test_nobody_to_ask(desk: Desk, agent: Agent, era: str) -> None:
    """An agent without a window gets an error: the model's own up to 2025-11-25, the protocol's since."""
    async with agent(desk) as client:
        if era == "legacy":
            result = await client.call_tool("door_choose", {})
            assert json.loads(result.content[0].text)["error"]["code"] == "CONFIRMATION_REQUIRED"
        else:
            with pytest.raises(MCPError) as caught:
                await client.call_tool("door_choose", {})
            assert caught.value.error.code == types.MISSING_REQUIRED_CLIENT_CAPABILITY
            assert caught.value.error.data["requiredCapabilities"] == {"elicitation": {}}


async def test_what_is_sent_holds_no_secret() -> None:
    """Texts of questions, messages and content are masked and cleaned; names of fields and pictures are kept."""
    sent = safe(
        {
            "text": "password=hunter2hunter2 <b>x</b>\u202e",
            "data": "token=aaaaaaaaaaaa",
            "properties": {"password": {"type": "string"}},
        }
    )
    assert sent == {
        "text": "password=******** x",
        "data": "token=aaaaaaaaaaaa",
        "properties": {"password": {"type": "string"}},
    }


async def test_a_change_asks_nothing(desk: Desk, agent: Agent) -> None:
    """What an agent's plan shows depends on its arguments alone."""
    person = Person({"colour": "red"})
    async with agent(desk, elicitation_callback=person) as client:
        result = await client.call_tool("door_repaint", {})
    assert json.loads(result.content[0].text)["error"]["code"] == "CONFIRMATION_REQUIRED"
    assert person.asked == []


async def _asked(client: Client, **more: Any) -> Any:
    return await client.session.call_tool("door_choose", {}, allow_input_required=True, **more)


async def test_a_call_waits_for_its_answer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong key is asked again, an old state is refused, and a call nobody answers is given up."""
    answer = types.ElicitResult(action="accept", content={"colour": "red"})
    server = build(desk)
    async with Client(server, mode="auto", elicitation_callback=Person()) as client:
        first = await _asked(client)
        again = await _asked(
            client, request_state=first.request_state, input_responses={"other": answer}
        )
        assert list(again.input_requests) == ["paint"]
        assert again.request_state != first.request_state
        second = await _asked(
            client, request_state=again.request_state, input_responses={"paint": answer}
        )
        assert list(second.input_requests) == ["inside"]
        for stale in (first.request_state, again.request_state):
            with pytest.raises(MCPError, match="Invalid or expired"):
                await _asked(client, request_state=stale, input_responses={"paint": answer})
        monkeypatch.setattr(talk, "LONGEST_WAIT_S", 0.05)
        left = await _asked(client)
        await asyncio.sleep(0.3)
        with pytest.raises(MCPError, match="Invalid or expired"):
            await _asked(
                client, request_state=left.request_state, input_responses={"paint": answer}
            )
    trail = await desk.toolkit.call("audit.list", {"tool": "door.choose"})
    assert "cancelled" in {row.outcome for row in trail.items}


async def test_calls_that_wait_end_with_the_server(desk: Desk) -> None:
    """Each leaves its row in the trail, before the database is closed."""
    async with Client(build(desk), mode="auto", elicitation_callback=Person()) as client:
        assert isinstance(await _asked(client), types.InputRequiredResult)
    trail = await desk.toolkit.call("audit.list", {"tool": "door.choose"})
    assert [row.outcome for row in trail.items] == ["cancelled"]


async def test_no_more_calls_wait_than_may(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents that never answer fill a bounded room."""
    monkeypatch.setattr(waiting, "MOST_WAITING", 3)
    async with Client(build(desk), mode="auto", elicitation_callback=Person()) as client:
        for _ in range(3):
            assert isinstance(await _asked(client), types.InputRequiredResult)
        with pytest.raises(MCPError, match="Too many calls wait"):
            await _asked(client)


async def test_one_caller_leaves_room_for_the_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever never answers fills no more than a part of the room."""
    monkeypatch.setattr(waiting, "MOST_WAITING_OF_ONE", 2)
    server = build(desk)
    async with Client(server, mode="auto", elicitation_callback=Person()) as client:
        for _ in range(2):
            assert isinstance(await _asked(client), types.InputRequiredResult)
        with pytest.raises(MCPError, match="Too many calls wait"):
            await _asked(client)
        other = Principal(actor=Actor(id="key:other", kind="key"), scope=Scope(), read_only=False)
        monkeypatch.setattr(desk, "local", lambda: other)
        assert isinstance(await _asked(client), types.InputRequiredResult)


@pytest.mark.parametrize(
    "answer",
    [
        {"result": {"action": "perhaps", "content": {"approve": True}}},
        {"result": {"action": "accept", "content": [True]}},
        {"result": {}},
        {"result": None},
        {"error": {"code": -32601, "message": "no such window"}},
        None,
    ],
)
async def test_no_answer_is_no_consent(
    desk: Desk, done: list[str], monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    """An answer that is none, an error, or silence: nothing happens, and the plan waits for the command line."""
    monkeypatch.setattr(talk, "LONGEST_WAIT_S", 0.5)
    inward, reader = anyio.create_memory_object_stream[Any](9)
    writer, outward = anyio.create_memory_object_stream[Any](99)
    server = build(desk)
    hello = {"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}},
             "clientInfo": {"name": "t", "version": "1"}}  # fmt: skip
    call = {"name": "door_demolish", "arguments": {"door_id": "acme-corp/a"}}

    async def send(**message: Any) -> None:
        made = types.jsonrpc_message_adapter.validate_python({"jsonrpc": "2.0", **message})
        await inward.send(SessionMessage(made))

    async def converse() -> Any:
        await send(id=0, method="initialize", params=hello)
        await send(method="notifications/initialized")
        await send(id=1, method="tools/call", params=call)
        async for one in outward:
            message = one.message.model_dump(by_alias=True, exclude_none=True)
            if message.get("method") == "elicitation/create" and answer is not None:
                with suppress(ValueError):  # what is no message at all does not arrive
                    await send(id=message["id"], **answer)
            elif message.get("id") == 1 and "method" not in message:
                return message["result"]
        return None

    serving = asyncio.ensure_future(
        server.run(reader, writer, server.create_initialization_options())
    )
    said = await asyncio.wait_for(converse(), 10)
    error = json.loads(said["content"][0]["text"])["error"]
    assert error["code"] == "APPROVAL_REQUIRED"
    assert done == []
    inward.close()
    await asyncio.wait_for(serving, 30)


async def test_messages_come_in_order_and_as_wanted(desk: Desk) -> None:
    """Before the answer, masked and clean; only from the level on that the agent named."""
    for level, expected in (
        ("debug", ["about to ask", "red is daring"]),
        ("warning", ["red is daring"]),
    ):
        heard: list[str] = []

        async def hear(params: Any, heard: list[str] = heard) -> None:
            heard.append(params.data)

        person = Person({"colour": "red"}, None)
        client = Client(
            build(desk), mode="legacy", elicitation_callback=person, logging_callback=hear
        )
        async with client:
            await client.session.set_logging_level(level)  # type: ignore[arg-type]
            await client.call_tool("door_choose", {})
            assert heard == expected


async def test_since_2026_messages_are_asked_for_call_by_call(desk: Desk) -> None:
    """Without a level in the request nothing is sent."""
    heard: list[str] = []

    async def hear(params: Any) -> None:
        heard.append(params.data)

    client = Client(
        build(desk),
        mode="auto",
        elicitation_callback=Person(None, None),
        logging_callback=hear,
    )
    async with client:
        await client.call_tool("door_choose", {})
        assert heard == []
        await client.call_tool("door_choose", {}, meta={types.LOG_LEVEL_META_KEY: "info"})
    assert heard == ["about to ask"]


async def test_arguments_are_completed(desk: Desk, agent: Agent) -> None:
    """From a plugin's function, from choices, from the clients in scope; at most a hundred at once."""
    async with agent(desk) as client:

        async def completed(ref: Any, name: str, value: str) -> Any:
            return (await client.complete(ref, {"name": name, "value": value})).completion

        door = types.ResourceTemplateReference(uri="acme://doors/{id}")
        found = await completed(door, "id", "door-1")
        assert found.values[:3] == ["door-1", "door-10", "door-11"]
        many = await completed(door, "id", "")
        assert (len(many.values), many.total, many.has_more) == (100, 150, True)
        briefing = types.PromptReference(name="morning-briefing")
        assert "premium" in (await completed(briefing, "tier", "p")).values
        ours = types.ResourceTemplateReference(uri="msp://clients/{id}")
        assert (await completed(ours, "id", "acme")).values == ["acme-corp"]
        with pytest.raises(MCPError):
            await completed(types.PromptReference(name="nobody"), "x", "")


async def test_a_subscriber_hears_of_a_change(
    open_desk: Callable[..., Any], agent: Agent, era: str, done: list[str]
) -> None:
    """A resource that reads differently is told of; nothing else is, and nothing after the end."""
    desk = await open_desk(mcp={"watch_seconds": 0.1})
    heard: list[str] = []

    async def hear(message: Any) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            heard.append(str(message.params.uri))

    async with agent(desk, message_handler=hear) as client:
        if era == "legacy":
            await client.subscribe_resource("acme://doors")
            with pytest.raises(MCPError):
                await client.subscribe_resource("acme://nothing")
            await asyncio.sleep(0.3)
            assert heard == []
            done.append("open x")
            await eventually(lambda: heard)
            assert heard == ["acme://doors"]
            await client.unsubscribe_resource("acme://doors")
            done.append("open y")
            await asyncio.sleep(0.4)
            assert heard == ["acme://doors"]
        else:
            uris = ["acme://doors", "acme://nothing"]
            async with client.listen(resource_subscriptions=uris) as stream:
                done.append("open x")
                async with asyncio.timeout(30):
                    event = await anext(aiter(stream))
                assert event.uri == "acme://doors"


async def test_a_subscription_outlives_the_limit(
    open_desk: Callable[..., Any], done: list[str]
) -> None:
    """Where its reading has to wait, the subscriber hears of the change later."""
    limits = {"rate_limits": {"read": 40}}
    desk = await open_desk(mcp={"watch_seconds": 0.1}, access=limits)
    async with (
        Client(build(desk), mode="auto") as client,
        client.listen(resource_subscriptions=["acme://doors"]) as stream,
    ):
        for _ in range(45):
            await client.call_tool("door_look", {})
        await asyncio.sleep(0.3)
        done.append("open x")
        async with asyncio.timeout(30):
            assert (await anext(aiter(stream))).uri == "acme://doors"


async def test_lists_do_not_change_while_it_runs(desk: Desk, agent: Agent) -> None:
    """And it does not say they would: a plugin installed meanwhile is served after a restart."""
    async with agent(desk) as client:
        said = client.server_capabilities
        for one in (said.tools, said.prompts, said.resources):
            assert not one.list_changed
        assert said.resources.subscribe

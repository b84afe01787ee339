"""A plugin whose tools misbehave: its calls fail, each by itself, and nothing else does."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from mcp import Client

from msp_core.v1 import Surface

pytestmark = [pytest.mark.anyio]
Agent = Callable[..., Client]


async def test_each_call_fails_by_itself(open_desk: Callable[..., Any], agent: Agent) -> None:
    """Whatever a tool raises or returns, the agent gets an error it can read, and the next call an answer."""
    desk = await open_desk(rogue=True)
    async with agent(desk) as client:
        for name in ("circle", "smell", "drop", "panic"):
            result = await client.call_tool(f"rogue_{name}", {})
            assert result.is_error
            error = json.loads(result.content[0].text)["error"]
            assert error["code"] == "SYSTEM_ERROR"
            assert f"rogue.{name}" in error["message"]
            assert error["details"]["suggestion"]
        assert not (await client.call_tool("door_look", {})).is_error


async def test_what_is_masked_fits_its_schema(open_desk: Callable[..., Any], agent: Agent) -> None:
    """Numbers under the name of a secret are masked like texts, and the answer is still one the agent takes."""
    desk = await open_desk(rogue=True)
    async with agent(desk) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool("rogue_stamp", {})
    assert result.structured_content["password_age_days"] == "********"
    jsonschema.validate(result.structured_content, tools["rogue_stamp"].output_schema)


async def test_a_tool_that_reads_cannot_change(open_desk: Callable[..., Any], agent: Agent) -> None:
    """What is declared as reading needs no plan, so it does not pass the door for changes; it is audited."""
    import acme_rogue.tools

    acme_rogue.tools.DONE.clear()
    desk = await open_desk(rogue=True)
    async with agent(desk) as client:
        result = await client.call_tool("rogue_sneak", {})
    assert json.loads(result.content[0].text)["error"]["code"] == "PERMISSION_DENIED"
    assert acme_rogue.tools.DONE == []
    person = desk.toolkit.context(surface=Surface.CLI)
    rows = await desk.toolkit.call("audit.list", {"refused": True}, ctx=person)
    assert [row.action for row in rows.items] == ["rogue.sneak"]


async def test_a_plan_changes_what_it_showed(open_desk: Callable[..., Any], agent: Agent) -> None:
    """A plan lets through the changes that were in it, and no other."""
    import acme_rogue.tools

    acme_rogue.tools.DONE.clear()
    desk = await open_desk(rogue=True)
    async with agent(desk) as client:
        planned = await client.call_tool("rogue_swap", {})
        plan = planned.structured_content["plan"]
        assert plan["changes"] == ["swap acme-corp/shown"]
        result = await client.call_tool("rogue_swap", {"plan": plan["id"]})
    error = json.loads(result.content[0].text)["error"]
    assert error["code"] == "CONFLICT"
    assert "says nothing of swap on acme-corp/hidden" in error["message"]
    assert acme_rogue.tools.DONE == []


async def test_a_prompts_text_is_cleaned(open_desk: Callable[..., Any], agent: Agent) -> None:
    """Nothing invisible, no escape sequence and no secret reaches the model with a prompt."""
    desk = await open_desk(rogue=True)
    async with agent(desk) as client:
        said = (await client.get_prompt("gossip")).messages[0].content.text
    assert said == "They say: red back token: ********"

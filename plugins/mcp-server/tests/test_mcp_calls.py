"""Calls by an agent of either era: results, pages, errors, progress, cancellation, resources, prompts."""

import asyncio
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from msp_core.testing import eventually
from msp_mcp_server.desk import Desk

pytestmark = [pytest.mark.anyio]
Agent = Callable[..., Client]


def error_of(result: Any) -> dict[str, Any]:
    """Return the error of a result that is one."""
    assert result.is_error
    assert result.structured_content is None
    found: dict[str, Any] = json.loads(result.content[0].text)["error"]
    assert set(found) == {"code", "message", "details"}
    return found


async def test_every_tool_that_reads_fits_its_schema(desk: Desk, agent: Agent) -> None:
    """What a tool returns validates against the schema it was listed with."""
    arguments = {
        "client_show": {"client_id": "acme-corp"},
        "device_show": {"device": "acme-corp/acme-dc01"},
        "health_history": {"client_id": "acme-corp"},
        "alert_show": {"alert": "1"},
        "door_wait": {"seconds": 0.01},
        "door_look": {},
    }

    async def decline(_ctx: Any, _params: Any) -> types.ElicitResult:
        return types.ElicitResult(action="decline")

    async with agent(desk, elicitation_callback=decline) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        for name, tool in tools.items():
            reads = tool.annotations is not None and tool.annotations.read_only_hint
            if not reads or name == "door_crash":
                continue
            result = await client.call_tool(name, arguments.get(name, {}))
            assert not result.is_error, result
            assert tool.output_schema is not None
            jsonschema.validate(result.structured_content, tool.output_schema)
            assert result.content[0].text


async def test_a_list_is_told_as_people_would(desk: Desk, agent: Agent) -> None:
    """The text has a count, the filters in words, and each row with its fields."""
    async with agent(desk) as client:
        result = await client.call_tool("client_list", {"tier": "bronze", "status": "active"})
    text = result.content[0].text
    assert text.startswith("Found 4 active bronze clients:\n\n1. Acme Corp\n   - ID: acme-corp\n")
    assert "   - Devices: " in text
    assert "   - Last health check: 20" in text


async def test_pages_cover_everything_once(desk: Desk, agent: Agent) -> None:
    """Following the cursors gives every row once; a cursor of another call is refused."""
    async with agent(desk) as client:
        for tool, arguments in (
            ("device_list", {"fields": ["id"]}),
            ("alert_list", {}),
            ("health_status", {}),
        ):
            whole = await client.call_tool(
                tool, {**arguments, "limit": 500} if tool != "health_status" else {}
            )
            if tool == "health_status":
                assert not whole.is_error
                continue
            expected = whole.structured_content["items"]
            assert len(expected) == whole.structured_content["total"] > 7
            seen: list[Any] = []
            more: dict[str, Any] = {}
            while True:
                page = await client.call_tool(tool, {**arguments, "limit": 7, **more})
                seen += page.structured_content["items"]
                if not page.structured_content["has_more"]:
                    break
                assert page.structured_content["next_cursor"] in page.content[0].text
                more = {"cursor": page.structured_content["next_cursor"]}
            assert seen == expected
        stale = await client.call_tool("device_list", {"search": "x", **more})
        assert "cursor" in error_of(stale)["message"]


async def test_fields_leave_out_the_rest(desk: Desk, agent: Agent) -> None:
    """Only what was asked for is given, in the data and in the text."""
    async with agent(desk) as client:
        result = await client.call_tool("device_list", {"fields": ["id"], "limit": 1})
    assert list(result.structured_content["items"][0]) == ["id"]
    assert "Kind" not in result.content[0].text


async def test_errors_have_the_promised_shape(desk: Desk, agent: Agent) -> None:
    """A model can read what failed and what to do; an unknown tool is a fault of the protocol."""
    async with agent(desk) as client:
        missing = error_of(await client.call_tool("client_show", {"client_id": "invalid-id"}))
        assert missing["code"] == "CLIENT_NOT_FOUND"
        assert missing["details"]["client_id"] == "invalid-id"
        assert "client_list" in missing["details"]["suggestion"]
        gone = error_of(await client.call_tool("alert_show", {"alert": "999999"}))
        assert gone["code"] == "ALERT_NOT_FOUND"
        assert gone["details"]["suggestion"] == "alert_list shows the alerts there are."
        guessed = error_of(await client.call_tool("client_show", {"client": "acme-corp"}))
        assert "Did you mean client_id?" in guessed["details"]["suggestion"]
        crash = error_of(await client.call_tool("door_crash", {}))
        assert crash["code"] == "SYSTEM_ERROR"
        assert "Traceback" not in json.dumps(crash)
        for name in ("never_heard_of", "door_charm", ""):
            with pytest.raises(MCPError) as caught:
                await client.call_tool(name, {})
            assert caught.value.error.code == -32602
    trail = await desk.toolkit.call("audit.list", {"refused": True})
    assert "never_heard_of" in {row.action for row in trail.items}


async def test_progress_only_goes_forward(desk: Desk, agent: Agent) -> None:
    """Long work reports how far it is, and nothing comes after the answer."""
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with agent(desk) as client:
        await client.call_tool("door_wait", {"seconds": 0.6}, progress_callback=hear)
        count = len(heard)
        await anyio.sleep(0.2)
        sweep: list[float] = []

        async def hear_sweep(progress: float, total: float | None, message: str | None) -> None:
            sweep.append(progress)

        await client.call_tool("health_check", {}, progress_callback=hear_sweep)
    assert heard == sorted(set(heard))
    assert 2 <= len(heard) <= 20
    assert len(heard) == count
    assert sweep


async def test_cancelling_stops_the_work(desk: Desk, agent: Agent, tmp_path: Path) -> None:
    """The tool is stopped where it waits, and the trail says so."""
    word = tmp_path / "word"
    async with agent(desk) as client:
        with anyio.move_on_after(0.5):
            await client.call_tool("door_wait", {"seconds": 60, "note": str(word)})
        assert await eventually(lambda: word.exists() and word.read_text()) == "cancelled"
        assert not (await client.call_tool("client_list", {})).is_error

    async def noted() -> Any:
        return (await desk.toolkit.call("audit.list", {"tool": "door.wait"})).items

    assert (await eventually(noted))[0].outcome == "cancelled"


async def test_a_cancelled_sweep_leaves_sound_records(desk: Desk, agent: Agent) -> None:
    """A sweep that is stopped at any point is followed by one that is whole."""
    async with agent(desk) as client:
        for delay in (0.01, 0.05, 0.1):
            with anyio.move_on_after(delay):
                await client.call_tool("health_check", {})
        for _ in range(300):  # until what was stopped has given back what it held
            result = await client.call_tool("health_check", {})
            if not result.is_error:
                break
            assert error_of(result)["code"] == "CONFLICT"
            await anyio.sleep(0.3)
    assert not result.is_error, result
    data = result.structured_content
    assert data["planned"] == sum(data["counts"].values())
    assert data["state"] == "finished"


async def test_many_calls_at_once(desk: Desk, agent: Agent) -> None:
    """200 calls in flight are all answered, each with its own answer, each in an unbroken trail."""
    async with agent(desk) as client:
        results = await asyncio.gather(
            *(client.call_tool("door_look", {"door": f"d{n}"}) for n in range(200))
        )
    assert [one.structured_content["result"] for one in results] == [
        f"d{n} is shut" for n in range(200)
    ]
    trail = await desk.toolkit.call("audit.list", {"tool": "door.look", "limit": 500})
    assert trail.total == 200
    assert (await desk.toolkit.call("audit.verify")).problems == ()


async def test_read_only_records_nothing_and_says_so(
    open_desk: Callable[..., Any], agent: Agent
) -> None:
    """Read-only, what changes is neither listed nor run, and a sweep or a new client leaves no row."""
    desk = await open_desk(mcp={"read_only": True})
    before = (await desk.toolkit.call("client.list")).total
    async with agent(desk) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert not names & {"door_open", "door_demolish", "device_exec"}
        swept = await client.call_tool("health_check", {"client_id": "acme-corp"})
        added = await client.call_tool("client_add", {"name": "Umbrella"})
        for result in (swept, added):
            assert "Read-only: nothing was recorded." in result.structured_content["remarks"]
        assert "run_id" not in swept.structured_content
        with pytest.raises(MCPError, match="Unknown tool: door_open"):
            await client.call_tool("door_open", {})
    assert (await desk.toolkit.call("client.list")).total == before


async def test_resources_and_prompts_come_from_plugins(desk: Desk, agent: Agent) -> None:
    """A plugin's documents are listed and read by URI, its prompts given; what is not there is a clear fault."""
    async with agent(desk) as client:
        templates = (await client.list_resource_templates()).resource_templates
        assert "acme://doors/{id}" in {one.uri_template for one in templates}
        assert "msp://clients/{id}" in {one.uri_template for one in templates}
        static = {str(one.uri) for one in (await client.list_resources()).resources}
        assert static >= {"acme://doors", "acme://picture"}
        door = (await client.read_resource("acme://doors/acme-corp")).contents[0]
        assert json.loads(door.text) == {"id": "acme-corp", "state": "shut"}
        picture = (await client.read_resource("acme://picture")).contents[0]
        assert (picture.mime_type, picture.blob) == ("image/png", "iVBORw==")
        known = (await client.read_resource("msp://clients/acme-corp")).contents[0]
        assert json.loads(known.text)["name"] == "Acme Corp"
        for uri in (
            "acme://nothing",
            "msp://clients/nobody",
            "msp://clients/a/b",
            "file:///etc/passwd",
        ):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            assert caught.value.error.code == -32602
        prompts = {one.name: one for one in (await client.list_prompts()).prompts}
        assert prompts["knock"].arguments[0].required
        said = await client.get_prompt("knock", {"door": "front"})
        assert said.messages[0].content.text == "Knock at front."
        briefing = await client.get_prompt("morning-briefing", {"tier": "premium"})
        assert "`alert_list`" in briefing.messages[0].content.text
        for name, given in (("nobody", {}), ("knock", {}), ("morning-briefing", {"tier": "x"})):
            with pytest.raises(MCPError):
                await client.get_prompt(name, given)
    trail = await desk.toolkit.call("audit.list", {"tool": "resource.client"})
    assert {row.outcome for row in trail.items} == {"ok", "failed"}


async def test_secrets_never_leave(desk: Desk, agent: Agent, workspace: Path) -> None:
    """A credential that a careless tool returns, or raises, is masked in the answer and in every record."""
    canary = os.environ["RMM_API_KEY"]
    async with agent(desk) as client:
        given = await client.call_tool("door_secret", {})
        crash = await client.call_tool("door_crash", {})
        echoed = await client.call_tool("door_look", {"door": canary})
        noted = await client.call_tool("door_note", {"text": f"password={'p' * 12}"})
    for result in (given, crash, echoed, noted):
        said = result.model_dump_json()
        assert canary not in said
        assert "x" * 20 not in said
    trail = await desk.toolkit.call("audit.list", {"limit": 500})
    assert canary not in str(trail)
    assert "p" * 12 not in str(trail)
    await desk.toolkit.aclose()
    for file in workspace.rglob("*"):  # noqa: ASYNC240
        if file.is_file() and file.suffix != ".pyc":
            assert canary.encode() not in file.read_bytes(), file


async def test_a_secret_that_an_agent_sends_first_is_masked(
    desk: Desk, agent: Agent, monkeypatch: pytest.MonkeyPatch, workspace: Path
) -> None:
    """Nothing here has read it yet: as argument, as name of one, as tool, resource and prompt it is in no record."""
    sent = "sent-0f9e8d7c6b5a"
    monkeypatch.setenv("OTHER_API_KEY", sent)
    async with agent(desk) as client:
        said = [await client.call_tool("door_note", {"text": sent})]
        said.append(await client.call_tool("door_look", {sent: 1}))
        said.append(await client.call_tool("client_show", {"client_id": sent}))
        for wrong in (
            client.call_tool(sent, {}),
            client.get_prompt(sent),
            client.read_resource(f"acme://{sent}"),
            client.read_resource(f"msp://clients/{sent}"),
        ):
            with pytest.raises(MCPError) as caught:
                await wrong
            assert sent not in str(caught.value.error)
    assert sent not in "".join(one.model_dump_json() for one in said)
    rows = (await desk.toolkit.call("audit.list", {"limit": 500})).items
    assert sent not in str(rows)
    refused = [row.action for row in rows if row.outcome == "refused"]
    assert refused == ["acme://********", "********", "********", "door.look"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("client_list", {"limit": 2.0}),
        ("health_history", {"client_id": "acme-corp", "limit": 1e2}),
        ("door_wait", {"seconds": 0.0}),
        ("door_wait", {"seconds": 0}),
    ],
)
async def test_a_number_is_whole_however_it_is_written(
    desk: Desk, tool: str, arguments: dict[str, Any]
) -> None:
    """As the schema has it; some agents write every number with a point."""
    one = desk.catalog.find(tool)
    assert one is not None
    jsonschema.validate(arguments, one.input)
    reply = await desk.call(desk.local(), one, arguments)
    assert not reply.error, reply.text


@pytest.mark.parametrize("id", ["Acme%20Corp", "acme%2Dcorp", "acme-corp"])
async def test_addresses_are_decoded(desk: Desk, agent: Agent, id: str) -> None:
    """A template that an agent fills in as the standard says finds the same client."""
    async with agent(desk) as client:
        found = (await client.read_resource(f"msp://clients/{id}")).contents[0]
        assert json.loads(found.text)["id"] == "acme-corp"
        for wrong in ("..%2Facme-corp", "..%5Cacme-corp", "acme%00corp", "%ff", "acme-corp%0A"):
            with pytest.raises(MCPError, match="Resource not found"):
                await client.read_resource(f"msp://clients/{wrong}")


async def test_a_store_of_secrets_that_hangs_holds_up_no_call_for_ever(
    desk: Desk, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keyring may wait for its owner; calls wait for it only so long."""
    unlocked = threading.Event()
    monkeypatch.setattr("msp_mcp_server.desk.LONGEST_LEARNING_S", 0.05)
    monkeypatch.setattr(desk.toolkit.secrets, "learn", lambda _config: unlocked.wait(60))
    try:
        async with agent(desk) as client:
            with anyio.fail_after(30):
                result = await client.call_tool("client_list", {})
        assert not result.is_error
    finally:
        unlocked.set()

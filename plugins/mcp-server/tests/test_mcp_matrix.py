"""Every tool, by every kind of key, read-only or not, for one's own client and another's."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from msp_core.v1 import Effect, Keys, Principal, Surface
from msp_mcp_server.desk import Desk

pytestmark = [pytest.mark.anyio]
OURS, THEIRS = "acme-corp", "birchwood-dental"
MARKS = ("birchwood", "cascade", "delta")

KINDS: dict[str, dict[str, Any]] = {
    "read": {},
    "record": {"allow": "record"},
    "change": {"allow": "change"},
    "destroy": {"allow": "destroy"},
    "one client": {"allow": "destroy", "clients": [OURS]},
    "one client, read": {"clients": [OURS]},
    "clients only": {"allow": "destroy", "tools": ["client.*"]},
}


NO_CLIENT = {"client_add", "client_list", "door_choose", "door_crash", "door_look", "door_note", "door_repaint",
             "door_secret", "door_wait"}  # fmt: skip
"""Tools whose arguments are not of one client, or search for it."""


async def caller_of(desk: Desk, kind: str) -> Principal:
    """Make a key of a kind and return whom it stands for."""
    made = await desk.toolkit.call(
        "key.create", {"name": kind, **KINDS[kind]}, ctx=desk.toolkit.context(surface=Surface.CLI)
    )
    found = await (await desk.toolkit.get(Keys)).principal(made.text)
    assert found is not None
    return found


def records(workspace: Path) -> dict[str, list[Any]]:
    """Return every row there is but those that say who called and what they planned."""
    with closing(sqlite3.connect(workspace / "data" / "msp-toolkit.db")) as database:
        tables = [
            row[0]
            for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        kept = [
            name for name in tables if name not in ("audit", "audit_head", "access_keys", "plans")
        ]
        return {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in kept}


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("kind", list(KINDS))
async def test_no_key_does_more_than_it_may(
    open_desk: Callable[..., Any],
    workspace: Path,
    arguments_for: Callable[..., Any],
    done: list[str],
    kind: str,
    read_only: bool,
) -> None:
    """Refused are other tools, greater effects and other clients; nothing is changed without a person or a plan."""
    desk = await open_desk(mcp={"read_only": read_only})
    caller = await desk.admit(await caller_of(desk, kind))
    only_reads = read_only or caller.read_only
    assert caller.read_only == only_reads
    most = Effect.RECORD if only_reads else caller.scope.max_effect
    listed = {one.name for one in desk.catalog.of(caller)}
    before = records(workspace)
    for one in desk.catalog.all():
        named = caller.scope.tools is None or one.tool.name in caller.scope.tools
        assert (one.name in listed) == (named and one.tool.effect <= most)
        for client in (OURS, THEIRS):
            given = await arguments_for(desk, one.name, client)
            reply = await desk.call(caller, one, given)
            code = json.loads(reply.text)["error"]["code"] if reply.error else ""
            what = (one.name, client, reply.text)
            if one.name not in listed:
                assert code == "PERMISSION_DENIED", what
                continue
            assert code != "PERMISSION_DENIED" or one.name == "client_add", what
            assert code != "INVALID_PARAMETERS", what
            limited = caller.scope.clients is not None
            foreign = limited and client == THEIRS and one.name not in NO_CLIENT
            assert code.endswith("_NOT_FOUND") == foreign, what
            if limited:
                said = reply.text + json.dumps(reply.data, default=str)
                for word in sorted({client, *map(str, given.values())}, key=len, reverse=True):
                    said = said.replace(word, "")
                assert not any(mark in said.lower() for mark in MARKS), what
    assert done == []
    after = records(workspace)
    assert (after == before) == only_reads, [name for name in after if after[name] != before[name]]
    assert after["changes"] == before["changes"]


async def test_a_key_of_one_client_lists_only_that_one(desk: Desk) -> None:
    """Lists without a client named hold that client's rows and no other's."""
    caller = await caller_of(desk, "one client")
    for name in ("client_list", "device_list", "alert_list", "health_status", "health_check"):
        one = desk.catalog.find(name)
        assert one is not None
        reply = await desk.call(caller, one, {})
        assert not reply.error, reply.text
        said = json.dumps(reply.data)
        assert OURS in said
        assert not any(mark in said for mark in MARKS)


@pytest.mark.parametrize(
    "limits", [{"tools": ["client.*"]}, {"max_effect": "read"}, {"role": "viewer"}]
)
async def test_what_the_surface_forbids_is_not_there(
    open_desk: Callable[..., Any], agent: Callable[..., Client], limits: dict[str, Any]
) -> None:
    """The local agent sees only what the settings of its surface leave; the rest is unknown, and in the trail."""
    desk = await open_desk(access={"surfaces": {"mcp": limits}})
    most = Effect.READ if "max_effect" in limits else Effect.RECORD
    async with agent(desk) as client:
        listed = {one.name for one in (await client.list_tools()).tools}
        assert "client_list" in listed
        for one in desk.catalog.all():
            named = "tools" not in limits or one.tool.name.startswith("client.")
            allowed = named and ("tools" in limits or one.tool.effect <= most)
            assert (one.name in listed) == allowed, one.name
            if not allowed:
                with pytest.raises(MCPError) as refused:
                    await client.call_tool(one.name, {})
                with pytest.raises(MCPError) as unknown:
                    await client.call_tool("no_such_tool", {})
                assert refused.value.error.code == unknown.value.error.code
                said = str(refused.value).replace(one.name, "no_such_tool")
                assert said == str(unknown.value)
        documents = (await client.list_resource_templates()).resource_templates
        assert bool(documents) == ("tools" not in limits)
        assert bool((await client.list_prompts()).prompts) == ("tools" not in limits)
    trail = await desk.toolkit.call("audit.list", {"tool": "door_open"})
    assert {row.outcome for row in trail.items} == {"refused"}

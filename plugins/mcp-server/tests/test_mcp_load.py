"""Real keys over HTTP: every tool by every kind of key, and more calls than the limit lets through."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from msp_core.v1 import Effect, Surface, Toolkit
from msp_mcp_server import http as http_front
from msp_mcp_server.desk import Desk
from msp_mcp_server.http import serve

pytestmark = [pytest.mark.anyio]
OURS, THEIRS = "acme-corp", "birchwood-dental"
MARKS = ("birchwood", "cascade", "delta")
LEVELS = {"read": Effect.RECORD, **{one.name.lower(): one for one in Effect}}
KINDS: dict[str, dict[str, Any]] = {
    "read": {"allow": "read"},
    "record": {"allow": "record"},
    "change": {"allow": "change"},
    "destroy": {"allow": "destroy"},
    "one client": {"allow": "destroy", "clients": [OURS]},
    "one client, read": {"allow": "read", "clients": [OURS]},
    "clients only": {"allow": "destroy", "tools": ["client.*"]},
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


NO_CLIENT = {"client_add", "client_list", "door_choose", "door_crash", "door_look", "door_note", "door_repaint",
             "door_secret", "door_wait"}  # fmt: skip
"""Tools whose arguments are not of one client, or search for it."""


class Caller:
    """Calls tools over HTTP with one key."""

    def __init__(self, http: httpx2.AsyncClient, url: str, text: str) -> None:
        self._http, self._url = http, url
        self._headers = {
            "authorization": f"Bearer {text}",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
        }

    async def post(self, method: str, name: str = "", **params: Any) -> dict[str, Any]:
        """Send a request and return the answer."""
        named = {"name": name} if name else {}
        body = {"jsonrpc": "2.0", "id": 1, "method": method}
        whose = name or params.get("uri")
        headers = {**self._headers, "mcp-method": method, **({"mcp-name": whose} if whose else {})}
        answer = await self._http.post(
            self._url,
            json={**body, "params": {**named, **params, "_meta": META}},
            headers=headers,
        )
        text = answer.text
        if "event-stream" in answer.headers["content-type"]:
            text = [line for line in text.splitlines() if line.startswith("data:")][-1][5:]
        found: dict[str, Any] = json.loads(text)
        return found

    async def tool(self, name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Call a tool; return the code of its error, empty where there is none, and what was said."""
        answer = await self.post("tools/call", name, arguments=arguments)
        if "error" in answer:
            return "UNKNOWN_TOOL" if "Unknown tool" in str(answer) else "PROTOCOL", answer
        result = answer["result"]
        if not result.get("isError"):
            return "", result
        return json.loads(result["content"][0]["text"])["error"]["code"], result


def speaks_of_no_other(said: Any, client: str, given: dict[str, Any]) -> bool:
    """Tell whether an answer names no client but the one that was asked for, in the words of the question."""
    text = json.dumps(said, default=str)
    for word in sorted({client, *map(str, given.values())}, key=len, reverse=True):
        text = text.replace(word, "")
    return not any(mark in text.lower() for mark in MARKS)


@asynccontextmanager
async def served(desk: Desk) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    """Serve a desk on this machine."""
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(desk, "127.0.0.1", 0, started=started.set_result))
    try:
        async with httpx2.AsyncClient(timeout=60) as http:
            yield http, await asyncio.wait_for(started, 30)
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


async def key_of(toolkit: Toolkit, name: str, **scope: Any) -> str:
    """Make a key and return its text."""
    ctx = toolkit.context(surface=Surface.CLI)
    return str((await toolkit.call("key.create", {"name": name, **scope}, ctx=ctx)).text)


@pytest.mark.slow
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("kind", list(KINDS))
async def test_no_key_does_more_than_it_may_over_http(
    open_desk: Callable[..., Any],
    arguments_for: Callable[..., Any],
    done: list[str],
    kind: str,
    read_only: bool,
) -> None:
    """Tools beyond a key do not exist for it; other clients neither; nothing is changed without a plan or a person."""
    desk = await open_desk(mcp={"read_only": read_only})
    scope = KINDS[kind]
    most = LEVELS[scope["allow"]]
    if read_only or scope["allow"] == "read":
        most = Effect.RECORD
    tried = 0
    async with served(desk) as (http, url):
        caller = Caller(http, url, await key_of(desk.toolkit, kind, **scope))
        before = (await desk.toolkit.call("client.list")).total
        answer = await caller.post("tools/list")
        listed = {one["name"] for one in answer["result"]["tools"]}
        for one in desk.catalog.all():
            named = "tools" not in scope or one.tool.name.startswith("client.")
            assert (one.name in listed) == (named and one.tool.effect <= most), one.name
            for client in (OURS, THEIRS):
                given = await arguments_for(desk, one.name, client)
                code, result = await caller.tool(one.name, given)
                tried += 1
                what = (one.name, client, code, result)
                if one.name not in listed:
                    assert code == "UNKNOWN_TOOL", what
                    continue
                assert code not in ("UNKNOWN_TOOL", "INVALID_PARAMETERS"), what
                assert code != "PROTOCOL" or one.name == "door_choose", what
                assert code != "PERMISSION_DENIED" or one.name == "client_add", what
                foreign = "clients" in scope and client == THEIRS and one.name not in NO_CLIENT
                assert code.endswith("_NOT_FOUND") == foreign, what
                assert "clients" not in scope or speaks_of_no_other(result, client, given), what
        for client in (OURS, THEIRS):
            for uri in (f"msp://clients/{client}", f"acme://doors/{client}"):
                answer = await caller.post("resources/read", uri=uri)
                readable = "tools" not in scope and ("clients" not in scope or client == OURS)
                assert ("result" in answer) == readable, (uri, answer)
                assert "clients" not in scope or speaks_of_no_other(answer, client, {})
        after = (await desk.toolkit.call("client.list")).total
    assert tried == 2 * len(desk.catalog.all())
    assert done == []
    if most < Effect.RECORD or read_only or scope["allow"] == "read":
        assert after == before


async def test_a_key_that_is_good_no_longer_calls_nothing(desk: Desk) -> None:
    """Expired, revoked, rotated or none: every tool, list and document is refused before anything looks at it."""
    ctx = desk.toolkit.context(surface=Surface.CLI)
    dead = {"expired": await key_of(desk.toolkit, "expired", allow="destroy", expires="1s")}
    for name in ("revoke", "rotate"):
        dead[name] = await key_of(desk.toolkit, name, allow="destroy")
        await desk.toolkit.call(f"key.{name}", {"key": name}, ctx=ctx)
    dead["none"] = "msp_aaaaaaaa_" + "a" * 43
    await asyncio.sleep(1.1)
    async with served(desk) as (http, url):
        for kind, text in dead.items():
            caller = Caller(http, url, text)
            for one in desk.catalog.all():
                answer = await caller.post("tools/call", one.name, arguments={})
                assert answer["error"]["code"] == "AUTHENTICATION_FAILED", (kind, one.name)
            for method in ("tools/list", "prompts/list", "resources/list", "server/discover"):
                assert "AUTHENTICATION_FAILED" in str(await caller.post(method)), (kind, method)


@pytest.mark.slow
async def test_ten_thousand_calls_against_the_limit(open_desk: Callable[..., Any]) -> None:
    """What the limit allows is answered, and every call beyond it told when to return; all of them are in the trail."""
    limit, calls, at_once = 600, 10_000, 16
    desk = await open_desk(access={"rate_limits": {"read": limit}})
    counted: Counter[str] = Counter()
    waits: list[float] = []
    left = iter(range(calls))
    async with served(desk) as (http, url):
        caller = Caller(http, url, await key_of(desk.toolkit, "busy"))
        other = Caller(http, url, await key_of(desk.toolkit, "other"))

        async def work() -> None:
            for _ in left:
                code, result = await caller.tool("door_look", {})
                counted[code] += 1
                if code:
                    error = json.loads(result["content"][0]["text"])["error"]
                    waits.append(error["details"]["retry_after_s"])

        began = time.monotonic()
        await asyncio.gather(*(work() for _ in range(at_once)))
        refilled = (time.monotonic() - began) * limit / 60
        assert (await other.tool("door_look", {}))[0] == ""
    assert counted[""] + counted["RATE_LIMIT_EXCEEDED"] == calls == counted.total()
    assert limit <= counted[""] <= limit + refilled + 1
    assert all(0 < wait <= 60 / limit + 0.1 for wait in waits)
    ctx = desk.toolkit.context(surface=Surface.CLI)
    rows = await desk.toolkit.call("audit.list", {"tool": "door.look", "limit": 20_000}, ctx=ctx)
    outcomes = Counter((row.outcome, row.error_code) for row in rows.items)
    assert outcomes[("ok", "")] == counted[""] + 1
    assert outcomes[("refused", "RATE_LIMIT_EXCEEDED")] == counted["RATE_LIMIT_EXCEEDED"]
    proof = await desk.toolkit.call("audit.verify", ctx=ctx)
    assert proof.problems == ()


@pytest.mark.parametrize(
    ("method", "name", "more"),
    [
        ("tools/call", "door_look", {"arguments": {"door": 7}}),
        ("tools/call", "client_list", {"arguments": {"limit": 0}}),
        ("tools/call", "door_open", {"arguments": {"nothing": 1}}),
        ("tools/call", "nothing", {}),
        ("prompts/get", "nothing", {}),
        ("prompts/get", "knock", {}),
        ("resources/read", "", {"uri": "msp://nothing"}),
    ],
)
async def test_calls_that_can_only_be_refused_count(
    open_desk: Callable[..., Any], method: str, name: str, more: dict[str, Any]
) -> None:
    """What is not there, does not fit or is not allowed is refused as such, until there was a minute's worth of it."""
    limits = dict.fromkeys(("read", "record", "change", "destroy"), 4)
    desk = await open_desk(access={"rate_limits": limits})
    async with served(desk) as (http, url):
        caller = Caller(http, url, await key_of(desk.toolkit, "busy", allow="change"))
        said = [str(await caller.post(method, name, **more)) for _ in range(7)]
    limited = ["RATE_LIMIT_EXCEEDED" in one for one in said]
    assert limited == [False] * 4 + [True] * 3, said
    ctx = desk.toolkit.context(surface=Surface.CLI)
    rows = await desk.toolkit.call("audit.list", {"refused": True}, ctx=ctx)
    codes = Counter(row.error_code for row in rows.items)
    assert codes.total() == 7
    assert codes["RATE_LIMIT_EXCEEDED"] == 3


async def test_a_caller_that_goes_is_no_crash(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is it one for the log, whatever the caller had sent of its request."""
    text = await key_of(desk.toolkit, "hasty")
    async with served(desk) as (http, url):
        _, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(url).port)
        lines = ["POST /mcp HTTP/1.1", "host: 127.0.0.1", f"x-api-key: {text}"]
        lines += ["content-type: application/json", "mcp-protocol-version: 2026-07-28"]
        lines += ["accept: application/json, text/event-stream"]
        writer.write("\r\n".join([*lines, "content-length: 9", "", "{"]).encode())
        await asyncio.sleep(0.1)
        writer.transport.abort()
        assert (await Caller(http, url, text).tool("door_look", {}))[0] == ""
        assert [one for one in caplog.records if one.levelname == "ERROR"] == []


async def test_a_caller_leaves_room_for_the_sessions_of_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that begins them without end is told to stop; those that end make room again."""
    monkeypatch.setattr(http_front, "MOST_SESSIONS_OF_ONE", 3)
    params = {"protocolVersion": "2025-11-25", "capabilities": {}}
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
    begin["params"] = {**params, "clientInfo": {"name": "t", "version": "1"}}
    async with served(desk) as (http, url):
        greedy, other = [await key_of(desk.toolkit, name) for name in ("greedy", "other")]

        async def begun(key: str) -> Any:
            headers = {"x-api-key": key, "accept": "application/json, text/event-stream"}
            return await http.post(url, json=begin, headers=headers)

        answers = [await begun(greedy) for _ in range(5)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
        assert (await begun(other)).status_code == 200
        assert (await Caller(http, url, greedy).tool("door_look", {}))[0] == ""
        session = {"mcp-session-id": answers[0].headers["mcp-session-id"], "x-api-key": greedy}
        assert (await http.delete(url, headers=session)).status_code == 200
        assert (await begun(greedy)).status_code == 200


async def test_who_may_nothing_cannot_fill_the_trail(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many keys and addresses come, a minute has so many rows; the next one begins anew."""
    now = 1000.0
    monkeypatch.setattr("msp_mcp_server.desk.time", SimpleNamespace(monotonic=lambda: now))

    async def noted() -> int:
        return int((await desk.toolkit.call("audit.list", {"actor": "nobody"})).total)

    for number in range(200):
        await desk.turned_away("127.0.0.1", f"{number:08}")
        await desk.turned_away("127.0.0.1", "00000000")
    assert await noted() == 60
    now += 60
    await desk.turned_away("127.0.0.1", "00000000")
    assert await noted() == 61

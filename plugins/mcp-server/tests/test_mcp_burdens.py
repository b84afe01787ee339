"""The program under burdens, over both transports: many calls at once, huge arguments, agents that do not read."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from msp_core.v1 import Toolkit

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PROGRAM = [sys.executable, "-m", "msp_core", "mcp"]
MANY = 200
CALLS: dict[str, dict[str, Any]] = {
    "client_list": {},
    "device_list": {"limit": 32},
    "health_status": {},
    "health_history": {"client_id": "acme-corp"},
    "door_look": {"door": "front"},
}


@pytest.fixture
def url(workspace: Path, outside_path: Path) -> Iterator[str]:
    """Serve the workspace over HTTP."""
    process = subprocess.Popen(
        [*PROGRAM, "--http", "--port", "0"],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(outside_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    yield next(found[1] for line in lines if (found := re.search(r"Serving MCP on (\S+)", line)))
    process.terminate()
    process.communicate(timeout=60)


@pytest.fixture(params=["stdio", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    """Both transports."""
    return str(request.param)


@pytest.fixture
def connect(
    request: pytest.FixtureRequest, workspace: Path, outside_path: Path, transport: str, era: str
) -> Callable[[], Any]:
    """Make agents, on a pipe or over HTTP."""

    @asynccontextmanager
    async def make() -> AsyncIterator[Client]:
        env = {**os.environ, "PYTHONPATH": str(outside_path)}
        pipes = StdioServerParameters(command=PROGRAM[0], args=PROGRAM[1:], cwd=workspace, env=env)
        async with AsyncExitStack() as stack:
            front: Any = pipes
            if transport == "http":
                limits = httpx2.Limits(max_connections=MANY + 10)
                client = httpx2.AsyncClient(timeout=120, limits=limits)
                http = await stack.enter_async_context(client)
                address = request.getfixturevalue("url")
                front = streamable_http_client(address, http_client=http)
            yield await stack.enter_async_context(Client(front, mode=era))

    return make


async def test_many_calls_at_once(workspace: Path, connect: Callable[[], Any]) -> None:
    """200 calls of all sorts in flight are all answered, each with its own answer, each in an unbroken trail."""
    calls = [list(CALLS.items())[number % len(CALLS)] for number in range(MANY)]
    async with connect() as agent:
        alone = {name: await agent.call_tool(name, given) for name, given in CALLS.items()}
        with anyio.fail_after(120):
            answers = await asyncio.gather(*(agent.call_tool(*call) for call in calls))
    for (name, _), answer in zip(calls, answers, strict=True):
        assert not answer.is_error, answer
        assert answer.structured_content == alone[name].structured_content
    async with Toolkit.open(workspace / "msp-toolkit.toml") as toolkit:
        rows = (await toolkit.call("audit.list", {"limit": 1000})).items
        noted = Counter(row.action.replace(".", "_") for row in rows if row.surface == "mcp")
        assert noted == Counter(name for name, _ in calls) + Counter(CALLS.keys())
        assert (await toolkit.call("audit.verify")).problems == ()


async def test_ten_megabytes_are_refused(
    workspace: Path, connect: Callable[[], Any], transport: str
) -> None:
    """They are answered, take no room in the records, and the next call is served."""
    huge = {"search": "x" * 10_000_000}
    async with connect() as agent:
        with anyio.fail_after(60):
            if transport == "http":
                with pytest.raises(MCPError):  # the body is too large for HTTP already
                    await agent.call_tool("client_list", huge)
            else:
                text = (await agent.call_tool("client_list", huge)).content[0].text
                assert json.loads(text)["error"]["code"] == "INVALID_PARAMETERS"
                assert len(text) < 1000
            assert not (await agent.call_tool("client_list", {})).is_error
    assert sum(file.stat().st_size for file in (workspace / "data").iterdir()) < 5_000_000


async def test_agents_that_do_not_read_hold_up_nobody(workspace: Path, url: str) -> None:
    """Fifty that ask for much and take nothing: the others are answered as before."""
    where = httpx2.URL(url)
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "device_list", "arguments": {"limit": 32}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    head = [
        "POST /mcp HTTP/1.1", "host: 127.0.0.1", "accept: application/json, text/event-stream",
        "content-type: application/json", "mcp-protocol-version: 2026-07-28",
        "mcp-method: tools/call", "mcp-name: device_list", f"content-length: {len(body)}",
    ]  # fmt: skip
    asked = ("\r\n".join([*head, "", ""]) + body).encode() * 20
    deaf = []
    try:
        for _ in range(50):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect((where.host, where.port))
            one.sendall(asked)
            deaf.append(one)
        async with Client(url, mode="auto") as agent:
            for _ in range(20):
                with anyio.fail_after(30):
                    assert not (await agent.call_tool("client_list", {})).is_error
    finally:
        for one in deaf:
            one.close()

"""The program as an agent starts it: configuration, the morning briefing, broken input, sudden ends."""

import asyncio
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, StdioServerParameters

from msp_core.v1 import Toolkit
from msp_mcp_server import stdio

pytestmark = [pytest.mark.anyio]
PROGRAM = [sys.executable, "-m", "msp_core"]
HELLO = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
    "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}  # fmt: skip


def config_for(workspace: Path, client: str, *words: str) -> Any:
    """Return what `mcp config` prints."""
    made = subprocess.run(
        [*PROGRAM, "mcp", "config", client, *words],
        cwd=workspace,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(made.stdout)


@pytest.mark.parametrize(
    "client",
    [
        "claude-desktop",
        pytest.param("claude-code", marks=pytest.mark.slow),
        "vscode",
        pytest.param("cursor", marks=pytest.mark.slow),
    ],
)
async def test_the_printed_configuration_starts_the_server(
    workspace: Path, tmp_path: Path, client: str
) -> None:
    """From any folder, what each program's configuration says starts a server on this workspace."""
    made = config_for(workspace, client)
    server = next(iter(made.values()))["msp-toolkit"]
    assert set(made) == {"servers" if client == "vscode" else "mcpServers"}
    assert server["env"]["MSP_CONFIG"] == str(workspace / "msp-toolkit.toml")
    assert "canary" not in json.dumps(made)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    parameters = StdioServerParameters(
        command=server["command"],
        args=server["args"],
        env={**server["env"], "HOME": str(elsewhere)},
        cwd=elsewhere,
    )
    async with Client(parameters, mode="legacy") as agent:
        assert (await agent.call_tool("client_list", {})).structured_content["total"] == 4


def test_without_a_workspace_no_configuration_is_printed(tmp_path: Path) -> None:
    """It would start a server that knows no client; the error says how to make a workspace."""
    made = subprocess.run(
        [*PROGRAM, "mcp", "config", "cursor"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 1
    assert made.stdout == ""
    assert "init" in made.stderr


@pytest.fixture
def pipe(workspace: Path, outside_path: Path) -> Iterator[Callable[[], Any]]:
    """Start servers and hand out their pipes."""
    started_: list[Any] = []

    def make() -> Any:
        process = subprocess.Popen(
            [*PROGRAM, "mcp"],
            cwd=workspace,
            env={**os.environ, "PYTHONPATH": str(outside_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started_.append(process)
        return process

    yield make
    for process in started_:
        process.kill()
        process.wait(60)
        for stream in (process.stdin, process.stdout, process.stderr):
            with suppress(BrokenPipeError):
                stream.close()


def send(process: Any, *messages: Any) -> None:
    """Write messages, each on a line; bytes go as they are."""
    for message in messages:
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        process.stdin.write(data + b"\n")
    process.stdin.flush()


def answer(process: Any, id: Any) -> Any:
    """Read until the answer to a request."""
    for line in process.stdout:
        message = json.loads(line)
        if message.get("id") == id and "method" not in message:
            return message
    raise AssertionError("the server is gone: " + process.stderr.read().decode()[-2000:])


def test_broken_messages_do_not_end_it(pipe: Callable[[], Any]) -> None:
    """After a thousand broken, cut and mutilated messages a good one is answered, and stdout held JSON only."""
    process = pipe()
    send(process, HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    answer(process, 0)
    chance = random.Random(7)
    good = json.dumps({
        "jsonrpc": "2.0", "id": 5, "method": "tools/call",
        "params": {"name": "door_look", "arguments": {"door": "a"}},
    }).encode()  # fmt: skip
    odd: list[Any] = [
        b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 5000, b'{"a":' * 2000, b"1e999", b'"\\ud800"',
        {"jsonrpc": "2.0", "id": None, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": [1], "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 2, "method": "no/such"},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": []},
        {"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": 5}},
        {"jsonrpc": "2.0", "id": 6, "method": "tools/call", "params": {"name": "door_look", "arguments": []}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "never"}},
        {"jsonrpc": "2.0", "id": 7, "result": {}},
        {"jsonrpc": "2.0", "id": 8, "error": {"code": "x"}},
    ]  # fmt: skip
    for message in odd:
        send(process, message)
    for _ in range(1000):
        broken = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(broken))
            if chance.random() < 0.3:
                del broken[place:]
                broken += b" "
            else:
                broken[place] = chance.randrange(256)
        send(process, bytes(broken).replace(b"\n", b" "))
    call = {"name": "door_look", "arguments": {"door": "last"}}
    send(process, {"jsonrpc": "2.0", "id": "end", "method": "tools/call", "params": call})
    assert answer(process, "end")["result"]["structuredContent"] == {"result": "last is shut"}


def test_a_request_that_cannot_be_read_is_answered(pipe: Callable[[], Any]) -> None:
    """An agent does not wait for ever for what it sent wrongly; broken notifications and answers stay unanswered."""
    process = pipe()
    send(process, HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    answer(process, 0)
    head = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":'
    call = head + b'{"name":"door_look","arguments":{"door":%s}}}'
    for line in (
        {"jsonrpc": "2.0", "id": 8, "error": {"code": "x"}},
        {"jsonrpc": "2.0", "method": 5},
        call % (1, b'"\\ud800"'),
        call % (2, b"[" * 400 + b"]" * 400),
        head % 3 + b"[]}",
        b'{"id":"last","method":5}',
    ):
        send(process, line)
    for id in (1, 2, 3, "last"):
        line = json.loads(process.stdout.readline())
        assert (line["id"], line["error"]["code"]) == (id, -32600)
    for broken, code in ((b"{", -32700), (b"[" * 5000, -32700), (b"null", -32600)):
        send(process, broken)
        line = json.loads(process.stdout.readline())
        assert (line["id"], line["error"]["code"]) == (None, code)


def test_told_to_stop_it_ends_its_calls(workspace: Path, pipe: Callable[[], Any]) -> None:
    """SIGTERM cancels what runs, which is noted in the audit trail, and ends the process."""
    process = pipe()
    send(process, HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    answer(process, 0)
    call = {"name": "door_wait", "arguments": {}, "_meta": {"progressToken": 1}}
    send(process, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})
    assert b"progress" in process.stdout.readline()
    process.terminate()
    assert process.wait(20) == 0
    with closing(sqlite3.connect(workspace / "data" / "msp-toolkit.db")) as database:
        rows = database.execute("SELECT action, outcome FROM audit ORDER BY seq DESC LIMIT 1")
        assert rows.fetchall() == [("door.wait", "cancelled")]


def test_it_ends_when_the_agent_hangs_up(pipe: Callable[[], Any]) -> None:
    """A closed stream ends the process soon and without complaint."""
    process = pipe()
    send(process, HELLO)
    answer(process, 0)
    process.stdin.close()
    assert process.wait(20) == 0
    assert b"Traceback" not in process.stderr.read()


@pytest.mark.slow
def test_a_slow_reader_loses_nothing(pipe: Callable[[], Any]) -> None:
    """An agent that reads only after 300 large answers are due gets them all."""
    process = pipe()
    send(process, HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    answer(process, 0)
    params = {"name": "device_list", "arguments": {"limit": 32}}
    for number in range(1, 301):
        send(process, {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
    seen = set()
    for line in process.stdout:
        message = json.loads(line)
        assert len(message["result"]["structuredContent"]["items"]) == 32
        seen.add(message["id"])
        if len(seen) == 300:
            break
    assert seen == set(range(1, 301))


@given(
    st.lists(st.integers(0, 5) | st.integers(4000, 4200) | st.integers(0, 150_000), max_size=12),
    st.randoms(),
)
def test_no_write_waits_for_a_reader(sizes: list[int], random: random.Random) -> None:
    """Whatever lies in the pipe, a write asks for no more than goes at once; nothing is lost or changes places."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)  # what would have waited is cut short then
    asked: list[tuple[int, int]] = []

    def write(fd: int, data: bytes) -> int:
        done = os.write(fd, data)
        asked.append((len(data), done))
        return done

    def read(most: int) -> bytes:
        with suppress(BlockingIOError):
            return os.read(reading, most)
        return b""

    async def go() -> tuple[bytes, bytes]:
        writer, sent, got = stdio.Writer(writing), b"", b""
        for number, size in enumerate(sizes):
            text = f"{number}" * size
            sending = asyncio.ensure_future(writer.send(_Message(text)))  # type: ignore[arg-type]
            sent += text.encode() + b"\n"
            await asyncio.sleep(0)
            if random.random() < 0.7:
                got += read(random.choice([1, 100, 4096, 70_000, 1_000_000]))
            if random.random() < 0.5:
                sending.cancel()
        while len(got) < len(sent):
            await asyncio.sleep(0)
            got += read(1_000_000)
        await writer.aclose()
        return sent, got

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stdio, "os", SimpleNamespace(**{**vars(os), "write": write}))
        try:
            sent, got = asyncio.run(go())
        finally:
            os.close(reading)
            os.close(writing)
    assert got == sent
    assert all(length == done for length, done in asked)


def test_of_a_socket_nobody_knows_what_it_takes() -> None:
    """Only a pipe says how much it holds; into anything else goes what is safe."""
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    try:
        assert stdio._capacity(ours.fileno()) == 0
        assert stdio._capacity(writing) >= 4096
    finally:
        ours.close()
        theirs.close()
        os.close(reading)
        os.close(writing)


class _Message:
    """Stands for a message of the protocol."""

    def __init__(self, text: str) -> None:
        self.message = self
        self._text = text

    def model_dump_json(self, **_: Any) -> str:
        return self._text


def in_the_middle(workspace: Path) -> bool:
    """Tell whether the newest sweep has begun, has recorded something, and has not ended."""
    with closing(sqlite3.connect(workspace / "data" / "msp-toolkit.db")) as database:
        newest = database.execute(
            "SELECT finished_at IS NULL AND EXISTS (SELECT 1 FROM health_checks WHERE run_id = id)"
            " FROM health_runs ORDER BY id DESC LIMIT 1"
        )
        return bool(newest.fetchone()[0])


@pytest.mark.kill
async def test_killed_in_the_middle_of_a_sweep(workspace: Path, pipe: Callable[[], Any]) -> None:
    """The next server works on sound records: the sweep can be finished, and the trail is whole."""
    config = workspace / "msp-toolkit.toml"
    config.write_text(config.read_text() + "\n[health_checks]\nchunk_devices = 1\n")
    sweep = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "health_check"}}
    hits = 0
    for _ in range(20):
        process = pipe()
        send(process, HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        answer(process, 0)
        send(process, sweep)
        until = time.monotonic() + 3
        while time.monotonic() < until and not in_the_middle(workspace):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        hits += in_the_middle(workspace)
        if hits == 3:
            break
    assert hits == 3
    process = pipe()
    send(process, HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    answer(process, 0)
    for _ in range(60):
        send(
            process,
            {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "health_check"}},
        )
        result = answer(process, 2)["result"]
        if not result.get("isError"):
            break
        assert "CONFLICT" in result["content"][0]["text"]
        await anyio.sleep(1)
    data = result["structuredContent"]
    assert data["planned"] == sum(data["counts"].values())
    async with Toolkit.open(workspace / "msp-toolkit.toml") as toolkit:
        assert (await toolkit.call("audit.verify")).problems == ()

"""Streamable HTTP: who may call, from where, and with which key."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from msp_core.testing import eventually
from msp_core.v1 import Toolkit

pytestmark = [pytest.mark.anyio]
PROGRAM = [sys.executable, "-m", "msp_core"]
PING = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
    "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}  # fmt: skip
ACCEPT = {"accept": "application/json, text/event-stream"}


def start(folder: Path, outside: Path, *words: str, **env: str) -> tuple[Any, str]:
    """Start the program and return it with the address it says it serves."""
    process = subprocess.Popen(
        [*PROGRAM, "mcp", "--http", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(outside), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        found = re.search(r"Serving MCP on (\S+)", line)
        if found:
            return process, found[1]
    process.wait(60)
    return process, said


@pytest.fixture
def serve(workspace: Path, outside_path: Path) -> Iterator[Callable[..., str]]:
    """Start servers on the workspace, and stop them."""
    started = []

    def make(*words: str, **env: str) -> str:
        process, url = start(workspace, outside_path, *(words or ("--port", "0")), **env)
        started.append(process)
        return url

    yield make
    for process in started:
        process.terminate()
        process.communicate(timeout=60)


def key(workspace: Path, *words: str) -> str:
    """Make a key the way a person does."""
    made = subprocess.run(
        [*PROGRAM, "key", "create", *words, "--json"],
        cwd=workspace,
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(made.stdout)["text"])


def agent(url: str, era: str, text: str) -> Client:
    """Return an agent that sends a key."""
    http = httpx2.AsyncClient(headers={"authorization": f"Bearer {text}"}, timeout=30)
    return Client(streamable_http_client(url, http_client=http), mode=era)


@pytest.mark.slow
async def test_keys_decide_who_calls(workspace: Path, serve: Callable[..., str], era: str) -> None:
    """Without keys the local user is served; with keys only they are, each within its scope."""
    url = serve()
    async with Client(url, mode=era) as client:
        assert not (await client.call_tool("client_list", {})).is_error
    ours = key(workspace, "ours", "--client", "acme-corp")
    async with agent(url, era, ours) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert "client_list" in names
        assert "door_open" not in names
        listed = await client.call_tool("client_list", {})
        assert [row["id"] for row in listed.structured_content["items"]] == ["acme-corp"]
        other = await client.call_tool("client_show", {"client_id": "birchwood-dental"})
        assert json.loads(other.content[0].text)["error"]["code"] == "CLIENT_NOT_FOUND"
    async with httpx2.AsyncClient(timeout=30) as http:
        wrong = [
            {},
            {"authorization": "Bearer nonsense"},
            {"authorization": f"Bearer {ours[:-1]}"},
            {"authorization": f"Basic {ours}"},
            {"x-api-key": "msp_x_y"},
        ]
        for headers in wrong:
            refused = await http.post(url, json=PING, headers={**ACCEPT, **headers})
            assert refused.status_code == 401, headers
            assert refused.json()["error"]["code"] == "AUTHENTICATION_FAILED"
            assert "Bearer" in refused.headers["www-authenticate"]
        for headers in ({"x-api-key": ours}, {"authorization": f"bearer {ours}"}):
            good = await http.post(url, json=PING, headers={**ACCEPT, **headers})
            assert good.status_code == 200


@pytest.mark.slow
async def test_a_revoked_key_stays_out(workspace: Path, serve: Callable[..., str]) -> None:
    """Revoking is felt at once, nobody becomes the local user because no key is left, and the trail has who tried."""
    url = serve()
    only = key(workspace, "only")
    async with httpx2.AsyncClient(timeout=30) as http:
        headers = {**ACCEPT, "x-api-key": only}
        assert (await http.post(url, json=PING, headers=headers)).status_code == 200
        await anyio.run_process([*PROGRAM, "key", "revoke", "only"], cwd=workspace)
        for gone in (headers, ACCEPT, {**ACCEPT, "authorization": "Bearer s3cret-word"}):
            for _ in range(3):
                assert (await http.post(url, json=PING, headers=gone)).status_code == 401
    async with Toolkit.open(workspace / "msp-toolkit.toml") as toolkit:
        rows = (await toolkit.call("audit.list", {"actor": "nobody"})).items
        assert (await toolkit.call("audit.verify")).problems == ()
    known, local = only.split("_")[1], {"address": "127.0.0.1"}
    assert [json.loads(row.arguments) for row in rows] == [local, {**local, "key_id": known}]
    assert {(row.outcome, row.error_code) for row in rows} == {("refused", "AUTHENTICATION_FAILED")}


@pytest.mark.slow
async def test_a_session_answers_to_who_began_it(
    workspace: Path, serve: Callable[..., str]
) -> None:
    """Another key that learns a session's id can neither call in it, nor listen, nor end it."""
    url = serve()
    ours, other = key(workspace, "ours"), key(workspace, "other")
    async with httpx2.AsyncClient(headers=ACCEPT) as http:
        begun = await http.post(url, json=PING, headers={"x-api-key": ours})
        session = {"mcp-session-id": begun.headers["mcp-session-id"]}
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        foreign = {**session, "x-api-key": other}
        for method, body in (("POST", listing), ("GET", None), ("DELETE", None)):
            refused = await http.request(method, url, json=body, headers=foreign)
            assert refused.status_code == 404, method
        mine = await http.post(url, json=listing, headers={**session, "x-api-key": ours})
        assert mine.status_code == 200
        assert "client_list" in mine.text


@pytest.mark.slow
async def test_a_revoked_key_hears_nothing_more(
    workspace: Path, serve: Callable[..., str], era: str
) -> None:
    """What it subscribed to while it was good is not read for it any more."""
    config = workspace / "msp-toolkit.toml"
    config.write_text(config.read_text() + "\n[mcp]\nwatch_seconds = 0.2\n")
    url, uri = serve(), "msp://clients/acme-corp"
    ours = key(workspace, "ours")
    heard: list[str] = []

    async def hear(message: Any) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            heard.append(str(message.params.uri))

    async def note(text: str) -> None:
        words = ["client", "update", "acme-corp", "--notes", text]
        await anyio.run_process([*PROGRAM, *words], cwd=workspace)

    http = httpx2.AsyncClient(headers={"authorization": f"Bearer {ours}"}, timeout=30)
    front = streamable_http_client(url, http_client=http)
    async with Client(front, mode=era, message_handler=hear) as client, AsyncExitStack() as stack:
        if era == "legacy":
            await client.subscribe_resource(uri)
        else:
            await stack.enter_async_context(client.listen(resource_subscriptions=[uri]))
        await note("one")
        await eventually(lambda: heard)
        assert set(heard) == {uri}
        heard.clear()
        await anyio.run_process([*PROGRAM, "key", "revoke", "ours"], cwd=workspace)
        await note("two")
        await anyio.sleep(1)
        assert heard == []


@pytest.mark.slow
async def test_nobody_from_elsewhere_is_the_local_user(
    workspace: Path, serve: Callable[..., str]
) -> None:
    """Where others can reach the server, nobody is served without a key, also when the keys are gone."""
    config = workspace / "msp-toolkit.toml"
    config.write_text(config.read_text() + '\n[mcp]\nallowed_hosts = ["msp.example.com"]\n')
    ours = key(workspace, "ours")
    url = serve("--host", "0.0.0.0", "--port", "0").replace("0.0.0.0", "127.0.0.1")
    headers = {**ACCEPT, "host": "msp.example.com"}
    async with httpx2.AsyncClient(timeout=30) as http:
        good = await http.post(url, json=PING, headers={**headers, "x-api-key": ours})
        assert good.status_code == 200
        with closing(sqlite3.connect(workspace / "data" / "msp-toolkit.db")) as database:
            database.execute("DELETE FROM access_keys")
            database.commit()
        for wrong in ({}, {"x-api-key": ours}):
            refused = await http.post(url, json=PING, headers={**headers, **wrong})
            assert refused.status_code == 401


@pytest.mark.slow
async def test_a_locked_database_keeps_no_key_out(
    workspace: Path, serve: Callable[..., str]
) -> None:
    """Where the use of a key cannot be noted it is used all the same; where keys cannot be read, the answer says so."""
    config = workspace / "msp-toolkit.toml"
    config.write_text(config.read_text() + "\n[database]\nbusy_timeout_s = 0.2\n")
    url = serve()
    headers = {**ACCEPT, "x-api-key": key(workspace, "ours")}
    database = workspace / "data" / "msp-toolkit.db"
    async with httpx2.AsyncClient(timeout=30) as http:
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert (await http.post(url, json=PING, headers=headers)).status_code == 200
        database.rename(database.with_suffix(".away"))
        away = await http.post(url, json=PING, headers=headers)
        assert away.status_code == 503
        assert away.json()["error"]["code"] == "STORE_UNAVAILABLE"
        assert str(workspace) not in away.text


async def test_other_hosts_and_pages_are_not_answered(serve: Callable[..., str]) -> None:
    """A name that is not this machine's, or a page from elsewhere, is refused; health needs nothing."""
    url = serve()
    async with httpx2.AsyncClient(timeout=30) as http:
        for headers in (
            {"host": "evil.example"},
            {"host": "127.0.0.1.evil.example:80"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
        ):
            refused = await http.post(url, json=PING, headers={**ACCEPT, **headers})
            assert refused.status_code in (403, 421), headers
        health = await http.get(url.replace("/mcp", "/healthz"))
        assert health.json() == {"status": "ok"}
        large = await http.post(url, content=b"x" * 10_000_000, headers=ACCEPT)
        assert large.status_code == 413
        broken = await http.post(
            url, content=b'{"jsonrpc": ', headers={**ACCEPT, "content-type": "application/json"}
        )
        assert broken.status_code == 400
        assert (await http.post(url, json=PING, headers=ACCEPT)).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("host", ["127.0.0.2", pytest.param("[::1]", marks=pytest.mark.slow)])
async def test_every_address_of_this_machine_answers(serve: Callable[..., str], host: str) -> None:
    """By its own name, however that is written."""
    if sys.platform != "linux":
        pytest.skip("only Linux has all of 127.0.0.0/8")
    url = serve("--host", host, "--port", "0")
    assert url.startswith(f"http://{host}:")
    async with httpx2.AsyncClient(timeout=30) as http:
        assert (await http.post(url, json=PING, headers=ACCEPT)).status_code == 200


def test_others_than_this_machine_need_keys_and_names(workspace: Path, outside_path: Path) -> None:
    """It does not start where anybody could reach it, and says what is missing."""
    process, said = start(workspace, outside_path, "--host", "0.0.0.0", "--port", "0")
    assert process.returncode == 1
    assert "key create" in said
    assert "allowed_hosts" in said
    key(workspace, "some")
    process, said = start(workspace, outside_path, "--host", "0.0.0.0", "--port", "0")
    assert process.returncode == 1
    assert "key create" not in said
    assert "allowed_hosts" in said
    process, url = start(
        workspace,
        outside_path,
        "--host",
        "0.0.0.0",
        "--port",
        "0",
        MSP_MCP__ALLOWED_HOSTS='["msp.example.com"]',
    )
    assert url.startswith("http://0.0.0.0:")
    process.terminate()
    process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("env", "word"),
    [({"MCP_SERVER_PORT": "many"}, "MCP_SERVER_PORT"), ({"MCP_LOG_LEVEL": "loud"}, "log level")],
)
def test_wrong_variables_are_named(
    workspace: Path, outside_path: Path, env: dict[str, str], word: str
) -> None:
    """A variable that cannot be read stops the start, by name."""
    process, said = start(workspace, outside_path, **env)
    assert process.returncode == 1
    assert word in said


def test_a_port_that_is_taken_is_named(
    workspace: Path, serve: Callable[..., str], outside_path: Path
) -> None:
    """A second server on the port says so, as an error a person understands, and ends."""
    port = serve().rpartition(":")[2].partition("/")[0]
    process, said = start(workspace, outside_path, "--port", port)
    assert process.returncode == 1
    assert f"Nobody can listen on 127.0.0.1, port {port}" in said
    assert "Choose another port" in said
    assert "[CONFIG_INVALID]" in said
    process.communicate()


@pytest.mark.slow
async def test_a_key_that_is_sent_twice_is_none(workspace: Path, serve: Callable[..., str]) -> None:
    """Two headers of one name: what looked before us may have seen the other one."""
    text = key(workspace, "ours")
    url = serve()
    async with httpx2.AsyncClient(timeout=30) as http:
        for name, value in (("authorization", f"Bearer {text}"), ("x-api-key", text)):
            once = await http.post(url, json=PING, headers={**ACCEPT, name: value})
            assert once.status_code == 200
            twice = [*ACCEPT.items(), (name, "Bearer msp_a_b"), (name, value)]
            assert (await http.post(url, json=PING, headers=twice)).status_code == 401


@pytest.mark.slow
async def test_a_call_that_ends_with_the_server_is_no_crash(
    workspace: Path, outside_path: Path, era: str
) -> None:
    """A server that is told to stop waits a little, ends the calls that still run, and has no traceback to show."""
    process, url = start(workspace, outside_path, "--port", "0")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(url, mode=era))
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                with suppress(Exception):
                    await client.call_tool("door_wait", {"seconds": 60})

            group.start_soon(wait)
            await anyio.sleep(1)
            process.terminate()
            _, said = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=60))
            group.cancel_scope.cancel()
    assert process.returncode == 0
    assert "Traceback" not in said


def test_the_port_is_taken_from_the_variable(workspace: Path, outside_path: Path) -> None:
    """MCP_SERVER_PORT wins over the configuration."""
    process, url = start(workspace, outside_path, MCP_SERVER_PORT="0", MCP_LOG_LEVEL="DEBUG")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/mcp", url)
    assert ":3000" not in url
    process.terminate()
    process.communicate(timeout=60)

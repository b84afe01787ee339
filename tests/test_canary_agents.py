"""Secrets stay secret from agents: whatever they call over MCP, no answer, log, record or file holds a canary."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from canaries import CANARIES, REACHED, Hostile, Workshop, prepared, vendor, workshop

__all__ = ["prepared", "vendor", "workshop"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Send = Callable[..., Any]
MODES = ("500", "401", "login", "html", "broken", "redirect")
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
GIVEN = {
    "client_id": "acme-corp",
    "device": "acme-corp/srv",
    "command": ["true"],
    "alert": "1",
    "name": "Other Corp",
}


@contextmanager
def started(shop: Workshop, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server that logs all it can, into files that are searched as well."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MSP_")}
    with (shop.folder / "stderr.txt").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "msp_core", "--verbose", "mcp", *words],
            cwd=shop.folder,
            env={**kept, "HOME": str(shop.folder), "MCP_LOG_LEVEL": "DEBUG", **shop.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        try:
            yield process
        finally:
            process.terminate()
            shop.printed.append((f"mcp {words} stdout", process.communicate(timeout=60)[0]))


@contextmanager
def over_stdio(shop: Workshop) -> Iterator[Send]:
    """Serve on pipes; every line that comes is kept as it is."""
    with started(shop) as process:

        def send(method: str, **params: Any) -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(request(method, params).encode() + b"\n")
            process.stdin.flush()
            while True:
                line = process.stdout.readline()
                shop.printed.append((method, line))
                said = json.loads(line)
                if said.get("id") == 1:
                    return said

        yield send


@contextmanager
def over_http(shop: Workshop) -> Iterator[Send]:
    """Serve over HTTP to a key, which is a canary as well; every answer is kept with its headers."""
    made = subprocess.run(
        [sys.executable, "-m", "msp_core", "key", "create", "t", "--allow", "destroy", "--json"],
        cwd=shop.folder,
        env={**os.environ, "HOME": str(shop.folder), **shop.env},
        capture_output=True,
        check=True,
    )
    key = json.loads(made.stdout)["text"]
    with started(shop, "--http", "--port", "0"):
        found = None
        for _ in range(200):
            said = (shop.folder / "stderr.txt").read_text()
            if found := re.search(r"Serving MCP on (\S+)", said):
                break
            time.sleep(0.1)
        assert found, said
        url = found[1]

        def send(method: str, **params: Any) -> Any:
            named = params.get("name") or params.get("uri")
            headers = {
                "authorization": f"Bearer {key}",
                "accept": "application/json, text/event-stream",
                "content-type": "application/json",
                "mcp-protocol-version": "2026-07-28",
                "mcp-method": method,
                **({"mcp-name": named} if named else {}),
            }
            answer = httpx.post(url, content=request(method, params), headers=headers, timeout=60)
            shop.printed.append((method, repr(answer.headers).encode() + answer.content))
            text = answer.text
            if "event-stream" in answer.headers["content-type"]:
                text = [line for line in text.splitlines() if line.startswith("data:")][-1][5:]
            return json.loads(text)

        yield send
    secret = key.rpartition("_")[2].encode()
    files = [path for path in shop.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if secret in path.read_bytes()]
    assert not [what for what, said in shop.printed if secret in said]


def known(shop: Workshop, *instances: str) -> None:
    """Let a device be known to vendors that list none, so that they are asked about it."""
    with closing(sqlite3.connect(shop.folder / "data" / "msp-toolkit.db")) as database:
        for instance in instances:
            database.execute(
                "INSERT INTO links (instance, kind, external_id, our_id, client_id, seen_at)"
                " SELECT ?, kind, '7', our_id, client_id, seen_at FROM links WHERE kind = 'device'"
                " LIMIT 1",
                (instance,),
            )
        database.commit()


def request(method: str, params: Any) -> str:
    """Return a request of the protocol's newest revision, which needs no handshake."""
    whole = {**params, "_meta": META}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": whole})


@pytest.mark.parametrize("serve", [over_stdio, over_http], ids=["stdio", "http"])
def test_no_agent_learns_a_credential(workshop: Workshop, serve: Callable[..., Any]) -> None:
    """Every tool, against vendors that send back all they know, and with credentials as arguments."""
    shop = workshop
    assert shop.run("device", "add", "acme-corp", "srv", *REACHED) == 0
    known(shop, "ninja", "cwa")
    called = set()
    with serve(shop) as send:
        tools = send("tools/list")["result"]["tools"]
        for mode in MODES:
            Hostile.mode = mode
            for tool in tools:
                schema = tool["inputSchema"]
                given = {name: GIVEN[name] for name in schema.get("required", [])}
                said = send("tools/call", name=tool["name"], arguments=given)["result"]
                called.add((tool["name"], bool(said.get("isError"))))
                plan = said.get("structuredContent", {}).get("plan")
                if plan:
                    again = {**given, "plan": plan["id"]}
                    send("tools/call", name=tool["name"], arguments=again)
        for value in CANARIES.values():
            send("tools/call", name="client_list", arguments={"search": value})
            send("tools/call", name="client_list", arguments={value: value})
            send("tools/call", name="client_show", arguments={"client_id": value})
            send("tools/call", name="client_list", arguments={"tier": value, "limit": value})
            send("tools/call", name="health_check", arguments={"threshold_override": {value: 1}})
            send("tools/call", name="device_list", arguments={"cursor": value, "fields": [value]})
            send("prompts/get", name="morning-briefing", arguments={"tier": value})
        send("resources/read", uri="msp://clients/acme-corp")
        send("prompts/get", name="morning-briefing", arguments={})
    assert {name for name, _ in called} == {tool["name"] for tool in tools}
    assert any(CANARIES["ninja token"] in text for text in Hostile.told["ninja"])
    assert any(CANARIES["automate password"] in text for text in Hostile.told["automate"])
    log = (shop.folder / "logs" / "msp.log").read_text(encoding="utf-8")
    assert '"debug"' in log
    shop.run("audit", "list", "--json", "--limit", "1000")
    assert shop.run("audit", "export", "--output", "agents.jsonl") == 0
    assert shop.leaks() == []

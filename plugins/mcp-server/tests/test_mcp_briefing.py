"""The morning briefing: a scripted agent does what the prompt says, and its answer is what the store holds."""

import os
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from msp_core.v1 import Toolkit

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PREMIUM = ("acme-corp", "birchwood-dental", "cascade-logistics")
STEPS = ("client_list", "health_status", "health_check", "alert_list")


async def every_page(agent: Client, tool: str, **given: Any) -> list[dict[str, Any]]:
    """Return all rows of a list, three at a time."""
    rows: list[dict[str, Any]] = []
    more: dict[str, Any] = {"limit": 3}
    while True:
        result = await agent.call_tool(tool, {**given, **more})
        assert not result.is_error, result
        data = result.structured_content
        rows += data["items"]
        if not data["has_more"]:
            assert len(rows) == data["total"]
            return rows
        more["cursor"] = data["next_cursor"]


async def brief(agent: Client) -> str:
    """Answer `Give me a status update on all my premium clients` from what the tools say."""
    said = (await agent.get_prompt("morning-briefing", {"tier": "premium"})).messages[0]
    places = [said.content.text.find(f"`{name}`") for name in STEPS]
    assert -1 not in places
    assert places == sorted(places)
    clients = await every_page(agent, "client_list", tier="premium")
    known = (await agent.call_tool("health_status", {"tier": "premium"})).structured_content
    assert {line["name"] for line in known["lines"]} == {one["id"] for one in clients}
    healthy, lines, severities = 0, [], Counter[str]()
    for one in clients:
        whose = {"client_id": one["id"]}
        sweep = (await agent.call_tool("health_check", {**whose, "limit": 500})).structured_content
        alerts = await every_page(agent, "alert_list", **whose)
        severities.update(row["alert"]["severity"] for row in alerts)
        healthy += sweep["counts"]["ok"] == sweep["planned"]
        lines.append(f"{one['name']}: {one['devices']} devices, {sweep['counts']['ok']} checks ok")
        assert "cut" not in sweep
        lines += [
            f"  {row['status']} {row['device']} {row['check']}: {row['message']}"
            for row in sorted(
                sweep.get("concerns", []), key=lambda row: (row["device"], row["check"])
            )
        ]
    open_alerts = ", ".join(f"{number} {name}" for name, number in sorted(severities.items()))
    return "\n".join(
        [
            f"You have {len(clients)} premium clients, {healthy} of them entirely healthy.",
            *lines,
            f"Total active alerts: {severities.total()} ({open_alerts})",
        ]
    )


def told_by_the_store(database: sqlite3.Connection) -> str:
    """Answer the same from the rows of the database alone."""
    clients = database.execute(
        "SELECT id, name, (SELECT count(*) FROM devices WHERE client_id = clients.id)"
        " FROM clients WHERE tier = 'premium' ORDER BY id"
    ).fetchall()
    healthy, lines = 0, []
    for id, name, devices in clients:
        rows = database.execute(
            "SELECT status, substr(device_id, length(client_id) + 2), check_type, message"
            " FROM latest_status WHERE client_id = ? ORDER BY 2, 3",
            (id,),
        ).fetchall()
        wrong = [row for row in rows if row[0] != "ok"]
        healthy += not wrong
        lines.append(f"{name}: {devices} devices, {len(rows) - len(wrong)} checks ok")
        lines += [f"  {status} {device} {check}: {text}" for status, device, check, text in wrong]
    severities = Counter(
        row[0]
        for row in database.execute(
            "SELECT severity FROM alerts JOIN clients ON clients.id = client_id"
            " WHERE tier = 'premium' AND resolved_at IS NULL"
        )
    )
    open_alerts = ", ".join(f"{number} {name}" for name, number in sorted(severities.items()))
    return "\n".join(
        [
            f"You have {len(clients)} premium clients, {healthy} of them entirely healthy.",
            *lines,
            f"Total active alerts: {severities.total()} ({open_alerts})",
        ]
    )


async def test_the_morning_briefing(workspace: Path, era: str) -> None:
    """Every figure of the answer is in the store, and everything that is wrong there is in the answer."""
    async with Toolkit.open(workspace / "msp-toolkit.toml") as toolkit:
        for client in PREMIUM:
            await toolkit.call("client.update", {"client": client, "tier": "premium"})
    program = StdioServerParameters(
        command=sys.executable, args=["-m", "msp_core", "mcp"], cwd=workspace, env={**os.environ}
    )
    async with Client(program, mode=era) as agent:
        answer = await brief(agent)
    with closing(sqlite3.connect(workspace / "data" / "msp-toolkit.db")) as database:
        assert answer == told_by_the_store(database)
    assert answer.startswith("You have 3 premium clients, ")
    assert "warning" in answer or "critical" in answer

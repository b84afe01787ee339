"""The least an MCP server on the SDK can be: a list that is given, one tool that echoes, one that reads clients."""

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server

CLIENTS = """\
SELECT id, name, contact_email, tier, status, tags, notes, created_at, updated_at, deleted_at
FROM clients WHERE deleted_at IS NULL ORDER BY folded, id LIMIT ?"""
TOTAL = "SELECT count(1) FROM (SELECT 1 FROM clients WHERE deleted_at IS NULL)"
DEVICES = """\
SELECT client_id, count(id) FROM devices WHERE client_id IN ({ids}) AND missing_since IS NULL
GROUP BY client_id"""
CHECKED = "SELECT client_id, max(checked_at) FROM latest_status WHERE client_id IN ({ids}) GROUP BY client_id"


def client_list(connection: sqlite3.Connection, limit: int) -> dict[str, Any]:
    """Run the SQL of our `client_list`."""
    rows = connection.execute(CLIENTS, (limit,)).fetchall()
    total = connection.execute(TOTAL).fetchone()[0]
    ids = [row[0] for row in rows]
    marks = ",".join("?" * len(ids))
    devices = dict(connection.execute(DEVICES.format(ids=marks), ids).fetchall())
    checked = dict(connection.execute(CHECKED.format(ids=marks), ids).fetchall())
    items = [
        {
            "id": id,
            "name": name,
            "tier": tier,
            "status": status,
            "contact_email": contact,
            "tags": json.loads(tags),
            "devices": devices.get(id, 0),
            "last_health_check": checked.get(id),
        }
        for id, name, contact, tier, status, tags, *_ in rows
    ]
    return {"items": items, "total": total, "has_more": total > len(items)}


def build(listed: str, database: str) -> Server[Any]:
    """Return the server."""
    tools = [types.Tool.model_validate(one) for one in json.loads(Path(listed).read_text("utf-8"))]
    schemas = {one.name: one.input_schema for one in tools}
    result = types.ListToolsResult(tools=tools)
    connection = sqlite3.connect(database)

    async def list_tools(_ctx: Any, _params: Any) -> types.ListToolsResult:
        return result

    async def call_tool(_ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        given = params.arguments or {}
        if params.name == "bench_echo":
            text = given["text"]
            data: dict[str, Any] = {"result": text}
        else:
            data = client_list(connection, given["limit"])
            text = json.dumps(data)
        return types.CallToolResult(
            content=[types.TextContent(text=text)], structured_content=data, is_error=False
        )

    return Server(
        "bare",
        version="1",
        get_tool_input_schema=schemas.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(server: Server[Any]) -> None:
    """Serve over the standard streams, with the SDK's own transport."""
    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())


def serve_http(server: Server[Any], port: int) -> None:
    """Serve over HTTP, with the same web server as ours."""
    import uvicorn

    app = server.streamable_http_app(streamable_http_path="/mcp", host="127.0.0.1")
    uvicorn.run(app, host="127.0.0.1", port=port, http="h11", log_config=None, access_log=False)


if __name__ == "__main__":
    made = build(sys.argv[1], sys.argv[2])
    if len(sys.argv) > 3:
        serve_http(made, int(sys.argv[3]))
    else:
        anyio.run(serve_stdio, made)

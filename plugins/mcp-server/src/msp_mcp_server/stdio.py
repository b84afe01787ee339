"""Serve one agent over this process's standard streams."""

from mcp.server.stdio import stdio_server

from msp_mcp_server.desk import Desk
from msp_mcp_server.server import build


async def serve(desk: Desk) -> None:
    """Serve until the agent closes the stream; while serving, stray output goes to stderr."""
    server = build(desk)
    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())

"""The `mcp` commands. The SDK is imported when a server starts, not before."""

import json
import logging
import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar

from attrs import frozen

from msp_core.v1 import (
    Column,
    ConfigError,
    Context,
    Data,
    Display,
    Doc,
    InvalidParameters,
    Listing,
    Param,
)
from msp_mcp_server.settings import McpSettings

_PROGRAMS = ("msp-toolkit", "msp")
"""The second is all there is where the bundle is not installed."""
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class McpClient(StrEnum):
    """A program that starts MCP servers."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    VSCODE = "vscode"
    CURSOR = "cursor"


_FILES = {
    McpClient.CLAUDE_DESKTOP: "claude_desktop_config.json (Settings, Developer, Edit Config)",
    McpClient.CLAUDE_CODE: ".mcp.json in the project",
    McpClient.VSCODE: ".vscode/mcp.json in the workspace",
    McpClient.CURSOR: ".cursor/mcp.json in the project, or ~/.cursor/mcp.json",
}


@frozen(kw_only=True, eq=False, repr=False)
class ClientConfig(Data):
    """The JSON that makes an MCP client start this server, and the file it belongs in."""

    client: McpClient
    file: str
    config: dict[str, Any]

    DISPLAY: ClassVar[Display] = Display(
        summary=lambda made: json.dumps(made.config, indent=2, ensure_ascii=False)
    )


@frozen(kw_only=True, eq=False, repr=False)
class ToolCost(Data):
    """A tool as agents see it, and what its description costs them; tokens are estimated on the high side."""

    name: str
    effect: str
    plugin: str
    tokens: int
    tokens_with_output: int
    left_out: str = ""

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("name", "Tool"),
            Column("effect", "May"),
            Column("plugin", "Plugin"),
            Column("tokens", "Tokens"),
            Column("tokens_with_output", "With output"),
            Column("left_out", "Not shown because"),
        )
    )


async def serve(
    ctx: Context,
    *,
    http: Annotated[bool, Doc("Streamable HTTP in place of stdio.")] = False,
    host: Annotated[str | None, Doc("Where to listen; else mcp.host.")] = None,
    port: Annotated[
        int | None, Doc("Else MCP_SERVER_PORT, else mcp.port; 0 takes a free one.")
    ] = None,
    read_only: Annotated[bool, Doc("Agents only read, whatever else they may.")] = False,
) -> None:
    """Serve every tool to an agent over MCP, until it hangs up or the server is told to stop (Ctrl-C, SIGTERM).

    Start it from the agent's configuration: see `mcp config`. With --http it listens on this machine only, unless
    keys (`key create`) and mcp.allowed_hosts are configured.
    """
    from attrs import evolve

    from msp_mcp_server.desk import Desk
    from msp_mcp_server.stopping import until_told_to_stop

    # Pydantic, which the SDK is made with, else reads the metadata of every distribution there is at each start
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _set_log_level(ctx)
    desk = Desk(ctx.toolkit)
    desk.settings = evolve(desk.settings, read_only=desk.settings.read_only or read_only)
    for one in desk.catalog.left_out:
        ctx.warn(f"{one.tool} is not shown to agents: {one.reason}")
    with until_told_to_stop():
        if not http:
            from msp_mcp_server.stdio import serve as serve_stdio

            await serve_stdio(desk)
            return
        from msp_mcp_server.http import serve as serve_http

        await serve_http(
            desk, host or desk.settings.host, _port(ctx, desk.settings, port), started=_say_started
        )


def _say_started(url: str) -> None:
    sys.stderr.write(f"Serving MCP on {url}\n")
    sys.stderr.flush()


def _port(ctx: Context, settings: McpSettings, given: int | None) -> int:
    named = ctx.toolkit.config.environ.get("MCP_SERVER_PORT")
    if given is None and named:
        try:
            given = int(named)
        except ValueError:
            raise ConfigError(
                "MCP_SERVER_PORT is not a number.", suggestion="Set it to a port such as 3000."
            ) from None
    port = settings.port if given is None else given
    if not 0 <= port <= 65535:
        raise InvalidParameters(f"{port} is no port.", suggestion="Choose one from 1 to 65535.")
    return port


def _set_log_level(ctx: Context) -> None:
    level = ctx.toolkit.config.environ.get("MCP_LOG_LEVEL") or ctx.settings(McpSettings).log_level
    if level and level.upper() not in _LEVELS:
        raise ConfigError(
            f"{level[:20]!r} is no log level.", suggestion=f"Choose one of {', '.join(_LEVELS)}."
        )
    if level:
        logging.getLogger().setLevel(level.upper())


async def print_config(
    ctx: Context,
    client: Annotated[McpClient, Doc("The program that starts the server."), Param(arg=True)],
    *,
    read_only: Annotated[bool, Doc("Let agents only read.")] = False,
) -> ClientConfig:
    """Print the JSON that makes an MCP client start this server on this workspace."""
    ctx.toolkit.require_workspace()  # elsewhere the server would start and know no client
    server: dict[str, Any] = {
        "command": _program(),
        "args": ["mcp", *(["--read-only"] if read_only else [])],
        "env": _environment(ctx),
    }
    if client is McpClient.VSCODE:
        made = {"servers": {"msp-toolkit": {"type": "stdio", **server}}}
    else:
        made = {"mcpServers": {"msp-toolkit": server}}
    ctx.say(f"It belongs in {_FILES[client]}.")
    return ClientConfig(client=client, file=_FILES[client], config=made)


def _environment(ctx: Context) -> dict[str, str]:
    config = ctx.toolkit.config
    named = {"MSP_CONFIG": config.path, "MSP_CREDENTIALS": config.environ.get("MSP_CREDENTIALS")}
    return {name: str(Path(path).resolve()) for name, path in named.items() if path}


def _program() -> str:
    """Return the program by its full path: an agent has another PATH than the shell."""
    folder, ending = Path(sys.executable).parent, ".exe" if os.name == "nt" else ""
    for name in _PROGRAMS:
        beside = folder / f"{name}{ending}"
        if beside.exists():
            return str(beside)
    return next(filter(None, map(shutil.which, _PROGRAMS)), _PROGRAMS[0])


async def list_tools(ctx: Context) -> Listing[ToolCost]:
    """Show the tools an agent sees and what their descriptions cost it, dearest first."""
    from msp_mcp_server.catalog import Catalog, definition, tokens

    catalog = Catalog(ctx.toolkit, ctx.settings(McpSettings).page)
    rows = [
        ToolCost(
            name=one.name,
            effect=one.tool.effect.name.lower(),
            plugin=ctx.toolkit.registry.plugin_of(one.tool),
            tokens=tokens(definition(one, read_only=False, output=False)),
            tokens_with_output=tokens(definition(one, read_only=False)),
        )
        for one in catalog.all()
    ]
    rows.sort(key=lambda row: -row.tokens_with_output)
    total = f"{len(rows)} tools: {sum(row.tokens for row in rows)} tokens"
    total += f", {sum(row.tokens_with_output for row in rows)} with output schemas."
    rows += [
        ToolCost(
            name=one.tool,
            effect="",
            plugin=one.plugin,
            tokens=0,
            tokens_with_output=0,
            left_out=one.reason,
        )
        for one in catalog.left_out
    ]
    return Listing(items=tuple(rows), total=len(rows), notes=(total,))

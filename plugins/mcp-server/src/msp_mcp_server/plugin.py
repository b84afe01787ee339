"""What the MCP server offers."""

from collections.abc import Iterable

from msp_core.v1 import DoctorCheck, Effect, McpPrompt, Settings, Surface, Tool, hookimpl

_CLI = frozenset({Surface.CLI})


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the `mcp` commands."""
    yield Tool(
        name="mcp.serve",
        cli="mcp",
        run="msp_mcp_server.tools:serve",
        summary="Serve every tool to an agent over MCP (stdio, or HTTP with --http)",
        effect=Effect.READ,
        surfaces=_CLI,
        example="msp-toolkit mcp",
    )
    yield Tool(
        name="mcp.config",
        run="msp_mcp_server.tools:print_config",
        summary="Print the configuration of an MCP client that starts this server",
        effect=Effect.READ,
        surfaces=_CLI,
        example="msp-toolkit mcp config claude-desktop",
    )
    yield Tool(
        name="mcp.tools",
        run="msp_mcp_server.tools:list_tools",
        summary="Show the tools an agent sees, what they may do and what their descriptions cost",
        effect=Effect.READ,
        surfaces=_CLI,
        example="msp-toolkit mcp tools",
    )


@hookimpl
def msp_settings() -> Iterable[Settings]:
    """Type the section `mcp`."""
    yield Settings(section="mcp", type="msp_mcp_server.settings:McpSettings")


@hookimpl
def msp_mcp_prompts() -> Iterable[McpPrompt]:
    """Offer the tasks that need no more than tools any plugin may bring."""
    yield McpPrompt(
        name="morning-briefing",
        title="Morning briefing",
        run="msp_mcp_server.prompts:morning_briefing",
        summary="A status update on all clients, or those of one tier",
    )


@hookimpl
def msp_doctor_checks() -> Iterable[DoctorCheck]:
    """Name the tools that are kept from agents."""
    yield DoctorCheck(id="mcp", title="MCP server", run="msp_mcp_server.doctor:check")

"""What this plugin offers: documents and a task for agents, a tool for everybody."""

from collections.abc import Iterable

from msp_core.v1 import Effect, McpPrompt, McpResource, Settings, Tool, hookimpl


@hookimpl
def msp_mcp_resources() -> Iterable[McpResource]:
    """Offer each runbook by its address."""
    yield McpResource(
        name="runbook",
        title="Runbook",
        uri="runbook://{name}",
        run="acme_runbooks.books:read",
        summary="How we do something, step by step",
        mime_type="text/markdown",
    )


@hookimpl
def msp_mcp_prompts() -> Iterable[McpPrompt]:
    """Offer the task of working through one."""
    yield McpPrompt(
        name="follow-runbook",
        title="Follow a runbook",
        run="acme_runbooks.books:follow",
        summary="Work through a runbook for one client",
    )


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the list, on the command line and to agents."""
    yield Tool(
        name="acme-runbooks.list",
        run="acme_runbooks.books:names",
        summary="List the runbooks there are",
        effect=Effect.READ,
    )


@hookimpl
def msp_settings() -> Iterable[Settings]:
    """Type the section `acme_runbooks`."""
    yield Settings(section="acme_runbooks", type="acme_runbooks.books:RunbookSettings")

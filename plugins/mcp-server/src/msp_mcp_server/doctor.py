"""What `doctor` says about the MCP server."""

from collections.abc import Iterable

from msp_core.v1 import Context, Finding, Status
from msp_mcp_server.catalog import Catalog
from msp_mcp_server.settings import McpSettings


async def check(ctx: Context) -> Iterable[Finding]:
    """Name the tools that are not shown to agents, and why."""
    catalog = Catalog(ctx.toolkit, ctx.settings(McpSettings).page)
    if not catalog.left_out:
        return [Finding(status=Status.OK, message=f"{len(catalog.all())} tools for agents")]
    return [
        Finding(
            status=Status.WARNING,
            message=f"{one.tool} of {one.plugin} is not shown to agents: {one.reason}",
            fix="Ask the plugin's author to mend it.",
        )
        for one in catalog.left_out
    ]

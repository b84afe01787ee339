"""The cases every plugin of this kind must pass."""

from msp_core.testing.conformance import McpConformance, ToolConformance


class TestPrompts(McpConformance):
    """What every prompt must do."""

    plugin = "mcp-server"


class TestTools(ToolConformance):
    """What every tool must do."""

    plugin = "mcp-server"

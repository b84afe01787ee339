"""The cases every plugin of this kind must pass."""

from msp_core.testing.conformance import McpConformance, ToolConformance


class TestConformance(ToolConformance):
    """What every tool must do."""

    plugin = "clients"


class TestResources(McpConformance):
    """What every resource must do."""

    plugin = "clients"

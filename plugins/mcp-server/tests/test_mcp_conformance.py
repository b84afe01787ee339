"""The cases every plugin of this kind must pass."""

from msp_core.testing.conformance import PluginConformance


class TestConformance(PluginConformance):
    """What every plugin must do."""

    plugin = "mcp-server"

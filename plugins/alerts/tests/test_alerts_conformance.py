"""The cases every plugin of this kind must pass."""

from msp_core.testing.conformance import ToolConformance


class TestConformance(ToolConformance):
    """What every tool must do."""

    plugin = "alerts"

"""The cases every plugin of this kind must pass."""

from msp_core.testing.conformance import CheckConformance


class TestConformance(CheckConformance):
    """What every check must do."""

    plugin = "check-cpu"

"""The cases every RMM adapter and every source of facts must pass."""

from msp_core.testing.conformance import (
    ProbeSourceConformance,
    RmmAdapterConformance,
    SourceConformance,
)
from msp_lab.conformance import NinjaOne


class TestAdapter(RmmAdapterConformance):
    """The adapter in front of its simulator."""

    plugin, kind, backend = "rmm-ninjaone", "ninjaone", NinjaOne


class TestSources(SourceConformance):
    """Its sources of facts."""

    plugin, kind, backend = "rmm-ninjaone", "ninjaone", NinjaOne


class TestProbes(ProbeSourceConformance):
    """The source that runs a script on a device."""

    plugin, kind, backend = "rmm-ninjaone", "ninjaone", NinjaOne

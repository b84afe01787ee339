"""The cases every plugin of this kind must pass."""

from msp_core.testing.conformance import MachineConformance, SourceConformance
from msp_host_local.conformance import ThisMachine


class TestAdapter(MachineConformance):
    """What every host must do."""

    plugin, kind, backend = "host-local", "local", ThisMachine


class TestSources(SourceConformance):
    """What every source of facts must do."""

    plugin, kind, backend = "host-local", "local", ThisMachine

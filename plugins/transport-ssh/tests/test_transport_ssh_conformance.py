"""The cases every plugin of this kind must pass."""

from msp_core.testing.conformance import MachineConformance, SourceConformance
from msp_transport_ssh.conformance import OpenServer


class TestAdapter(MachineConformance):
    """What every transport must do."""

    plugin, kind, backend = "transport-ssh", "ssh", OpenServer


class TestSources(SourceConformance):
    """What every source of facts must do."""

    plugin, kind, backend = "transport-ssh", "ssh", OpenServer

"""What every plugin of a kind must do, as test classes: subclass one, name the plugin, and run pytest.

```python
from msp_core.testing.conformance import CheckConformance


class TestConformance(CheckConformance):
    plugin = "acme-uptime"
```

`msp-toolkit plugin verify ID` runs the same cases against an installed plugin.
"""

from msp_core.testing.conformance.adapter import SourceConformance
from msp_core.testing.conformance.backend import DeviceTruth, FieldNames, RmmBackend, RmmTruth
from msp_core.testing.conformance.check import CheckConformance
from msp_core.testing.conformance.machine import MachineBackend, MachineConformance
from msp_core.testing.conformance.mcp import McpConformance
from msp_core.testing.conformance.plugin import PluginConformance
from msp_core.testing.conformance.probe import ProbeSourceConformance
from msp_core.testing.conformance.rmm import RmmAdapterConformance
from msp_core.testing.conformance.secret import SecretProviderConformance
from msp_core.testing.conformance.tool import ToolConformance

__all__ = [
    "CheckConformance",
    "DeviceTruth",
    "FieldNames",
    "MachineBackend",
    "MachineConformance",
    "McpConformance",
    "PluginConformance",
    "ProbeSourceConformance",
    "RmmAdapterConformance",
    "RmmBackend",
    "RmmTruth",
    "SecretProviderConformance",
    "SourceConformance",
    "ToolConformance",
]

"""A health check as one class, for one program of yours; a distribution of its own is only needed to share it."""

# ruff: noqa: E402, I001 - the class comes with its own import, ready to be copied
# fmt: off
from contextlib import ExitStack

from workspace import workspace

from msp_toolkit.core.plugin import CheckResult

opened = ExitStack()
toolkit = opened.enter_context(workspace())

# From here on it is all there is to write.
from msp_toolkit.core.plugin import Plugin

class CustomHealthCheck(Plugin):
    """Custom health check plugin example"""

    name = "custom_disk_check"
    version = "1.0.0"

    def execute(self, context: dict) -> CheckResult:
        # Your custom logic here
        return CheckResult(
            status="healthy",
            message="Disk check passed",
            data={"usage": 45.2}
        )

# Register plugin
toolkit.register_plugin(CustomHealthCheck)

# It runs beside the installed checks, once for each device.
with opened:
    for one in toolkit.get_health_monitor().run_checks("acme-corp", ["custom_disk_check"])[:5]:
        print(f"{one.device_id}: {one.status} - {one.message} ({one.data['usage']} %)")

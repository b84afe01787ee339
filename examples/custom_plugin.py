"""A health check of your own as one class; a distribution of its own is only needed to share it."""

from typing import Any

from workspace import workspace

from msp_toolkit.core.plugin import CheckResult, Plugin


class NamingCheck(Plugin):
    """Are machines named the way we agreed?"""

    name = "naming"
    version = "1.0.0"

    def execute(self, context: dict[str, Any]) -> CheckResult:
        """Look at one device."""
        device = context["device"]["name"]
        prefix = context["client_id"].split("-")[0][:4]
        if device.lower().startswith(prefix):
            return CheckResult(status="healthy", message=f"{device} follows the convention")
        return CheckResult(status="warning", message=f"{device} does not start with {prefix}")


def main() -> None:
    """Register the class and run it beside the installed checks."""
    with workspace() as toolkit:
        toolkit.register_plugin(NamingCheck)
        for one in toolkit.get_health_monitor().run_checks("acme-corp", ["naming"])[:5]:
            print(f"{one.device_id}: {one.status} - {one.message}")


if __name__ == "__main__":
    main()

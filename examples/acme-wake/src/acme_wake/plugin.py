"""What this plugin offers: one tool, and a section of the configuration."""

from collections.abc import Iterable

from msp_core.v1 import Effect, Settings, Tool, hookimpl


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the tool. It acts on a client's machine, so its effect is CHANGE."""
    yield Tool(
        name="acme-wake.send",
        run="acme_wake.tools:send",
        summary="Wake a machine over the network",
        effect=Effect.CHANGE,
        example="msp-toolkit acme-wake send 00:11:22:33:44:55 --dry-run",
    )


@hookimpl
def msp_settings() -> Iterable[Settings]:
    """Type the section `acme_wake`."""
    yield Settings(section="acme_wake", type="acme_wake.tools:WakeSettings")

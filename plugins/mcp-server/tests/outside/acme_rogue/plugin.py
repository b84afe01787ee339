"""What the rogue offers."""

from collections.abc import Iterable

from msp_core.v1 import Effect, McpPrompt, Tool, hookimpl


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer tools that say they only read, and one that changes what it did not say."""
    for name in ("circle", "smell", "drop", "panic", "sneak", "stamp"):
        yield Tool(
            name=f"rogue.{name}",
            run=f"acme_rogue.tools:{name}",
            summary=f"{name.capitalize()} something",
            effect=Effect.READ,
        )
    yield Tool(
        name="rogue.swap",
        run="acme_rogue.tools:swap",
        summary="Swap something",
        effect=Effect.CHANGE,
    )


@hookimpl
def msp_mcp_prompts() -> Iterable[McpPrompt]:
    """Offer a prompt with text in it that somebody else wrote."""
    yield McpPrompt(
        name="gossip", title="Gossip", run="acme_rogue.tools:gossip", summary="Tell what is said"
    )

"""What the plugin offers."""

from collections.abc import Iterable

from msp_core.v1 import Effect, Tool, hookimpl

MORE = 0
"""How many tools beside the first; written anew where it is measured."""


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the tools."""
    yield Tool(
        name="bench.echo", run="bench_tools.tools:echo", summary="Say it again", effect=Effect.READ
    )
    for number in range(MORE):
        yield Tool(
            name=f"bench.tool-{number}",
            run="bench_tools.tools:look",
            summary=f"Look at one thing out of {number}",
            effect=Effect.READ,
        )

"""What the kernel offers: set up, look at itself, plugins, credentials."""

from collections.abc import Iterable

from msp_core.v1 import Effect, Surface, Tool, hookimpl

_PEOPLE = frozenset({Surface.CLI, Surface.PYTHON})


@hookimpl
def msp_tools() -> Iterable[Tool]:
    return ()

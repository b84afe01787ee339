"""Stand inside the door for changes, where `ctx.change` would have led."""

from collections.abc import Iterator
from contextlib import contextmanager

from msp_core.context import inside_door
from msp_core.records import Effect


@contextmanager
def open_door(effect: Effect = Effect.CHANGE) -> Iterator[None]:
    """Let the code inside change things up to `effect`, as if approved: `with open_door(): await adapter.run(...)`."""
    with inside_door(effect):
        yield

"""The tools."""

from collections.abc import Sequence
from typing import Annotated

from msp_core.v1 import Context, Doc, Listing


async def echo(ctx: Context, *, text: Annotated[str, Doc("What to say")]) -> str:
    """Say it again."""
    del ctx
    return text


async def look(
    ctx: Context,
    client_id: Annotated[str | None, Doc("Only this client")] = None,
    *,
    kinds: Annotated[Sequence[str], Doc("Only of these kinds")] = (),
    verbose: Annotated[bool, Doc("Say more")] = False,
) -> Listing[str]:
    """Look."""
    del ctx, client_id, kinds, verbose
    return Listing(items=(), total=0)

"""The outside plugin's tools. `DONE` holds what was changed in this process."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from attrs import frozen

from msp_core.v1 import Context, Doc, Effect, Param, Planned

DONE: list[str] = []

Doors = Annotated[Sequence[str], Doc("Doors, as CLIENT/DOOR")]


@frozen(kw_only=True)
class Opened:
    """What was opened."""

    doors: tuple[str, ...]


async def look(ctx: Context, *, door: Annotated[str, Doc("Which door")] = "front") -> str:
    """Look."""
    return f"{door} is shut"


async def note(ctx: Context, *, text: str) -> str:
    """Note."""
    return "noted" if ctx.records else "not noted"


async def open(ctx: Context, *, doors: Doors = ("acme-corp/front",)) -> Opened:
    """Open doors through the door for changes."""
    return Opened(doors=tuple([await _change(ctx, "open", door, Effect.CHANGE) for door in doors]))


async def demolish(
    ctx: Context,
    door: Annotated[str, Param(arg=True, mcp="door_id")],
    *,
    confirm: Annotated[bool, Doc("Set it to be sure")] = False,
) -> Opened:
    """Demolish a door."""
    return Opened(doors=(await _change(ctx, "demolish", door, Effect.DESTROY),))


async def _change(ctx: Context, kind: str, door: str, effect: Effect) -> str:
    async def apply() -> str:
        DONE.append(f"{kind} {door}")
        return door

    client = door.partition("/")[0]
    key = f"{ctx.correlation_id}:{door}"
    made: str | Planned = await ctx.change(
        kind, door, apply, key=key, client_id=client, effect=effect, preview=f"{kind} {door}"
    )
    return str(made)


async def wait(ctx: Context, *, seconds: float = 30.0, note: str = "") -> str:
    """Report progress until the time is over; leave word in a file when it is cancelled."""
    try:
        for step in range(100):
            ctx.progress.update(step, 100, f"step {step}")
            await asyncio.sleep(seconds / 100)
    except asyncio.CancelledError:
        if note:
            Path(note).write_text("cancelled")  # noqa: ASYNC240
        raise
    return "done"


async def secret(ctx: Context, *, instance: str = "rmm") -> dict[str, Any]:
    """Give away a credential, as a careless plugin would."""
    found = ctx.toolkit.secrets.find(f"{instance}/api_key")
    return {"found": found.reveal() if found else "none", "error": f"token={'x' * 20}"}


async def crash(ctx: Context) -> str:
    """Raise something unexpected that holds a credential."""
    found = ctx.toolkit.secrets.find("rmm/api_key")
    message = f"cannot log in with {found.reveal() if found else 'none'}"
    raise RuntimeError(message)


async def read_door(ctx: Context, id: str) -> dict[str, str]:
    """Read one door."""
    ctx.require_client(id)
    return {"id": id, "state": "shut"}


async def read_doors(ctx: Context) -> str:
    """Read all doors."""
    return "all are shut"


async def read_picture(ctx: Context) -> bytes:
    """Return a picture."""
    return b"\x89PNG"


async def knock(ctx: Context, *, door: Annotated[str, Doc("Which door")]) -> str:
    """Knock."""
    return f"Knock at {door}."

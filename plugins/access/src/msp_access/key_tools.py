"""The `key` commands."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from msp_access.api import Key, KeyRing, NewKey
from msp_access.settings import Level
from msp_core.v1 import Context, Doc, InvalidParameters, Listing, Param, Spelling

KeyRef = Annotated[str, Doc("The key's id or name."), Param(arg=True)]


async def create_key(
    ctx: Context,
    name: Annotated[str, Doc("What or who it is for."), Param(arg=True)],
    *,
    allow: Annotated[
        Level,
        Doc("The most it may do: read (checks run unrecorded), record, change or destroy."),
    ] = Level.READ,
    tools: Annotated[
        Sequence[str],
        Doc('Only these tools; "client.*" is a pattern, "resource.*" are documents.'),
        Param(cli=(Spelling("--tool"),)),
    ] = (),
    clients: Annotated[
        Sequence[str], Doc("Only these clients, by id."), Param(cli=(Spelling("--client"),))
    ] = (),
    expires: Annotated[timedelta, Doc("How long it is good for, such as 90d.")] = timedelta(
        days=90
    ),
) -> NewKey:
    """Make a key for a caller from outside, such as an agent over HTTP. It is shown once."""
    try:
        expires_at = ctx.now() + expires
    except OverflowError:
        raise InvalidParameters("expires: no calendar goes so far") from None
    ring = await ctx.get(KeyRing)
    return await ring.issue(
        ctx, name, level=allow, tools=tools, clients=clients, expires_at=expires_at
    )


async def list_keys(
    ctx: Context,
    *,
    all: Annotated[bool, Doc("Also revoked and expired ones.")] = False,
) -> Listing[Key]:
    """Show the keys, what they may do and when they were last used."""
    return await (await ctx.get(KeyRing)).list(ctx, all=all)


async def revoke_key(ctx: Context, key: KeyRef) -> Key:
    """Make a key useless at once."""
    return await (await ctx.get(KeyRing)).revoke(ctx, key)


async def rotate_key(ctx: Context, key: KeyRef) -> NewKey:
    """Give a key a new text with the same name and scope; the old one is useless at once."""
    return await (await ctx.get(KeyRing)).rotate(ctx, key)

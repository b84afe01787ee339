"""Changing the key of the credential file."""

import asyncio
from pathlib import Path
from typing import Annotated, ClassVar

from attrs import frozen

from msp_core.v1 import Context, Display, Doc, Planned


@frozen(kw_only=True)
class KeyRotation:
    """What a change of the key did."""

    DISPLAY: ClassVar[Display] = Display(summary=lambda result: result.message)

    file: str
    secrets: int
    message: str


async def rotate_key(
    ctx: Context,
    *,
    new_key_file: Annotated[
        Path | None, Doc("Lock the file with this key file; made where there is none.")
    ] = None,
) -> KeyRotation | Planned:
    """Encrypt the credential file anew under a new key.

    A file locked with a passphrase takes the new one from MSP_SECRETS_NEW_PASSPHRASE; a file locked with a key file of
    the user's configuration folder gets a new key file there, and the old one is removed.
    """
    # Not at the top: the cryptography is imported for this tool only, not to list it
    from msp_secrets_file import rotation

    plan = await asyncio.to_thread(rotation.plan, ctx.toolkit.secrets, new_key_file)

    async def apply() -> KeyRotation:
        count, message = await asyncio.to_thread(rotation.run, plan)
        return KeyRotation(file=str(plan.store.path), secrets=count, message=message)

    return await ctx.change(
        "credential.rotate-key",
        str(plan.store.path),
        apply,
        key=f"credential.rotate-key:{plan.old.salt.hex()}",
        preview=plan.preview,
    )

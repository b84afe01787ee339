"""Runbooks: Markdown files in one folder."""

from pathlib import Path
from typing import Annotated

from attrs import frozen

from msp_core.v1 import Context, Doc, NotFound


@frozen(kw_only=True)
class RunbookSettings:
    """Where the runbooks are."""

    folder: Annotated[str, Doc("Folder with the Markdown files.")] = "runbooks"


async def names(ctx: Context) -> list[str]:
    """List the runbooks there are."""
    return sorted(file.stem for file in _folder(ctx).glob("*.md"))


async def read(ctx: Context, name: str) -> str:
    """Return the text of a runbook."""
    known = await names(ctx)
    if name not in known:  # so that no name leads out of the folder
        message = f"There is no runbook {name!r}."
        raise NotFound(message, suggestion=f"There are: {', '.join(known) or 'none'}.")
    return (_folder(ctx) / f"{name}.md").read_text(encoding="utf-8")


async def follow(
    ctx: Context,
    *,
    name: Annotated[str, Doc("Name of the runbook.")],
    client: Annotated[str, Doc("Id of the client.")],
) -> str:
    """Ask the agent to work through a runbook."""
    steps = await read(ctx, name)
    return f"Follow this runbook for the client {client}, and report each step.\n\n{steps}"


def _folder(ctx: Context) -> Path:
    return Path(ctx.settings(RunbookSettings).folder)

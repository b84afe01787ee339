"""The `audit`, `approval` and `change` commands."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, TextIO

from attrs import asdict, frozen

from msp_access.api import Access, AuditRow, JournalEntry, JournalState, Plan, PlanState, Proof
from msp_core.v1 import Context, Display, Doc, InvalidParameters, Listing, Param, moment

PlanId = Annotated[str, Doc("The plan's id, as `approval list` shows it."), Param(arg=True)]
Limit = Annotated[int, Doc("At most so many, the newest."), Param(least=1)]
_PAGE = 2_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """File formats of the audit trail."""

    JSONL = "jsonl"
    CSV = "csv"


@frozen(kw_only=True)
class Said:
    """What was decided."""

    plan: Plan
    message: str

    def say(self) -> str:
        """Return it for people, with the end of an approval in their zone."""
        if self.plan.state is PlanState.APPROVED:
            return f"{self.message}, until {moment(self.plan.expires_at)}."
        return f"{self.message}."

    DISPLAY: ClassVar[Display] = Display(summary=lambda said: said.say())


@frozen(kw_only=True)
class AuditExport:
    """An exported audit trail."""

    path: Path
    rows: int
    head: str

    DISPLAY: ClassVar[Display] = Display(
        summary=lambda done: (
            f"Wrote {done.rows} rows to {done.path}. Last hash: {done.head or 'none'}"
        )
    )


async def list_audit(
    ctx: Context,
    *,
    actor: Annotated[str | None, Doc("Only this actor, such as local:alice.")] = None,
    tool: Annotated[str | None, Doc("Only this tool, such as device.exec.")] = None,
    client: Annotated[str | None, Doc("Only calls that named this client.")] = None,
    refused: Annotated[bool, Doc("Only calls that were refused.")] = False,
    since: Annotated[timedelta | None, Doc("Only so far back, such as 7d.")] = None,
    limit: Limit = 50,
) -> Listing[AuditRow]:
    """Show who called what, and what came of it; newest first."""
    access = await ctx.get(Access)
    return await access.audit(
        ctx,
        actor=actor,
        action=tool,
        outcome="refused" if refused else None,
        client_id=client,
        since=None if since is None else _ago(ctx, since),
        limit=limit,
    )


@contextmanager
def _new(path: Path) -> Iterator[TextIO]:
    """Open a file that was not there; where not all of it can be written, it is not there again."""
    with path.open("x", encoding="utf-8", newline="") as out:
        try:
            yield out
            out.flush()
        except BaseException:
            path.unlink()
            raise


def _ago(ctx: Context, since: timedelta) -> datetime | None:
    try:
        return ctx.now() - since
    except OverflowError:
        return None  # before there were calendars


async def verify_audit(ctx: Context) -> Proof:
    """Prove that no row of the audit trail was edited or removed; exit code 1 where one was."""
    return await (await ctx.get(Access)).verify(ctx)


async def export_audit(
    ctx: Context,
    *,
    output: Annotated[Path, Doc("File to write; it must not exist.")],
    format: Annotated[
        ExportFormat, Doc("jsonl holds exactly what the hashes are made of.")
    ] = ExportFormat.JSONL,
) -> AuditExport:
    """Write the audit trail to a file, oldest first, with the hashes that prove it."""
    access = await ctx.get(Access)
    write = _csv if format is ExportFormat.CSV else _jsonl
    rows, seq, head = 0, 0, ""
    try:
        with _new(output) as out:
            while page := (await access.audit(ctx, after=seq, limit=_PAGE)).items:
                out.write(write(page, heading=not rows))
                rows += len(page)
                seq, head = page[-1].seq, page[-1].hash
    except FileExistsError as error:
        raise InvalidParameters(
            f"{output} exists already", suggestion="Name a new file; a trail is never overwritten."
        ) from error
    except OSError as error:
        raise InvalidParameters(
            f"{output} cannot be written: {error.strerror}",
            suggestion="Check the folder and the space there.",
        ) from error
    return AuditExport(path=output, rows=rows, head=head)


async def list_plans(
    ctx: Context,
    *,
    all: Annotated[bool, Doc("Also plans that were decided, used or have expired.")] = False,
) -> Listing[Plan]:
    """Show what waits for a person's approval, and what is approved and not yet used."""
    states = () if all else (PlanState.PENDING, PlanState.APPROVED)
    return await (await ctx.get(Access)).plans(ctx, states=states)


async def approve(
    ctx: Context, plan: PlanId, *, note: Annotated[str, Doc("Why, for the record.")] = ""
) -> Said:
    """Let a planned call run once: the same actor must make the same call before the approval expires."""
    made = await (await ctx.get(Access)).decide(ctx, plan, approve=True, note=note)
    message = f"Approved: {made.actor} may call {made.tool} {made.arguments} once"
    return Said(plan=made, message=message)


async def deny(
    ctx: Context, plan: PlanId, *, note: Annotated[str, Doc("Why, for the record.")] = ""
) -> Said:
    """Refuse a planned call."""
    made = await (await ctx.get(Access)).decide(ctx, plan, approve=False, note=note)
    return Said(plan=made, message=f"Denied: {made.tool} of {made.actor}")


async def list_changes(
    ctx: Context,
    *,
    state: Annotated[
        JournalState | None, Doc("in-flight (may have been interrupted), done or failed.")
    ] = None,
    client: Annotated[str | None, Doc("Only changes for this client.")] = None,
    limit: Limit = 50,
) -> Listing[JournalEntry]:
    """Show what was changed outside our own records, and what was interrupted; newest first."""
    access = await ctx.get(Access)
    return await access.changes(ctx, state=state, client_id=client, limit=limit)


async def settle_change(
    ctx: Context,
    key: Annotated[str, Doc("The change's key, as `change list` shows it."), Param(arg=True)],
    *,
    happened: Annotated[bool, Doc("It did happen; with --no-happened it may be tried again.")],
) -> JournalEntry:
    """Say whether an interrupted change did happen."""
    return await (await ctx.get(Access)).settle(ctx, key, happened=happened)


def _jsonl(rows: Iterable[AuditRow], *, heading: bool) -> str:
    del heading
    return "".join(json.dumps(_plain(row), ensure_ascii=False) + "\n" for row in rows)


def _csv(rows: Iterable[AuditRow], *, heading: bool) -> str:
    out = io.StringIO(newline="")
    plain = [_plain(row) for row in rows]
    writer = csv.DictWriter(out, list(plain[0]), lineterminator="\n")
    if heading:
        writer.writeheader()
    for row in plain:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def _plain(row: AuditRow) -> dict[str, Any]:
    return {**asdict(row), "at": row.at.isoformat(timespec="microseconds")}


def _cell(value: Any) -> Any:
    """Keep a spreadsheet from running text that others chose."""
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value

"""What `doctor` looks at: the audit trail and interrupted changes."""

from collections.abc import Iterable

from msp_access.api import Access, JournalState
from msp_core.v1 import Context, Finding, Status


async def check_audit(ctx: Context) -> Iterable[Finding]:
    """Prove the audit trail."""
    proof = await (await ctx.get(Access)).verify(ctx)
    if proof.problems:
        return [
            Finding(
                status=Status.CRITICAL,
                message=problem,
                fix="Compare with an export: msp-toolkit audit export",
            )
            for problem in proof.problems[:5]
        ]
    return [Finding(status=Status.OK, message=f"{proof.rows} rows, none edited or removed")]


async def check_changes(ctx: Context) -> Iterable[Finding]:
    """Name changes that may have been interrupted."""
    found = await (await ctx.get(Access)).changes(ctx, state=JournalState.IN_FLIGHT)
    if not found.total:
        return [Finding(status=Status.OK, message="no change is in flight")]
    return [
        Finding(
            status=Status.WARNING,
            message=f"{one.kind} on {one.target} began {one.started_at:%Y-%m-%d %H:%M} and has not ended",
            fix="Look at the target, then: msp-toolkit change settle KEY --happened or --no-happened",
        )
        for one in found.items[:20]
    ]

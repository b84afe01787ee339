"""What `doctor` looks at: whether sweeps happen and end."""

from collections.abc import Iterable

from msp_core.v1 import Context, Finding, Status
from msp_health.api import Counts, utc_text
from msp_health.runs import FINISHED, INTERRUPTED, RUNNING, is_alive, real_now
from msp_health.tables import HealthRunRow
from msp_store.api import Store, Tx


async def sweeps(ctx: Context) -> Iterable[Finding]:
    """Say when a sweep last finished and whether one was cut short since."""
    store = await ctx.get(Store)
    return await store.read(_look)


def _look(_: Tx) -> list[Finding]:
    last = (
        HealthRunRow.select()
        .where(HealthRunRow.state == FINISHED)
        .order_by(HealthRunRow.id.desc())
        .first()
    )
    findings = []
    if last is None:
        findings.append(
            Finding(
                status=Status.WARNING,
                message="No sweep has ever finished.",
                fix="msp-toolkit health check --all",
            )
        )
    else:
        when = utc_text(last.finished_at)
        counts = Counts(**{status.value: getattr(last, status.value) for status in Status})
        text = f"Run {last.id} finished {when}: {last.planned} checks, {counts}."
        findings.append(Finding(status=Status.OK, message=text))
    cut_short = HealthRunRow.select().where(
        HealthRunRow.state.in_((RUNNING, INTERRUPTED)),
        HealthRunRow.id > (last.id if last else 0),
    )
    for run in cut_short.order_by(HealthRunRow.id):
        if is_alive(run, real_now()):
            text = (
                f"Run {run.id} is under way: {run.planned} of {run.expected} checks are recorded."
            )
            findings.append(Finding(status=Status.OK, message=text))
            continue
        findings.append(
            Finding(
                status=Status.WARNING,
                message=f"Run {run.id} was cut short: {run.planned} of {run.expected} checks are recorded.",
                fix="msp-toolkit health check --all --resume",
            )
        )
    return findings

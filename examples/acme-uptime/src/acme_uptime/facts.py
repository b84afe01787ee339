"""The fact, in a normal unit and with None for "not said", and how it is judged."""

from typing import Annotated, ClassVar

from attrs import frozen

from msp_core.v1 import Doc, Metric, Previous, Status, Verdict, measured


@frozen(kw_only=True)
class UptimeFacts:
    """How long a machine has been running."""

    fact_id: ClassVar[str] = "acme-uptime"
    up_seconds: float | None


@frozen(kw_only=True)
class Limits:
    """How long is too long."""

    warning_days: Annotated[float, Doc("From here on updates have waited too long.")] = 60.0


def evaluate(fact: UptimeFacts, *, limits: Limits, previous: Previous | None) -> Verdict:
    """Judge how long a machine has gone without a restart."""
    seconds = measured(fact.up_seconds, most=1e10)  # None for what no machine can say
    if seconds is None:
        return Verdict(Status.UNKNOWN, "how long it has been up is not known")
    days = seconds / 86_400
    status = Status.WARNING if days >= limits.warning_days else Status.OK
    metric = Metric("uptime", seconds, "s")
    return Verdict(status, f"up for {days:.1f} days", (metric,))

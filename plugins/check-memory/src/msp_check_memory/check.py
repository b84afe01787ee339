"""Judge memory: the limits, and a pure function from facts to a verdict."""

from collections.abc import Mapping
from typing import Annotated, Any

from attrs import field, frozen

from msp_core.v1 import (
    ConditionFacts,
    ConditionKind,
    Doc,
    Levels,
    MemoryFacts,
    Metric,
    Previous,
    Severity,
    Status,
    Verdict,
    measured,
    not_above,
    not_below,
    positive,
    worst,
)

MOST_BYTES = 2.0**60  # an exbibyte: no machine has more
GB = 10**9


@frozen(kw_only=True)
class MemoryLimits:
    """Limits of the memory check."""

    warning_percent: Annotated[
        float, Doc("Share of memory that programs cannot get any more that is a warning.")
    ] = field(default=90.0, validator=positive)
    critical_percent: Annotated[float, Doc("Share that is critical.")] = field(
        default=95.0, validator=not_below("warning_percent")
    )
    warning_recover_percent: Annotated[
        float | None, Doc("A warning ends below this; 5 % under the limit if not given.")
    ] = field(default=None, validator=not_above("warning_percent"))
    critical_recover_percent: Annotated[
        float | None, Doc("A critical state ends below this; 5 % under the limit if not given.")
    ] = field(default=None, validator=not_above("critical_percent"))
    warning_swap_percent: Annotated[
        float | None, Doc("Use of swap that is a warning while memory is short as well.")
    ] = field(default=80.0, validator=positive)
    critical_swap_percent: Annotated[
        float | None, Doc("Use of swap that is critical while memory is short as well.")
    ] = field(default=None, validator=not_below("warning_swap_percent"))
    swap_counts_from_percent: Annotated[
        float,
        Doc("Memory use from which full swap counts; below it old pages rest there unharmed."),
    ] = field(default=75.0, validator=positive)


def evaluate(
    memory: MemoryFacts | ConditionFacts, *, limits: MemoryLimits, previous: Previous | None = None
) -> Verdict:
    """Judge the measured memory, or the vendor's own monitor where nothing is measured."""
    if isinstance(memory, ConditionFacts):
        return _vendor_verdict(memory)
    before = previous.data if previous else {}
    total = measured(memory.total_bytes, MOST_BYTES)
    available = measured(memory.available_bytes, MOST_BYTES)
    if not total or available is None or available > total:
        return Verdict(Status.UNKNOWN, _unreadable_reason(memory), data=dict(before))
    used = 100 * (1 - available / total)
    levels = Levels(
        warning=limits.warning_percent,
        critical=limits.critical_percent,
        warning_recover=limits.warning_recover_percent,
        critical_recover=limits.critical_recover_percent,
    )
    status = levels.judge(used, before.get("used"))
    reason = levels.explain(used, status, " %")
    text = f"{used:.1f} % of memory used, {_size(available)} available of {_size(total)}"
    metrics = (
        Metric("used", round(used, 3), "%", levels.warning, levels.critical),
        Metric("available", available, "B"),
    )
    swap = _swap(memory, used, limits, before)
    return Verdict(
        status=worst((status, swap.status)),
        message=(f"{text} ({reason})" if reason else text) + swap.text,
        metrics=metrics + swap.metrics,
        data={"used": status.value, "swap": swap.state},
    )


@frozen
class _Swap:
    status: Status
    text: str = ""
    metrics: tuple[Metric, ...] = ()
    state: str = "ok"


def _swap(
    memory: MemoryFacts, used: float, limits: MemoryLimits, before: Mapping[str, Any]
) -> _Swap:
    if memory.swap_total_bytes is None or memory.swap_free_bytes is None:
        return _Swap(Status.OK)
    total = measured(memory.swap_total_bytes, MOST_BYTES)
    free = measured(memory.swap_free_bytes, MOST_BYTES)
    if total is None or free is None or free > total:
        state = str(before.get("swap", Status.UNKNOWN.value))
        return _Swap(Status.UNKNOWN, "; the reported swap sizes make no sense", state=state)
    if not total:
        return _Swap(Status.OK)
    swapped = 100 * (1 - free / total)
    levels = Levels(warning=limits.warning_swap_percent, critical=limits.critical_swap_percent)
    status = Status.OK
    if used >= limits.swap_counts_from_percent:
        status = levels.judge(swapped, before.get("swap"))
    reason = levels.explain(swapped, status, " %")
    text = f"; {swapped:.1f} % of swap used ({reason})" if reason else ""
    metric = Metric("swap", round(swapped, 3), "%", levels.warning, levels.critical)
    return _Swap(status, text, (metric,), status.value)


def _unreadable_reason(memory: MemoryFacts) -> str:
    if memory.total_bytes is None or memory.available_bytes is None:
        return "memory use is not reported"
    return "the reported memory sizes make no sense"


def _size(value: float) -> str:
    return f"{value / GB:.1f} GB"


def _vendor_verdict(conditions: ConditionFacts) -> Verdict:
    active = [item for item in conditions.active if item.kind is ConditionKind.MEMORY]
    if active:
        critical = any(item.severity is Severity.CRITICAL for item in active)
        return Verdict(
            Status.CRITICAL if critical else Status.WARNING,
            "; ".join(
                _plain(item.message) or "the console's memory monitor is triggered"
                for item in active[:3]
            ),
        )
    if ConditionKind.MEMORY in conditions.monitored:
        return Verdict(Status.OK, "the console's memory monitor is quiet")
    return Verdict(
        Status.UNKNOWN, "the console neither reports memory use nor is known to monitor it"
    )


def _plain(text: str) -> str:
    """Return a vendor's text as one short printable line."""
    line = " ".join(text.split())
    return "".join(character for character in line if character.isprintable())[:160]

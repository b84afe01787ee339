"""Judge memory: the limits, and a pure function from facts to a verdict."""

from collections.abc import Mapping
from functools import cached_property
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
    Status,
    Verdict,
    measured,
    monitor_verdict,
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

    @cached_property
    def used(self) -> Levels:
        """The levels of memory."""
        return Levels(
            warning=self.warning_percent,
            critical=self.critical_percent,
            warning_recover=self.warning_recover_percent,
            critical_recover=self.critical_recover_percent,
        )

    @cached_property
    def swap(self) -> Levels:
        """The levels of swap."""
        return Levels(warning=self.warning_swap_percent, critical=self.critical_swap_percent)


def evaluate(
    memory: MemoryFacts | ConditionFacts, *, limits: MemoryLimits, previous: Previous | None = None
) -> Verdict:
    """Judge the measured memory, or the vendor's own monitor where nothing is measured."""
    if isinstance(memory, ConditionFacts):
        return monitor_verdict(
            memory, ConditionKind.MEMORY, monitor="memory monitor", measure="memory use"
        )
    before = previous.data if previous else {}
    total = measured(memory.total_bytes, MOST_BYTES)
    available = measured(memory.available_bytes, MOST_BYTES)
    if not total or available is None or available > total:
        return Verdict(Status.UNKNOWN, _unreadable_reason(memory), data=dict(before))
    used = 100 * (1 - available / total)
    levels = limits.used
    status = levels.judge(used, before.get("used"))
    reason = levels.explain(used, status, " %")
    text = f"{used:.1f} % of memory used, {_size(available)} available of {_size(total)}"
    metrics = (
        Metric("used", round(used, 3), "%", levels.warning, levels.critical),
        Metric("available", available, "B"),
    )
    swap = _swap(memory, used, limits, before)
    return Verdict(
        worst((status, swap.status)),
        (f"{text} ({reason})" if reason else text) + swap.text,
        metrics + swap.metrics,
        {"used": str(status), "swap": swap.state},
    )


@frozen
class _Swap:
    status: Status
    text: str = ""
    metrics: tuple[Metric, ...] = ()
    state: str = "ok"


_NONE = _Swap(Status.OK)


def _swap(
    memory: MemoryFacts, used: float, limits: MemoryLimits, before: Mapping[str, Any]
) -> _Swap:
    if memory.swap_total_bytes is None or memory.swap_free_bytes is None:
        return _NONE
    total = measured(memory.swap_total_bytes, MOST_BYTES)
    free = measured(memory.swap_free_bytes, MOST_BYTES)
    if total is None or free is None or free > total:
        state = str(before.get("swap", Status.UNKNOWN))
        return _Swap(Status.UNKNOWN, "; the reported swap sizes make no sense", state=state)
    if not total:
        return _NONE
    swapped = 100 * (1 - free / total)
    levels, status = limits.swap, Status.OK
    if used >= limits.swap_counts_from_percent:
        status = levels.judge(swapped, before.get("swap"))
    reason = levels.explain(swapped, status, " %")
    text = f"; {swapped:.1f} % of swap used ({reason})" if reason else ""
    metric = Metric("swap", round(swapped, 3), "%", levels.warning, levels.critical)
    return _Swap(status, text, (metric,), str(status))


def _unreadable_reason(memory: MemoryFacts) -> str:
    if memory.total_bytes is None or memory.available_bytes is None:
        return "memory use is not reported"
    return "the reported memory sizes make no sense"


def _size(value: float) -> str:
    return f"{value / GB:.1f} GB"

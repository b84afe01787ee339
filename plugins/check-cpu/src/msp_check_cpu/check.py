"""Judge processor use: the limits, and a pure function from facts to a verdict."""

from functools import cached_property
from typing import Annotated, Any

from attrs import define, field, frozen

from msp_core.v1 import (
    ConditionFacts,
    ConditionKind,
    CpuFacts,
    Doc,
    Levels,
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

MOST_PERCENT = 101.0  # consoles round up: 100.4 % is a full processor, 140 % is nonsense
MOST_LOAD = 1e6
MOST_CPUS = 1e6


@frozen(kw_only=True)
class CpuLimits:
    """Limits of the processor check."""

    warning_percent: Annotated[float, Doc("Use of all processors together that is a warning.")] = (
        field(default=85.0, validator=positive)
    )
    critical_percent: Annotated[float, Doc("Use that is critical.")] = field(
        default=95.0, validator=not_below("warning_percent")
    )
    warning_recover_percent: Annotated[
        float | None, Doc("A warning ends below this; 5 % under the limit if not given.")
    ] = field(default=None, validator=not_above("warning_percent"))
    critical_recover_percent: Annotated[
        float | None, Doc("A critical state ends below this; 5 % under the limit if not given.")
    ] = field(default=None, validator=not_above("critical_percent"))
    warning_steal_percent: Annotated[
        float | None, Doc("Time the hypervisor takes away that is a warning.")
    ] = field(default=20.0, validator=positive)
    critical_steal_percent: Annotated[
        float | None, Doc("Time the hypervisor takes away that is critical.")
    ] = field(default=40.0, validator=not_below("warning_steal_percent"))
    warning_load_per_cpu: Annotated[
        float | None, Doc("One-minute load divided by logical processors that is a warning.")
    ] = field(default=None, validator=positive)
    critical_load_per_cpu: Annotated[
        float | None, Doc("One-minute load divided by logical processors that is critical.")
    ] = field(default=None, validator=not_below("warning_load_per_cpu"))

    @cached_property
    def used(self) -> Levels:
        """The levels of use."""
        return Levels(
            warning=self.warning_percent,
            critical=self.critical_percent,
            warning_recover=self.warning_recover_percent,
            critical_recover=self.critical_recover_percent,
        )

    @cached_property
    def steal(self) -> Levels:
        """The levels of steal."""
        return Levels(warning=self.warning_steal_percent, critical=self.critical_steal_percent)

    @cached_property
    def load(self) -> Levels:
        """The levels of load per processor."""
        return Levels(warning=self.warning_load_per_cpu, critical=self.critical_load_per_cpu)


def evaluate(
    cpu: CpuFacts | ConditionFacts, *, limits: CpuLimits, previous: Previous | None = None
) -> Verdict:
    """Judge the measured use, or the vendor's own monitor where nothing is measured."""
    if isinstance(cpu, ConditionFacts):
        return monitor_verdict(cpu, ConditionKind.CPU, monitor="CPU monitor", measure="CPU use")
    before = previous.data if previous else {}
    parts = [_used(cpu, limits.used, before)]
    if cpu.steal_percent is not None:
        parts.append(_steal(cpu.steal_percent, limits.steal, before))
    # Windows has no load average, so a limit set for a whole client must not make its PCs unknown
    if cpu.load_1m is not None and cpu.logical_cpus is not None:
        parts.append(_load(cpu.load_1m, cpu.logical_cpus, limits.load, before))
    return Verdict(
        worst([part.status for part in parts]),
        ", ".join([part.text for part in parts if part.text]),
        tuple([part.metric for part in parts if part.metric is not None]),
        {part.name: part.state for part in parts},
    )


@define  # not frozen: making one is a good part of judging
class _Part:
    name: str
    status: Status
    text: str
    metric: Metric | None
    state: str
    """What the next evaluation compares with: an unreadable value keeps the state before it."""


def _part(name: str, label: str, value: float, unit: str, levels: Levels, before: Any) -> _Part:
    status = levels.judge(value, before.get(name))
    reason = levels.explain(value, status, unit)
    text = f"{label} ({reason})" if reason else label
    metric = Metric(name, round(value, 3), unit.strip(), levels.warning, levels.critical)
    return _Part(name, status, text, metric, str(status))


def _unreadable(name: str, text: str, before: Any) -> _Part:
    return _Part(name, Status.UNKNOWN, text, None, str(before.get(name, Status.UNKNOWN)))


def _used(cpu: CpuFacts, levels: Levels, before: Any) -> _Part:
    if cpu.used_percent is None:
        return _unreadable("used", "CPU use is not reported", before)
    value = measured(cpu.used_percent, MOST_PERCENT)
    if value is None:
        return _unreadable("used", "the reported CPU use is not a percentage", before)
    value = min(value, 100.0)
    return _part("used", f"CPU {value:.1f} % used", value, " %", levels, before)


def _steal(percent: float, levels: Levels, before: Any) -> _Part:
    value = measured(percent, MOST_PERCENT)
    if value is None:
        return _unreadable("steal", "the reported steal is not a percentage", before)
    part = _part("steal", f"{value:.1f} % stolen by the hypervisor", value, " %", levels, before)
    if not part.status.is_problem:
        part.text = ""
    return part


def _load(load_1m: float, logical_cpus: int, levels: Levels, before: Any) -> _Part:
    load, cpus = measured(load_1m, MOST_LOAD), measured(logical_cpus, MOST_CPUS)
    if load is None or not cpus:
        return _unreadable("load_per_cpu", "the reported load is not a number", before)
    label = f"load {load:.2f} on {cpus:.0f} CPU{'' if cpus == 1 else 's'}"
    return _part("load_per_cpu", label, load / cpus, "", levels, before)

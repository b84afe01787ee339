"""Judge processor use: the limits, and a pure function from facts to a verdict."""

from typing import Annotated, Any

from attrs import evolve, field, frozen

from msp_core.v1 import (
    ConditionFacts,
    ConditionKind,
    CpuFacts,
    Doc,
    Levels,
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


def evaluate(
    cpu: CpuFacts | ConditionFacts, *, limits: CpuLimits, previous: Previous | None = None
) -> Verdict:
    """Judge the measured use, or the vendor's own monitor where nothing is measured."""
    if isinstance(cpu, ConditionFacts):
        return _vendor_verdict(cpu)
    before = previous.data if previous else {}
    parts = [
        part
        for part in (
            _used(cpu, limits, before),
            _steal(cpu, limits, before),
            _load(cpu, limits, before),
        )
        if part
    ]
    return Verdict(
        status=worst(part.status for part in parts),
        message=", ".join(part.text for part in parts if part.text),
        metrics=tuple(part.metric for part in parts if part.metric),
        data={part.name: part.state for part in parts},
    )


@frozen
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
    return _Part(name, status, text, metric, status.value)


def _unreadable(name: str, text: str, before: Any) -> _Part:
    return _Part(name, Status.UNKNOWN, text, None, str(before.get(name, Status.UNKNOWN.value)))


def _used(cpu: CpuFacts, limits: CpuLimits, before: Any) -> _Part:
    if cpu.used_percent is None:
        return _unreadable("used", "CPU use is not reported", before)
    value = measured(cpu.used_percent, MOST_PERCENT)
    if value is None:
        return _unreadable("used", "the reported CPU use is not a percentage", before)
    levels = Levels(
        warning=limits.warning_percent,
        critical=limits.critical_percent,
        warning_recover=limits.warning_recover_percent,
        critical_recover=limits.critical_recover_percent,
    )
    value = min(value, 100.0)
    return _part("used", f"CPU {value:.1f} % used", value, " %", levels, before)


def _steal(cpu: CpuFacts, limits: CpuLimits, before: Any) -> _Part | None:
    if cpu.steal_percent is None:
        return None
    value = measured(cpu.steal_percent, MOST_PERCENT)
    if value is None:
        return _unreadable("steal", "the reported steal is not a percentage", before)
    levels = Levels(warning=limits.warning_steal_percent, critical=limits.critical_steal_percent)
    part = _part("steal", f"{value:.1f} % stolen by the hypervisor", value, " %", levels, before)
    return part if part.status.is_problem else evolve(part, text="")


def _load(cpu: CpuFacts, limits: CpuLimits, before: Any) -> _Part | None:
    # Windows has no load average, so a limit set for a whole client must not make its PCs unknown
    if cpu.load_1m is None or cpu.logical_cpus is None:
        return None
    load, cpus = measured(cpu.load_1m, MOST_LOAD), measured(cpu.logical_cpus, MOST_CPUS)
    if load is None or not cpus:
        return _unreadable("load_per_cpu", "the reported load is not a number", before)
    levels = Levels(warning=limits.warning_load_per_cpu, critical=limits.critical_load_per_cpu)
    label = f"load {load:.2f} on {cpus:.0f} CPU{'' if cpus == 1 else 's'}"
    return _part("load_per_cpu", label, load / cpus, "", levels, before)


def _vendor_verdict(conditions: ConditionFacts) -> Verdict:
    active = [item for item in conditions.active if item.kind is ConditionKind.CPU]
    if active:
        critical = any(item.severity is Severity.CRITICAL for item in active)
        return Verdict(
            Status.CRITICAL if critical else Status.WARNING,
            "; ".join(
                _plain(item.message) or "the console's CPU monitor is triggered"
                for item in active[:3]
            ),
        )
    if ConditionKind.CPU in conditions.monitored:
        return Verdict(Status.OK, "the console's CPU monitor is quiet")
    return Verdict(Status.UNKNOWN, "the console neither reports CPU use nor is known to monitor it")


def _plain(text: str) -> str:
    """Return a vendor's text as one short printable line."""
    line = " ".join(text.split())
    return "".join(character for character in line if character.isprintable())[:160]

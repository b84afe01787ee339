"""The processor check: levels, recovery, nonsense from vendors, the vendor's own monitors."""

import math

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from msp_check_cpu.check import CpuLimits, evaluate
from msp_check_cpu.plugin import msp_checks
from msp_core.v1 import (
    ConditionFacts,
    ConditionKind,
    CpuFacts,
    Previous,
    Severity,
    Status,
    VendorCondition,
)

LIMITS = CpuLimits(warning_percent=80, critical_percent=90)
PERCENT = st.floats(0, 100)
BEFORE = st.sampled_from([None, "ok", "warning", "critical", "unknown", 7])


def cpu(used: object, **more: object) -> CpuFacts:
    return CpuFacts(used_percent=used, **more)


def after(status: object) -> Previous | None:
    return status and Previous(status=Status.OK, data={"used": status, "steal": status})


def test_cpu_record_names_what_exists() -> None:
    """The record is valid and its references resolve to the limits and the function."""
    (check,) = msp_checks()
    assert (check.id, check.limits, check.evaluate) == (
        "cpu",
        f"{CpuLimits.__module__}:{CpuLimits.__name__}",
        f"{evaluate.__module__}:{evaluate.__name__}",
    )


@pytest.mark.parametrize(
    ("used", "status"),
    [
        (0, "ok"),
        (79.9, "ok"),
        (80, "warning"),
        (89.9, "warning"),
        (90, "critical"),
        (100.4, "critical"),
    ],
)
def test_cpu_levels(used: float, status: str) -> None:
    """A value at its limit is already a problem."""
    assert evaluate(cpu(used), limits=LIMITS).status == status


def test_cpu_message_and_metrics_name_value_and_limit() -> None:
    """People read the value and the limit it broke; machines get the same as a metric."""
    verdict = evaluate(cpu(93.14, load_1m=3.5, logical_cpus=2), limits=LIMITS)
    assert verdict.message == "CPU 93.1 % used (critical at 90 %), load 3.50 on 2 CPUs"
    assert (verdict.metrics[0].value, verdict.metrics[0].critical) == (93.14, 90)


@given(PERCENT, PERCENT, st.floats(0, 100), st.floats(0, 100), BEFORE)
def test_cpu_worse_facts_never_look_better(
    used: float, more: float, steal: float, more_steal: float, before: object
) -> None:
    """With the same past, higher use or steal never gives a better status."""
    better = cpu(min(used, more), steal_percent=min(steal, more_steal))
    worse = cpu(max(used, more), steal_percent=max(steal, more_steal))
    first = evaluate(better, limits=LIMITS, previous=after(before))
    second = evaluate(worse, limits=LIMITS, previous=after(before))
    assert first.status.rank <= second.status.rank


@given(
    st.one_of(
        st.none(),
        st.floats(max_value=-1e-300),
        st.floats(min_value=101.1),
        st.just(math.nan),
        st.just(10**5000),
        st.just("12"),
        st.just(True),
    ),
    BEFORE,
)
def test_cpu_nonsense_is_unknown(value: object, before: object) -> None:
    """What no processor can show is UNKNOWN, whatever was there before, and the past is kept."""
    verdict = evaluate(cpu(value), limits=LIMITS, previous=after(before))
    assert verdict.status is Status.UNKNOWN
    if before in ("warning", "critical"):
        assert verdict.data["used"] == before


@given(st.one_of(st.just(math.nan), st.floats(max_value=-1), st.floats(min_value=1e7)))
def test_cpu_nonsense_beside_a_good_value_is_not_ok(value: float) -> None:
    """Nonsense in steal or load leaves no OK, and hides no problem."""
    for field in ("steal_percent", "load_1m"):
        facts = evolve(cpu(5.0, logical_cpus=4), **{field: value})
        assert evaluate(facts, limits=LIMITS).status is Status.UNKNOWN
        assert evaluate(evolve(facts, used_percent=99.0), limits=LIMITS).status is Status.CRITICAL


def test_cpu_recovers_below_the_recover_level() -> None:
    """A state holds between its recover level and its limit, and only if it was there before."""
    limits = evolve(LIMITS, warning_recover_percent=70, critical_recover_percent=85)
    steps = [
        (90, "critical"),
        (86, "critical"),
        (84, "warning"),
        (71, "warning"),
        (69, "ok"),
        (75, "ok"),
    ]
    previous = None
    for used, expected in steps:
        verdict = evaluate(cpu(used), limits=limits, previous=previous)
        assert verdict.status == expected, used
        previous = Previous(status=verdict.status, data=verdict.data)


def test_cpu_steal_is_told_when_it_is_a_problem() -> None:
    """A little steal is a metric and no news; much of it is a problem of its own."""
    assert evaluate(cpu(5, steal_percent=0.4), limits=LIMITS).message == "CPU 5.0 % used"
    verdict = evaluate(cpu(5, steal_percent=45), limits=LIMITS)
    assert verdict.status is Status.CRITICAL
    assert "45.0 % stolen by the hypervisor (critical at 40 %)" in verdict.message
    assert [metric.name for metric in verdict.metrics] == ["used", "steal"]


def test_cpu_load_counts_only_where_it_exists() -> None:
    """A load limit judges machines that have a load and leaves Windows alone."""
    limits = evolve(LIMITS, warning_load_per_cpu=1.0, critical_load_per_cpu=2.0)
    assert evaluate(cpu(5, load_1m=9, logical_cpus=4), limits=limits).status is Status.CRITICAL
    assert evaluate(cpu(5), limits=limits).status is Status.OK


@pytest.mark.parametrize(
    "wrong",
    [
        {"warning_percent": 96},
        {"warning_percent": -1},
        {"warning_percent": math.nan},
        {"warning_recover_percent": 99},
        {"critical_steal_percent": 1},
    ],
)
def test_cpu_limits_that_contradict_are_refused(wrong: dict[str, float]) -> None:
    """Limits in the wrong order, or no numbers, are a ValueError that names the field."""
    with pytest.raises(ValueError, match=r"percent"):
        CpuLimits(**wrong)


def condition(
    kind: ConditionKind, severity: Severity | None, message: str = "x"
) -> VendorCondition:
    return VendorCondition(kind=kind, severity=severity, message=message)


@pytest.mark.parametrize(
    ("active", "monitored", "status"),
    [
        ((), (), "unknown"),
        ((), (ConditionKind.MEMORY,), "unknown"),
        ((), (ConditionKind.CPU,), "ok"),
        ((condition(ConditionKind.CPU, None),), (), "warning"),
        ((condition(ConditionKind.CPU, Severity.INFO),), (), "warning"),
        ((condition(ConditionKind.CPU, Severity.CRITICAL),), (), "critical"),
        ((condition(ConditionKind.DISK, Severity.CRITICAL),), (ConditionKind.CPU,), "ok"),
    ],
)
def test_cpu_vendor_conditions(active: tuple, monitored: tuple, status: str) -> None:
    """A triggered monitor is a problem; a quiet one is OK only where it is known to exist."""
    facts = ConditionFacts(active=active, monitored=frozenset(monitored))
    assert evaluate(facts, limits=LIMITS).status == status


@given(st.text(max_size=3000))
def test_cpu_vendor_text_is_one_short_printable_line(text: str) -> None:
    """Whatever a vendor writes, the message is printable and short."""
    facts = ConditionFacts(active=(condition(ConditionKind.CPU, None, text),) * 9)
    message = evaluate(facts, limits=LIMITS).message
    assert message.isprintable()
    assert 0 < len(message) < 500

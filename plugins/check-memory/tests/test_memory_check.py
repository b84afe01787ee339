"""The memory check: levels, swap pressure, recovery, nonsense, the vendor's own monitors."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_check_memory.check import MemoryLimits, evaluate
from msp_check_memory.plugin import msp_checks
from msp_core.v1 import (
    ConditionFacts,
    ConditionKind,
    MemoryFacts,
    Previous,
    Severity,
    Status,
    VendorCondition,
)

LIMITS = MemoryLimits()
TOTAL = 16 * 10**9


def memory(used_percent: float, swapped_percent: float | None = None) -> MemoryFacts:
    swap = None if swapped_percent is None else round(10**9 * (1 - swapped_percent / 100))
    return MemoryFacts(
        total_bytes=TOTAL,
        available_bytes=round(TOTAL * (1 - used_percent / 100)),
        swap_total_bytes=None if swap is None else 10**9,
        swap_free_bytes=swap,
    )


def test_memory_record_names_what_exists() -> None:
    """The record is valid and its references resolve to the limits and the function."""
    (check,) = msp_checks()
    assert (check.id, check.limits, check.evaluate) == (
        "memory",
        f"{MemoryLimits.__module__}:{MemoryLimits.__name__}",
        f"{evaluate.__module__}:{evaluate.__name__}",
    )


@pytest.mark.parametrize(
    ("used", "status"), [(0, "ok"), (89, "ok"), (90, "warning"), (95, "critical")]
)
def test_memory_levels(used: float, status: str) -> None:
    """What programs cannot get any more is held against the limits."""
    assert evaluate(memory(used), limits=LIMITS).status == status


def test_memory_message_says_what_is_left() -> None:
    """People read what is left, of how much, and the limit."""
    message = evaluate(memory(96), limits=LIMITS).message
    assert message == "96.0 % of memory used, 0.6 GB available of 16.0 GB (critical at 95 %)"


def test_memory_full_swap_counts_only_while_memory_is_short() -> None:
    """Full swap beside free memory is nothing; beside short memory it is a warning."""
    assert evaluate(memory(40, 100), limits=LIMITS).status is Status.OK
    verdict = evaluate(memory(80, 100), limits=LIMITS)
    assert verdict.status is Status.WARNING
    assert "100.0 % of swap used" in verdict.message


@given(*[st.floats(0, 100)] * 4, st.sampled_from([None, "ok", "warning", "critical", []]))
def test_memory_worse_facts_never_look_better(
    used: float, more: float, swap: float, more_swap: float, before: object
) -> None:
    """With the same past, less available memory or swap never gives a better status."""
    previous = Previous(status=Status.OK, data={"used": before, "swap": before})
    better = memory(min(used, more), min(swap, more_swap))
    worse = memory(max(used, more), max(swap, more_swap))
    first = evaluate(better, limits=LIMITS, previous=previous)
    assert first.status.rank <= evaluate(worse, limits=LIMITS, previous=previous).status.rank


NONSENSE = st.sampled_from([None, -1, 0, math.nan, math.inf, 2**61, 10**5000, "16 GB", True])


@given(NONSENSE, st.one_of(NONSENSE, st.just(5)))
def test_memory_nonsense_is_unknown(total: object, available: object) -> None:
    """Sizes no machine has are UNKNOWN and keep what was known before."""
    facts = MemoryFacts(total_bytes=total, available_bytes=available)
    previous = Previous(status=Status.CRITICAL, data={"used": "critical"})
    verdict = evaluate(facts, limits=LIMITS, previous=previous)
    assert verdict.status is Status.UNKNOWN
    assert verdict.data["used"] == "critical"


def test_memory_more_available_than_there_is_is_unknown() -> None:
    """A vendor that mixes up units is not believed."""
    facts = MemoryFacts(total_bytes=16_000, available_bytes=16_000_000)
    assert evaluate(facts, limits=LIMITS).status is Status.UNKNOWN


def test_memory_nonsense_in_swap_is_not_ok() -> None:
    """Impossible swap sizes leave no OK."""
    facts = MemoryFacts(total_bytes=100, available_bytes=90, swap_total_bytes=5, swap_free_bytes=9)
    assert evaluate(facts, limits=LIMITS).status is Status.UNKNOWN


def test_memory_recovers_below_the_recover_level() -> None:
    """A state holds between its recover level and its limit."""
    previous = None
    for used, expected in [
        (95, "critical"),
        (91, "critical"),
        (88, "warning"),
        (85, "ok"),
        (88, "ok"),
    ]:
        verdict = evaluate(memory(used), limits=LIMITS, previous=previous)
        assert verdict.status == expected, used
        previous = Previous(status=verdict.status, data=verdict.data)


@pytest.mark.parametrize("wrong", [{"warning_percent": 99}, {"critical_recover_percent": 96}])
def test_memory_limits_that_contradict_are_refused(wrong: dict[str, float]) -> None:
    """Limits in the wrong order are a ValueError that names the field."""
    with pytest.raises(ValueError, match=r"percent"):
        MemoryLimits(**wrong)


@pytest.mark.parametrize(
    ("severity", "monitored", "status"),
    [("none", (), "unknown"), ("none", (ConditionKind.MEMORY,), "ok"), (None, (), "warning"),
     (Severity.CRITICAL, (), "critical")],
)  # fmt: skip
def test_memory_vendor_conditions(severity: object, monitored: tuple, status: str) -> None:
    """A triggered monitor is a problem; a quiet one is OK only where it is known to exist."""
    active = () if severity == "none" else (
        VendorCondition(kind=ConditionKind.MEMORY, severity=severity, message="\x1b[31mlow"),
    )  # fmt: skip
    verdict = evaluate(ConditionFacts(active=active, monitored=frozenset(monitored)), limits=LIMITS)
    assert verdict.status == status
    assert verdict.message.isprintable()

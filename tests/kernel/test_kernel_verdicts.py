"""What checks share: the console's own monitors, and text that devices made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_core.v1 import (
    ConditionFacts,
    ConditionKind,
    Severity,
    Status,
    VendorCondition,
    monitor_verdict,
    printable,
)


def _judged(
    *active: VendorCondition, monitored: frozenset[ConditionKind] = frozenset()
) -> tuple[Status, str]:
    facts = ConditionFacts(active=active, monitored=monitored)
    verdict = monitor_verdict(facts, ConditionKind.CPU, monitor="CPU monitor", measure="CPU use")
    return verdict.status, verdict.message


def test_a_silent_monitor_is_ok_only_where_it_exists() -> None:
    """Nothing triggered says nothing, unless somebody watches."""
    quiet = (Status.OK, "the console's CPU monitor is quiet")
    assert _judged(monitored=frozenset({ConditionKind.CPU})) == quiet
    assert _judged(monitored=frozenset({ConditionKind.MEMORY}))[0] is Status.UNKNOWN
    assert _judged()[1] == "the console neither reports CPU use nor is known to monitor it"


@pytest.mark.parametrize(
    ("severity", "status"),
    [
        (Severity.CRITICAL, Status.CRITICAL),
        (Severity.WARNING, Status.WARNING),
        (Severity.INFO, Status.WARNING),
    ],
)
def test_a_triggered_monitor_is_a_problem(severity: Severity, status: Status) -> None:
    """The vendor's words are shown, its severity counts, and other kinds of monitors do not."""
    cpu = VendorCondition(kind=ConditionKind.CPU, severity=severity, message="busy\nfor 5 min")
    disk = VendorCondition(kind=ConditionKind.DISK, severity=Severity.CRITICAL, message="full")
    assert _judged(cpu, disk) == (status, "busy for 5 min")
    silent = VendorCondition(kind=ConditionKind.CPU, severity=severity, message=" ")
    assert _judged(silent) == (status, "the console's CPU monitor is triggered")


@given(st.text(), st.integers(1, 80))
def test_text_of_devices_is_one_printable_line(text: str, most: int) -> None:
    """Whatever a device is called, what is shown is one line without control characters, and no longer than asked."""
    shown = printable(text, most)
    assert len(shown) <= most
    assert shown.isprintable()

"""The pure parts of alerts: what a change does, and moments as people write them."""

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from msp_alerts.ledger import Change, Effect, OpenAlert, apply
from msp_alerts.moments import parse_moment
from msp_core.v1 import InvalidParameters, Severity, Status

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(
    2026, 10, 24, 16, 30, tzinfo=UTC
)  # Saturday 18:30 in Berlin; the clocks go back that night


def change(status, **more):
    return Change(
        client_id="c",
        device_id="c/pc",
        check="disk",
        title="Disk",
        status=status,
        message="m",
        **{"seq": 1, **more},
    )


alerts = st.none() | st.builds(
    OpenAlert,
    severity=st.sampled_from(Severity),
    message=st.sampled_from(["a", "Disk on pc: m"]),
    acknowledged=st.booleans(),
    muted=st.booleans(),
    stale=st.booleans(),
)
changes = st.builds(
    change,
    st.sampled_from([Status.OK, Status.WARNING, Status.CRITICAL]),
    stale=st.booleans(),
    standing=st.booleans(),
)


@given(alerts, changes, st.booleans())
def test_a_problem_has_an_alert_and_an_ok_has_none(before, one, muted):
    """After an OK nothing is open; after a problem that was seen an alert of its severity is."""
    after, effect = apply(before, one, muted=muted)
    if one.status is Status.OK:
        assert after is None
        assert (effect is Effect.RESOLVED) is (before is not None)
    elif not one.stale:
        assert after is not None
        assert after.severity.value == one.status.value
        assert not after.stale
    if one.stale and one.status is not Status.OK:
        assert (after is None) is (before is None)
        assert after is None or after.severity is before.severity
    if effect is Effect.NOTHING:
        assert after == before


@given(alerts, changes, st.booleans())
def test_the_same_change_twice_is_as_good_as_once(before, one, muted):
    """Applying a change to its own outcome changes nothing more."""
    once, _ = apply(before, one, muted=muted)
    twice, effect = apply(once, one, muted=muted)
    assert (twice, effect) == (once, Effect.NOTHING)


def test_getting_worse_ends_an_acknowledgement():
    """An acknowledged warning that becomes critical is open again; one that gets better stays acknowledged."""
    acked = OpenAlert(severity=Severity.WARNING, message="x", acknowledged=True)
    worse, _ = apply(acked, change(Status.CRITICAL), muted=False)
    assert not worse.acknowledged
    better, _ = apply(
        evolve(acked, severity=Severity.CRITICAL), change(Status.WARNING), muted=False
    )
    assert better.acknowledged


def test_an_alert_nobody_heard_of_is_opened_when_its_client_may_be_told():
    """A suspended client's alert that stays a problem is told when the client is active again."""
    muted, effect = apply(None, change(Status.CRITICAL), muted=True)
    assert (muted.muted, effect) == (True, Effect.OPENED)
    told, effect = apply(muted, change(Status.CRITICAL, standing=True), muted=False)
    assert (told.muted, effect) == (False, Effect.OPENED)


@pytest.mark.parametrize(
    ("text", "ahead", "expected"),
    [
        ("2h", True, NOW + timedelta(hours=2)),
        ("1d12h", True, NOW + timedelta(hours=36)),
        ("2d", False, NOW - timedelta(days=2)),
        ("18:00", True, datetime(2026, 10, 25, 17, tzinfo=UTC)),  # winter time then
        ("18:00", False, datetime(2026, 10, 24, 16, tzinfo=UTC)),
        ("23:15", True, datetime(2026, 10, 24, 21, 15, tzinfo=UTC)),
        ("2026-11-01", True, datetime(2026, 10, 31, 23, tzinfo=UTC)),
        ("2026-11-01T08:00", True, datetime(2026, 11, 1, 7, tzinfo=UTC)),
        ("2026-11-01T08:00Z", True, datetime(2026, 11, 1, 8, tzinfo=UTC)),
    ],
)
def test_moments(text, ahead, expected):
    """Spans, times of day in the zone across the end of summer time, and ISO dates."""
    assert parse_moment(text, NOW, BERLIN, ahead=ahead) == expected


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_refused(text):
    """No text makes anything but an aware moment or InvalidParameters."""
    with contextlib.suppress(InvalidParameters):
        assert parse_moment(text, NOW, BERLIN, ahead=True).tzinfo is not None


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "18:61", "-2h", "2026-13-01", "99999w99999w"]
)
def test_what_is_no_moment(text):
    """Wrong moments say how to write one."""
    with pytest.raises(InvalidParameters, match="is no moment"):
        parse_moment(text, NOW, BERLIN, ahead=True)

"""The machines without a network: breaker, retries, Retry-After, redaction."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from msp_http.address import encode
from msp_http.breaker import FAILURES_TO_OPEN, LONGEST_PAUSE_S, Breaker, Permit, State
from msp_http.redaction import Redactor, sensitive_values, vendor_message
from msp_http.retry import PATIENCE_S, TRIES, Attempts, RetryBudget, retry_after_s


class BreakerMachine(RuleBasedStateMachine):
    """A crowd of requests against a breaker and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(lambda: self.now)
        self.out: list[tuple[Permit, State]] = []
        self.in_a_row = 0

    @rule()
    def ask(self) -> None:
        before = self.breaker.state
        waits = self.breaker.opens_in_s
        permit = self.breaker.enter()
        if before is State.CLOSED:
            assert permit is not None
        if before is State.OPEN and waits > 0:
            assert permit is None
        if permit is not None:
            self.out.append((permit, self.breaker.state))

    @precondition(lambda self: self.out)
    @rule(ok=st.sampled_from([True, False, None]), data=st.data())
    def finish(self, ok: bool | None, data: Any) -> None:
        permit, _ = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        before = self.breaker.state
        self.breaker.leave(permit, ok=ok)
        if before is State.CLOSED and ok is not False:
            assert self.breaker.state is State.CLOSED
        if permit.trial and before is State.HALF_OPEN and ok:
            assert self.breaker.state is State.CLOSED
        if permit.trial and before is State.HALF_OPEN and ok is False:
            assert self.breaker.state is State.OPEN
        if before is State.OPEN:
            assert self.breaker.state is State.OPEN  # old news opens and closes nothing

    @rule(seconds=st.floats(0, 150))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def fail_in_a_row(self) -> None:
        for _ in range(FAILURES_TO_OPEN):
            permit = self.breaker.enter()
            if permit is None:
                return
            self.breaker.leave(permit, ok=False)
        assert self.breaker.state is State.OPEN

    @invariant()
    def one_trial_at_a_time(self) -> None:
        trials = [one for one, _ in self.out if one.trial and one.period == self.breaker._period]
        assert len(trials) <= 1

    @invariant()
    def never_shut_for_ever(self) -> None:
        assert self.breaker.opens_in_s <= LONGEST_PAUSE_S + 1e-6


TestBreaker = BreakerMachine.TestCase


@given(
    steps=st.lists(st.sampled_from(["acted", "unsent", "limit", "refusal"]), max_size=40),
    idempotent=st.booleans(),
    after=st.one_of(st.none(), st.floats(0, 200)),
    left=st.floats(0, 10),
)
def test_attempts_are_bounded(
    steps: list[str], idempotent: bool, after: float | None, left: float
) -> None:
    """Tries, waiting time and budget are bounded, and what may have acted is repeated only when that is harmless."""
    budget = RetryBudget(left=left)
    attempts = Attempts(budget=budget, idempotent=idempotent, chance=random.Random(1))
    waited = retries = 0.0
    for step in steps:
        if step == "limit":
            delay = attempts.after_limit(after)
            assert delay is None or after is None or delay >= after
        elif step == "refusal":
            delay = attempts.after_refusal(after or 0.0)
        else:
            delay = attempts.after_failure(acted=step == "acted")
            retries += delay is not None
            if step == "acted" and not idempotent:
                assert delay is None
        if delay is None:
            break
        assert delay >= 0
        waited += delay
    assert waited <= PATIENCE_S + 1e-6
    assert retries <= min(TRIES - 1, left)


@given(requests=st.integers(0, 2000))
def test_budget_is_a_share_of_requests(requests: int) -> None:
    """Retries never exceed the reserve plus a fifth of the requests."""
    budget = RetryBudget()
    spent = 0
    for _ in range(requests):
        budget.earn()
        spent += budget.spend()
    assert spent <= 50 + 0.2 * requests


@given(text=st.text())
def test_retry_after_takes_any_text(text: str) -> None:
    """Whatever a vendor writes there is either a pause or nothing."""
    pause = retry_after_s({"retry-after": text, "date": text})
    assert pause is None or pause >= 0


@given(seconds=st.integers(0, 10**6), skew=st.integers(-(10**6), 10**6))
def test_retry_after_dates_use_the_vendors_clock(seconds: int, skew: int) -> None:
    """A date is held against the vendor's own clock, however wrong either clock is."""
    there = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=skew)
    headers = {
        "date": format_datetime(there, usegmt=True),
        "retry-after": format_datetime(there + timedelta(seconds=seconds), usegmt=True),
    }
    assert retry_after_s(headers) == seconds


@given(secret=st.text(min_size=4).filter(lambda text: text.strip() == text), rest=st.text())
def test_known_secrets_are_replaced(secret: str, rest: str) -> None:
    """A known secret is in no cleaned text, alone or behind a scheme."""
    redactor = Redactor()
    redactor.learn([secret])
    cleaned = redactor.clean(f"{rest} {secret} {rest}")
    assert secret not in cleaned or secret in redactor.clean(f"{rest}  {rest}") or secret in "*" * 8
    assert len(cleaned) <= 300
    assert not any(ord(char) < 32 for char in cleaned)


def test_sensitive_values_are_found_by_key() -> None:
    """Values under telling keys are found at any depth, others are left."""
    data = {"a": {"Password": "p1"}, "list": [{"api_key": ["k1", 7]}], "name": "n", "code": "c1"}
    assert set(sensitive_values(data)) == {"p1", "k1", "7", "c1"}


@given(body=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_vendor_message_takes_anything(body: bytes) -> None:
    """No body makes the search for a message fail."""
    assert isinstance(vendor_message(body, ""), str)


def test_vendor_messages() -> None:
    """The usual places of an error text are known; web pages give none."""
    cases = {
        b'{"errorMessage": {"code": "x_y", "params": {}}}': "x_y",
        b'{"error": "invalid_client", "error_description": "no such app"}': "no such app",
        b'{"Message": "An error"}': "An error",
        b'[{"message": "first"}]': "first",
        b'{"error": {"message": "deep"}}': "deep",
        b"{}": "",
        b"plain words": "plain words",
        b"<html><body>x": "",
    }
    for body, text in cases.items():
        assert vendor_message(body, "") == text


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.booleans(), st.none())))
def test_queries_are_pure_ascii(params: dict[str, Any]) -> None:
    """Any parameter becomes a query without spaces, controls or separators of its own."""
    query = encode(
        {
            key.encode("utf-8", "replace").decode(): value
            for key, value in params.items()
            if not isinstance(value, str) or value.isprintable()
        }
    )
    assert query.isascii()
    assert not set(query) & set(" #\r\n?")

"""When to try again: a budget shared by all requests of an instance, delays with jitter, `Retry-After`."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from attrs import define

TRIES = 4
LIMITED_TRIES = 8
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 10.0
PATIENCE_S = 120.0
"""How long one request may wait for its turns in all."""
RETRY_AFTER_CAP_S = 60.0
"""A vendor that wants a longer pause gets it from the caller: the request fails with RateLimited."""


@define
class RetryBudget:
    """Allows retries as a share of requests, so that a failing vendor is not asked several times as much."""

    share: float = 0.2
    most: float = 50.0
    left: float = 50.0

    def earn(self) -> None:
        """Note a request."""
        if self.left < self.most:
            self.left = min(self.most, self.left + self.share)

    def spend(self) -> bool:
        """Take one retry; tell whether there was one left."""
        if self.left < 1:
            return False
        self.left -= 1
        return True


@define(kw_only=True)
class Attempts:
    """The tries of one request: says how long to wait before the next one, or None to give up."""

    budget: RetryBudget
    idempotent: bool
    chance: random.Random
    failures: int = 0
    limits: int = 0
    waited_s: float = 0.0

    def after_failure(self, *, acted: bool) -> float | None:
        """Decide after a failure; `acted` when the vendor may have carried out the request all the same."""
        if acted and not self.idempotent:
            return None
        self.failures += 1
        if self.failures >= TRIES or not self.budget.spend():
            return None
        ceiling = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2**self.failures)
        return self._wait(self.chance.uniform(ceiling / 4, ceiling))

    def after_limit(self, retry_after_s: float | None) -> float | None:
        """Decide after a 429, which says that nothing was carried out."""
        self.limits += 1
        if self.limits >= LIMITED_TRIES:
            return None
        if retry_after_s is None:
            ceiling = min(LONGEST_DELAY_S, 2.0**self.limits)
            return self._wait(self.chance.uniform(ceiling / 2, ceiling))
        if retry_after_s > RETRY_AFTER_CAP_S:
            return None
        return self._wait(retry_after_s + self.chance.uniform(0, 0.1 + retry_after_s / 10))

    def after_refusal(self, opens_in_s: float) -> float | None:
        """Decide when the circuit is open: a short pause is waited for, a long one is not."""
        self.failures += 1
        if not self.idempotent or self.failures >= TRIES or opens_in_s > LONGEST_DELAY_S / 2:
            return None
        return self._wait(opens_in_s + self.chance.uniform(0, 0.5))

    def _wait(self, delay: float) -> float | None:
        if self.waited_s + delay > PATIENCE_S:
            return None
        self.waited_s += delay
        return delay


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`: seconds, or a date held against the answer's own `Date`; None where it says nothing."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    when = _http_date(text)
    if when is None:
        return None
    now = _http_date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (when - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)

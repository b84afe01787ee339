"""How many calls a minute: one bucket for each caller and effect, refilled steadily."""

import time
from collections.abc import Callable

from attrs import define

from msp_access.settings import RateLimits
from msp_core.v1 import Call, Effect, RateLimited

_MINUTE = 60.0
_MOST_BUCKETS = 10_000


@define(eq=False, repr=False)
class _Bucket:
    left: float
    at: float


class Rates:
    """Counts in this process. A bucket holds one minute's calls, so a short burst passes."""

    def __init__(self, limits: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, call: Call) -> None:
        """Count a call; raise RateLimited saying when to come back."""
        word = _word(call.effect)
        size: int = getattr(self._limits, word)
        now = self._clock()
        key = (call.actor.id, word)
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= _MOST_BUCKETS:
                self._buckets.clear()
            bucket = self._buckets[key] = _Bucket(float(size), now)
        bucket.left = min(size, bucket.left + (now - bucket.at) * size / _MINUTE)
        bucket.at = now
        if bucket.left < 1:
            wait = round((1 - bucket.left) * _MINUTE / size + 0.05, 1)
            message = f"{call.actor.id} has made {size} calls that may {word} within a minute."
            raise RateLimited(
                message, suggestion=f"Try again in {wait} s, not before.", retry_after_s=wait
            )
        bucket.left -= 1


def _word(effect: Effect) -> str:
    return "read" if effect is Effect.PROBE else effect.name.lower()

"""The circuit breaker: stop asking a host that fails, and find out with one request when it is back."""

from collections.abc import Callable
from enum import Enum

from attrs import define, frozen

FAILURES_TO_OPEN = 10
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 120.0


class State(Enum):
    """CLOSED lets everything pass, OPEN nothing, HALF_OPEN one request at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@frozen
class Permit:
    """Leave to send one request; hand it back with its outcome."""

    period: int
    trial: bool = False


@define
class Breaker:
    """Counts failures in a row. Each time the trial request fails too, the pause doubles."""

    clock: Callable[[], float]
    state: State = State.CLOSED
    failures: int = 0
    pause_s: float = FIRST_PAUSE_S
    _open_until: float = 0.0
    _trial_out: bool = False
    _period: int = 0

    @property
    def opens_in_s(self) -> float:
        """How long to wait before the next request may be tried."""
        if self.state is State.OPEN:
            return max(0.0, self._open_until - self.clock())
        return 0.5 if self._trial_out else 0.0

    def enter(self) -> Permit | None:
        """Return leave to send, or None while the circuit is open."""
        if self.state is State.CLOSED:
            return Permit(self._period)
        if self.state is State.OPEN:
            if self.clock() < self._open_until:
                return None
            self.state = State.HALF_OPEN
        if self._trial_out:
            return None
        self._trial_out = True
        return Permit(self._period, trial=True)

    def leave(self, permit: Permit, *, ok: bool | None) -> None:
        """Note how a request ended: answered, failed, or None when it says nothing (cancelled, 429).

        A request from before the circuit opened says nothing about now.
        """
        if permit.period != self._period:
            return
        if permit.trial:
            self._trial_out = False
        if ok:
            self.failures = 0
            self.pause_s = FIRST_PAUSE_S
            if permit.trial:
                self.state = State.CLOSED
                self._period += 1
        elif ok is False:
            self.failures += 1
            if permit.trial:
                self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S)
                self._open()
            elif self.failures >= FAILURES_TO_OPEN:
                self._open()

    def _open(self) -> None:
        self.state = State.OPEN
        self._open_until = self.clock() + self.pause_s
        self._trial_out = False
        self._period += 1

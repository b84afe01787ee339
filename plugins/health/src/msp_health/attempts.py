"""Soft and hard states: a problem counts only after it was seen in enough sweeps in a row.

The rules are those of Icinga, with UNKNOWN apart: it says nothing about the device, so it neither counts as an attempt
nor ends a row of them, and it never changes the hard status. An OK is believed at once. A change between WARNING and
CRITICAL of a hard problem is hard at once.
"""

from typing import NamedTuple

from msp_core.v1 import Status

JUDGED = frozenset((Status.OK, Status.WARNING, Status.CRITICAL))


class Standing(NamedTuple):
    """Where one check on one device stands. `hard_status` is the last that was believed, None before the first."""

    attempt: int = 0
    hard_status: Status | None = None


class Step(NamedTuple):
    """Where it stands after a result: `hard` tells whether the result itself is believed."""

    standing: Standing
    hard: bool

    def changed(self, before: Standing) -> bool:
        """Tell whether the hard status changed in a way that somebody should hear: from or to a problem."""
        old, new = before.hard_status, self.standing.hard_status
        return old is not new and any(s is not None and s.is_problem for s in (old, new))


def advance(before: Standing, status: Status, attempts: int) -> Step:
    """Return where a check stands after one more result, with `attempts` needed for a problem to be believed."""
    if status not in JUDGED:
        return Step(before, hard=True)
    if status is Status.OK:
        return Step(Standing(attempt=0, hard_status=status), hard=True)
    if before.hard_status is not None and before.hard_status.is_problem:
        return Step(Standing(before.attempt, status), hard=True)
    attempt = before.attempt + 1
    if attempt >= attempts:
        return Step(Standing(attempt, status), hard=True)
    return Step(Standing(attempt, before.hard_status), hard=False)

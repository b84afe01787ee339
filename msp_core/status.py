"""Outcomes and severities, and how they are ranked."""

from collections.abc import Iterable
from enum import StrEnum


class Status(StrEnum):
    """Outcome of one planned check.

    UNKNOWN: the facts are missing or too old. ERROR: our own side failed (a plugin raised). SKIPPED: not tried,
    with the reason. Neither is ever shown as OK.
    """

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    ERROR = "error"
    SKIPPED = "skipped"

    @classmethod
    def parse(cls, word: "str | Status") -> "Status":
        """Map a status word, also in other tools' spelling (`healthy`, `warn`, `failed`), onto a Status.

        Raises ValueError for a word that means nothing here.
        """
        lowered = str(word).strip().lower()
        return cls(_STATUS_WORDS.get(lowered, lowered))

    @property
    def rank(self) -> int:
        """Order for "the worst wins": ok < skipped < unknown < error < warning < critical."""
        return _STATUS_RANK[self]

    @property
    def is_problem(self) -> bool:
        """Tell whether something on the device is wrong (WARNING or CRITICAL)."""
        return self in _PROBLEMS

    @property
    def exit_code(self) -> int:
        """Exit code of check-like commands: 0 OK, 1 WARNING, 2 CRITICAL, 3 everything that is not known."""
        return {Status.OK: 0, Status.WARNING: 1, Status.CRITICAL: 2}.get(self, 3)


_STATUS_WORDS = {
    "healthy": "ok",
    "success": "ok",
    "passed": "ok",
    "good": "ok",
    "warn": "warning",
    "degraded": "warning",
    "crit": "critical",
    "unhealthy": "critical",
    "failed": "critical",
    "failure": "error",
}
_PROBLEMS = frozenset((Status.WARNING, Status.CRITICAL))
_STATUS_RANK = {
    Status.OK: 0,
    Status.SKIPPED: 1,
    Status.UNKNOWN: 2,
    Status.ERROR: 3,
    Status.WARNING: 4,
    Status.CRITICAL: 5,
}


def as_status(word: str | Status) -> Status:
    return Status.parse(word)


def worst(statuses: "Iterable[Status]") -> Status:
    """Return the worst of some statuses; UNKNOWN when there are none."""
    return max(statuses, key=_STATUS_RANK.__getitem__, default=Status.UNKNOWN)


class Severity(StrEnum):
    """How bad an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertState(StrEnum):
    """Where an alert is in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"

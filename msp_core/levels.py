"""Levels of one measure: where a problem starts, and where it ends again; for the limits of checks."""

from collections.abc import Callable
from typing import Any

from attrs import frozen

from msp_core.status import Status

# Python 3.11 looks a member of an enum up in a function of its own; a sweep judges by the ten thousand
_OK, _WARNING, _CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL
_PROBLEMS = ("warning", "critical")
RECOVER_SHARE = 0.95
"""A problem ends 5 % under its limit unless told otherwise, so that a value on the edge does not flap."""


@frozen(kw_only=True)
class Levels:
    """Limits of a measure that gets worse upwards; None switches a limit off."""

    warning: float | None
    critical: float | None
    warning_recover: float | None = None
    critical_recover: float | None = None

    def judge(self, value: float, before: object) -> Status:
        """Return the status of a value, given the status word the same measure had before."""
        limit = self.critical
        if limit is not None and (
            value >= limit or (before == "critical" and value >= _end(limit, self.critical_recover))
        ):
            return _CRITICAL
        limit = self.warning
        if limit is not None and (
            value >= limit or (before in _PROBLEMS and value >= _end(limit, self.warning_recover))
        ):
            return _WARNING
        return _OK

    def explain(self, value: float, status: Status, unit: str) -> str:
        """Say which limit made the status, such as `critical at 90 %`; empty for OK."""
        if not status.is_problem:
            return ""
        limit, recover = self.warning, self.warning_recover
        if status is _CRITICAL:
            limit, recover = self.critical, self.critical_recover
        if limit is None or value >= limit:
            return f"{status} at {limit:g}{unit}"
        return f"{status} until below {_end(limit, recover):g}{unit}"


def measured(value: object, most: float) -> float | None:
    """Return a number from 0 to `most`; None for what no machine can measure (NaN, negative, text)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value <= most else None


def positive(_limits: object, attribute: Any, value: float | None) -> None:
    """Validate a limit: above 0, or None where it may be switched off."""
    if value is not None and not 0 < value < float("inf"):
        raise ValueError(f"{attribute.name} must be above 0, not {value:g}")


def not_below(other: str) -> Callable[[object, Any, float | None], None]:
    """Validate a limit that must not lie below another one."""

    def check(limits: object, attribute: Any, value: float | None) -> None:
        positive(limits, attribute, value)
        floor = getattr(limits, other)
        if value is not None and floor is not None and value < floor:
            raise ValueError(f"{attribute.name} ({value:g}) is below {other} ({floor:g})")

    return check


def not_above(other: str) -> Callable[[object, Any, float | None], None]:
    """Validate a limit that must not lie above another one."""

    def check(limits: object, attribute: Any, value: float | None) -> None:
        positive(limits, attribute, value)
        ceiling = getattr(limits, other)
        if value is not None and ceiling is not None and value > ceiling:
            raise ValueError(f"{attribute.name} ({value:g}) is above {other} ({ceiling:g})")

    return check


def _end(limit: float, recover: float | None) -> float:
    return limit * RECOVER_SHARE if recover is None else recover

"""Times and durations as people write them."""

import re
from datetime import UTC, datetime, timedelta

_UNITS = {
    "s": "seconds",
    "m": "minutes",
    "h": "hours",
    "d": "days",
    "w": "weeks",
    "ms": "milliseconds",
}


def parse_duration(text: str) -> timedelta:
    """Read `90s`, `2h30m`, `7d`, `1w`; raise ValueError for anything else."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdw])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        message = f"{text!r} is not a duration; write 90s, 2h30m or 7d"
        raise ValueError(message)
    try:
        total = sum(
            (timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta()
        )
    except OverflowError:
        message = f"{text!r} is too long"
        raise ValueError(message) from None
    return total


def format_duration(span: timedelta) -> str:
    """Write a duration as `parse_duration` reads it."""
    seconds = span.total_seconds()
    if seconds != int(seconds):
        return f"{int(seconds * 1000)}ms"
    rest, parts = int(seconds), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time or date as aware UTC; without an offset it is taken as UTC."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        message = f"{text!r} is not a time; write 2026-01-31 or 2026-01-31T08:00:00+01:00"
        raise ValueError(message) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)

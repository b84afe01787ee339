"""Moments as people write them: `2h`, `18:00`, `2026-01-31T08:00`."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msp_core.v1 import InvalidParameters

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_SPAN = re.compile(r"(?:(\d{1,4})w)?(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?")


def parse_moment(text: str, now: datetime, zone: ZoneInfo, *, ahead: bool) -> datetime:
    """Read a moment as aware UTC; raise InvalidParameters.

    A span counts from now, ahead or back. A time of day is the next one in the zone (ahead) or the last (back). A date
    or time without an offset is in the zone.
    """
    word = text.strip()
    span = _SPAN.fullmatch(word)
    if span and any(span.groups()):
        weeks, days, hours, minutes = (int(part or 0) for part in span.groups())
        length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
        return now + length if ahead else now - length
    clock = _CLOCK.fullmatch(word)
    if clock and int(clock[1]) < 24 and int(clock[2]) < 60:
        return _time_of_day(int(clock[1]), int(clock[2]), now, zone, ahead=ahead)
    try:
        found = datetime.fromisoformat(word)
        aware = found if found.tzinfo else found.replace(tzinfo=zone)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidParameters(
            f"{text!r} is no moment.", suggestion="Write 2h, 18:00, 2026-01-31 or 2026-01-31T08:00."
        ) from None


def _time_of_day(hour: int, minute: int, now: datetime, zone: ZoneInfo, *, ahead: bool) -> datetime:
    here = now.astimezone(zone)
    step = timedelta(days=1) if ahead else timedelta(days=-1)
    day = here.date()
    for _ in range(3):
        found = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
        if (found > now) if ahead else (found <= now):
            return found
        day += step
    return found

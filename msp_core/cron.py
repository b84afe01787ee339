"""What a cron expression of five fields may be; for the options that hold one."""

from collections.abc import Mapping
from typing import Any

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: tuple[Mapping[str, int], ...] = (
    {},
    {},
    {},
    {name: number for number, name in enumerate(_MONTHS, 1)},
    {name: number for number, name in enumerate(_DAYS)},
)
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EXAMPLES = "daily at 1:00 is '0 1 * * *', every Monday '0 1 * * mon', monthly '0 1 1 * *'"


def _number(text: str, place: int) -> int:
    number = _NAMES[place].get(text.lower())
    if number is None and not text.isdecimal():
        message = f"{text!r} is no number"
        raise ValueError(message)
    return int(text) if number is None else number


def _values(text: str, place: int) -> set[int]:
    """Return what a field stands for; raise ValueError."""
    low, high = _RANGES[place]
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and (not step.isdecimal() or int(step) == 0):
            message = f"{part!r} has no step above 0 after the slash"
            raise ValueError(message)
        first, dash, last = (str(low), "-", str(high)) if span == "*" else span.partition("-")
        start = _number(first, place)
        end = _number(last, place) if dash else high if slash else start
        if not low <= start <= end <= high:
            message = f"{part!r} is not between {low} and {high}, the lower one first"
            raise ValueError(message)
        found.update(range(start, end + 1, int(step or 1)))
    return found


def is_cron(_instance: object, attribute: Any, value: str) -> None:
    """Refuse what is not a cron expression of five fields; a validator of attrs fields, raises ValueError.

    One that fits no day of any year, such as 30 February, is refused too.
    """
    words = value.split()
    if len(words) != 5:
        message = f"{value!r} needs five fields, minute hour day month weekday: {_EXAMPLES}"
        raise ValueError(message, attribute)
    fields = []
    for place, word in enumerate(words):
        try:
            fields.append(_values(word, place))
        except ValueError as error:
            message = f"{value!r}: field {place + 1}: {error}"
            raise ValueError(message, attribute) from None
    days, months = fields[2:4]
    # A day of the month and one of the week that are both named are taken as either
    needs_day = words[4].startswith("*") or words[2].startswith("*")
    if needs_day and min(days) > max(_LONGEST[month - 1] for month in months):
        message = f"{value!r}: no month of field 4 has a day of field 3"
        raise ValueError(message, attribute)

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
_EXAMPLES = "daily at 1:00 is '0 1 * * *', every Monday '0 1 * * mon', monthly '0 1 1 * *'"


def _number(text: str, place: int) -> int:
    number = _NAMES[place].get(text.lower())
    if number is None and not text.isdecimal():
        message = f"{text!r} is no number"
        raise ValueError(message)
    return int(text) if number is None else number


def _check_field(text: str, place: int) -> None:
    low, high = _RANGES[place]
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and (not step.isdecimal() or int(step) == 0):
            message = f"{part!r} has no step above 0 after the slash"
            raise ValueError(message)
        if span == "*":
            continue
        first, dash, last = span.partition("-")
        numbers = [_number(word, place) for word in ((first, last) if dash else (first,))]
        if any(not low <= number <= high for number in numbers) or numbers != sorted(numbers):
            message = f"{part!r} is not between {low} and {high}"
            raise ValueError(message)


def is_cron(_instance: object, attribute: Any, value: str) -> None:
    """Refuse what is not a cron expression of five fields; a validator of attrs fields, raises ValueError."""
    words = value.split()
    if len(words) != 5:
        message = f"{value!r} needs five fields, minute hour day month weekday: {_EXAMPLES}"
        raise ValueError(message, attribute)
    for place, word in enumerate(words):
        try:
            _check_field(word, place)
        except ValueError as error:
            message = f"{value!r}: field {place + 1}: {error}"
            raise ValueError(message, attribute) from None

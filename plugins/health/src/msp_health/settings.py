"""The section `health_checks` of the configuration."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from attrs import field, frozen, validators

from msp_core.v1 import Doc, Tier

_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CRON_NAMES: tuple[Mapping[str, int], ...] = (
    {},
    {},
    {},
    {name: number for number, name in enumerate(_MONTHS, 1)},
    {name: number for number, name in enumerate(_DAYS)},
)


def _cron_number(text: str, place: int) -> int:
    number = _CRON_NAMES[place].get(text.lower())
    return int(text) if number is None else number


def _cron_field(text: str, place: int) -> None:
    low, high = _CRON_RANGES[place]
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and (not step.isdecimal() or int(step) == 0):
            message = f"{part!r} has no step above 0 after the slash"
            raise ValueError(message)
        if span == "*":
            continue
        first, dash, last = span.partition("-")
        numbers = [_cron_number(word, place) for word in ((first, last) if dash else (first,))]
        if any(not low <= number <= high for number in numbers) or numbers != sorted(numbers):
            message = f"{part!r} is not between {low} and {high}"
            raise ValueError(message)


def is_cron(_instance: object, attribute: Any, value: str) -> None:
    """Refuse what is not a cron expression of five fields; raises ValueError."""
    words = value.split()
    if len(words) != 5:
        message = (
            f"{value!r} needs five fields: minute hour day month weekday, such as '0 */6 * * *'"
        )
        raise ValueError(message, attribute)
    for place, word in enumerate(words):
        try:
            _cron_field(word, place)
        except ValueError as error:
            message = f"{value!r}: field {place + 1}: {error}"
            raise ValueError(message, attribute) from None


_positive = validators.gt(timedelta(0))


@frozen(kw_only=True)
class Timeouts:
    """How long one read of facts may take before its devices are UNKNOWN with that reason."""

    fleet: Annotated[timedelta, Doc("One read of a whole console.")] = field(
        default=timedelta(minutes=5), validator=_positive
    )
    client: Annotated[timedelta, Doc("One read of one client.")] = field(
        default=timedelta(seconds=60), validator=_positive
    )
    device: Annotated[timedelta, Doc("One read of one device.")] = field(
        default=timedelta(seconds=30), validator=_positive
    )


@frozen(kw_only=True)
class HealthSettings:
    """Health checks of all clients."""

    enabled: Annotated[bool, Doc("Off: `health check` refuses to run.")] = True
    schedule: Annotated[str, Doc("When all clients are checked, as a cron expression.")] = field(
        default="0 */6 * * *", validator=is_cron
    )
    thresholds: Annotated[
        Mapping[str, Any],
        Doc(
            "Limits: `<check>_percent = N` (its warning level), or a table per check with its own limits."
        ),
    ] = field(factory=dict)
    tiers: Annotated[
        Mapping[Tier, Mapping[str, Any]],
        Doc("The same as `thresholds`, for the clients of one tier."),
    ] = field(factory=dict)
    attempts: Annotated[
        int, Doc("Sweeps in a row that must see a problem before anybody is told.")
    ] = field(default=1, validator=[validators.ge(1), validators.le(100)])
    max_age: Annotated[
        timedelta, Doc("Older facts give UNKNOWN, for checks that state no age of their own.")
    ] = field(default=timedelta(days=2), validator=_positive)
    chunk_devices: Annotated[int, Doc("Devices judged and recorded in one transaction.")] = field(
        default=2000, validator=[validators.ge(1), validators.le(50_000)]
    )
    concurrency: Annotated[int, Doc("Reads under way at once, for each adapter instance.")] = field(
        default=200, validator=[validators.ge(1), validators.le(10_000)]
    )
    timeouts: Annotated[Timeouts, Doc("Limits of waiting.")] = field(factory=Timeouts)

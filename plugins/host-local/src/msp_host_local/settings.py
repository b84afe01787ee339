"""Options of the adapter `local`."""

from datetime import timedelta
from typing import Annotated, Any

from attrs import field, frozen

from msp_core.v1 import Doc

LONGEST_SAMPLE = timedelta(seconds=10)


def _short(_settings: object, attribute: Any, value: timedelta) -> None:
    if not timedelta(0) < value <= LONGEST_SAMPLE:
        raise ValueError(f"{attribute.name} must be above 0 s and at most 10 s")


@frozen(kw_only=True)
class LocalSettings:
    """How this machine is read."""

    cpu_sample: Annotated[timedelta, Doc("How long processor use is measured.")] = field(
        default=timedelta(seconds=1), validator=_short
    )

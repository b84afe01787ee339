"""What was recorded last for one device and check, as far as the next result needs it."""

import json
from functools import lru_cache
from typing import Any, NamedTuple

from msp_core.v1 import Previous, Status

Key = tuple[str, str]
"""Device and check."""
STATUS = {status.value: status for status in Status}
_decode = json.JSONDecoder().raw_decode


class Latest(NamedTuple):
    """The columns as they were read: a sweep reads one for each of its rows."""

    device_id: str
    check: str
    status: str
    attempt: int
    hard_status: str | None
    known_status: str | None
    known_data: str | None
    """What the last result that judged the device wants remembered."""
    seq: int
    since: int
    """Microseconds since 1970."""


def previous_of(latest: Latest | None) -> Previous | None:
    """Return the last judgement, for recovery levels; None where there never was one."""
    if latest is None or latest.known_status is None:
        return None
    data = _remembered(latest.known_data) if latest.known_data else {}
    return Previous(status=STATUS[latest.known_status], data=data)


def _remembered(text: str) -> dict[str, Any]:
    if "[" in text or text.find("{", 1) >= 0:
        data: dict[str, Any] = _decode(text)[0]
        return data
    return dict(_flat(text))


@lru_cache(maxsize=4096)
def _flat(text: str) -> dict[str, Any]:
    """Keep what most checks remember: the same few words, row after row."""
    data: dict[str, Any] = _decode(text)[0]
    return data

"""Strict structuring of limits: `"false"` is not True and 1.7 is not 1."""

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, get_origin

import cattrs
from cattrs.errors import BaseValidationError

from msp_core.v1 import InvalidParameters

_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_LISTS = (list, tuple, set, frozenset)


def _number(value: Any, kind: type) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        message = f"{value!r} is not a number"
        raise ValueError(message)
    if kind is int and value != int(value):
        message = f"{value!r} is not a whole number"
        raise ValueError(message)
    return kind(value)


def _finite(value: Any, _kind: Any) -> float:
    number = float(_number(value, float))
    if number != number or number in (float("inf"), float("-inf")):
        message = f"{value!r} is not a finite number"
        raise ValueError(message)
    return number


def _truth(value: Any, _kind: Any) -> bool:
    if isinstance(value, bool):
        return value
    message = f"{value!r} is neither true nor false"
    raise ValueError(message)


def _text(value: Any, _kind: Any) -> str:
    if isinstance(value, str):
        return value
    message = f"{value!r} is not text"
    raise ValueError(message)


def _span(value: Any, _kind: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = _SPAN.fullmatch(value.strip()) if isinstance(value, str) and value.strip() else None
    if match is None:
        message = f"{value!r} is not a time span such as 45s, 2h30m or 7d"
        raise ValueError(message)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


@cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(int, lambda value, _: _number(value, int))
    converter.register_structure_hook(float, _finite)
    converter.register_structure_hook(bool, _truth)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(timedelta, _span)
    return converter


def structure_field(kind: Any, value: Any, path: str) -> Any:
    """Turn a plain value into a limit's type; raise InvalidParameters that names the path and the reason."""
    origin = get_origin(kind)
    if origin in _LISTS and not isinstance(value, _LISTS):
        raise InvalidParameters(f"{path} = {value!r}: a list is needed.", key=path)
    if origin is not None and issubclass_safe(origin, Mapping) and not isinstance(value, Mapping):
        raise InvalidParameters(f"{path} = {value!r}: a table is needed.", key=path)
    try:
        return _converter().structure(value, kind) if kind is not None else value
    except BaseValidationError as error:
        reasons = "; ".join(cattrs.transform_error(error))
        raise InvalidParameters(f"{path}: {reasons}", key=path) from None
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidParameters(f"{path}: {error}", key=path) from None


def issubclass_safe(kind: Any, base: type) -> bool:
    """Tell whether something is a subclass; False for what is no class."""
    return isinstance(kind, type) and issubclass(kind, base)

"""Turn plain data into typed values, strictly, and typed values into plain data."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from enum import Enum
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import attrs

from msp_core.data import Data
from msp_core.secrets import MASK, Secret, SecretRef, mask_known
from msp_core.times import format_duration, parse_duration, parse_time

if TYPE_CHECKING:
    from cattrs import Converter

_SCALARS = frozenset((bool, int, float, str))
LARGEST = 2**53 - 1
"""The largest whole number that every JSON reader and both databases can carry."""


@attrs.frozen(eq=False, repr=False)
class Problem(Data):
    """One thing wrong with some data: where (`thresholds.cpu_percent`), what, and a nearest valid name."""

    path: str
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.reason}{hint}"


class Unstructurable(ValueError):
    """Data did not fit its type; `problems` says where and why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


def structure(value: Any, type_: Any, path: str = "") -> Any:
    """Return the value as the type says; raise Unstructurable naming every problem with its path.

    Nothing is guessed: the text `"false"` is no boolean, 1.7 no integer, an unknown key an error.
    """
    try:
        return _plainly(value, type_)
    except _NotPlain:
        pass
    try:
        return converter().structure(value, type_)
    except Exception as error:
        raise Unstructurable(list(_problems(error, path))) from None


def plain(value: Any) -> Any:
    """Return a value as JSON data: enums by value, times as ISO 8601 with offset, secrets as a mask."""
    kind: Any = type(value)
    if value is None or kind in _SCALARS:
        return value
    names = _names_of(kind)
    if names is not None:
        return {
            name: item
            if (item := getattr(value, name)) is None or type(item) in _SCALARS
            else plain(item)
            for name in names
        }
    if kind is dict:
        return {str(key): plain(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return said(value)
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, SecretRef | PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


@lru_cache(maxsize=1024)
def _names_of(type_: type) -> tuple[str, ...] | None:
    """Return the fields of an attrs class that is written field by field."""
    if not attrs.has(type_) or issubclass(type_, SecretRef | Enum | str):
        return None
    return tuple(field.name for field in attrs.fields(type_))


def said(member: Enum) -> Any:
    """Return what a member of an enum is called outside: its value, or its name where that is an order (`Effect`)."""
    # Quicker by half than `.value`
    return member.name.lower() if isinstance(member, int) else member._value_


_READERS: dict[type, Any] = {
    timedelta: parse_duration,
    datetime: parse_time,
    Path: Path,
    SecretRef: SecretRef.parse,
}


class _NotPlain(Exception):
    """This value is for the converter: it is wrong, or of an unusual type."""


def _plainly(value: Any, type_: Any) -> Any:
    """Structure what nearly every call and configuration holds, without importing cattrs.

    cattrs costs a command a third of its start; it is imported for unusual types, and to say what is wrong.
    """
    if type_ in (str, bool) and type(value) is type_:
        return value
    if type_ is int and type(value) is int and abs(value) <= LARGEST:
        return value
    if type_ is float and type(value) in (int, float) and abs(value) < float("inf"):
        return float(value)
    if is_union(type_):
        return _plain_member(value, get_args(type_))
    if isinstance(value, str) and isinstance(type_, type):
        return _plain_text(value, type_)
    if isinstance(value, dict) and attrs.has(type_):
        return _plain_object(value, type_)
    if _is_sequence(type_) and isinstance(value, list | tuple):
        found = [_plainly(one, get_args(type_)[0]) for one in value]
        kind = get_origin(type_)
        return frozenset(found) if kind is frozenset else found if kind is list else tuple(found)
    raise _NotPlain


def _plain_member(value: Any, members: tuple[Any, ...]) -> Any:
    if value is None and type(None) in members:
        return None
    rest = [member for member in members if member is not type(None)]
    if len(rest) != 1:
        raise _NotPlain
    return _plainly(value, rest[0])


def _plain_text(text: str, type_: type) -> Any:
    reader: Any = _READERS.get(type_) or (type_ if issubclass(type_, Enum) else None)
    if reader is None:
        raise _NotPlain
    try:
        return reader(text)
    except ValueError:
        raise _NotPlain from None


def _plain_object(data: dict[str, Any], type_: type) -> Any:
    hints = get_type_hints(type_)
    known = {field.alias: hints[field.name] for field in attrs.fields(type_) if field.init}
    if not known.keys() >= data.keys():
        raise _NotPlain
    values = {name: _plainly(value, known[name]) for name, value in data.items()}
    try:
        return type_(**values)
    except (TypeError, ValueError):
        raise _NotPlain from None


@lru_cache(maxsize=1)
def converter() -> "Converter":
    """Return the one strict converter, made on first use."""
    from cattrs import Converter

    made = Converter(forbid_extra_keys=True, detailed_validation=True)
    made.register_structure_hook(bool, _strict(bool, "true or false"))
    made.register_structure_hook(int, _whole)
    made.register_structure_hook(float, _number)
    made.register_structure_hook(str, _strict(str, "text"))
    made.register_structure_hook(
        datetime,
        lambda value, _: value if isinstance(value, datetime) else parse_time(_text(value)),
    )
    made.register_structure_hook(
        timedelta,
        lambda value, _: value if isinstance(value, timedelta) else parse_duration(_text(value)),
    )
    made.register_structure_hook(
        Path, lambda value, _: value if isinstance(value, Path) else Path(_text(value))
    )
    made.register_structure_hook(
        SecretRef,
        lambda value, _: value if isinstance(value, SecretRef) else SecretRef.parse(_text(value)),
    )
    made.register_structure_hook_func(
        lambda type_: isinstance(type_, type) and issubclass(type_, Enum), _enum
    )
    made.register_structure_hook_func(
        lambda type_: type_ is Any or type_ is object, lambda value, _: value
    )
    made.register_structure_hook_func(_is_sequence, _sequence)
    made.register_structure_hook_func(_is_plain_union, _union)
    return made


def _strict(type_: type, words: str) -> Any:
    def hook(value: Any, wanted: Any) -> Any:
        # cattrs asks here for StrEnum and IntEnum too
        if wanted is not type_ and issubclass(wanted, Enum):
            return _enum(value, wanted)
        if type(value) is not type_:
            message = f"expected {words}, got {_show(value)}"
            raise ValueError(message)
        return value

    return hook


def _whole(value: Any, _: Any) -> int:
    if type(value) is not int:
        message = f"expected a whole number, got {_show(value)}"
        raise ValueError(message)
    if abs(value) > LARGEST:
        message = "the number is too large"
        raise ValueError(message)
    return value


def _number(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"expected a number, got {_show(value)}"
        raise ValueError(message)
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        message = "expected a finite number"
        raise ValueError(message)
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        message = f"expected text, got {_show(value)}"
        raise ValueError(message)
    return value


def _enum(value: Any, type_: Any) -> Any:
    if isinstance(value, type_):
        return value
    for member in type_:
        if said(member) == value:
            return member
    names = [str(said(member)) for member in type_]
    message = f"{_show(value)} is not one of {', '.join(names)}"
    raise ValueError(message + _nearest(str(value), names))


def _is_sequence(type_: Any) -> bool:
    return get_origin(type_) in (Sequence, list, tuple, frozenset) and get_args(type_) != ()


def _sequence(value: Any, type_: Any) -> Any:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        message = f"expected a list, got {_show(value)}"
        raise ValueError(message)
    item = get_args(type_)[0]
    found: list[Any] = []
    problems: list[Problem] = []
    for number, one in enumerate(value):
        try:
            found.append(converter().structure(one, item))
        except Exception as error:
            problems.extend(_problems(error, f"[{number}]"))
    if problems:
        raise Unstructurable(problems)
    kind = get_origin(type_)
    return frozenset(found) if kind is frozenset else found if kind is list else tuple(found)


def _is_plain_union(type_: Any) -> bool:
    return is_union(type_)


def is_union(type_: Any) -> bool:
    """Tell whether a type is written `A | B` or `Optional[A]`."""
    import types

    return get_origin(type_) in (Union, types.UnionType)


def _union(value: Any, type_: Any) -> Any:
    """Try the members in order; None only for None. Reports the problems of the last one tried."""
    members = [member for member in get_args(type_) if member is not type(None)]
    if value is None and len(members) < len(get_args(type_)):
        return None
    failure: Exception | None = None
    for member in members:
        try:
            return converter().structure(value, member)
        except Exception as error:
            failure = error
    assert failure is not None
    raise failure


def _show(value: Any) -> str:
    """Show a value by kind; text may be a secret somebody put in the wrong place, so it is cut short.

    One that is known is masked before: its beginning alone would not be recognised.
    """
    if isinstance(value, str):
        value = mask_known(value)
        return repr(value if len(value) <= 24 else value[:12] + "...")
    if isinstance(value, bool | int | float) or value is None:
        return repr(value)
    names: dict[type, str] = {dict: "a table", list: "a list", tuple: "a list"}
    return names.get(type(value), type(value).__name__)


def _nearest(word: str, names: Iterable[str]) -> str:
    close = get_close_matches(word, list(names), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _problems(error: BaseException, path: str) -> Iterable[Problem]:
    from cattrs.errors import (
        ClassValidationError,
        ForbiddenExtraKeysError,
        IterableValidationError,
    )

    if isinstance(error, Unstructurable):
        for problem in error.problems:
            yield attrs.evolve(problem, path=_join(path, problem.path))
    elif isinstance(error, ForbiddenExtraKeysError):
        names = [field.alias for field in attrs.fields(error.cl)] if attrs.has(error.cl) else []
        for extra in sorted(error.extra_fields):
            close = get_close_matches(extra, names, n=1, cutoff=0.6)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(names))}"
            yield Problem(_join(path, extra), "unknown key", hint)
    elif isinstance(error, ClassValidationError):
        with_notes, without = error.group_exceptions()
        for inner, note in with_notes:
            # What is missing is named by the error already
            told = isinstance(inner, KeyError) and inner.args == (note.name,)
            yield from _problems(inner, path if told else _join(path, note.name))
        for inner in without:
            yield from _problems(inner, path)
    elif isinstance(error, IterableValidationError):
        indexed, rest = error.group_exceptions()
        for inner, index_note in indexed:
            yield from _problems(inner, _join(path, str(index_note.index)))
        for inner in rest:
            yield from _problems(inner, path)
    elif isinstance(error, KeyError):
        yield Problem(_join(path, str(error.args[0])), "missing")
    elif isinstance(error, AttributeError | TypeError) and len(error.args) == 1:
        yield Problem(path, "expected a table")  # cattrs takes it for one without a look
    else:
        # attrs' validators put the attribute behind the message, or its name in front
        attribute = getattr(error.args[1], "name", "") if len(error.args) > 1 else ""
        text = str(error.args[0]) if attribute else str(error)
        named = re.match(r"'(\w+)' (must .*)", text)
        if named is not None:
            attribute, text = named.groups()
        yield Problem(_join(path, attribute), text.split("\n", 1)[0] or type(error).__name__)


def _join(path: str, name: str) -> str:
    if not path or not name:
        return path or name
    return f"{path}{name}" if name.startswith("[") else f"{path}.{name}"

"""Rows of a list, as compact data and as lines for people.

Both are made a column at a time: what holds for a whole column is found out once, not for each of its values.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import Enum
from math import isfinite
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

import attrs

from msp_core.v1 import Column, Display, SecretRef, mask_data, plain
from msp_mcp_server.hygiene import clean, cleaned, is_harmless, is_harmless_text
from msp_mcp_server.pages import Page

_TITLES = ("name", "title", "what")
"""Columns that say what a row is, for its first line."""
_AS_THEY_ARE = frozenset((bool, int, str, type(None)))
_LOOKED_INTO = frozenset((dict, list, float))


def items_of(rows: Sequence[Any], fields: Sequence[str]) -> list[dict[str, Any]]:
    """Return what each row says, of these fields where some are named: masked, cleaned, nothing empty."""
    columns = _columns(rows)
    if fields:
        columns = {name: columns[name] for name in fields if name in columns}
    data = {name: _data(column) for name, column in columns.items()}
    said = {name: column for name, column in data.items() if any(column) or 0 in column}
    items = [dict(zip(said, values, strict=True)) for values in zip(*said.values(), strict=True)]
    if not is_harmless(said):
        return [compact(cleaned(mask_data(item))) for item in items]
    for name, column in said.items():
        for number in [at for at, value in enumerate(column) if not (value or value == 0)]:
            del items[number][name]
    return items or [{} for _ in rows]


def compact(value: Any) -> Any:
    """Leave out what says nothing: empty texts, empty lists, null, and numbers that JSON has not."""
    kind = type(value)
    if kind is dict:
        return {
            key: kept
            for key, item in value.items()
            if (kept := compact(item) if type(item) in _LOOKED_INTO else item) or kept == 0
        }
    if kind is list:
        return [compact(item) for item in value]
    return None if kind is float and not isfinite(value) else value


def _columns(rows: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """Return the values of each field; what is no object is the only field of its row."""
    kind = _kind(rows)
    if kind is not None and attrs.has(kind) and not issubclass(kind, SecretRef):
        names = tuple(field.name for field in attrs.fields(kind))
        return {name: list(map(attrgetter(name), rows)) for name in names}
    plains = [one if type(one) is dict else {"value": one} for one in map(plain, rows)]
    return {
        name: [one.get(name) for one in plains] for name in {n: 0 for one in plains for n in one}
    }


def _kind(rows: Sequence[Any]) -> type | None:
    kinds = set(map(type, rows))
    return kinds.pop() if len(kinds) == 1 else None


def _values(rows: Sequence[Any], path: str) -> list[Any]:
    """Return what stands at a path such as `owner.name` of each row, None where nothing does."""
    if "." not in path and hasattr(_kind(rows), path):
        return list(map(attrgetter(path), rows))
    values: Iterable[Any] = rows
    for name in path.split("."):
        values = [
            one.get(name) if type(one) is dict else getattr(one, name, None) for one in values
        ]
    return list(values)


def _data(column: Sequence[Any]) -> Sequence[Any]:
    if _AS_THEY_ARE.issuperset(map(type, column)):
        return column
    return _each(lambda value: compact(plain(value)), column)


def _each(function: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    """Apply a function to all values, once to the same object: enums, None and empty lists are few."""
    ids = list(map(id, values))
    results = {id: function(value) for id, value in dict(zip(ids, values, strict=True)).items()}
    return list(map(results.__getitem__, ids))


def lines_of(
    rows: Sequence[Any], items: Sequence[dict[str, Any]], page: Page, zone: ZoneInfo
) -> list[str]:
    """Tell each row to people, cleaned where that is needed."""
    columns = _told(rows, page, zone) or [[json.dumps(item, ensure_ascii=False) for item in items]]
    text = "|".join(["|".join(column) for column in columns])
    if "\n" in text or "\t" in text or not is_harmless_text(text):
        columns = [
            [" ".join(clean(str(mask_data(one))).split()) for one in column] for column in columns
        ]
    return [
        "\n   - ".join([f"{number}. {first}", *filter(None, rest)])
        for number, (first, *rest) in enumerate(zip(*columns, strict=True), page.start + 1)
    ]


def _told(rows: Sequence[Any], page: Page, zone: ZoneInfo) -> list[list[str]]:
    """Return the columns of a table, titles before the texts; the one that names the row comes first, without title."""
    display: Display = getattr(_kind(rows), "DISPLAY", None) or Display()
    fields = page.fields
    columns = [one for one in display.columns if not fields or one.path.partition(".")[0] in fields]
    if not columns:
        return []
    name = next((one for one in columns if one.path in _TITLES), columns[0])
    told = [_texts(rows, name, zone)]
    for column in columns:
        if column is not name:
            title = _title(column) + ": "
            told.append([title + text if text else "" for text in _texts(rows, column, zone)])
    return told


def _texts(rows: Sequence[Any], column: Column, zone: ZoneInfo) -> list[str]:
    values = _values(rows, column.path)
    if column.format is not None:
        values = _each(column.format, values)
    if set(map(type, values)) == {str}:
        return values
    return _each(lambda value: value if type(value) is str else _word(value, zone), values)


def _title(column: Column) -> str:
    return column.title or column.path.rpartition(".")[2].replace("_", " ").capitalize()


def _word(value: Any, zone: ZoneInfo) -> str:
    if value is None:
        return ""
    if type(value) is int:
        return str(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value._value_)
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_word(item, zone) for item in value)
    return str(plain(value))

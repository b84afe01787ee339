"""Print a result in any format: data on stdout, as its type's DISPLAY says."""

import io
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from enum import Enum, StrEnum
from itertools import zip_longest
from typing import Any

import attrs

from msp_core.display import Column, Display, Listing, shown_in
from msp_core.secrets import mask_data, mask_known
from msp_core.status import Status
from msp_core.structure import plain

SCHEMA_VERSION = 1
_COLOURS = {
    "ok": "32", "online": "32", "active": "32", "resolved": "32",
    "warning": "33", "suspended": "33", "acknowledged": "33", "skipped": "2",
    "critical": "1;31", "error": "35", "failed": "1;31", "offline": "31", "missing": "31",
    "unknown": "36", "open": "1;31",
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_READABLE = 24
"""Text in a narrower last column would be a ladder of words; it goes below its row instead."""


class Format(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    YAML = "yaml"
    MARKDOWN = "markdown"
    NAGIOS = "nagios"


def render(
    result: Any,
    format: Format,
    *,
    zone: tzinfo,
    colour: bool = False,
    width: int | None = None,
    row_type: Any = None,
) -> str:
    """Return a result as text, without a final line break, secrets masked and control characters made harmless.

    `row_type` says what a list would hold, for the words when it is empty. A table wider than `width` columns is broken
    between words; without a width every row is one line, however long. Nothing is ever left out of a cell.
    """
    if format is Format.JSON:
        return json.dumps(_document(result), indent=2, ensure_ascii=False)
    if format is Format.JSONL:
        return "\n".join(
            json.dumps(row, ensure_ascii=False)
            for row in mask_data(plain(_rows(result)), mask_known)
        )
    if format is Format.YAML:
        import yaml

        return str(yaml.safe_dump(_document(result), sort_keys=False, allow_unicode=True)).rstrip()
    if format is Format.CSV:
        return _csv(mask_data(plain(_rows(result)), mask_known))
    if format is Format.NAGIOS:
        return clean(mask_known(_nagios(result)), keep_lines=True)
    empty = (getattr(row_type, "DISPLAY", None) or Display()).empty
    return mask_known(
        _for_people(
            result,
            zone,
            markdown=format is Format.MARKDOWN,
            colour=colour,
            width=width,
            empty=empty,
        )
    )


def clean(text: str, *, keep_lines: bool = False) -> str:
    """Take the control characters out of text that devices and vendors wrote, so that it cannot steer a terminal."""
    if not keep_lines:
        text = " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
        text = text.replace("\t", " ")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _display(result: Any) -> Display:
    items = (
        result.items
        if isinstance(result, Listing)
        else result
        if isinstance(result, tuple | list)
        else None
    )
    if items is not None:
        return _display(items[0]) if items else Display()
    return getattr(type(result), "DISPLAY", None) or Display()


def _rows(result: Any) -> Sequence[Any]:
    if isinstance(result, Listing):
        return result.items
    if isinstance(result, tuple | list):
        return result
    rows = _display(result).rows
    return getattr(result, rows) if rows else (result,)


def _document(result: Any) -> Any:
    data = plain(result)
    data = _schema_text(data) if _is_schema(data) else mask_data(data, mask_known)
    if isinstance(result, tuple | list):
        data = {"items": data, "total": len(data)}
    if isinstance(data, Mapping):
        return {"schema_version": SCHEMA_VERSION, **data}
    return {"schema_version": SCHEMA_VERSION, "result": data}


def _is_schema(data: Any) -> bool:
    return isinstance(data, Mapping) and "$schema" in data


def _schema_text(value: Any) -> Any:
    """Mask known secrets in a JSON Schema; its keys are names of options, and `password` holds a description."""
    if isinstance(value, str):
        return mask_known(value)
    if isinstance(value, Mapping):
        return {key: _schema_text(item) for key, item in value.items()}
    return [_schema_text(item) for item in value] if isinstance(value, list | tuple) else value


def _csv(rows: Iterable[Any]) -> str:
    flat = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    import csv  # compiled code that only this format needs

    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in flat)
    return target.getvalue().rstrip("\n")


def _flat(row: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(row, Mapping):
        return {prefix.rstrip(".") or "value": row}
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping) and value:
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found


def _cell(value: Any) -> Any:
    """Write one CSV cell; text a spreadsheet would run as a formula gets an apostrophe in front."""
    if isinstance(value, list | dict):
        value = (
            "; ".join(map(str, value))
            if isinstance(value, list)
            else json.dumps(value)
            if value
            else ""
        )
    if isinstance(value, str):
        value = clean(value)
        return f"'{value}" if value[:1] in "=+-@" and value else value
    return "" if value is None else value


def _nagios(result: Any) -> str:
    method = _display(result).nagios
    if method:
        return str(getattr(result, method)())
    rows = _rows(result)
    states = [row.status for row in rows if isinstance(getattr(row, "status", None), Status)]
    if states:
        from msp_core.status import worst

        counts = ", ".join(f"{states.count(one)} {one.value}" for one in Status if one in states)
        return f"{worst(states).value.upper()}: {counts}"
    word = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[min(getattr(result, "exit_code", 0) or 0, 3)]
    return f"{word}: {len(rows)} {'row' if len(rows) == 1 else 'rows'}"


def _for_people(
    result: Any, zone: tzinfo, *, markdown: bool, colour: bool, width: int | None, empty: str
) -> str:
    if result is None:
        return ""
    if isinstance(result, str):
        return clean(result, keep_lines=True)
    if _is_schema(result):
        return json.dumps(_schema_text(result), indent=2, ensure_ascii=False)
    display = _display(result)
    parts = []
    rows = _rows(result)
    columns = display.columns
    if not rows:
        listed = isinstance(result, Listing | tuple | list)
        parts.append(
            empty
            if listed and not getattr(result, "notes", ())
            else ""
            if listed
            else display.empty
        )
    elif columns:
        cells = [[_text(_value(row, column), column, zone) for column in columns] for row in rows]
        heads = [column.title or column.path.replace("_", " ") for column in columns]
        parts.append(
            _markdown(heads, cells)
            if markdown
            else _table(heads, cells, colour=colour, width=width)
        )
    elif not display.summary:
        parts.extend(_fields(row, zone) for row in rows)
    if display.summary and (display.rows or not isinstance(result, Listing | tuple | list)):
        with shown_in(zone):
            parts.append(clean(display.summary(result), keep_lines=True))
    if isinstance(result, Listing):
        if len(result.items) < result.total:
            parts.append(f"{len(result.items)} of {result.total} shown.")
        parts.extend(clean(note) for note in result.notes)
    return "\n\n".join(part for part in parts if part)


def _fields(row: Any, zone: tzinfo) -> str:
    data = (
        {field.name: getattr(row, field.name) for field in attrs.fields(type(row))}
        if attrs.has(type(row))
        else row
        if isinstance(row, Mapping)
        else {"value": row}
    )
    shown = {
        str(name).replace("_", " "): _text(value, Column(str(name)), zone)
        for name, value in data.items()
    }
    widest = max(map(len, shown), default=0)
    return "\n".join(f"{name:<{widest}}  {value}" for name, value in shown.items() if value)


def _value(row: Any, column: Column) -> Any:
    value = row
    for name in column.path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    return value


def _text(value: Any, column: Column, zone: tzinfo) -> str:
    if column.format is not None:
        return clean(column.format(value))
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, tuple | list | set | frozenset):
        return ", ".join(_text(item, Column(column.path), zone) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key}={_text(item, Column(column.path), zone)}" for key, item in value.items()
        )
    if attrs.has(type(value)):
        return json.dumps(plain(value), ensure_ascii=False)
    return clean(str(value))


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _table(
    heads: Sequence[str], cells: Sequence[Sequence[str]], *, colour: bool, width: int | None
) -> str:
    kept = [n for n in range(len(heads)) if any(row[n] for row in cells)] or [0]
    columns = [[heads[n].upper(), *(row[n] for row in cells)] for n in kept]
    widths = [max(map(_width, column)) for column in columns]
    below: Sequence[str] = ()
    if width is not None:
        room = width - sum(widths[:-1]) - 2 * len(widths[:-1])
        if room < min(_READABLE, widths[-1]) and widths[-1] > _READABLE and len(columns) > 1:
            below = columns.pop()
            del widths[-1]
        _narrow(widths, columns, width)
    lines: list[str] = []
    for number, row in enumerate(zip(*columns, strict=True)):
        cells_lines = [_broken(cell, room) for cell, room in zip(row, widths, strict=True)]
        for parts in zip_longest(*cells_lines, fillvalue=""):
            painted = [
                _paint(part, room, code="2" if number == 0 else _COLOURS.get(cell), colour=colour)
                for part, room, cell in zip(parts, widths, row, strict=True)
            ]
            lines.append("  ".join(painted).rstrip())
        if below and number and width is not None:
            lines.extend(f"    {part}" for part in _broken(below[number], width - 4))
    return "\n".join(lines)


def _narrow(widths: list[int], columns: Sequence[Sequence[str]], width: int) -> None:
    """Take from the columns with the most room until the table fits; a word (an id, a path) is never broken."""
    least = [max(_width(word) for cell in column for word in cell.split(" ")) for column in columns]
    while (excess := sum(widths) + 2 * (len(widths) - 1) - width) > 0:
        spare = [now - low for now, low in zip(widths, least, strict=True)]
        most = max(range(len(widths)), key=spare.__getitem__)
        if spare[most] == 0:
            return
        widths[most] -= min(excess, spare[most])


def _broken(text: str, room: int) -> list[str]:
    """Break text between words into lines of at most `room` columns."""
    if _width(text) <= room:
        return [text]
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if _width(longer) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _paint(text: str, width: int, *, code: str | None, colour: bool) -> str:
    padded = _pad(text, width)
    return f"\x1b[{code}m{padded}\x1b[0m" if colour and code and text else padded


def _markdown(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines.extend("| " + " | ".join(map(_markdown_text, row)) + " |" for row in cells)
    return "\n".join(lines)


def _markdown_text(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#!~])", r"\\\1", text)

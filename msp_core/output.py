"""Print a result in any format: data on stdout, as its type's DISPLAY says."""

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from enum import Enum, StrEnum
from typing import Any

import attrs

from msp_core.display import Column, Display, Listing, shown_in
from msp_core.layout import fold, table
from msp_core.program import typed
from msp_core.secrets import mask_data, mask_known
from msp_core.status import Status
from msp_core.structure import plain

SCHEMA_VERSION = 1
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


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
            width=width if format is Format.TABLE else None,
            empty=empty,
        )
    )


def clean(text: str, *, keep_lines: bool = False) -> str:
    """Take the control characters out of text that devices and vendors wrote, so that it cannot steer a terminal."""
    if not keep_lines:
        text = " ".join(map(str.strip, text.splitlines())) if "\n" in text or "\r" in text else text
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
    listed = isinstance(result, Listing | tuple | list)
    columns = display.columns if listed or display.rows or not display.summary else ()
    if not rows:
        parts.append(
            typed(empty)
            if listed and not getattr(result, "notes", ())
            else ""
            if listed
            else typed(display.empty)
        )
    elif columns:
        cells = [[_text(_value(row, column), column, zone) for column in columns] for row in rows]
        heads = [column.title or column.path.replace("_", " ") for column in columns]
        parts.append(
            _markdown(heads, cells) if markdown else table(heads, cells, colour=colour, width=width)
        )
    elif not display.summary:
        parts.extend(_fields(row, zone) for row in rows)
    if display.summary and (display.rows or not listed):
        with shown_in(zone):
            said = clean(typed(display.summary(result)), keep_lines=True)
        parts.append(said if display.verbatim else _said(said, width))
    if isinstance(result, Listing):
        if len(result.items) < result.total:
            parts.append(f"{len(result.items)} of {result.total} shown.")
        parts.extend(fold(clean(typed(note)), width) for note in result.notes)
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


def _said(text: str, width: int | None) -> str:
    """Fold a summary for people; an indented line is a command to copy or a path, and stays whole."""
    return "\n".join(
        line if line.startswith(" ") else fold(line, width) for line in text.split("\n")
    )


def _markdown(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines.extend("| " + " | ".join(map(_markdown_text, row)) + " |" for row in cells)
    return "\n".join(lines)


def _markdown_text(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#!~])", r"\\\1", text)

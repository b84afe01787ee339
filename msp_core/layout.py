"""Lay text out for terminals: tables that fit, lines broken between words, states with their colour."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import accumulate, zip_longest

_COLOURS = {
    "ok": "32", "online": "32", "active": "32", "resolved": "32",
    "warning": "33", "suspended": "33", "acknowledged": "33", "skipped": "2",
    "pending": "33", "refused": "33", "in-flight": "33",
    "critical": "1;31", "error": "35", "failed": "1;31", "offline": "31", "missing": "31",
    "unknown": "36", "open": "1;31",
}  # fmt: skip
_BELOW = "    "
_READABLE = 24
"""Text in a narrower last column would be a ladder of words; it goes below its row instead."""
_WHOLE = 16
"""A cell no wider than a moment is never broken between its words."""
_ALIGNED = 60
"""Where no line is broken, one longer cell sticks out, and pushes nothing away in the other rows."""


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def table(
    heads: Sequence[str], cells: Sequence[Sequence[str]], *, colour: bool, width: int | None
) -> str:
    """Lay out rows of text; a row that is wider than `width` takes more lines. Nothing is ever left out of a cell."""
    kept = [n for n in range(len(heads)) if any(row[n] for row in cells)] or [0]
    layers = _layers([[heads[n].upper(), *(row[n] for row in cells)] for n in kept], width)
    lines: list[str] = []
    for number in range(len(cells) + 1):
        for depth, (columns, widths) in enumerate(layers):
            row = [column[number] for column in columns]
            if depth and not any(row):
                continue
            broken = [
                [cell] if width is None else _broken(cell, room)
                for cell, room in zip(row, widths, strict=True)
            ]
            codes = [_code(cell, heading=not number) if colour else None for cell in row]
            for parts in zip_longest(*broken, fillvalue=""):
                painted = map(_paint, parts, widths, codes)
                lines.append((_BELOW * bool(depth) + "  ".join(painted)).rstrip())
    return "\n".join(lines)


def _code(cell: str, *, heading: bool) -> str | None:
    """Return the colour of a state, also of one with more to say, such as `warning (new)` and `open, stale`."""
    return "2" if heading else _COLOURS.get(re.split(r", | \(", cell, maxsplit=1)[0])


def _layers(
    columns: Sequence[Sequence[str]], width: int | None
) -> list[tuple[Sequence[Sequence[str]], list[int]]]:
    """Share columns out over the lines of a row, with their widths: what does not fit goes below, heading and all."""
    if width is None:
        return [(columns, [_aligned(column) for column in columns])]
    layers: list[tuple[Sequence[Sequence[str]], list[int]]] = []
    least = [_least(column, _READABLE if column is columns[-1] else _WHOLE) for column in columns]
    while columns:
        room = width - len(_BELOW) * bool(layers)
        ends = accumulate(least, lambda end, column: end + 2 + column)
        count = max(1, sum(end <= room for end in ends))
        widths = [max(map(_width, column)) for column in columns[:count]]
        layers.append((columns[:count], _narrowed(widths, least[:count], room)))
        columns, least = columns[count:], least[count:]
    return layers


def _aligned(column: Sequence[str]) -> int:
    """Return the width of the widest cell but of those that stick out."""
    return max((wide for cell in column if (wide := _width(cell)) <= _ALIGNED), default=0)


def _least(column: Sequence[str], readable: int) -> int:
    """Return the narrowest a column may get: a word (an id, a path) is never broken, nor a cell that is short."""
    words = max(_width(word) for cell in column for word in cell.split(" "))
    return max(words, min(readable, max(map(_width, column[1:]))))


def _narrowed(widths: list[int], least: Sequence[int], room: int) -> list[int]:
    """Take from the columns with the most to spare until they fit."""
    while (excess := sum(widths) + 2 * (len(widths) - 1) - room) > 0:
        spare = [now - low for now, low in zip(widths, least, strict=True)]
        most = max(range(len(widths)), key=spare.__getitem__)
        if spare[most] == 0:
            break
        widths[most] -= min(excess, spare[most])
    return widths


def fold(text: str, width: int | None) -> str:
    """Break lines between words, each part as far in as its line; nothing is broken without a width."""
    if width is None:
        return text
    lines = []
    for line in text.split("\n"):
        words = line.lstrip(" ")
        margin = " " * (len(line) - len(words))
        lines += [margin + part for part in _broken(words, width - len(margin))]
    return "\n".join(lines)


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


def _paint(text: str, room: int, code: str | None) -> str:
    padded = text + " " * (room - _width(text))
    return f"\x1b[{code}m{padded}\x1b[0m" if code and text else padded

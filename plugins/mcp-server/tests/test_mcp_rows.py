"""Rows of a list, made a column at a time: the same as each row by itself would be."""

from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from msp_core.v1 import Column, Display, Secret, mask_data, plain
from msp_mcp_server.hygiene import cleaned, untrusted_fields
from msp_mcp_server.pages import Page
from msp_mcp_server.rows import compact, items_of, lines_of

ALL = Page(start=0, limit=50, fields=(), arguments={}, mark="")


class Colour(StrEnum):
    """Text outside."""

    RED = "red"


class Level(IntEnum):
    """A name outside; its least member is zero."""

    LOW = 0
    HIGH = 1


@frozen
class Owner:
    """What stands inside a row."""

    name: str
    notes: Any = None


@frozen
class Row:
    """One of a list."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("id"),
            Column("name"),
            Column("owner.name", "Owner"),
            Column("value", format=lambda value: f"<{value}>" if value else ""),
        )
    )

    id: Any
    name: Any = ""
    owner: Any = None
    value: Any = None


words = st.sampled_from(
    ["", "Acme", "Ünï", "a\nb", "a'b", "<b>x</b>", "token: abcdef", "\x1b[31mred", "x" * 40]
)
values = st.one_of(
    st.none(), words, st.booleans(), st.integers(-3, 3), st.floats(),
    st.sampled_from([*Colour, *Level, timedelta(0), timedelta(hours=1), datetime(2026, 1, 2, tzinfo=UTC)]),
    st.lists(words, max_size=2).map(tuple), st.dictionaries(words, words, max_size=2),
    st.builds(Owner, words, st.none() | words), st.just(Secret("open sesame")),
)  # fmt: skip
rows = st.one_of(
    st.lists(st.builds(Row, values, values, values, values), max_size=4),
    st.lists(st.dictionaries(st.sampled_from(["id", "password", "note", "<b>"]), values), max_size=4),
    st.lists(values, max_size=4),
    st.lists(st.builds(Row, values) | st.builds(Owner, words), max_size=4),
)  # fmt: skip


def one_by_one(row: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return what one row says, without regard to the others."""
    whole = plain(row)
    whole = whole if isinstance(whole, dict) else {"value": whole}
    whole = {name: whole[name] for name in fields if name in whole} if fields else whole
    made: dict[str, Any] = compact(cleaned(mask_data(compact(whole))))
    return made


@given(rows, st.sampled_from([(), ("name",), ("value", "id"), ("nothing",)]))
def test_rows_are_as_each_by_itself(given: list[Any], fields: tuple[str, ...]) -> None:
    """Whatever the rows are, looking at columns changes nothing."""
    assert items_of(given, fields) == [one_by_one(row, fields) for row in given]


@given(rows)
def test_every_row_is_told(given: list[Any]) -> None:
    """There is one text for each row, numbered, without a line break or an escape of its own."""
    items = items_of(given, ())
    lines = lines_of(given, items, ALL, ZoneInfo("Europe/Berlin"))
    assert len(lines) == len(given)
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"{number}. ")
        assert all(part.startswith("   - ") for part in line.split("\n")[1:])
        assert "\x1b" not in line
        assert "abcdef" not in line


def test_what_a_row_says_to_people() -> None:
    """The name comes first; titles stand before the rest; what is empty, or not there, is left out."""
    given = [
        Row(1, "Acme", Owner("Ann"), 3),
        Row(2, "Birch", None, 0),
        Row(3, "Cedar", {"name": "Cy"}),
    ]
    lines = lines_of(given, items_of(given, ()), ALL, ZoneInfo("UTC"))
    assert lines == [
        "1. Acme\n   - Id: 1\n   - Owner: Ann\n   - Value: <3>",
        "2. Birch\n   - Id: 2",
        "3. Cedar\n   - Id: 3\n   - Owner: Cy",
    ]


SCHEMA = {
    "properties": {
        "items": {
            "items": {
                "properties": {"note": {}, "colour": {"enum": ["red"]}, "owner": {"properties": {}}}
            }
        }
    }
}


def free_texts(value: Any, schema: Any, name: str) -> set[str]:
    """Return the fields with text of others, value by value."""
    if isinstance(value, str):
        ours = name in ("", "id") or "enum" in schema
        return {name} if value and not ours else set()
    if isinstance(value, list):
        return set().union(*(free_texts(one, schema.get("items", {}), name) for one in value))
    if isinstance(value, dict):
        known, named = schema.get("properties", {}), "properties" in schema or not name
        return set().union(
            *(free_texts(value[key], known.get(key, {}), key if named else name) for key in value)
        )
    return set()


fields = st.sampled_from(["id", "colour", "note", "owner"])


@given(st.lists(st.dictionaries(fields, values | rows), max_size=3))
def test_every_free_text_is_named(given: list[dict[str, Any]]) -> None:
    """Whichever row holds it, and however deep, a field with text that is not ours is named, and no other one."""
    data = {"items": plain(given)}
    found = untrusted_fields(data, SCHEMA)
    assert len(found) == len(set(found))
    assert set(found) == free_texts(data, SCHEMA, "")

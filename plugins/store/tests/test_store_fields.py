"""Fields: what goes in comes out, and what cannot be kept is refused or cleaned."""

import logging
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_store.drivers import peewee
from msp_store.models import (
    EnumField,
    JsonField,
    TextField,
    UtcDateTimeField,
    clean_text,
    driver_values,
    from_micros,
    to_micros,
)


class Colour(StrEnum):
    RED = "red"


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_come_back_to_the_microsecond(value):
    """Any aware time survives, and later times are larger numbers."""
    assert from_micros(to_micros(value)) == value


@given(st.lists(st.datetimes(timezones=st.just(UTC))))
def test_times_sort_like_their_numbers(values):
    """The order of the numbers is the order of the times."""
    assert sorted(values) == sorted(values, key=to_micros)


def test_other_zones_are_the_same_instant():
    """A time in another zone is kept as its instant; a time without a zone is refused."""
    zone = timezone(timedelta(hours=5, minutes=30))
    local = datetime(2026, 1, 1, 5, 30, tzinfo=zone)
    assert from_micros(to_micros(local)) == datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="no time zone"):
        UtcDateTimeField().db_value(datetime(2026, 1, 1))  # noqa: DTZ001


@given(st.text(st.characters()))
def test_cleaned_text_can_be_kept_anywhere(text):
    """No NUL, valid UTF-8, nothing else altered."""
    cleaned = clean_text(text)
    assert "\0" not in cleaned
    assert cleaned.encode().decode() == cleaned
    if "\0" not in text and not any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        assert cleaned == text


def test_json_takes_what_results_hold():
    """Mappings of any kind, tuples, sets and times are written; other objects are refused by name."""
    field = JsonField()
    value = {
        "a": MappingProxyType({"b": (1, 2)}),
        "c": {3, 1},
        "d": datetime(2026, 1, 1, tzinfo=UTC),
    }
    written = field.db_value(value)
    assert written == '{"a":{"b":[1,2]},"c":[1,3],"d":"2026-01-01T00:00:00+00:00"}'
    assert field.python_value(written)["a"] == {"b": [1, 2]}
    assert field.db_value(None) is None
    with pytest.raises(TypeError, match="object is not JSON"):
        field.db_value({"x": object()})


def test_enums_are_strict():
    """A word that is no member is refused on the way in and on the way out."""
    field = EnumField(Colour)
    assert field.db_value("red") == field.db_value(Colour.RED) == "red"
    assert field.python_value("red") is Colour.RED
    for convert in (field.db_value, field.python_value):
        with pytest.raises(ValueError, match="blue"):
            convert("blue")


@given(st.lists(st.none() | st.text(st.characters()) | st.integers()))
def test_a_column_at_once_is_the_same_as_value_by_value(values):
    """The fast way of the bulk writer gives what the field gives for single values."""
    field = TextField()
    whole = list(driver_values(field, values, {}))
    assert whole == [field.db_value(value) for value in values]


def test_values_are_not_logged(caplog):
    """A log of statements holds none of what people wrote."""
    caplog.set_level(logging.DEBUG, "peewee")
    database = peewee.SqliteDatabase(":memory:")
    assert database.execute_sql("SELECT ?", ["a note"]).fetchone() == ("a note",)
    assert "SELECT ?" in caplog.text
    assert "a note" not in caplog.text

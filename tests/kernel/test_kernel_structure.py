"""Two ways from plain data to typed values, the quick one and cattrs, that must never differ."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen, validators
from hypothesis import given
from hypothesis import strategies as st

from msp_core.secrets import SecretRef
from msp_core.structure import Unstructurable, converter, structure


class Colour(StrEnum):
    """A few words."""

    RED = "red"
    BLUE = "blue"


@frozen(kw_only=True)
class Inner:
    """An object with a limit."""

    level: int = field(default=3, validator=validators.ge(1))
    names: tuple[str, ...] = ()


@frozen(kw_only=True)
class Outer:
    """One option of each kind."""

    text: str = ""
    flag: bool = False
    count: int | None = None
    share: float = 0.0
    colour: Colour = Colour.RED
    path: Path | None = None
    when: datetime | None = None
    span: timedelta = timedelta()
    secret: SecretRef | None = None
    inner: Inner = Inner()
    list: Sequence[int] = ()


PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([2**53, -(2**60), 1.0, 1.7, float("nan"), float("inf")]),
    st.sampled_from(
        ["", "true", "1", "red", "RED", "5m", "2h30m", "env:NAME", "a/b", "2026-01-31"]
    ),
    st.lists(st.one_of(st.integers(-5, 5), st.text(max_size=3)), max_size=3),
)
INNER = st.dictionaries(st.sampled_from(["level", "names", "more"]), PLAIN, max_size=3)
NAMES = ["text", "flag", "count", "share", "colour", "path", "when", "span", "secret", "list", "x"]


def outcome(work: Any) -> Any:
    """Return what came of it: the value, or that it was refused."""
    try:
        return repr(work())
    except Exception:
        return "refused"


@given(st.dictionaries(st.sampled_from(NAMES), PLAIN), st.one_of(st.none(), INNER))
def test_both_ways_agree(data: dict[str, Any], inner: dict[str, Any] | None) -> None:
    """The same value, or both refuse it."""
    if inner is not None:
        data = {**data, "inner": inner}
    assert outcome(lambda: structure(data, Outer)) == outcome(
        lambda: converter().structure(data, Outer)
    )


@pytest.mark.parametrize("name", ["flag", "count", "share", "colour", "span", "secret"])
def test_what_is_refused_names_its_place(name: str) -> None:
    """Text where it does not fit is an error at that option, never a guess."""
    with pytest.raises(Unstructurable) as caught:
        structure({name: "certainly not"}, Outer, "section")
    assert [problem.path for problem in caught.value.problems] == [f"section.{name}"]


@frozen(kw_only=True)
class Tables:
    """Options that are tables."""

    limits: Mapping[str, Any] = field(factory=dict)
    tiers: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    actors: Mapping[str, Inner] = field(factory=dict)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"limits": 5}, "x.limits"),
        ({"tiers": {"gold": 5}}, "x.tiers.gold"),
        ({"actors": {"me": 5}}, "x.actors.me"),
    ],
)
def test_what_is_no_table_is_told_in_words(data: dict[str, Any], path: str) -> None:
    """Not in those of the library that found out."""
    with pytest.raises(Unstructurable) as caught:
        structure(data, Tables, "x")
    assert [(one.path, one.reason) for one in caught.value.problems] == [(path, "expected a table")]


@frozen(kw_only=True)
class Console:
    """Options of which one has to be given."""

    api_url: str


@frozen(kw_only=True)
class Consoles:
    """Options inside options."""

    first: Console


@pytest.mark.parametrize(
    ("data", "type_", "told"),
    [
        ({}, Console, "adapters.x.api_url: missing"),
        ({"first": {}}, Consoles, "adapters.x.first.api_url: missing"),
    ],
)
def test_what_is_missing_is_named_once(data: dict[str, Any], type_: type, told: str) -> None:
    """The place ends with the option's name."""
    with pytest.raises(Unstructurable) as caught:
        structure(data, type_, "adapters.x")
    assert list(map(str, caught.value.problems)) == [told]

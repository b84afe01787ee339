"""One signature for every surface: JSON Schema that says what structuring does, choices, unknown ids."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NewType

import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from msp_core.errors import InvalidParameters, PluginError, UnknownPlugin
from msp_core.registry import Registry
from msp_core.schema import (
    choices,
    input_schema,
    json_schema,
    object_schema,
    parameters,
    row_type,
    structured,
    unknown_id,
)
from msp_core.secrets import SecretRef
from msp_core.structure import Unstructurable, structure
from msp_core.v1 import Client, Context, Doc, Listing, Param, Spelling, Surface, Tier, Tool

ClientId = NewType("ClientId", str)


class Colour(StrEnum):
    """Two of them."""

    RED = "red"
    BLUE = "blue"


@frozen(kw_only=True)
class Inner:
    """A part."""

    share: float = 0.5


@frozen(kw_only=True)
class Outer:
    """A whole."""

    name: Annotated[str, Doc("What it is called.")]
    colour: Colour = Colour.RED
    inner: Inner = field(factory=Inner)
    every: timedelta = timedelta(minutes=5)


WHOLE = {"type": "integer", "minimum": -(2**53) + 1, "maximum": 2**53 - 1}
"""What a whole number may be: `structure` takes no other."""

SCHEMAS = [
    (str, {"type": "string"}),
    (int, WHOLE),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (ClientId, {"type": "string"}),
    (Path, {"type": "string"}),
    (Colour, {"type": "string", "enum": ["red", "blue"]}),
    (datetime, {"type": "string", "format": "date-time"}),
    (SecretRef, {"type": "string", "pattern": "^[a-z][a-z0-9]*:"}),
    (int | None, WHOLE),
    (int | str, {"anyOf": [WHOLE, {"type": "string"}]}),
    (Sequence[Colour], {"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}}),
    (tuple[int, ...], {"type": "array", "items": WHOLE}),
    (Mapping[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
    (Mapping[str, Any], {"type": "object"}),
    (dict[str, object], {"type": "object"}),
    (Any, {}),
    (Annotated[int, Doc("How many.")], {**WHOLE, "description": "How many."}),
]


@pytest.mark.parametrize(("type_", "expected"), SCHEMAS, ids=[str(one[0]) for one in SCHEMAS])
def test_every_type_has_its_schema(type_: Any, expected: dict[str, Any]) -> None:
    """As people and programs read it."""
    assert json_schema(type_) == expected


@pytest.mark.parametrize("text", ["5m", "2h30m", "1.5s", "250ms", "7d", "2w", "5", "m", "5 m", ""])
def test_the_pattern_of_a_duration_takes_what_structuring_takes(text: str) -> None:
    """The schema promises neither more nor less."""
    import re

    taken = re.search(json_schema(timedelta)["pattern"], text) is not None
    try:
        structure(text, timedelta)
    except Unstructurable:
        assert not taken
    else:
        assert taken


def test_an_object_is_closed_with_defaults_and_texts() -> None:
    """Required is what has no default; a default is shown as the configuration writes it."""
    schema = object_schema(Outer)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name"]
    assert schema["properties"]["name"]["description"] == "What it is called."
    assert schema["properties"]["colour"]["default"] == "red"
    assert schema["properties"]["every"]["default"] == "5m"
    assert schema["properties"]["inner"]["properties"]["share"] == {
        "type": "number",
        "default": 0.5,
    }
    assert "required" not in object_schema(Inner)


async def listed(ctx: Context) -> Listing[Client]:
    """Return a listing."""
    raise NotImplementedError


async def several(ctx: Context) -> tuple[Client, ...]:
    """Return a tuple."""
    raise NotImplementedError


async def single(ctx: Context) -> Client:
    """Return one."""
    raise NotImplementedError


async def mapped(ctx: Context) -> dict[str, int]:
    """Return a mapping, which has no rows."""
    raise NotImplementedError


def test_the_rows_of_a_tool_have_a_type() -> None:
    """It is known even when the list is empty."""
    assert [row_type(one) for one in (listed, several, single, mapped)] == [
        Client,
        Client,
        None,
        None,
    ]


async def full(
    ctx: Context,
    client: Annotated[ClientId | None, Doc("Whose."), Param(arg=True, mcp="client_id")] = None,
    *,
    tiers: Sequence[Tier] = (),
    colour: Annotated[str, Param(choices=("red", "blue"))] = "red",
    checks: Annotated[Sequence[str], Param(choices="checks", cli=(Spelling("--type"),))] = (),
    either: int | str = 1,
) -> None:
    """Take much."""


def test_a_signature_is_read_into_parameters() -> None:
    """Bare types, lists, None, names by surface."""
    client, tiers, colour, checks, either = parameters(full)
    assert (client.item, client.optional, client.many, client.required) == (str, True, False, False)
    assert client.doc == "Whose."
    assert client.name_on(Surface.MCP) == "client_id"
    assert client.name_on(Surface.CLI) == "client"
    assert (tiers.item, tiers.many) == (Tier, True)
    assert (either.item, either.optional) == (int | str, False)
    registry = Registry()
    assert choices(tiers, registry) == tuple(one.value for one in Tier)
    assert choices(colour, registry) == ("red", "blue")
    assert choices(checks, registry) == ()
    assert choices(client, registry) == ()


async def _star(ctx: Context, *names: str) -> None:
    """Take any number."""


async def _bare(ctx: Context, name) -> None:  # type: ignore[no-untyped-def]
    """Say nothing of its type."""


async def _unresolved(ctx: Context, name: "NoSuchName") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Name what is not there."""


def _sync(ctx: Context, name: str) -> None:
    """Forget that it is awaited."""


async def _without_context(name: str) -> None:
    """Take an argument where the context comes."""


async def _without_anything() -> None:
    """Take nothing."""


@pytest.mark.parametrize(
    ("function", "fix"),
    [
        (_sync, "async def _sync"),
        (_without_context, "ctx: Context, ..."),
        (_without_anything, "ctx: Context, ..."),
    ],
)
def test_a_function_that_cannot_be_called_is_refused(function: Any, fix: str) -> None:
    """Its arguments would be lost without a word; the error says how to write it."""
    with pytest.raises(PluginError, match=function.__name__) as caught:
        parameters(function)
    assert fix in caught.value.suggestion


@pytest.mark.parametrize(
    ("function", "says"),
    [(_star, "'names' needs a type"), (_bare, "'name' needs a type"), (_unresolved, "NoSuchName")],
)
def test_a_signature_that_no_surface_can_offer_is_refused(function: Any, says: str) -> None:
    """With the function's name, for its author."""
    with pytest.raises(PluginError, match=says) as caught:
        parameters(function)
    assert function.__name__ in caught.value.message


def test_an_unknown_id_comes_with_the_nearest_and_the_installed() -> None:
    """And with the line that installs a known plugin; a fixed list just lists itself."""
    registry = Registry(disabled=["access"])
    error = unknown_id("tools", "doctr", registry)
    assert isinstance(error, UnknownPlugin)
    assert error.message == "There is no tool 'doctr'."
    assert "Did you mean 'doctor'?" in error.suggestion
    assert "Disabled: access." in error.suggestion
    error = unknown_id("checks", "disk", registry)
    assert isinstance(error, UnknownPlugin)
    assert "Installed: none." in error.suggestion
    assert "pip install msp-check-disk" in error.suggestion
    error = unknown_id(("red", "blue"), "blu", registry)
    assert isinstance(error, InvalidParameters)
    assert error.message == "'blu' is not one of red, blue."
    assert error.suggestion == "Did you mean 'blue'?"
    assert unknown_id(("red", "blue"), "xyz", registry).suggestion == ""  # type: ignore[attr-defined]


async def bounded(
    ctx: Context,
    *,
    days: Annotated[int, Param(least=1, most=7)] = 3,
    share: Annotated[float | None, Param(least=0)] = None,
    depth: Annotated[int, Param(most=2)] = 0,
) -> None:
    """Take numbers within bounds."""


BOUNDED = Tool(name="double.bounded", run=f"{__name__}:bounded", summary="Bounded")


@given(st.integers(-3, 12), st.floats(-1, 1), st.integers(-3, 4))
def test_bounds_are_enforced_as_published(days: int, share: float, depth: int) -> None:
    """A number is taken where the schema takes it, and only there; the error says the bound."""
    registry = Registry()
    properties = input_schema(bounded, registry, Surface.MCP)["properties"]
    given_ = {"days": days, "share": share, "depth": depth}
    wrong = [
        name
        for name, value in given_.items()
        if not properties[name].get("minimum", value)
        <= value
        <= properties[name].get("maximum", value)
    ]
    if not wrong:
        assert structured(BOUNDED, bounded, given_, registry, Surface.MCP) == given_
        return
    with pytest.raises(InvalidParameters) as caught:
        structured(BOUNDED, bounded, given_, registry, Surface.MCP)
    said = caught.value.details["problems"]
    assert [line.partition(":")[0] for line in said] == wrong
    assert all("expected at" in line for line in said)


def test_no_number_is_within_any_bounds() -> None:
    """None where it is allowed is left alone."""
    assert structured(BOUNDED, bounded, {"share": None}, Registry()) == {"share": None}

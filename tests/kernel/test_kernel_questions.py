"""Questions a call puts to a person, wherever that person is."""

import asyncio
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest
from attrs import frozen

from msp_core.questions import answer_at_terminal
from msp_core.testing import make_toolkit
from msp_core.v1 import (
    ConfirmationRequired,
    Context,
    Doc,
    Effect,
    InvalidParameters,
    PluginError,
    Question,
    TimedOut,
    Tool,
    Toolkit,
    hookimpl,
)

pytestmark = [pytest.mark.anyio]


class Colour(StrEnum):
    """What can be chosen."""

    RED = "red"
    BLUE = "blue"


@frozen(kw_only=True)
class Form:
    """One field of each kind."""

    name: Annotated[str, Doc("Your name")]
    age: int = 30
    score: float = 1.5
    sure: bool = False
    colour: Colour = Colour.RED
    more: tuple[Colour, ...] = ()


@frozen(kw_only=True)
class Nested:
    """What nobody can fill in at a terminal or in an agent's window."""

    form: Form


class Person:
    """Somebody who answers after a while."""

    def __init__(self, said: Mapping[str, Any] | None, after: float = 0.0) -> None:
        self.said = said
        self.after = after
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Mapping[str, Any] | None:
        """Answer."""
        self.asked.append(question)
        await asyncio.sleep(self.after)
        return self.said


async def ask_form(ctx: Context) -> Any:
    """Ask."""
    return await ctx.ask("Who are you?", Form, key="who")


async def ask_nested(ctx: Context) -> Any:
    """Ask what cannot be asked."""
    return Question(key="x", text="?", form=Nested).fields


async def dawdle(ctx: Context) -> str:
    """Ask, then take longer than allowed."""
    await ctx.ask("Who are you?", Form)
    await asyncio.sleep(60)
    return "done"


def toolkit(folder: Path) -> Toolkit:
    """Return a toolkit with these tools; each may take half a second."""
    module = ModuleType("kernel_questions_double")
    functions: dict[str, Callable[..., Any]] = {
        "form": ask_form,
        "nested": ask_nested,
        "dawdle": dawdle,
    }
    vars(module).update(functions)

    def msp_tools() -> Sequence[Tool]:
        return [
            Tool(
                name=f"ask.{name}",
                run=f"{module.__name__}:{name}",
                summary=name,
                effect=Effect.READ,
                timeout=timedelta(seconds=0.5),
            )
            for name in functions
        ]

    module.msp_tools = hookimpl(msp_tools)  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    return make_toolkit(folder, plugins={"ask": module})


async def answered(made: Toolkit, tool: str, person: Person | None) -> Any:
    """Call a tool with somebody behind it."""
    ctx = made.context()
    ctx.asker = person
    return await made.call(f"ask.{tool}", ctx=ctx)


async def test_an_answer_is_typed(tmp_path: Path) -> None:
    """What the person fills in comes back as the form; what they leave out has its default."""
    async with toolkit(tmp_path) as made:
        person = Person({"name": "Jo", "colour": "blue", "more": ["red", "blue"]})
        said = await answered(made, "form", person)
        assert said == Form(name="Jo", colour=Colour.BLUE, more=(Colour.RED, Colour.BLUE))
        assert (person.asked[0].key, person.asked[0].required) == ("who", ("name",))
        assert await answered(made, "form", Person(None)) is None


async def test_nothing_is_guessed_from_an_answer(tmp_path: Path) -> None:
    """One that does not fit the form, and a form nobody could fill in, are errors; so is nobody to ask."""
    async with toolkit(tmp_path) as made:
        for said in ({}, {"name": 3}, {"name": "Jo", "age": "ten"}, {"name": "Jo", "other": 1}):
            with pytest.raises(InvalidParameters):
                await answered(made, "form", Person(said))
        with pytest.raises(PluginError, match=r"Nested\.form"):
            await answered(made, "nested", Person({}))
        with pytest.raises(ConfirmationRequired, match="Who are you"):
            await answered(made, "form", None)


async def test_a_person_is_not_hurried(tmp_path: Path) -> None:
    """The time a person takes does not count towards the call's timeout; the time after it does."""
    async with toolkit(tmp_path) as made:
        said = await answered(made, "form", Person({"name": "Jo"}, after=1))
        assert said.name == "Jo"
        with pytest.raises(TimedOut):
            await answered(made, "dawdle", Person({"name": "Jo"}, after=1))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Jo\n\n\n\n\n\n", {"name": "Jo"}),
        ("\nJo\n31\n2.5\nyes\nblue\nred, blue\n", Form.__name__),
        ("Jo\nten\n31\nx\n2\nmaybe\nn\ngreen\nred\nred,green\nblue\n", None),
    ],
)
async def test_a_form_is_filled_in_at_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, expected: Any
) -> None:
    """Field by field, with labels, choices and defaults; what does not fit is asked again."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    given = answer_at_terminal(Question(key="who", text="Who are \x1byou?", form=Form))
    said = capsys.readouterr().err
    assert "you?\n  Your name: " in said
    assert "\x1b" not in said
    assert "colour (red, blue) [red]: " in said
    if expected == {"name": "Jo"}:
        assert given == expected
    elif expected:
        assert "An answer is needed." in said
        assert given == {
            "name": "Jo", "age": 31, "score": 2.5, "sure": True, "colour": "blue",
            "more": ["red", "blue"],
        }  # fmt: skip
    else:
        for words in ("whole number", "with a number", "yes or no", "Choose from red, blue"):
            assert words in said
        assert given == {
            "name": "Jo", "age": 31, "score": 2.0, "sure": False, "colour": "red", "more": ["blue"],
        }  # fmt: skip


async def test_ending_the_input_declines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-D in the middle of a form is no answer."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("Jo\n31\n"))
    assert answer_at_terminal(Question(key="who", text="?", form=Form)) is None

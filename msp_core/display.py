"""How results print: declared once by their type, used by every surface that shows something to people."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from typing import Any, Generic, TypeVar

from attrs import frozen

from msp_core.data import Data

T = TypeVar("T")
_zone: ContextVar[tzinfo] = ContextVar("zone", default=UTC)


def moment(value: datetime) -> str:
    """Write a moment for a `summary`, in the zone people are shown times in, as tables write it."""
    return value.astimezone(_zone.get()).strftime("%Y-%m-%d %H:%M")


def unless_zero(number: int) -> str:
    """Write a number for a column: what there is none of has no column, and what there is stands out."""
    return str(number or "")


@contextmanager
def shown_in(zone: tzinfo) -> Iterator[None]:
    """Let `moment` write in a zone."""
    token = _zone.set(zone)
    try:
        yield
    finally:
        _zone.reset(token)


@frozen(eq=False, repr=False)
class Column(Data):
    """One column of a table: the attribute (dots allowed) and its heading."""

    path: str
    title: str = ""
    format: Callable[[Any], str] | None = None
    """Turns the value into text for people; machine formats always get the value itself."""


@frozen(kw_only=True, eq=False, repr=False)
class Display(Data):
    """How a result type prints; set it on the type as the class attribute `DISPLAY`.

    `columns` make the table. `rows` names the attribute that holds the rows where the result is a whole with a list
    inside. `summary` gives text for people: below the table of such a whole, or alone; things that have columns and a
    summary are a table when they are listed, and one of them is its summary. `nagios` names a method that returns the
    status line with performance data. On a terminal the lines of a summary that begin with no space are broken between
    words; those of a `verbatim` one (what a command printed) are left as they are.
    """

    columns: tuple[Column, ...] = ()
    rows: str | None = None
    summary: Callable[[Any], str] | None = None
    verbatim: bool = False
    nagios: str | None = None
    empty: str = "Nothing found."


@frozen(kw_only=True, eq=False, repr=False)
class Listing(Data, Generic[T]):
    """A list a tool returns, with the number there is in all (`total`) when the list was limited."""

    items: tuple[T, ...]
    total: int
    notes: tuple[str, ...] = ()
    """What people should know about the list: an adapter that did not answer, a limit that cut it."""

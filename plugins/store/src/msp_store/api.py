"""What other plugins use of the store: services, tables and migrations.

Importing this module is cheap. peewee is loaded when one of its names (`Model`, `fn`, a field) is first asked for, and
without its PostgreSQL drivers: import those names from here, never from `peewee`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

from attrs import field, frozen

from msp_core.v1 import Data

if TYPE_CHECKING:
    from peewee import EXCLUDED as EXCLUDED
    from peewee import JOIN as JOIN
    from peewee import SQL as SQL
    from peewee import Case as Case
    from peewee import CompositeKey as CompositeKey
    from peewee import Database
    from peewee import IntegrityError as IntegrityError
    from peewee import Value as Value
    from peewee import fn as fn

    from msp_core.v1 import Context
    from msp_store.columns import ColumnSpec as ColumnSpec
    from msp_store.columns import auto as auto
    from msp_store.columns import blob as blob
    from msp_store.columns import boolean as boolean
    from msp_store.columns import integer as integer
    from msp_store.columns import json as json
    from msp_store.columns import real as real
    from msp_store.columns import text as text
    from msp_store.columns import timestamp as timestamp
    from msp_store.models import AutoField as AutoField
    from msp_store.models import BlobField as BlobField
    from msp_store.models import BooleanField as BooleanField
    from msp_store.models import EnumField as EnumField
    from msp_store.models import FloatField as FloatField
    from msp_store.models import IntegerField as IntegerField
    from msp_store.models import JsonField as JsonField
    from msp_store.models import Model as Model
    from msp_store.models import TextField as TextField
    from msp_store.models import UtcDateTimeField as UtcDateTimeField
    from msp_store.models import from_micros as from_micros
    from msp_store.models import to_micros as to_micros

T = TypeVar("T")
Dialect: TypeAlias = Literal["sqlite", "postgresql"]
_IN_ONE = 500


def in_parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield values in parts that one `IN (...)` can take: the oldest SQLite takes 999 in a whole statement."""
    for start in range(0, len(values), _IN_ONE):
        yield values[start : start + _IN_ONE]


class Tx(Protocol):
    """The open transaction, handed to the function given to `Store.read` or `Store.write`.

    Models work inside that function without being bound to anything: `Row.select()`, `Row.create(...)`.
    """

    @property
    def db(self) -> "Database":
        """The peewee database of this transaction, for what neither a model nor `execute` can say."""
        ...

    @property
    def dialect(self) -> Dialect:
        """Which database it is; only for SQL that cannot be said in one way."""
        ...

    @property
    def now(self) -> datetime:
        """The time by the toolkit's clock when the transaction began, aware UTC."""
        ...

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Run SQL written by hand, with `?` for each value on either database, and return the driver's cursor.

        For what every call or request does: building such a query takes longer than running it. Times are as they are
        stored (`to_micros`, `from_micros`), JSON is text.
        """
        ...

    def insert_many(
        self, table: "type[Model]", rows: Sequence[Sequence[Any]], fields: Sequence[Any]
    ) -> int:
        """Insert many rows fast (executemany, COPY) and return their number.

        `fields` are the model's fields in the order of each row's values; values are the same as in model objects.
        JSON data must not be altered between two calls of one transaction: it is written out once.
        """
        ...

    def upsert_many(
        self,
        table: "type[Model]",
        rows: Sequence[Sequence[Any]],
        fields: Sequence[Any],
        *,
        conflict: Sequence[Any],
        update: Sequence[Any],
    ) -> int:
        """Insert rows, or where the `conflict` fields are already there set the `update` fields; return their number.

        There must be a unique index on exactly the `conflict` fields. Of rows with the same key the last counts.
        """
        ...

    def emit(self, name: str, payload: Mapping[str, Any]) -> None:
        """Add an event to the outbox; it exists exactly if this transaction commits.

        `payload` is small JSON data that names rows. Subscribers are called by `Outbox.deliver`.
        """
        ...


class Store(Protocol):
    """The database of one toolkit. Opened, and brought up to date, by the first read or write.

    Every failure of the database is a StoreError whose `details["reason"]` is one word: `busy`, `full`, `unreachable`,
    `newer`, `missing`, `not-a-database`, `corrupt`, `read-only`, `uncertain`, `refused`, `driver` or `nested`.
    """

    @property
    def dialect(self) -> Dialect:
        """Which database it is."""
        ...

    async def write(self, fn: "Callable[[Tx], T]", *, sync: bool = True, keep: bool = True) -> T:
        """Run a whole plain function in one transaction and return what it returns, once that is durable.

        With `sync=False` it is committed like any other and survives the end of this process, however sudden; but the
        disk is not waited for, so a power cut may take it with what else was written so within a second. Without `keep`
        all is done and then rolled back, events too: what a dry run and read-only mode do (`keep=ctx.records`).

        It runs in the writer thread, alone among the writers of all processes, and may be run again from the start
        when the connection broke before the commit: it must alter nothing but the database. An exception rolls
        everything back. A cancelled caller does not stop it. Reading or writing from inside it is refused.
        """
        ...

    async def glance(self, fn: "Callable[[Tx], T]") -> T:
        """Do what `read` does for a row or two found by their key, and nothing longer.

        SQLite answers in this thread, without waiting for anybody; the event loop stands still meanwhile.
        """
        ...

    async def read(self, fn: "Callable[[Tx], T]") -> T:
        """Run a plain function on one consistent snapshot, in a reader thread, and return what it returns.

        Writing in it is refused by the database.
        """
        ...


@frozen(kw_only=True, eq=False, repr=False)
class Delivery(Data):
    """What one `Outbox.deliver` came to, in calls of subscribers; `waiting` counts events left for later."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    waiting: int = 0
    errors: tuple[str, ...] = field(default=())
    """`subscriber: reason`, one line for each failed call."""


class Outbox(Protocol):
    """Tells subscribers what was committed, at least once each, in every process that delivers."""

    async def deliver(self, ctx: "Context") -> Delivery:
        """Call the subscribers of every committed event that is due; failures are noted and tried again later.

        Does nothing in a dry run or in read-only mode.
        """
        ...


class Migrator(Protocol):
    """What the `upgrade` function of a migration module is given: `def upgrade(m: Migrator) -> None`.

    Each module is one transaction on both databases. A released module is never edited.
    """

    @property
    def dialect(self) -> Dialect:
        """Which database it is."""
        ...

    def create_table(
        self,
        table: str,
        *columns: "ColumnSpec",
        primary_key: Sequence[str] = (),
        unique: Sequence[Sequence[str]] = (),
    ) -> None:
        """Create a table; `primary_key` names the columns where it is not one column with `key=True`."""
        ...

    def create_index(
        self, table: str, *columns: str, unique: bool = False, where: str = "", name: str = ""
    ) -> None:
        """Create an index; a column may say its direction (`"checked_at DESC"`); `where` makes it partial."""
        ...

    def add_column(self, table: str, column: "ColumnSpec") -> None:
        """Add a column; it must be nullable or have a default."""
        ...

    def drop_column(self, table: str, column: str) -> None:
        """Remove a column that no index and no key uses."""
        ...

    def rename_column(self, table: str, old: str, new: str) -> None:
        """Rename a column."""
        ...

    def drop_table(self, table: str) -> None:
        """Remove a table."""
        ...

    def drop_index(self, name: str) -> None:
        """Remove an index by its name (`<table>_<columns joined by _>` unless it was named)."""
        ...

    def execute(self, sql: str = "", *, sqlite: str = "", postgresql: str = "") -> None:
        """Run one statement: the same on both, or the one written for this database (none, where left out)."""
        ...


Prune: TypeAlias = Callable[[Tx, datetime, int], Mapping[str, int]]
"""What `Migrations.prune` names: `def prune(tx, before, limit) -> {table: rows removed}`.

Remove what is older than `before`, about `limit` rows in one call; it is called until it removes nothing.
"""

_HOMES = {
    "msp_store.drivers": "EXCLUDED JOIN SQL Case CompositeKey IntegrityError Value fn",
    "msp_store.columns": "ColumnSpec auto blob boolean integer json real text timestamp",
    "msp_store.models": (
        "AutoField BlobField BooleanField EnumField FloatField IntegerField JsonField Model TextField UtcDateTimeField "
        "from_micros to_micros"
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        message = f"msp_store.api has no {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value

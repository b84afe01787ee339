"""The base of all tables, and the fields whose values are the same on both databases."""

import json
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from msp_store.drivers import peewee

if TYPE_CHECKING:
    from peewee import BigAutoField, Database, DatabaseProxy, DoubleField
    from peewee import BigIntegerField as _BigIntegerField
    from peewee import BlobField as BlobField
    from peewee import BooleanField as BooleanField
    from peewee import Model as _PeeweeModel
    from peewee import TextField as _TextField
else:
    _BigIntegerField = peewee.BigIntegerField
    BlobField = peewee.BlobField
    BooleanField = peewee.BooleanField
    DatabaseProxy = peewee.DatabaseProxy
    DoubleField = peewee.DoubleField
    _PeeweeModel = peewee.Model
    _TextField = peewee.TextField
    BigAutoField = peewee.BigAutoField

AutoField = BigAutoField
IntegerField = _BigIntegerField

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NUMBERS = frozenset((int, type(None)))


class _Route(threading.local):
    database: "Database | None" = None


_route = _Route()


def route_thread(database: "Database | None") -> None:
    """Make every model work on this database in the calling thread; on none, with None."""
    _route.database = database


class RoutedDatabase(DatabaseProxy):
    """Stands for the database of the store whose thread is running, so that several stores never mix."""

    def initialize(self, obj: Any) -> None:
        """Refuse to be bound to one database."""

    @property
    def obj(self) -> Any:
        """The database of this thread, or None."""
        return _route.database

    def __getattr__(self, name: str) -> Any:
        database = _route.database
        if database is None:
            message = "tables can only be used inside a function given to Store.read or Store.write"
            raise AttributeError(message)
        return getattr(database, name)


class Model(_PeeweeModel):
    """The base of every table; name the table in `class Meta: table_name = "..."`."""

    class Meta:
        """peewee's options; inherited."""

        database = RoutedDatabase()
        legacy_table_names = False


def clean_text(value: str) -> str:
    """Replace what PostgreSQL, or UTF-8, cannot hold: NUL and lone surrogates become U+FFFD."""
    if value.isascii():
        return value.replace("\0", "�") if "\0" in value else value
    text = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "�")


class FloatField(DoubleField):
    """A number with a fraction. Minus zero is kept as zero: SQLite has no sign for it."""

    def db_value(self, value: Any) -> Any:
        """Take the sign off zero."""
        return None if value is None else float(value) + 0.0


class TextField(_TextField):
    """Text that both databases can hold; see `clean_text`."""

    def db_value(self, value: Any) -> Any:
        """Clean the text."""
        return None if value is None else clean_text(str(value))


def to_micros(value: datetime) -> int:
    """Return microseconds since 1970; refuses a time without a zone."""
    if value.tzinfo is None:
        message = f"{value!r} has no time zone; times are aware and in UTC"
        raise ValueError(message)
    return (value - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """Return the aware UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=value)


class UtcDateTimeField(_BigIntegerField):
    """An aware UTC time, kept as microseconds since 1970: exact, sortable, the same on both databases."""

    def adapt(self, value: Any) -> Any:
        """Take whatever `db_value` takes; the base class would make a number of it."""
        return value

    def db_value(self, value: Any) -> Any:
        """Turn a time into a number; numbers pass, so that expressions can be compared."""
        return to_micros(value) if isinstance(value, datetime) else value

    def python_value(self, value: Any) -> Any:
        """Turn the number into a time."""
        return None if value is None else from_micros(value)


class JsonField(_TextField):
    """JSON data kept as text, keys sorted, so that equal data is equal text."""

    def db_value(self, value: Any) -> Any:
        """Write JSON; None is NULL."""
        return None if value is None else _encode(value)

    def python_value(self, value: Any) -> Any:
        """Read JSON."""
        return None if value is None else json.loads(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, datetime):
        return value.isoformat()
    message = f"{type(value).__name__} is not JSON data"
    raise TypeError(message)


_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=_plain).encode


class EnumField(_TextField):
    """A member of a string enum, kept as its value: `EnumField(Tier)`."""

    def __init__(self, enum: type[Enum], *args: Any, **kwargs: Any) -> None:
        self.enum = enum
        super().__init__(*args, **kwargs)

    def db_value(self, value: Any) -> Any:
        """Write the value; a word that is no member raises ValueError."""
        return None if value is None else self.enum(value).value

    def python_value(self, value: Any) -> Any:
        """Return the member."""
        return None if value is None else self.enum(value)


def driver_values(
    field: Any, values: Sequence[Any], written: dict[int, tuple[Any, str]]
) -> Sequence[Any]:
    """Convert a whole column to what the driver takes; much faster than value by value.

    `written` remembers, by identity, what JSON data was turned into; it keeps the data alive, so that ids stay theirs.
    """
    if isinstance(field, EnumField):
        kind, convert = field.enum, field.db_value
        return [value._value_ if type(value) is kind else convert(value) for value in values]
    if isinstance(field, UtcDateTimeField):  # few different values, many times
        if _NUMBERS.issuperset(map(type, values)):
            return values
        known = {value: field.db_value(value) for value in set(values)}
        return [known[value] for value in values]
    if isinstance(field, JsonField):
        return [_written_once(value, written) for value in values]
    if isinstance(field, FloatField) and 0.0 in values:  # -0.0 too
        return [value or (None if value is None else 0.0) for value in values]
    if isinstance(field, TextField) and not _is_clean(values):
        return [field.db_value(value) for value in values]
    return values


def _written_once(value: Any, written: dict[int, tuple[Any, str]]) -> str | None:
    if value is None:
        return None
    entry = written.get(id(value))
    if entry is None:
        entry = written[id(value)] = (value, _encode(value))
    return entry[1]


def _is_clean(values: Sequence[Any]) -> bool:
    """Tell whether all of them are ASCII text without NUL, or None."""
    try:
        text = _joined(values)
    except TypeError:
        return False
    return text.isascii() and "\0" not in text


def _joined(values: Sequence[Any]) -> str:
    try:
        return "".join(values)
    except TypeError:  # mostly None among them
        return "".join([value for value in values if value is not None])

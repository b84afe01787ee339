"""Columns as migrations describe them: frozen, and independent of the models of today."""

from enum import StrEnum
from typing import Any

from attrs import frozen

from msp_core.v1 import Data


class ColumnKind(StrEnum):
    """What a column holds."""

    AUTO = "auto"
    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    JSON = "json"
    BLOB = "blob"


@frozen(kw_only=True, eq=False, repr=False)
class ColumnSpec(Data):
    """One column. `references` is `table.column`; `default` fills rows that do not say, and old ones."""

    name: str
    kind: ColumnKind
    null: bool = False
    key: bool = False
    default: Any = None
    references: str = ""
    on_delete: str = ""


def auto(name: str = "id") -> ColumnSpec:
    """Describe a primary key the database counts up; a number is never given twice."""
    return ColumnSpec(name=name, kind=ColumnKind.AUTO, key=True)


def text(
    name: str,
    *,
    null: bool = False,
    key: bool = False,
    default: str | None = None,
    references: str = "",
    on_delete: str = "",
) -> ColumnSpec:
    """Describe text, sorted by code point on both databases; also for `EnumField`."""
    return ColumnSpec(
        name=name,
        kind=ColumnKind.TEXT,
        null=null,
        key=key,
        default=default,
        references=references,
        on_delete=on_delete,
    )


def integer(
    name: str,
    *,
    null: bool = False,
    key: bool = False,
    default: int | None = None,
    references: str = "",
    on_delete: str = "",
) -> ColumnSpec:
    """Describe a whole number of 64 bits."""
    return ColumnSpec(
        name=name,
        kind=ColumnKind.INTEGER,
        null=null,
        key=key,
        default=default,
        references=references,
        on_delete=on_delete,
    )


def real(name: str, *, null: bool = False, default: float | None = None) -> ColumnSpec:
    """Describe a floating-point number of double precision."""
    return ColumnSpec(name=name, kind=ColumnKind.REAL, null=null, default=default)


def boolean(name: str, *, null: bool = False, default: bool | None = None) -> ColumnSpec:
    """Describe a truth value."""
    return ColumnSpec(name=name, kind=ColumnKind.BOOLEAN, null=null, default=default)


def timestamp(name: str, *, null: bool = False, key: bool = False) -> ColumnSpec:
    """Describe a time in UTC, kept as microseconds since 1970; for `UtcDateTimeField`."""
    return ColumnSpec(name=name, kind=ColumnKind.TIMESTAMP, null=null, key=key)


def json(name: str, *, null: bool = False, default: str | None = None) -> ColumnSpec:
    """Describe JSON kept as text; for `JsonField`."""
    return ColumnSpec(name=name, kind=ColumnKind.JSON, null=null, default=default)


def blob(name: str, *, null: bool = False) -> ColumnSpec:
    """Describe bytes."""
    return ColumnSpec(name=name, kind=ColumnKind.BLOB, null=null)

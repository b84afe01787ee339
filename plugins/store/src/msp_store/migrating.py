"""Numbered steps that make and change tables, and the ledger of those applied."""

import importlib.util
import pkgutil
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from typing import Any, Literal

from attrs import frozen

from msp_core.v1 import Data, Migrations, PluginError
from msp_store import failures
from msp_store.columns import ColumnKind, ColumnSpec
from msp_store.databases import quoted
from msp_store.drivers import peewee
from msp_store.models import from_micros, to_micros
from msp_store.transaction import Transaction

_STEP = re.compile(r"m\d{4}_\w+")
_LEDGER = "msp_migrations"


@frozen(eq=False, repr=False)
class Upgrade(Data):
    """One step: the plugin, the module's name, and when it was applied (None: not yet)."""

    plugin: str
    name: str
    package: str = ""
    applied_at: datetime | None = None


class Ledger:
    """The steps this installation knows, in order, held against the table of those applied."""

    def __init__(self, migrations: Iterable[Migrations], *, where: str) -> None:
        self._where = where
        self._records = {record.id: record for record in migrations}
        self.steps: tuple[Upgrade, ...] = tuple(
            Upgrade(record.id, name, record.package)
            for record in _in_order(self._records)
            for name in _names(record)
        )

    def applied(self, tx: Transaction) -> dict[tuple[str, str], datetime]:
        """Read the ledger; empty where there is none yet."""
        return _read_ledger(tx) if _has_ledger(tx) else {}

    def pending(self, tx: Transaction) -> tuple[Upgrade, ...]:
        """Return the steps not applied yet; raise StoreError where the database knows steps we do not.

        One query. Where there is no ledger the transaction may be of no further use.
        """
        try:
            applied = _read_ledger(tx)
        except peewee.DatabaseError as error:
            if not _is_missing_table(error):
                raise
            return self.steps
        known = {(step.plugin, step.name) for step in self.steps}
        for plugin in self._records:
            unknown = sorted(
                name for owner, name in applied if owner == plugin and (owner, name) not in known
            )
            if unknown:
                raise failures.newer(plugin, unknown, self._where)
        return tuple(step for step in self.steps if (step.plugin, step.name) not in applied)

    def apply(self, step: Upgrade, tx: Transaction) -> bool:
        """Apply one step, unless another process has done so in the meantime."""
        if not _has_ledger(tx):
            _create_ledger(tx)
        elif step not in self.pending(tx):
            return False
        upgrade: Callable[[TableMigrator], None] = import_module(
            f"{step.package}.{step.name}"
        ).upgrade
        upgrade(TableMigrator(tx))
        tx.execute(
            f"INSERT INTO {_LEDGER} (plugin, name, applied_at) VALUES (?, ?, ?)",  # noqa: S608
            (step.plugin, step.name, to_micros(tx.now)),
        )
        return True


def _read_ledger(tx: Transaction) -> dict[tuple[str, str], datetime]:
    cursor = tx.db.execute_sql(f"SELECT plugin, name, applied_at FROM {_LEDGER}")  # noqa: S608
    return {(plugin, name): from_micros(at) for plugin, name, at in cursor.fetchall()}


def _is_missing_table(error: Exception) -> bool:
    inner = failures.original(error)
    return getattr(inner, "sqlstate", None) == "42P01" or "no such table" in str(inner)


def _has_ledger(tx: Transaction) -> bool:
    sql = (
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'msp_migrations'"
        if tx.dialect == "sqlite"
        else "SELECT 1 WHERE to_regclass('msp_migrations') IS NOT NULL"
    )
    return tx.db.execute_sql(sql).fetchone() is not None


def _create_ledger(tx: Transaction) -> None:
    columns = (
        ColumnSpec(name="plugin", kind=ColumnKind.TEXT),
        ColumnSpec(name="name", kind=ColumnKind.TEXT),
        ColumnSpec(name="applied_at", kind=ColumnKind.TIMESTAMP),
    )
    TableMigrator(tx).create_table(_LEDGER, *columns, primary_key=("plugin", "name"))


def _in_order(records: dict[str, Migrations]) -> list[Migrations]:
    """Sort so that each plugin comes after the store and those it names; by id where it does not matter."""
    after: dict[str, set[str]] = {}
    for name in sorted(records):
        needed = set(records[name].after) | ({"store"} & records.keys()) - {name}
        missing = sorted(needed - records.keys())
        if missing:
            raise PluginError(
                f"The tables of {name} need those of {', '.join(missing)}, which is not installed or failed to load",
                suggestion=f"Install it with: pip install msp-{missing[0]}, or look at: msp-toolkit plugin list",
            )
        after[name] = needed
    sorter = TopologicalSorter(after)
    try:
        sorter.prepare()
    except CycleError as error:
        raise PluginError(
            f"The tables of these plugins need each other in a circle: {' -> '.join(error.args[1])}",
            suggestion="One of them has a wrong `after` in its Migrations record",
        ) from error
    order: list[Migrations] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order.extend(records[name] for name in ready)
        sorter.done(*ready)
    return order


def _names(record: Migrations) -> list[str]:
    spec = importlib.util.find_spec(record.package)
    if spec is None or spec.submodule_search_locations is None:
        raise PluginError(
            f"The tables of {record.id} cannot be made: there is no package {record.package}",
            suggestion="The plugin is not installed completely; install it again",
        )
    found = pkgutil.iter_modules(list(spec.submodule_search_locations))
    return sorted(module.name for module in found if _STEP.fullmatch(module.name))


_TYPES: dict[ColumnKind, tuple[str, str]] = {
    ColumnKind.AUTO: (
        "INTEGER PRIMARY KEY AUTOINCREMENT",
        "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
    ),
    ColumnKind.TEXT: ("TEXT", 'TEXT COLLATE "C"'),
    ColumnKind.INTEGER: ("INTEGER", "BIGINT"),
    ColumnKind.REAL: ("REAL", "DOUBLE PRECISION"),
    ColumnKind.BOOLEAN: ("INTEGER", "BOOLEAN"),
    ColumnKind.TIMESTAMP: ("INTEGER", "BIGINT"),
    ColumnKind.JSON: ("TEXT", 'TEXT COLLATE "C"'),
    ColumnKind.BLOB: ("BLOB", "BYTEA"),
}


class TableMigrator:
    """Makes and changes tables; implements `msp_store.api.Migrator`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which database it is."""
        return self._tx.dialect

    def create_table(
        self,
        table: str,
        *columns: ColumnSpec,
        primary_key: Sequence[str] = (),
        unique: Sequence[Sequence[str]] = (),
    ) -> None:
        """Create a table."""
        parts = [self._column(column) for column in columns]
        if primary_key:
            parts.append(f"PRIMARY KEY ({quoted(primary_key)})")
        parts.extend(f"UNIQUE ({quoted(names)})" for names in unique)
        keyed = bool(primary_key) or any(
            column.key and column.kind is not ColumnKind.AUTO for column in columns
        )
        # Rows live in the index of their key: one tree less to write
        tail = " WITHOUT ROWID" if self.dialect == "sqlite" and keyed else ""
        self._run(f'CREATE TABLE "{table}" ({", ".join(parts)}){tail}')

    def create_index(
        self, table: str, *columns: str, unique: bool = False, where: str = "", name: str = ""
    ) -> None:
        """Create an index."""
        words = [column.split(" ", 1) for column in columns]
        listed = ", ".join(" ".join([f'"{word[0]}"', *word[1:]]) for word in words)
        name = name or "_".join([table, *(word[0] for word in words)])
        kind = "UNIQUE INDEX" if unique else "INDEX"
        tail = f" WHERE {where}" if where else ""
        self._run(f'CREATE {kind} "{name}" ON "{table}" ({listed}){tail}')

    def add_column(self, table: str, column: ColumnSpec) -> None:
        """Add a column."""
        if not column.null and column.default is None:
            message = f"a new column must be nullable or have a default: {table}.{column.name}"
            raise ValueError(message)
        self._run(f'ALTER TABLE "{table}" ADD COLUMN {self._column(column)}')

    def drop_column(self, table: str, column: str) -> None:
        """Remove a column."""
        self._run(f'ALTER TABLE "{table}" DROP COLUMN "{column}"')

    def rename_column(self, table: str, old: str, new: str) -> None:
        """Rename a column."""
        self._run(f'ALTER TABLE "{table}" RENAME COLUMN "{old}" TO "{new}"')

    def drop_table(self, table: str) -> None:
        """Remove a table."""
        self._run(f'DROP TABLE "{table}"')

    def drop_index(self, name: str) -> None:
        """Remove an index."""
        self._run(f'DROP INDEX "{name}"')

    def execute(self, sql: str = "", *, sqlite: str = "", postgresql: str = "") -> None:
        """Run one statement."""
        statement = sql or (sqlite if self.dialect == "sqlite" else postgresql)
        if statement:
            self._run(statement)

    def _run(self, sql: str) -> None:
        self._tx.db.execute_sql(sql)

    def _column(self, column: ColumnSpec) -> str:
        sqlite, postgresql = _TYPES[column.kind]
        words = [f'"{column.name}"', sqlite if self.dialect == "sqlite" else postgresql]
        if column.kind is not ColumnKind.AUTO:
            if column.key:
                words.append("PRIMARY KEY")
            if not column.null:
                words.append("NOT NULL")
            if column.default is not None:
                words.append(f"DEFAULT {self._literal(column.default)}")
            if column.references:
                table, _, name = column.references.partition(".")
                words.append(f'REFERENCES "{table}" ("{name}")')
                if column.on_delete:
                    words.append(f"ON DELETE {column.on_delete.upper()}")
        return " ".join(words)

    def _literal(self, value: Any) -> str:
        if isinstance(value, bool):
            return str(int(value)) if self.dialect == "sqlite" else str(value).upper()
        if isinstance(value, (int, float)):
            return repr(value)
        escaped = str(value).replace("'", "''")
        return f"'{escaped}'"

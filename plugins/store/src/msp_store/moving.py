"""Moves all records to an empty PostgreSQL database: one snapshot, one transaction, and a proof of arrival."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from graphlib import TopologicalSorter
from typing import Any

from attrs import frozen

from msp_core.v1 import Conflict, MspError, StoreError
from msp_store import failures
from msp_store.databases import PostgresqlTarget, insert_rows, quoted
from msp_store.migrating import Ledger
from msp_store.transaction import Transaction

_BATCH = 5_000
_MODULUS = 1 << 128


@frozen(kw_only=True)
class TableCopy:
    """One table after the move: rows and digest, equal on both sides."""

    table: str
    rows: int
    digest: str


@frozen
class _Column:
    name: str
    is_boolean: bool
    has_sequence: bool


def copy_all(
    source: Transaction,
    target: PostgresqlTarget,
    ledger: Ledger,
    tell: Callable[[str, int], None],
    *,
    dry_run: bool = False,
) -> tuple[TableCopy, ...]:
    """Copy every table and compare; either everything is committed in the target or nothing is left there."""
    database = target.open(writer=True)
    try:
        database.connect()
        database.begin_whole()
        copied = _copy(
            source, Transaction(database, "postgresql", source.now), ledger, tell, dry_run=dry_run
        )
        if dry_run:
            database.rollback()
        else:
            database.commit()
    except Exception as error:
        raise _as_failure(error, target) from error
    finally:
        database.close()  # what was not committed is gone with the connection
    return copied


def _as_failure(error: Exception, target: PostgresqlTarget) -> Exception:
    translated = failures.translate(error, target.where)
    if isinstance(translated, failures.ConnectionLost):  # not to be mistaken for the source's
        return StoreError(
            translated.message, suggestion=translated.suggestion, **translated.details
        )
    if isinstance(translated, MspError):
        return translated
    return StoreError(
        f"The records could not be moved to {target.where}: {error}",
        suggestion="Nothing was kept there; correct the cause and run the command again",
        reason="refused",
    )


def _copy(
    source: Transaction,
    target: Transaction,
    ledger: Ledger,
    tell: Callable[[str, int], None],
    *,
    dry_run: bool,
) -> tuple[TableCopy, ...]:
    present = _tables(target)
    if present:
        raise Conflict(
            f"The target database is not empty: it has the tables {', '.join(present[:5])}",
            suggestion="Name a new, empty database: createdb msp_toolkit",
            tables=present[:20],
        )
    for step in ledger.steps:
        ledger.apply(step, target)
    made, wanted = set(_tables(target)), _tables(source)
    strangers = [table for table in wanted if table not in made]
    if strangers:
        raise Conflict(
            f"No installed plugin makes these tables, so they cannot be moved: {', '.join(strangers)}",
            suggestion="Install the plugins they belong to (see: msp-toolkit db status), or drop the tables",
            tables=strangers,
        )
    if dry_run:
        return tuple(
            TableCopy(table=table, rows=_count(source, table), digest="") for table in wanted
        )
    listed = ", ".join(f'"{table}"' for table in sorted(made))
    target.db.execute_sql(f"TRUNCATE {listed} CASCADE")  # what the steps themselves put there
    return tuple(
        _copy_table(source, target, table, tell) for table in _parents_first(target, wanted)
    )


def _copy_table(
    source: Transaction, target: Transaction, table: str, tell: Callable[[str, int], None]
) -> TableCopy:
    columns = _columns(target, table)
    names = [column.name for column in columns]
    given = _Digest(lambda rows: tell(table, rows))
    rows = given.of(_rows(source, table, names))
    booleans = [place for place, column in enumerate(columns) if column.is_boolean]
    insert_rows(target.db, table, names, _with_booleans(rows, booleans))
    for column in columns:
        if column.has_sequence:
            _continue_counting(source, target, table, column.name)
    arrived = _Digest()
    for _ in arrived.of(_rows(target, table, names)):
        pass
    if (given.rows, given.digest) != (arrived.rows, arrived.digest):
        raise StoreError(
            f"The table {table} did not arrive as it was: {given.rows} rows ({given.digest}) became "
            f"{arrived.rows} rows ({arrived.digest})",
            suggestion="Nothing was kept in the target; please report this",
            reason="refused",
        )
    return TableCopy(table=table, rows=given.rows, digest=given.digest)


class _Digest:
    """Counts rows and adds up their hashes, so that the order in which they come does not matter."""

    def __init__(self, tell: Callable[[int], None] | None = None) -> None:
        self.rows = 0
        self._sum = 0
        self._tell = tell

    @property
    def digest(self) -> str:
        return f"{self._sum:032x}"

    def of(self, rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        for row in rows:
            hashed = hashlib.blake2b("\x1f".join(map(_canonical, row)).encode(), digest_size=16)
            self._sum = (self._sum + int.from_bytes(hashed.digest())) % _MODULUS
            self.rows += 1
            if self._tell is not None and self.rows % _BATCH == 0:
                self._tell(self.rows)
            yield row


def _canonical(value: Any) -> str:
    """Write a value so that both databases' spelling of it is the same text, and different values differ."""
    if value is None:
        return "n"
    if isinstance(value, (bool, int)):
        return f"i{int(value)}"
    if isinstance(value, float):
        return f"f{value!r}"
    if isinstance(value, (bytes, memoryview)):
        return f"b{bytes(value).hex()}"
    return f"t{len(value)}:{value}"


def _with_booleans(rows: Iterable[Sequence[Any]], places: Sequence[int]) -> Iterable[Sequence[Any]]:
    if not places:
        return rows
    return (
        [
            bool(value) if place in places and value is not None else value
            for place, value in enumerate(row)
        ]
        for row in rows
    )


def _rows(tx: Transaction, table: str, names: Sequence[str]) -> Iterator[Sequence[Any]]:
    sql = f'SELECT {quoted(names)} FROM "{table}"'  # noqa: S608
    connection = tx.db.connection()
    cursor = connection.cursor() if tx.dialect == "sqlite" else connection.cursor(name="msp_rows")
    try:
        cursor.execute(sql)
        while batch := cursor.fetchmany(_BATCH):
            yield from batch
    finally:
        cursor.close()


def _count(tx: Transaction, table: str) -> int:
    return int(tx.db.execute_sql(f'SELECT COUNT(*) FROM "{table}"').fetchone()[0])  # noqa: S608


def _tables(tx: Transaction) -> list[str]:
    sql = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@' ORDER BY name"
        if tx.dialect == "sqlite"
        else "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
    )
    return [name for (name,) in tx.db.execute_sql(sql).fetchall()]


def _columns(target: Transaction, table: str) -> list[_Column]:
    rows = target.db.execute_sql(
        "SELECT column_name, data_type, is_identity FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name = %s AND is_generated = 'NEVER'"
        " ORDER BY ordinal_position",
        (table,),
    ).fetchall()
    return [_Column(name, kind == "boolean", identity == "YES") for name, kind, identity in rows]


def _parents_first(target: Transaction, tables: Sequence[str]) -> list[str]:
    graph: dict[str, set[str]] = {table: set() for table in tables}
    rows = target.db.execute_sql(
        "SELECT c.conrelid::regclass::text, c.confrelid::regclass::text FROM pg_constraint c"
        " WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace"
    ).fetchall()
    for child, parent in rows:
        if child.strip('"') != parent.strip('"'):
            graph[child.strip('"')].add(parent.strip('"'))
    return list(TopologicalSorter(graph).static_order())


def _continue_counting(source: Transaction, target: Transaction, table: str, column: str) -> None:
    """Go on after the highest number ever given, so that none is given again."""
    highest = f'SELECT COALESCE(MAX("{column}"), 0) FROM "{table}"'  # noqa: S608
    (last,) = source.db.execute_sql(highest).fetchone()
    if source.dialect == "sqlite":
        row = source.db.execute_sql(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)
        ).fetchone()
        last = max(last, row[0] if row else 0)
    if last:
        target.db.execute_sql(
            "SELECT setval(pg_get_serial_sequence(%s, %s), %s)", (f'"{table}"', column, last)
        )

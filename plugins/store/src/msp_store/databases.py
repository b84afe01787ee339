"""The two databases: how to connect, begin, and write many rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from attrs import frozen

from msp_store.drivers import load_psycopg, peewee

_WRITERS_LOCK = 0x6D73705F777269  # "msp_wri": one writer at a time on PostgreSQL, as on SQLite


class Target(Protocol):
    """Where the database is, and how to open it."""

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which database it is."""
        ...

    @property
    def where(self) -> str:
        """Name it for people, without the password."""
        ...

    def open(self, *, writer: bool) -> Any:
        """Return a peewee database whose connections (one per thread) are opened on first use."""
        ...


class _SqliteDatabase(peewee.SqliteDatabase):  # type: ignore[misc]
    def __init__(self, path: str, *, writer: bool, busy_timeout_s: float) -> None:
        pragmas: list[tuple[str, Any]] = [
            ("busy_timeout", int(busy_timeout_s * 1000)),
            (
                "cache_size",
                -16_000 if writer else -4_000,
            ),  # KiB for each connection, of which readers have several
            ("temp_store", "memory"),
        ]
        if writer:
            # FULL: what a caller was told is recorded also survives a power cut, at one fsync per commit. The journal
            # of changes depends on it: a change whose intention was forgotten would be applied twice.
            pragmas += [("journal_mode", "wal"), ("synchronous", "full"), ("foreign_keys", 1)]
        else:
            pragmas += [("query_only", 1)]
        self._begin_sql = "BEGIN IMMEDIATE" if writer else "BEGIN"
        super().__init__(path, pragmas=pragmas, timeout=busy_timeout_s)

    def begin_whole(self) -> None:
        self.execute_sql(self._begin_sql)

    def rollback(self) -> None:
        # A full disk and some other failures have already rolled back
        if self._state.conn.in_transaction:
            super().rollback()

    def is_broken(self) -> bool:
        return False


@frozen(kw_only=True)
class SqliteTarget:
    """A SQLite file."""

    path: Path
    busy_timeout_s: float = 30.0
    dialect: Literal["sqlite"] = "sqlite"

    @property
    def where(self) -> str:
        """The path."""
        return str(self.path)

    def open(self, *, writer: bool) -> Any:
        """Open the file, made with its folder by the writer."""
        if writer:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                # For this user alone: it holds what every client's machines are called and how they are.
                self.path.touch(mode=0o600)
        return _SqliteDatabase(str(self.path), writer=writer, busy_timeout_s=self.busy_timeout_s)


class _PostgresqlDatabase(peewee.PostgresqlDatabase):  # type: ignore[misc]
    def __init__(self, conninfo: Mapping[str, Any], *, writer: bool, busy_timeout_s: float) -> None:
        options = dict(conninfo)
        name = options.pop("dbname", "")
        self._begin_sql = (
            f"BEGIN; SET LOCAL lock_timeout = {int(busy_timeout_s * 1000)};"
            f" SELECT pg_advisory_xact_lock({_WRITERS_LOCK}); SET LOCAL lock_timeout = 0;"
            " SELECT pg_current_xact_id()::text"
            if writer
            else "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
        )
        self._writer = writer
        self._transaction_id = ""
        super().__init__(name, prefer_psycopg3=True, **options)

    def _connect(self) -> Any:
        connection = super()._connect()
        _read_numbers_plainly(connection)
        return connection

    def begin_whole(self) -> None:
        # Several statements in one trip cannot be prepared, which psycopg does with what is repeated
        with peewee.__exception_wrapper__:
            cursor = self.cursor().execute(self._begin_sql, prepare=False)
            if self._writer:
                while cursor.nextset():
                    pass
                self._transaction_id = cursor.fetchone()[0]

    def was_committed(self) -> bool | None:
        """Ask a new connection about the last transaction; None while, or where, the server cannot say."""
        cursor = self.execute_sql("SELECT pg_xact_status(%s::xid8)", (self._transaction_id,))
        return {"committed": True, "aborted": False}.get(cursor.fetchone()[0])

    def rollback(self) -> None:
        if not self._state.conn.closed:
            super().rollback()

    def is_broken(self) -> bool:
        return not self.is_closed() and bool(self._state.conn.closed)


def _read_numbers_plainly(connection: Any) -> None:
    """Make sums of integers int, and other decimals float, as SQLite answers them."""
    from psycopg.adapt import Loader

    class NumberLoader(Loader):
        def load(self, data: Any) -> int | float:
            text = bytes(data).decode()
            return int(text) if text.lstrip("-").isdigit() else float(text)

    connection.adapters.register_loader("numeric", NumberLoader)


@frozen(kw_only=True)
class PostgresqlTarget:
    """A PostgreSQL database; `conninfo` are libpq's parameters."""

    conninfo: Mapping[str, Any]
    busy_timeout_s: float = 30.0
    dialect: Literal["postgresql"] = "postgresql"

    @property
    def where(self) -> str:
        """Host, port and name."""
        at = self.conninfo
        return f"postgresql://{at.get('host', '')}:{at.get('port', 5432)}/{at.get('dbname', '')}"

    def open(self, *, writer: bool) -> Any:
        """Prepare connections to the server."""
        load_psycopg()
        return _PostgresqlDatabase(self.conninfo, writer=writer, busy_timeout_s=self.busy_timeout_s)


def conninfo_of(url: str) -> dict[str, Any]:
    """Split a PostgreSQL address into libpq's parameters."""
    load_psycopg()
    from psycopg.conninfo import conninfo_to_dict

    return {key: value for key, value in conninfo_to_dict(url).items() if value is not None}


def quoted(names: Sequence[str]) -> str:
    """Quote identifiers and join them by commas."""
    return ", ".join(f'"{name}"' for name in names)


def insert_rows(database: Any, table: str, columns: Sequence[str], rows: Any) -> None:
    """Insert rows of driver values: executemany on SQLite, COPY on PostgreSQL."""
    with peewee.__exception_wrapper__:
        _insert(database, table, columns, rows)


def _insert(database: Any, table: str, columns: Sequence[str], rows: Any) -> None:
    cursor = database.cursor()
    if isinstance(database, peewee.PostgresqlDatabase):
        with cursor.copy(f'COPY "{table}" ({quoted(columns)}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ",".join("?" * len(columns))
    cursor.executemany(f'INSERT INTO "{table}" ({quoted(columns)}) VALUES ({marks})', rows)  # noqa: S608


def upsert_rows(
    database: Any,
    table: str,
    columns: Sequence[str],
    rows: Any,
    *,
    conflict: Sequence[str],
    update: Sequence[str],
) -> None:
    """Insert or update rows of driver values, no two with the same key: through a temporary table on PostgreSQL."""
    action = "NOTHING"
    if update:
        action = "UPDATE SET " + ", ".join(f'"{name}" = excluded."{name}"' for name in update)
    tail = f" ON CONFLICT ({quoted(conflict)}) DO {action}"
    with peewee.__exception_wrapper__:
        _upsert(database, table, columns, rows, tail)


def _upsert(database: Any, table: str, columns: Sequence[str], rows: Any, tail: str) -> None:
    names = quoted(columns)
    cursor = database.cursor()
    if isinstance(database, peewee.PostgresqlDatabase):
        cursor.execute(
            f'CREATE TEMP TABLE IF NOT EXISTS "copy_{table}" (LIKE "{table}") ON COMMIT DELETE ROWS'
        )
        cursor.execute(f'TRUNCATE "copy_{table}"')
        _insert(database, f"copy_{table}", columns, rows)
        cursor.execute(
            f'INSERT INTO "{table}" ({names}) SELECT {names} FROM "copy_{table}"{tail}'  # noqa: S608
        )
        return
    marks = ",".join("?" * len(columns))
    cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks}){tail}', rows)  # noqa: S608

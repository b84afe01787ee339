"""The two databases: how to connect, begin, and write many rows."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Literal, Protocol

from attrs import frozen

from msp_core.v1 import Data
from msp_store import failures
from msp_store.drivers import load_psycopg, peewee

_SYNC_EVERY_S = 1.0
"""A commit that need not be synced is, where none was for so long: a power cut takes no more than that."""
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

    def is_new(self) -> bool:
        """Tell whether it has to be made first; raise StoreError where it was made and is gone."""
        ...

    def make(self, *, anew: bool = False) -> None:
        """Make it where it is new; with `anew` also where it is gone."""
        ...

    def remember(self) -> None:
        """Note that it was made."""
        ...


class _SqliteDatabase(peewee.SqliteDatabase):  # type: ignore[misc]
    """A file that is there: connecting never makes one, and one that was removed or replaced is an error."""

    def __init__(self, path: Path, *, writer: bool, busy_timeout_s: float) -> None:
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
            # of changes depends on it: a change whose intention was forgotten would be applied twice. Only a write
            # that says it need not be synced is not, and then at most for a second.
            pragmas += [("journal_mode", "wal"), ("synchronous", "full"), ("foreign_keys", 1)]
        else:
            pragmas += [("query_only", 1)]
        self._begin_sql = "BEGIN IMMEDIATE" if writer else "BEGIN"
        self._path = path
        self._writer = writer
        self._file: tuple[int, int] | None = None
        self._syncs = True
        self._synced_at = 0.0
        address = path.absolute().as_uri() + "?mode=rw"
        super().__init__(address, pragmas=pragmas, timeout=busy_timeout_s, uri=True)

    def _connect(self) -> Any:
        self._look()
        self._syncs = True
        self._state.frozen = None
        try:
            return super()._connect()  # setting the size of the cache reads the file
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorname
            if self._writer or not code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
                raise
            return self._connect_frozen()

    def _connect_frozen(self) -> Any:
        """Read a file beside which this user may not make the files that WAL needs.

        It is taken for unchanging while it is read; a change is seen before the next transaction.
        """
        log = self._path.with_name(self._path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise failures.unmerged(str(self._path))
        self._state.frozen = self._path.stat().st_mtime_ns
        connection = sqlite3.connect(
            self._path.absolute().as_uri() + "?mode=ro&immutable=1",
            uri=True, isolation_level=None, timeout=self._timeout,
        )  # fmt: skip
        self._add_conn_hooks(connection)
        return connection

    def _look(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            raise failures.gone(str(self._path)) from None
        file = (found.st_dev, found.st_ino)
        if self._file is None:
            self._file = file
        elif file != self._file:
            raise failures.gone(str(self._path))

    def begin_whole(self, *, sync: bool = True) -> None:
        self._look()
        now = monotonic()
        if sync or now - self._synced_at > _SYNC_EVERY_S:
            sync, self._synced_at = True, now
        if sync is not self._syncs:
            # What was committed without it is synced by the next commit with it: it is the same file
            self.execute_sql(f"PRAGMA synchronous = {'full' if sync else 'normal'}")
            self._syncs = sync
        self.execute_sql(self._begin_sql)

    def rollback(self) -> None:
        # A full disk and some other failures have already rolled back
        if self._state.conn.in_transaction:
            super().rollback()

    def is_broken(self) -> bool:
        frozen = getattr(self._state, "frozen", None)
        return frozen is not None and frozen != self._path.stat().st_mtime_ns


@frozen(kw_only=True, eq=False, repr=False)
class SqliteTarget(Data):
    """A SQLite file. `mark` notes that it was made, so that one that vanished is not taken for a new one."""

    path: Path
    mark: Path | None = None
    busy_timeout_s: float = 30.0
    dialect: Literal["sqlite"] = "sqlite"

    @property
    def where(self) -> str:
        """The path."""
        return str(self.path)

    def open(self, *, writer: bool) -> Any:
        """Open the file, which is there."""
        return _SqliteDatabase(self.path, writer=writer, busy_timeout_s=self.busy_timeout_s)

    def is_new(self) -> bool:
        """Tell whether the file has to be made first; raise StoreError where it was made and is gone."""
        try:
            if self.path.exists():
                return False
            if self._made() == self.where:
                raise failures.gone(self.where)
        except OSError as error:
            raise failures.translate(error, self.where) from error
        return True

    def make(self, *, anew: bool = False) -> None:
        """Make an empty file with its folder where it is new; with `anew` also where it is gone."""
        if anew or self.is_new():
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # For this user alone: it holds what every client's machines are called and how they are.
                self.path.touch(mode=0o600)
            except OSError as error:
                raise failures.translate(error, self.where) from error

    def remember(self) -> None:
        """Note that the file was made."""
        if self.mark is not None and self._made() != self.where:
            # Without the note only a file that vanishes is taken for a new one
            with suppress(OSError):
                self.mark.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.mark.write_text(self.where, encoding="utf-8")

    def _made(self) -> str:
        try:
            return self.mark.read_text(encoding="utf-8") if self.mark is not None else ""
        except (OSError, ValueError):
            return ""


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

    def begin_whole(self, *, sync: bool = True) -> None:
        sql = self._begin_sql
        if not sync:
            sql = sql.replace("BEGIN;", "BEGIN; SET LOCAL synchronous_commit = off;", 1)
        # Several statements in one trip cannot be prepared, which psycopg does with what is repeated
        with peewee.__exception_wrapper__:
            cursor = self.cursor().execute(sql, prepare=False)
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


@frozen(kw_only=True, eq=False, repr=False)
class PostgresqlTarget(Data):
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

    def is_new(self) -> bool:
        """Never: the server's administrator makes it."""
        return False

    def make(self, *, anew: bool = False) -> None:
        """Do nothing."""

    def remember(self) -> None:
        """Do nothing."""


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

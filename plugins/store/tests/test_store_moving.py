"""The move to PostgreSQL: everything, or nothing; proved; and no password in sight."""

import sqlite3
import sys
from types import SimpleNamespace

import pytest

from msp_core.v1 import Conflict, Migrations, StoreError
from msp_store import moving, tools
from msp_store.api import (
    AutoField,
    BlobField,
    BooleanField,
    FloatField,
    JsonField,
    Model,
    TextField,
    UtcDateTimeField,
)
from msp_store.databases import PostgresqlTarget, conninfo_of
from msp_store.testing import open_store

pytestmark = pytest.mark.anyio

STEP = """
from msp_store.api import Migrator, auto, blob, boolean, json, real, text, timestamp


def upgrade(m: Migrator) -> None:
    m.create_table("zz_parents", text("id", key=True), text("parent", null=True, references="zz_parents.id"))
    m.create_table(
        "moved", auto(), text("parent", null=True, references="zz_parents.id"), text("words"), real("share", null=True),
        boolean("on_duty", null=True), timestamp("seen", null=True), json("data", null=True), blob("raw", null=True),
    )
    m.execute("INSERT INTO zz_parents (id) VALUES ('made by the step')")
"""


class Moved(Model):
    id = AutoField()
    parent = TextField(null=True)
    words = TextField()
    share = FloatField(null=True)
    on_duty = BooleanField(null=True)
    seen = UtcDateTimeField(null=True)
    data = JsonField(null=True)
    raw = BlobField(null=True)

    class Meta:
        table_name = "moved"


@pytest.fixture
def record(tmp_path, monkeypatch):
    folder = tmp_path / "packages" / "moved_tables"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "m0001_initial.py").write_text(STEP)
    monkeypatch.syspath_prepend(str(folder.parent))
    yield Migrations(id="moved", package="moved_tables")
    for module in [one for one in sys.modules if one.startswith("moved_tables")]:
        del sys.modules[module]


WORDS = [
    "",
    "plain",
    'x"; DROP TABLE clients',
    "عميل",
    "tab\there",
    "line\nbreak",
    "\\N",
    "\\.",
    "a" * 300,
    "💾\u2028",
]


def fill(tx):
    tx.db.execute_sql("DELETE FROM zz_parents")
    tx.db.execute_sql("INSERT INTO zz_parents VALUES ('b', NULL), ('a', 'b'), ('c', 'a')")
    for number, words in enumerate(WORDS * 30):
        Moved.insert(
            parent="abc"[number % 3],
            words=words,
            share=None if number % 7 == 0 else number / 3,
            on_duty=[None, True, False][number % 3],
            seen=tx.now if number % 2 else None,
            data={"n": number, "words": words},
            raw=bytes(range(number % 256)) if number % 5 else None,
        ).execute()
    Moved.delete().where(Moved.id > 290).execute()
    tx.emit("filled", {"rows": 300})


def everything(tx):
    return [
        (*row[:-1], None if row[-1] is None else bytes(row[-1]))
        for row in Moved.select().order_by(Moved.id).tuples()
    ]


def context(store):
    async def get(service):
        return store

    return SimpleNamespace(
        get=get, records=True, progress=SimpleNamespace(update=lambda *args: None)
    )


async def test_everything_arrives(sqlite_store, record, postgresql_url):
    """All rows, values, keys and counters are the same afterwards, and the source is as it was."""
    store = sqlite_store(record)
    await store.write(fill)
    before = await store.read(everything)
    report = await tools.migrate(context(store), to=postgresql_url)
    counts = {table.table: table.rows for table in report.tables}
    assert counts == {
        "msp_migrations": 2,
        "outbox": 1,
        "outbox_deliveries": 0,
        "moved": 290,
        "zz_parents": 3,
    }
    assert all(len(table.digest) == 32 for table in report.tables)
    assert "counts and digests are equal" in report.text
    assert await store.read(everything) == before
    arrived = open_store(postgresql_url, record)
    assert await arrived.pending() == ()
    assert await arrived.read(everything) == before
    await arrived.write(lambda tx: Moved.insert(words="next").execute())
    assert (
        await arrived.read(lambda tx: Moved.select(Moved.id).order_by(Moved.id.desc()).get().id)
        == 301
    )
    await arrived.aclose()


async def test_a_dry_run_leaves_nothing(sqlite_store, record, postgresql_url):
    """With --dry-run the tables and rows are counted and the target stays empty."""
    store = sqlite_store(record)
    await store.write(fill)
    ctx = context(store)
    ctx.records = False
    report = await tools.migrate(ctx, to=postgresql_url)
    assert report.dry_run
    assert {table.table: table.rows for table in report.tables}["moved"] == 290
    await tools.migrate(context(store), to=postgresql_url)


async def test_a_target_with_tables_is_refused(sqlite_store, record, postgresql_url):
    """Nothing is mixed into a database that has tables; nor is the move done twice."""
    store = sqlite_store(record)
    await tools.migrate(context(store), to=postgresql_url)
    with pytest.raises(Conflict, match="not empty"):
        await tools.migrate(context(store), to=postgresql_url)


async def test_a_failure_leaves_the_target_empty(sqlite_store, record, postgresql_url):
    """What PostgreSQL cannot take stops the move with the cause, and it can be repeated when that is mended."""
    store = sqlite_store(record)
    await store.write(fill)
    with sqlite3.connect(store.target.path) as connection:
        connection.execute("UPDATE moved SET share = 'not a number' WHERE id = 7")
    connection.close()
    with pytest.raises(StoreError) as caught:
        await tools.migrate(context(store), to=postgresql_url)
    assert "not a number" in caught.value.message
    with sqlite3.connect(store.target.path) as connection:
        connection.execute("UPDATE moved SET share = 1 WHERE id = 7")
    connection.close()
    await tools.migrate(context(store), to=postgresql_url)


async def test_a_row_that_changed_on_the_way_is_noticed(
    sqlite_store, record, postgresql_url, monkeypatch
):
    """The digest is really compared: a value altered during the copy stops the move."""
    store = sqlite_store(record)
    await store.write(fill)
    real = moving._with_booleans

    def altered(rows, places):
        for number, row in enumerate(real(rows, places)):
            yield ["altered" if value == "plain" and number < 5 else value for value in row]

    monkeypatch.setattr(moving, "_with_booleans", altered)
    with pytest.raises(StoreError, match="did not arrive"):
        await tools.migrate(context(store), to=postgresql_url)
    monkeypatch.undo()
    await tools.migrate(context(store), to=postgresql_url)


async def test_tables_nobody_knows_are_not_left_behind_silently(
    sqlite_store, record, postgresql_url
):
    """A table of a plugin that is not installed stops the move and is named."""
    store = sqlite_store(record)
    await store.write(lambda tx: tx.db.execute_sql("CREATE TABLE stranger (x)"))
    with pytest.raises(Conflict, match="stranger"):
        await tools.migrate(context(store), to=postgresql_url)


async def test_an_unreachable_target_never_shows_its_password(sqlite_store):
    """The error names the server and not the password."""
    store = sqlite_store()
    url = "postgresql://msp:very-secret-word@127.0.0.1:1/x?connect_timeout=2"
    with pytest.raises(StoreError) as caught:
        await tools.migrate(context(store), to=url)
    assert "very-secret-word" not in str(caught.value.as_dict())
    assert "127.0.0.1" in caught.value.message
    assert await store.read(lambda tx: 1) == 1


async def test_only_postgresql_addresses(sqlite_store):
    """Any other address is refused with the right form."""
    from msp_core.v1 import InvalidParameters

    for wrong in ("mysql://x/y", "x.db", "postgresql:", ""):
        with pytest.raises(InvalidParameters):
            await tools.migrate(context(sqlite_store()), to=wrong)


def test_where_never_has_the_password():
    """The name of a target is made of host, port and database alone."""
    target = PostgresqlTarget(conninfo=conninfo_of("postgresql://u:pw123@h:5/d"))
    assert target.where == "postgresql://h:5/d"
    assert "pw123" not in target.where

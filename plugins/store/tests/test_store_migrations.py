"""Numbered steps: order, one at a time over processes, whole or not at all, cheap when there is nothing to do."""

import asyncio
import os
import sqlite3
import sys
import textwrap
from pathlib import Path

import pytest

from msp_core.v1 import Migrations, PluginError, StoreError
from msp_store.engine import DatabaseStore
from msp_store.migrating import Ledger
from msp_store.testing import open_store

pytestmark = pytest.mark.anyio
SCHEMAS = Path(__file__).parent / "schemas"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make packages of migration modules from their source text."""
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    made = []

    def make(name, **modules):
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text("")
        for module, body in modules.items():
            (folder / f"{module}.py").write_text(
                "from msp_store.api import *\n"
                "from msp_store.api import Migrator, auto, blob, boolean, integer, json, real, text, timestamp\n"
                "def upgrade(m: Migrator) -> None:\n"
                + textwrap.indent(textwrap.dedent(body), "    ")
            )
        made.append(name)
        return name

    yield make
    for name in made:
        for module in [one for one in sys.modules if one.split(".")[0] == name]:
            del sys.modules[module]


def same_place(store):
    return DatabaseStore(store.target, store.ledger._records.values())


async def test_every_part_of_the_form(each_store, package):
    """All kinds of columns, keys, indexes and changes make tables that take rows, on both databases."""
    name = package(
        "full_form",
        m0001_initial="""
            m.create_table("parents", text("id", key=True), text("name", default="it's"))
            m.create_table(
                "things", auto(), text("parent", null=True, references="parents.id", on_delete="set null"),
                integer("size", default=-3), real("share", default=0.5), boolean("on_duty", default=True),
                timestamp("seen", null=True), json("data", default="{}"), blob("raw", null=True), text("old"),
                unique=[("parent", "old")],
            )
            m.create_index("things", "parent", "seen DESC", name="things_recent")
            m.create_index("things", "old", unique=True, where="size > 0")
            m.create_table("pairs", text("a"), integer("b"), primary_key=("a", "b"))
        """,
        m0002_change="""
            m.add_column("pairs", text("note", default="none"))
            m.rename_column("things", "old", "label")
            m.drop_index("things_recent")
            m.create_table("gone", auto())
            m.drop_table("gone")
            m.add_column("things", integer("spare", null=True))
            m.drop_column("things", "spare")
            m.execute("INSERT INTO parents (id) VALUES ('p')")
            m.execute(sqlite="INSERT INTO pairs (a, b) VALUES ('sqlite', 1)",
                      postgresql="INSERT INTO pairs (a, b) VALUES ('postgresql', 1)")
            m.execute(sqlite="INSERT INTO pairs (a, b) VALUES ('only', 1)")
        """,
    )
    store = each_store(Migrations(id="full", package=name))

    def use(tx):
        tx.db.execute_sql("INSERT INTO things (parent, label) VALUES ('p', 'l')")
        tx.db.execute_sql("DELETE FROM parents")
        return (
            tx.db.execute_sql(
                "SELECT id, parent, size, share, on_duty, data, label FROM things"
            ).fetchall(),
            tx.db.execute_sql("SELECT a, b, note FROM pairs ORDER BY a").fetchall(),
        )

    things, pairs = await store.write(use)
    assert things == [(1, None, -3, 0.5, True, "{}", "l")]
    only = [("only", 1, "none")] if store.dialect == "sqlite" else []
    assert pairs == [*only, (store.dialect, 1, "none")]


async def test_text_sorts_by_code_point_on_any_server(postgresql_store):
    """Every text column says its collation, so that the server's locale does not decide the order."""
    store = postgresql_store()

    def collations(tx):
        return tx.db.execute_sql(
            "SELECT DISTINCT collation_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND data_type = 'text'"
        ).fetchall()

    assert await store.read(collations) == [("C",)]


async def test_nothing_to_do_costs_one_query(each_store):
    """Opening a database that is up to date asks the ledger, and nothing more."""
    store = each_store()
    await store.open()
    again = same_place(store)
    asked = []
    again._reader_db.query_hooks.append(lambda event: asked.append(event.sql))
    await again.open()
    await again.open()
    assert len([sql for sql in asked if "msp_migrations" in sql]) == 1, asked
    assert again._writer._threads == []
    await again.aclose()


async def test_numbers_are_never_given_twice(each_store, package):
    """The number of a removed row is not used again, on either database."""
    name = package("counted_rows", m0001_initial='m.create_table("rows", auto(), text("x"))')
    store = each_store(Migrations(id="numbers", package=name))

    def use(tx):
        tx.db.execute_sql("INSERT INTO rows (x) VALUES ('a'), ('b')")
        tx.db.execute_sql("DELETE FROM rows")
        tx.db.execute_sql("INSERT INTO rows (x) VALUES ('c')")
        return tx.db.execute_sql("SELECT id FROM rows").fetchall()

    assert await store.write(use) == [(3,)]


async def test_a_failing_step_leaves_nothing(each_store, package):
    """A step that fails half-way is rolled back with its tables; the steps before it stay; mended, it runs."""
    name = package(
        "failing",
        m0001_initial='m.create_table("kept", auto())',
        m0002_broken='m.create_table("half", auto())\nraise RuntimeError("broken")',
    )
    store = each_store(Migrations(id="failing", package=name))
    with pytest.raises(RuntimeError, match="broken"):
        await store.open()
    assert [step.name for step in await store.pending()] == ["m0002_broken"]
    with pytest.raises((StoreError, Exception), match="half"):
        await store.read_raw(lambda tx: tx.db.execute_sql("SELECT * FROM half"))
    sys.modules[f"{name}.m0002_broken"].upgrade = lambda m: None
    await store.open()
    assert await store.pending() == ()


async def test_two_openers_apply_each_step_once(each_store, package):
    """Several stores that open one new database at once all get it, and each step ran once."""
    name = package(
        "racing",
        m0001_initial='m.create_table("racing", text("n"))',
        m0002_row="""m.execute("INSERT INTO racing VALUES ('x')")""",
    )
    first = each_store(Migrations(id="racing", package=name))
    stores = [first, *(same_place(first) for _ in range(4))]
    await asyncio.gather(*(store.open() for store in stores))
    assert await first.read(lambda tx: tx.db.execute_sql("SELECT n FROM racing").fetchall()) == [
        ("x",)
    ]
    for store in stores[1:]:
        await store.aclose()


_BEGINNER = """
import asyncio, sys
from msp_core.v1 import Migrations
from msp_store.testing import open_store
async def main():
    store = open_store(sys.argv[1], Migrations(id="beginning", package="beginning"))
    sys.stdin.readline()
    await store.write(lambda tx: tx.emit("begun", {}))
    await store.aclose()
asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_processes_that_begin_one_database_at_once(kind, request, tmp_path, package):
    """Each waits for the steps of the others, runs what is left, and then records."""
    rows = {
        f"m{n:04}_row": f"m.execute(\"INSERT INTO beginning VALUES ('{n}')\")" for n in range(2, 6)
    }
    package("beginning", m0001_initial='m.create_table("beginning", text("n"))', **rows)
    place = tmp_path / "x.db"
    if kind == "postgresql":
        place = request.getfixturevalue("postgresql_url")
    pipe = asyncio.subprocess.PIPE
    runs = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _BEGINNER, str(place)),
            stdin=pipe,
            stderr=pipe,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "packages")},
        )
        for _ in range(4)
    ]
    ends = await asyncio.gather(*(run.communicate(b"\n") for run in runs))
    assert [run.returncode for run in runs] == [0] * 4, ends
    store = open_store(place)
    for table in ("outbox", "beginning"):
        sql = f"SELECT COUNT(*) FROM {table}"
        assert await store.read(lambda tx, q=sql: tx.db.execute_sql(q).fetchone()) == (4,)
    await store.aclose()


def test_plugins_come_after_those_they_need(package):
    """`after` decides, the store is first, ids decide the rest."""
    records = [
        Migrations(id="a", package=package("pa", m0001_x="pass"), after=("c",)),
        Migrations(id="b", package=package("pb", m0002_y="pass", m0001_x="pass")),
        Migrations(id="c", package=package("pc", m0001_x="pass", not_a_step="pass")),
        Migrations(id="store", package="msp_store.migrations"),
    ]
    steps = [(step.plugin, step.name) for step in Ledger(records, where="").steps]
    assert steps[0] == ("store", "m0001_initial")
    assert [plugin for plugin, _ in steps[1:]] == ["b", "b", "c", "a"]
    assert [name for plugin, name in steps if plugin == "b"] == ["m0001_x", "m0002_y"]


def test_missing_and_circular_needs_are_named(package):
    """A plugin whose tables need those of an absent one, or of each other, is named."""
    one = Migrations(id="one", package=package("p1", m0001_x="pass"), after=("two",))
    two = Migrations(id="two", package=package("p2", m0001_x="pass"), after=("one",))
    with pytest.raises(PluginError, match=r"one need those of two"):
        Ledger([one], where="")
    with pytest.raises(PluginError, match="circle"):
        Ledger([one, two], where="")


async def test_tables_of_a_plugin_that_is_gone_do_no_harm(each_store, package):
    """After a plugin was removed its steps in the ledger are left alone."""
    name = package("visitor", m0001_initial='m.create_table("visitor", auto())')
    store = each_store(Migrations(id="visitor", package=name))
    await store.open()
    without = DatabaseStore(store.target, [store.ledger._records["store"]])
    assert await without.read(lambda tx: 1) == 1
    await without.aclose()


@pytest.mark.parametrize("dump", sorted(SCHEMAS.glob("*.sql")), ids=lambda path: path.stem)
async def test_every_released_schema_is_upgraded(dump, tmp_path):
    """A database made by each release, with its rows, is brought up to date and keeps them."""
    path = tmp_path / "released.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(dump.read_text())
        expected = connection.execute("SELECT COUNT(*) FROM outbox").fetchone()[0]
    connection.close()
    store = open_store(path)
    await store.open()
    assert await store.pending() == ()
    counted = await store.read(
        lambda tx: tx.db.execute_sql("SELECT COUNT(*) FROM outbox").fetchone()[0]
    )
    assert counted == expected > 0
    await store.aclose()

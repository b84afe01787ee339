"""The `db` commands, the options of [database] and doctor, on a real toolkit."""

import sys
import types
from datetime import UTC, datetime, timedelta

import pytest

from msp_core.registry import Registry
from msp_core.v1 import (
    ConfigError,
    DoctorCheck,
    Migrations,
    Secret,
    Status,
    StoreError,
    Subscriber,
    Toolkit,
    hookimpl,
)
from msp_store.api import Outbox, Store
from msp_store.databases import conninfo_of
from msp_store.doctor import check
from msp_store.engine import DatabaseStore
from msp_store.outbox import DatabaseOutbox

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def listener():
    """Make a plugin that subscribes to the event `a`, and does nothing with it."""
    module = types.ModuleType("store_test_listener")

    async def hear(ctx, event):
        pass

    @hookimpl
    def msp_subscribers():
        yield Subscriber(id="listener", event="a", run="store_test_listener:hear")

    module.hear, module.msp_subscribers = hear, msp_subscribers
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


@pytest.fixture
async def workspace(tmp_path, listener):
    """Open toolkits with only the store installed, from the text of a configuration."""
    opened = []

    def open_toolkit(text="", now=NOW):
        path = tmp_path / "msp-toolkit.toml"
        path.write_text(text)
        registry = Registry()
        registry.add("msp_store.plugin", id="store")
        registry.add(listener, id="listener")
        toolkit = Toolkit.open(path, registry=registry, clock=lambda: now)
        opened.append(toolkit)
        return toolkit

    yield open_toolkit
    for toolkit in opened:
        await toolkit.aclose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """The section [database] for each kind."""
    if request.param == "sqlite":
        return ""
    url = request.getfixturevalue("postgresql_url")
    return f'[database]\ntype = "postgresql"\nurl = "{url}"\n'


async def test_the_services_are_found_by_type(workspace):
    """Other plugins get the store and the outbox by the Protocols of the api, one of each."""
    toolkit = workspace()
    assert isinstance(await toolkit.get(Store), DatabaseStore)
    assert await toolkit.get(Store) is await toolkit.get(Store)
    assert isinstance(await toolkit.get(Outbox), DatabaseOutbox)


async def test_status_changes_nothing(workspace, tmp_path):
    """Looking at a database that is not there does not make one."""
    status = await workspace().call("db.status")
    assert not status.exists
    assert status.pending == len(status.steps) > 0
    assert "not made yet" in status.text
    assert not (tmp_path / "data").exists()


async def test_status_after_the_first_write(workspace, database):
    """Afterwards it shows the size and the steps with their times."""
    toolkit = workspace(database)
    await (await toolkit.get(Store)).write(
        lambda tx: [tx.emit("a", {}), tx.emit("nobody listens", {})]
    )
    status = await toolkit.call("db.status")
    assert status.exists
    assert status.size_bytes > 10_000
    assert (status.pending, status.events_open, status.events_dead) == (0, 1, 0)
    assert [step.applied_at for step in status.steps] == [NOW]
    assert "up to date" in status.text


async def test_upgrade_says_what_it_did(workspace, database):
    """Dry: nothing is done. Then the steps are listed, and the second time there are none."""
    toolkit = workspace(database)
    planned = await toolkit.call("db.upgrade", ctx=toolkit.context(dry_run=True))
    assert planned.dry_run
    assert "would be" in planned.text
    assert len((await toolkit.call("db.status")).steps) == (await toolkit.call("db.status")).pending
    assert len((await toolkit.call("db.upgrade")).steps) == len(planned.steps) == 1
    assert (await workspace(database).call("db.upgrade")).steps == ()


@pytest.mark.parametrize(("days", "gone"), [(90, 0), (20, 1), (5, 2)])
async def test_prune_keeps_what_the_configuration_says(workspace, database, days, gone):
    """general.data_retention_days decides what goes; a dry run counts the same and removes nothing."""
    for age in (30, 10, 0):
        toolkit = workspace(database, now=NOW - timedelta(days=age))
        await (await toolkit.get(Store)).write(lambda tx: tx.emit("x", {}))
        await (await toolkit.get(Outbox)).deliver(toolkit.context())
    toolkit = workspace(f"[general]\ndata_retention_days = {days}\n{database}")
    for dry_run in (True, False):
        report = await toolkit.call("db.prune", ctx=toolkit.context(dry_run=dry_run))
        assert {one.table: one.rows for one in report.tables} == {
            "outbox": gone,
            "outbox_deliveries": 0,
        }
        assert report.before == NOW - timedelta(days=days)
    again = await toolkit.call("db.prune")
    assert sum(one.rows for one in again.tables) == 0
    left = await (await toolkit.get(Store)).read(
        lambda tx: tx.db.execute_sql("SELECT COUNT(*) FROM outbox").fetchone()[0]
    )
    assert left == 3 - gone


async def test_the_path_is_relative_to_the_workspace(workspace, tmp_path):
    """database.path decides where the file is."""
    toolkit = workspace('[database]\npath = "elsewhere/our.db"\n')
    await (await toolkit.get(Store)).write(lambda tx: None)
    assert (tmp_path / "elsewhere" / "our.db").exists()


async def test_options_reach_the_store(workspace):
    """Readers, patience and reconnecting are taken from the configuration."""
    store = await workspace("[database]\nreaders = 2\nbusy_timeout_s = 1.5\nreconnect_s = 3\n").get(
        Store
    )
    assert store._readers._size == 2
    assert store._reconnect_s == 3
    assert (
        await store.read(lambda tx: tx.db.execute_sql("PRAGMA busy_timeout").fetchone()[0]) == 1500
    )


async def test_postgresql_by_its_parts(workspace, postgresql_url, monkeypatch):
    """Host, port, database, username and the password's reference name the server as the address does."""
    at = conninfo_of(postgresql_url)
    monkeypatch.setenv("OUR_DB_PASSWORD", "not-needed-here")
    toolkit = workspace(
        f'[database]\ntype = "postgresql"\nhost = "{at["host"]}"\nport = {at.get("port", 5432)}\n'
        f'database = "{at["dbname"]}"\nusername = "{at["user"]}"\npassword_env = "OUR_DB_PASSWORD"\n'
    )
    store = await toolkit.get(Store)
    assert store.target.conninfo["password"] == "not-needed-here"
    assert (
        await store.read(lambda tx: tx.db.execute_sql("SELECT current_user").fetchone()[0])
        == at["user"]
    )
    assert "not-needed-here" not in str(await toolkit.call("db.status"))


async def test_the_password_has_a_usual_name(workspace, monkeypatch):
    """Without a reference the credential database/password is looked up."""
    monkeypatch.setenv("DATABASE_PASSWORD", "the-usual-word")
    store = await workspace('[database]\ntype = "postgresql"\nhost = "127.0.0.1"\n').get(Store)
    assert store.target.conninfo["password"] == "the-usual-word"
    assert "the-usual-word" not in store.target.where


async def test_a_password_in_the_address_is_refused(workspace):
    """The configuration is no place for a secret; the error does not repeat it."""
    with pytest.raises(ConfigError, match="holds a password") as caught:
        workspace('[database]\ntype = "postgresql"\nurl = "postgresql://u:hidden-word@h/d"\n')
    assert "hidden-word" not in str(caught.value.as_dict())


@pytest.mark.parametrize(
    "text",
    [
        'type = "mysql"',
        "port = 0",
        "port = 70000",
        "readers = 0",
        "busy_timeout_s = -1",
        'pth = "x"',
    ],
)
async def test_wrong_options_are_named(workspace, text):
    """A wrong value or name in [database] stops the start with an error."""
    with pytest.raises(ConfigError, match="database"):
        workspace(f"[database]\n{text}\n")


async def findings(toolkit):
    return list(await check(toolkit.context()))


async def test_doctor_on_a_sound_database(workspace, database):
    """Reachable, with its size; nothing to mend."""
    toolkit = workspace(database)
    assert [
        record.id for record in toolkit.registry.records(DoctorCheck) if record.id == "database"
    ]
    await (await toolkit.get(Store)).write(lambda tx: None)
    (finding,) = await findings(toolkit)
    assert finding.status is Status.OK
    assert "MiB" in finding.message


async def test_doctor_before_there_is_one(workspace):
    """No database yet is no fault."""
    (finding,) = await findings(workspace())
    assert finding.status is Status.OK


async def test_doctor_names_what_is_wrong(workspace, monkeypatch):
    """Little room, a large log, overdue and given-up events: each is a finding with its remedy."""
    toolkit = workspace()
    store = await toolkit.get(Store)

    def trouble(tx):
        tx.emit("a", {})
        tx.emit("b", {})
        tx.db.execute_sql("UPDATE outbox SET due_at = 0")
        tx.db.execute_sql(
            "INSERT INTO outbox_deliveries (event_id, subscriber, dead_at) VALUES (2, 's', 1)"
        )

    await store.write(trouble)
    monkeypatch.setattr("msp_store.doctor._LITTLE_BYTES", 1 << 60)
    monkeypatch.setattr("msp_store.doctor._LARGE_WAL_BYTES", 1)
    found = await findings(toolkit)
    text = " ".join(finding.message for finding in found)
    assert all(part in text for part in ("are free", "write-ahead log", "1 events", "1 deliveries"))
    assert all(finding.fix for finding in found if finding.status is not Status.OK)
    assert (await toolkit.call("db.status")).events_dead == 1


async def test_doctor_on_a_broken_database(workspace, tmp_path):
    """A file that is no database is a critical finding, not a crash."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "msp-toolkit.db").write_bytes(b"nonsense" * 1000)
    (finding,) = await findings(workspace())
    assert finding.status is Status.CRITICAL
    assert finding.fix
    with pytest.raises(StoreError):
        await workspace().call("db.status")


async def test_doctor_without_its_password(workspace):
    """A password that is nowhere leaves the database unknown, never OK, and the next step is said."""
    text = '[database]\ntype = "postgresql"\npassword = "env:NOWHERE_TO_BE_FOUND"\n'
    (finding,) = await findings(workspace(text))
    assert finding.status is Status.UNKNOWN
    assert "NOWHERE_TO_BE_FOUND" in finding.message + finding.fix


async def test_doctor_names_pending_steps(workspace, tmp_path):
    """Tables that are behind are a finding that names the command."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "msp-toolkit.db").write_bytes(b"")
    found = await findings(workspace())
    assert any("db upgrade" in finding.fix for finding in found)


async def test_moving_by_the_command(workspace, postgresql_url):
    """`db migrate` moves what was recorded, and the toolkit then works on the other database."""
    toolkit = workspace()
    await (await toolkit.get(Store)).write(lambda tx: tx.emit("kept", {}))
    report = await toolkit.call("db.migrate", {"to": postgresql_url})
    assert {one.table: one.rows for one in report.tables}["outbox"] == 1
    moved = workspace(f'[database]\ntype = "postgresql"\nurl = "{postgresql_url}"\n')
    delivery = await (await moved.get(Outbox)).deliver(moved.context())
    assert delivery.waiting == 0


def test_every_table_of_this_plugin_has_a_pruner():
    """The record that declares the tables also says what removes old rows."""
    from msp_store.plugin import msp_migrations

    assert all(isinstance(record, Migrations) and record.prune for record in msp_migrations())


def test_secrets_in_addresses_are_masked():
    """A password given with --to is masked wherever it would be shown."""
    from msp_core.secrets import mask

    Secret("pw-in-address-1", "--to")
    assert "pw-in-address-1" not in mask("connection to x with pw-in-address-1 failed")

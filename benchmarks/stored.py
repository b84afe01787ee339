"""Databases with millions of stored results, made once and kept under `build/bench`."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.databases import address, has_database, new_database, workspace
from benchmarks.environments import CACHE
from msp_clients.api import Clients, NewClient
from msp_core.v1 import Period, Toolkit
from msp_inventory.api import Inventory
from msp_store.api import Store

DEVICES, CHECKS, RUNS = 500, ("cpu", "disk", "memory", "network", "services"), 40
EACH = DEVICES * len(CHECKS) * RUNS
"""100,000 results of one client: 40 sweeps of 500 devices in 30 days."""
START = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = timedelta(hours=18)
PERIOD = Period(START, START + timedelta(days=30))
CLIENT = "client-000"
SSH = '[adapters.ssh]\nkind = "ssh"'
"""The device has to be reached somehow."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES = (
    "run_id, client_id, device_id, check_type, status, message, data, metrics, value, source,"
    " observed_at, checked_at"
)
_LATEST = (
    "INSERT INTO latest_status (client_id, device_id, check_type, run_id, status, message, data, metrics, source,"
    " since, observed_at, checked_at) SELECT client_id, device_id, check_type, run_id, status, message, data,"
    f" metrics, source, checked_at, observed_at, checked_at FROM health_checks WHERE run_id = {RUNS}"
)


@frozen
class Stored:
    """A database: the configuration that opens it, and its address where it is PostgreSQL."""

    config: Path
    url: str | None = None


def on_sqlite(clients: int) -> Stored:
    """Return a SQLite file with that many clients of 100,000 results each."""
    folder = CACHE / f"results-{clients * EACH}"
    config = folder / "msp-toolkit.toml"
    mark = folder / "complete"
    if not mark.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("data.db*"):
            old.unlink()
        names = asyncio.run(_with_clients(workspace(folder, more=SSH), clients))
        _fill_sqlite(folder / "data.db", names)
        mark.touch()
    return Stored(config)


def on_postgresql(server: str, clients: int) -> Stored:
    """Return the same on this server: 10 million results take some minutes and 5 GB, once."""
    name = f"bench_results_{clients * EACH}"
    folder = CACHE / f"results-postgresql-{clients * EACH}"
    mark = folder / "complete"
    if not mark.exists() or not has_database(server, name):
        mark.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        url = new_database(server, name)
        names = asyncio.run(_with_clients(workspace(folder, url, more=SSH), clients))
        _fill_postgresql(url, names)
        mark.touch()
    url = address(server, name)
    return Stored(workspace(folder, url, more=SSH), url)


async def _with_clients(config: Path, clients: int) -> list[str]:
    """Make the tables, the clients and the one device that is read about."""
    names = [f"client-{number:03}" for number in range(clients)]
    async with Toolkit.open(config) as toolkit:
        ctx = toolkit.context()
        await (await toolkit.get(Clients)).create_many(
            ctx, [NewClient(name=name, id=name) for name in names]
        )
        await (await toolkit.get(Inventory)).add_device(
            ctx, CLIENT, name="pc-000", instance="ssh", external_id="pc-000.example"
        )
        await toolkit.get(Store)
    return names


def _fill_sqlite(path: Path, clients: Sequence[str]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = off")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'health_checks' AND sql NOT NULL"
    ).fetchall()
    for name, _ in indexes:  # sorting once is several times faster than keeping order all the time
        connection.execute(f"DROP INDEX {name}")
    connection.execute("BEGIN")
    marks = ", ".join("?" * len(_NAMES.split(",")))
    for run in range(1, RUNS + 1):
        connection.executemany(
            f"INSERT INTO health_checks ({_NAMES}) VALUES ({marks})", _run_rows(run, clients)
        )
    connection.execute(_LATEST)
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.close()


def _fill_postgresql(url: str, clients: Sequence[str]) -> None:
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        constraints = connection.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = 'health_checks'::regclass AND contype IN ('p', 'u')"
        ).fetchall()
        for name, _ in constraints:
            connection.execute(f'ALTER TABLE health_checks DROP CONSTRAINT "{name}"')
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'health_checks'"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')
        with connection.cursor().copy(f"COPY health_checks ({_NAMES}) FROM STDIN") as copy:
            for run in range(1, RUNS + 1):
                for row in _run_rows(run, clients):
                    copy.write_row(row)
        connection.execute(_LATEST)
        for name, definition in constraints:
            connection.execute(f'ALTER TABLE health_checks ADD CONSTRAINT "{name}" {definition}')
        for _, definition in indexes:
            connection.execute(definition)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def micros(moment: datetime) -> int:
    """Return microseconds since 1970, as times are stored."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def _run_rows(run: int, clients: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    at = micros(START + (run - 1) * EVERY + timedelta(minutes=5))
    texts = [
        (
            check,
            "ok" if run % 7 else "warning",
            f"{check}: {used:.0f} % used",
            json.dumps({"volumes": {"C:": "ok"}}) if check == "disk" else None,
            json.dumps([["used", used, "%", 80.0, 90.0]]),
            used,
            f"rmm:{check}",
        )
        for check in CHECKS
        for used in [float(run * 17 % 100)]
    ]
    for client in clients:
        for number in range(DEVICES):
            device = f"{client}/pc-{number:03}"
            for check, status, message, data, metrics, used, source in texts:
                yield (
                    run,
                    client,
                    device,
                    check,
                    status,
                    message,
                    data,
                    metrics,
                    used,
                    source,
                    at,
                    at,
                )

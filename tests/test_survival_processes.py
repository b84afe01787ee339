"""What only whole processes show: kills, Ctrl-C, two at once, a full disk, a database that restarts, closed streams."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msp_core.testing import run_cli

PROGRAM = [sys.executable, "-m", "msp_core"]
MOCK = """
[rmm]
provider = "mock"
clients = 12
devices = 240
started = 2026-01-15T09:00:00Z

[health_checks]
chunk_devices = 10
"""
JUDGED = (0, 1, 2, 3)


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MSP_")}
    return {**kept, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache"), **more}


def start(folder: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *words],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=100)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def rows(folder: Path, sql: str) -> list[Any]:
    with sqlite3.connect(folder / "data" / "msp-toolkit.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute(sql).fetchall()


def assert_whole(found: Any) -> None:
    """Hold what is recorded to the promises: no row twice, each run's counts are its rows."""
    twice = "SELECT 1 FROM health_checks GROUP BY run_id, device_id, check_type HAVING COUNT(*) > 1"
    assert found(twice) == []
    for run_id, planned, total in found(
        "SELECT id, planned, ok + warning + critical + unknown + error + skipped FROM health_runs"
    ):
        recorded = found(f"SELECT COUNT(*) FROM health_checks WHERE run_id = {run_id}")
        assert planned == total == recorded[0][0]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    assert run_cli("init", "--no-input", cwd=folder).code == 0
    overlay = folder / "config" / "conf.d" / "mock.toml"
    overlay.write_text(MOCK, encoding="utf-8")
    assert run_cli("client", "sync", "--all", "--create", cwd=folder).code == 0
    return folder


@pytest.fixture
def folder(grown: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "workspace"
    shutil.copytree(grown, copy)
    return copy


def _kill_and_rerun(folder: Path, found: Any, kills: int) -> None:
    chance, done = random.Random(11), 0
    began = time.monotonic()
    code, out, err = finish(start(folder, "health", "check", "--all", "--json"))
    assert code in JUDGED, err
    whole, expected = time.monotonic() - began, json.loads(out)["planned"]
    for _ in range(kills * 4):
        process = start(folder, "health", "check", "--all", "--json")
        time.sleep(chance.uniform(0.2, 1.0) * whole)
        alive = process.poll() is None
        process.kill()
        process.communicate()
        done += alive
        assert_whole(found)
        if done == kills:
            break
    assert done == kills
    unfinished = found("SELECT COUNT(*) FROM health_runs WHERE state != 'finished'")[0][0]
    if unfinished:
        code, out, err = finish(start(folder, "health", "check", "--all", "--resume", "--json"))
        assert code in JUDGED, err
        run = json.loads(out)
        assert run["planned"] == sum(run["counts"].values()) == expected
    code, out, err = finish(start(folder, "health", "check", "--all", "--json"))
    assert code in JUDGED, err
    assert json.loads(out)["planned"] == expected
    assert_whole(found)
    assert found("SELECT COUNT(*) FROM latest_status") == [(expected,)]
    assert found("SELECT COUNT(*) FROM health_leases") == [(0,)]
    twice = "SELECT key FROM alerts WHERE resolved_at IS NULL GROUP BY key HAVING COUNT(*) > 1"
    assert found(twice) == []


@pytest.mark.kill
def test_kill_9_at_any_moment_of_a_command(folder: Path) -> None:
    """Ten kills between start and end; afterwards everything is there once, and nothing is left locked."""
    _kill_and_rerun(folder, lambda sql: rows(folder, sql), kills=10)


@pytest.mark.kill
def test_kill_9_on_postgresql(folder: Path, postgresql_url: str) -> None:
    """The same with the records in PostgreSQL."""
    import psycopg

    overlay = folder / "config" / "conf.d" / "database.toml"
    overlay.write_text(f'[database]\ntype = "postgresql"\nurl = "{postgresql_url}"\n', "utf-8")
    assert run_cli("client", "sync", "--all", "--create", cwd=folder).code == 0

    def found(sql: str) -> list[Any]:
        with psycopg.connect(postgresql_url) as connection:
            return connection.execute(sql).fetchall()

    _kill_and_rerun(folder, found, kills=6)


def test_four_sweeps_at_once(folder: Path) -> None:
    """Started together: whoever finds a client taken leaves it or is refused in words; every row is there once."""
    processes = [start(folder, "health", "check", "--all", "--json") for _ in range(4)]
    ended = [finish(process) for process in processes]
    assert any(code in (0, 2, 3) for code, _, _ in ended)
    for code, out, err in ended:
        if code == 3 and "CONFLICT" in out + err:
            continue
        run = json.loads(out)
        assert run["planned"] == sum(run["counts"].values()), err
    assert_whole(lambda sql: rows(folder, sql))
    assert rows(folder, "SELECT COUNT(*) FROM health_leases") == [(0,)]


@pytest.fixture
def slow_lab(tmp_path: Path) -> Iterator[Path]:
    """A workspace on both vendors, of which one has become too slow to wait for."""
    folder = tmp_path / "lab"
    folder.mkdir()
    assert run_cli("init", "--no-input", cwd=folder).code == 0
    up = ("lab", "up", "--clients", "4", "--devices", "24", "--detach")
    assert run_cli(*up, cwd=folder).code == 0
    try:
        assert run_cli("client", "sync", "--all", "--create", cwd=folder).code == 0
        assert run_cli("lab", "fault", "ninjaone:slow,seconds=60", cwd=folder).code == 0
        yield folder
    finally:
        run_cli("lab", "down", cwd=folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_says_what_is_recorded(slow_lab: Path, number: signal.Signals) -> None:
    """Ctrl-C and a termination end with 130 and a word about what is recorded; `--resume` does the rest."""
    process = start(slow_lab, "health", "check", "--all")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        time.sleep(0.05)
        if rows(slow_lab, "SELECT 1 FROM sqlite_master WHERE name = 'health_checks'") and (
            before := rows(slow_lab, "SELECT COUNT(*) FROM health_checks")[0][0]
        ):
            break
    process.send_signal(number)
    code, _, err = finish(process)
    recorded = rows(slow_lab, "SELECT COUNT(*) FROM health_checks")[0][0]
    assert recorded >= before > 0
    assert code == 130, err
    assert f"{recorded} of 120 checks are recorded in run 1" in err
    assert "--resume" in err
    assert run_cli("lab", "fault", "--clear", cwd=slow_lab).code == 0
    done = run_cli("health", "check", "--all", "--resume", "--json", cwd=slow_lab)
    run = json.loads(done.out)
    assert (run["run_id"], run["planned"]) == ("1", 120)
    assert_whole(lambda sql: rows(slow_lab, sql))


@pytest.mark.slow
def test_a_full_disk(folder: Path) -> None:
    """The database may not grow: said in words with what to do; with room again the rest is recorded."""
    size = (folder / "data" / "msp-toolkit.db").stat().st_size + 40_000

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    code, out, err = finish(start(folder, "health", "check", "--all", preexec_fn=limit))
    assert code == 3, (code, out, err)
    assert "[STORE_UNAVAILABLE]" in err
    assert_whole(lambda sql: rows(folder, sql))
    done = run_cli("health", "check", "--all", "--resume", "--json", cwd=folder)
    assert done.code in JUDGED, done.err
    run = json.loads(done.out)
    assert run["planned"] == sum(run["counts"].values()) > 0
    assert_whole(lambda sql: rows(folder, sql))


@pytest.mark.slow
def test_postgresql_restarts_in_a_sweep(folder: Path) -> None:
    """The server goes away and comes back while results are recorded: the sweep ends with every row once."""
    import psycopg

    from msp_store.testing import postgresql_server

    with postgresql_server() as server:
        url = server.get_uri()
        overlay = folder / "config" / "conf.d" / "database.toml"
        overlay.write_text(
            f'[database]\ntype = "postgresql"\nurl = "{url}"\n[health_checks]\nchunk_devices = 1\n',
            "utf-8",
        )
        assert run_cli("client", "sync", "--all", "--create", cwd=folder).code == 0
        process = start(folder, "health", "check", "--all", "--json")
        ended: list[tuple[int, str, str]] = []
        waiter = threading.Thread(target=lambda: ended.append(finish(process)))
        waiter.start()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with psycopg.connect(url) as connection:
                if connection.execute("SELECT to_regclass('health_checks')").fetchone()[0]:  # type: ignore[index]
                    counted = connection.execute("SELECT COUNT(*) FROM health_checks").fetchone()
                    if counted and counted[0]:
                        break
        assert process.poll() is None
        server.stop()
        time.sleep(1.0)
        server.start()
        waiter.join(100)
        [(code, out, err)] = ended
        assert code in JUDGED, err
        run = json.loads(out)
        with psycopg.connect(url) as connection:

            def found(sql: str) -> list[Any]:
                return connection.execute(sql).fetchall()

            assert_whole(found)
            assert found("SELECT COUNT(*) FROM latest_status") == [(run["planned"],)]


def shell(folder: Path, line: str) -> tuple[int, str]:
    """Run a line of bash in which `msp` is the program; return its exit code and what it said on stderr."""
    program = " ".join(PROGRAM)
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; msp() {{ {program} "$@"; }}; {line}'],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("msp client list >&-", (0,)),
        ("msp client list <&-", (0,)),
        ("msp client list 2>&-", (0,)),
        ("msp client list <&- >&- 2>&-", (0,)),
        ("msp nonsense 2>&-", (64,)),
        ("msp client list > /dev/full", (1,)),
        ("msp --help > /dev/full", (1,)),
        ("msp client list --json | head -c 1 > /dev/null", (0, 1)),
        ("mkdir gone && cd gone && rmdir ../gone && msp client list", (1,)),
        ("mkdir gone && cd gone && rmdir ../gone && msp init --no-input", (1,)),
        (
            "C=$PWD/config; mkdir gone && cd gone && rmdir ../gone && msp --config $C/*.toml client list",
            (0,),
        ),
        ("MSP_WATCHDOG_SECONDS=soon msp health check --all --dry-run > /dev/null", JUDGED),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 msp client list", (0,)),
        ("PYTHONOPTIMIZE=2 msp client list", (0,)),
        ("TERM=dumb COLUMNS=1 HOME=/nonexistent msp client list", (0,)),
    ],
)
def test_odd_surroundings(folder: Path, line: str, codes: tuple[int, ...]) -> None:
    """Closed and full streams, readers that leave, folders that are gone, odd locales: an exit code, no traceback."""
    ended, err = shell(folder, line)
    assert ended in codes, err
    if "/dev/full" in line:
        assert "the output cannot be written" in err


def test_closed_streams_never_become_the_database(folder: Path) -> None:
    """With no standard stream open the database does not take the place of one, to be written into."""
    for _ in range(2):
        shell(folder, "msp health check --all <&- >&- 2>&-")
    assert len(rows(folder, "SELECT id FROM health_runs")) == 2
    assert_whole(lambda sql: rows(folder, sql))


NESTED = "[" * 20_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "a: " + NESTED),
        ("a.json", NESTED),
        ("a.toml", "a = " + NESTED),
        ("a.yaml", "a: &a [x, x]\nb: &b [*a, *a]\ngeneral: {company_name: *b}"),
        ("a.toml", "x" * 5_000_000),
    ],
    # pytest puts the id into the environment, where five million characters do not fit
    ids=["nested yaml", "nested json", "nested toml", "aliases", "long"],
)
def test_configurations_made_to_break_the_reader(folder: Path, name: str, text: str) -> None:
    """Nesting that would exhaust the stack, aliases, sheer size: one error that names the file."""
    (folder / name).write_text(text, encoding="utf-8")
    code, err = shell(folder, f"msp --config {name} client list")
    assert code == 1
    assert name in err
    assert "[CONFIG_INVALID]" in err

"""Every option does something: changing it changes what the toolkit does, here or in the test named for it.

`SHOWN_ELSEWHERE` names the tests of plugins; an option in neither place fails `test_no_option_is_without_effect`.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from msp_core.testing import Done, run_cli

HERE = Path(__file__).parent.parent
MOCK = '[rmm]\nprovider = "mock"\nclients = 2\ndevices = 10\nstarted = 2026-01-15T09:00:00Z\n'
Run = Callable[..., Done]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options")
    assert run_cli("init", "--no-input", cwd=folder).code == 0
    (folder / "config" / "conf.d" / "mock.toml").write_text(MOCK, encoding="utf-8")
    assert run_cli("client", "sync", "--all", "--create", cwd=folder).code == 0
    assert run_cli("health", "check", "--all", cwd=folder).code in (0, 1, 2, 3)
    return folder


@pytest.fixture
def folder(grown: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "workspace"
    shutil.copytree(grown, copy)
    return copy


@pytest.fixture
def run(folder: Path) -> Run:
    """Run a command line with options set: run("client", "list", timezone="general.timezone=UTC")."""

    def run(*words: str, set_: tuple[str, ...] = (), env: dict[str, str] | None = None) -> Done:
        flags = [word for option in set_ for word in ("--set", option)]
        done = run_cli(*flags, *words, cwd=folder, env=env)
        assert "Traceback" not in done.err
        return done

    return run


def counts(done: Done) -> dict[str, int]:
    found: dict[str, int] = json.loads(done.out)["counts"]
    return found


def test_timezone(run: Run) -> None:
    """general.timezone: people see times in it."""
    utc = run("client", "list")
    tokyo = run("client", "list", set_=("general.timezone=Asia/Tokyo",))
    stamp = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
    assert stamp.findall(utc.out)
    assert stamp.findall(utc.out) != stamp.findall(tokyo.out)


def test_log_level_format_and_file(run: Run, folder: Path) -> None:
    """general.log_level, log_format, log_file: how much, in which form, and where."""
    assert run("client", "list").err == ""
    text = run("client", "list", set_=("general.log_level=info",)).err
    assert "client.list ok" in text
    options = ("general.log_level=info", "general.log_format=json")
    lines = run("client", "list", set_=options).err.splitlines()
    assert any("client.list ok" in json.loads(line)["message"] for line in lines)
    done = run("client", "list", set_=(*options, 'general.log_file="logs/a.log"'))
    assert done.err == ""
    assert "client.list ok" in (folder / "logs" / "a.log").read_text()


def test_retention(run: Run, folder: Path) -> None:
    """general.data_retention_days: older results go, younger stay."""

    def rows() -> int:
        with sqlite3.connect(folder / "data" / "msp-toolkit.db") as database:
            return int(database.execute("SELECT COUNT(*) FROM health_checks").fetchone()[0])

    with sqlite3.connect(folder / "data" / "msp-toolkit.db") as database:
        ago = int((time.time() - 30 * 86400) * 1e6)
        database.execute("UPDATE health_checks SET checked_at = ?", (ago,))
        database.execute("UPDATE health_runs SET started_at = ?, finished_at = ?", (ago, ago))
    before = rows()
    assert run("db", "prune").code == 0
    assert rows() == before
    assert run("db", "prune", set_=("general.data_retention_days=10",)).code == 0
    assert rows() == 0


def test_company_name(run: Run) -> None:
    """general.company_name: kept and shown; reports and messages will carry it."""
    assert (
        "Nordlicht IT" in run("config", "show", set_=('general.company_name="Nordlicht IT"',)).out
    )


def test_database_path(run: Run, folder: Path) -> None:
    """database.path: another file is another set of records."""
    done = run("client", "list", "--json", set_=('database.path="other/place.db"',))
    assert json.loads(done.out)["items"] == []
    assert run("client", "add", "--name", "X", set_=('database.path="other/place.db"',)).code == 0
    assert (folder / "other" / "place.db").exists()


@pytest.mark.parametrize(
    "option",
    [
        'url="postgresql://127.0.0.1:1/x"',
        'host="127.0.0.1"',
        "port=1",
        'database="nowhere"',
        'username="nobody"',
    ],
)
def test_database_server(run: Run, option: str) -> None:
    """database.type, url, host, port, database, username: where it is looked for is named in the error."""
    options = ('database.type="postgresql"', "database.port=1", 'database.host="127.0.0.1"')
    if option.startswith("url"):
        options = ('database.type="postgresql"',)
    done = run("db", "status", set_=(*options, f"database.{option}", "database.reconnect_s=0"))
    assert done.code == 1
    value = option.partition("=")[2].strip('"').rpartition("/")[2]
    assert value in done.out + done.err or "127.0.0.1" in done.out + done.err


def test_health_switched_off(run: Run) -> None:
    """health_checks.enabled: off, a sweep is refused in words."""
    done = run("health", "check", "--all", set_=("health_checks.enabled=false",))
    assert done.code == 3
    assert "switched off" in done.err


@pytest.mark.parametrize("schedule", ["every day", "61 * * * *", "* * * *", "*/0 * * * *"])
def test_health_schedule(run: Run, schedule: str) -> None:
    """health_checks.schedule: nothing starts with one that is none."""
    assert run("client", "list", set_=('health_checks.schedule="15 3 * * 1-5"',)).code == 0
    done = run("client", "list", set_=(f'health_checks.schedule="{schedule}"',))
    assert (done.code, "health_checks.schedule" in done.err) == (1, True)


@pytest.mark.parametrize("check", ["cpu", "memory", "disk"])
def test_thresholds(run: Run, check: str) -> None:
    """health_checks.thresholds.<check>_percent: at 1 everything is a problem, at 99 less is than by default."""
    words = ("health", "check", "--all", "--type", check, "--dry-run", "--json")
    usual = counts(run(*words))
    low = counts(run(*words, set_=(f"health_checks.thresholds.{check}_percent=1",)))
    high = counts(run(*words, set_=(f"health_checks.thresholds.{check}_percent=99.9",)))
    assert low["ok"] < usual["ok"]
    assert low["warning"] + low["critical"] > usual["warning"] + usual["critical"]
    assert high["ok"] >= usual["ok"]


def test_tiers(run: Run) -> None:
    """health_checks.tiers: the limits of one tier only."""
    words = ("health", "check", "--all", "--type", "disk", "--dry-run", "--json")
    assert run("client", "list", "--tier", "gold", "--json").out.count('"id"') == 0
    bronze = counts(run(*words, set_=("health_checks.tiers.bronze.disk_percent=1",)))
    gold = counts(run(*words, set_=("health_checks.tiers.gold.disk_percent=1",)))
    assert bronze["ok"] < gold["ok"]


def test_attempts_and_age(run: Run) -> None:
    """health_checks.attempts: a problem seen once is not told; max_age: facts older than that are UNKNOWN."""
    low = "health_checks.thresholds.disk_percent=1"

    def opened(*more: str) -> int:
        before = len(json.loads(run("alert", "list", "--limit", "1000", "--json").out)["items"])
        run("health", "check", "--all", "--type", "disk", set_=(low, *more))
        return (
            len(json.loads(run("alert", "list", "--limit", "1000", "--json").out)["items"]) - before
        )

    assert opened("health_checks.attempts=3") == 0
    assert opened("health_checks.attempts=1") > 0


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("access.read_only=true", ("client", "add", "--name", "New")),
        ('access.surfaces.cli.max_effect="read"', ("client", "add", "--name", "New")),
        ("access.surfaces.cli.read_only=true", ("client", "add", "--name", "New")),
        ('access.surfaces.cli.role="viewer"', ("client", "add", "--name", "New")),
        ('access.surfaces.cli.tools=["client.list"]', ("client", "add", "--name", "New")),
        ('access.surfaces.cli.clients=["acme-corp"]', ("client", "add", "--name", "New")),
    ],
)
def test_access(run: Run, option: str, words: tuple[str, ...]) -> None:
    """access.*: what one option forbids is not done."""

    def names() -> str:
        return run("client", "list").out

    run(*words, set_=(option,))
    assert "New" not in names()
    assert run(*words).code == 0
    assert "New" in names()


class Slow(BaseHTTPRequestHandler):
    """Says which credentials it was given, after a while."""

    delay_s = 0.0
    told: list[str] = []  # noqa: RUF012, one server for the module

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.told.append(f"{self.path} {body}")
        time.sleep(self.delay_s)
        data = b'{"access_token": "t-0123456789", "expires_in": 3600}'
        self._send(data)

    def do_GET(self) -> None:
        self.told.append(self.path)
        time.sleep(self.delay_s)
        clients = self.path.startswith("/v2/organizations")
        self._send(b'[{"id": 5, "name": "Acme Corp"}]' if clients else b"[]")

    def _send(self, data: bytes) -> None:
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            self.close_connection = True


@pytest.fixture
def console() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Slow.told.clear()
    Slow.delay_s = 0.0
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def rmm(folder: Path, run: Run, console: str) -> Callable[..., Done]:
    """Sync the familiar section `rmm:` with some options."""
    (folder / "config" / "conf.d" / "mock.toml").unlink()

    def sync(*options: str, **env: str) -> Done:
        usual = ('rmm.provider="ninjarmm"', f'rmm.api_url="{console}"', 'rmm.api_key_env="MY_KEY"')
        return run(
            "client",
            "sync",
            "--all",
            set_=(*usual, *options),
            env={"MY_KEY": "some-id:some-secret", **env},
        )

    return sync


def test_rmm(rmm: Callable[..., Done]) -> None:
    """rmm.provider, api_url, api_key_env, timeout: which console, where, with what, and how long."""
    assert rmm().code == 0
    assert any("some-id" in text and "some-secret" in text for text in Slow.told)
    Slow.told.clear()
    assert rmm(MY_KEY="other-id:other-secret").code == 0
    assert any("other-secret" in text for text in Slow.told)
    Slow.told.clear()
    elsewhere = rmm('rmm.api_url="http://127.0.0.1:9"')
    assert (elsewhere.code, Slow.told) == (1, [])
    missing = rmm('rmm.api_key_env="NOT_SET"')
    assert missing.code == 1
    assert "NOT_SET" in missing.out + missing.err
    other = rmm('rmm.provider="connectwise"')
    assert "/v2/organizations" not in " ".join(Slow.told)
    assert other.code == 1


@pytest.mark.slow
def test_rmm_timeout(rmm: Callable[..., Done]) -> None:
    """rmm.timeout: longer than the console takes it waits, shorter it gives up."""
    Slow.delay_s = 0.6
    assert rmm("rmm.timeout=30").code == 0
    assert rmm("rmm.timeout=0.2").code == 1


def test_http(rmm: Callable[..., Done]) -> None:
    """http.proxy, ca_bundle, allow_plain_http: who is asked instead, what must be there, what is refused."""
    assert rmm('http.proxy="http://127.0.0.1:9"').code == 1
    assert Slow.told == []
    tls = rmm('http.ca_bundle="nowhere.pem"', 'rmm.api_url="https://127.0.0.1:9"')
    assert "ca_bundle" in tls.out + tls.err
    plain = rmm('rmm.api_url="http://localhost.invalid:9"')
    assert plain.code == 1
    assert "readable" in plain.out + plain.err


def test_plugins(run: Run) -> None:
    """plugins.disabled, plugins.allow: what is not in use has no commands."""
    assert run("lab", "status", set_=('plugins.disabled=["lab"]',)).code == 64
    done = run("lab", "status", set_=('plugins.allow=["msp-store", "msp-clients"]',))
    assert done.code == 64
    assert run("lab", "status").code == 0


LATER = {
    "general.company_name",  # reports and messages
    *(f"reporting.{name}" for name in ("template_dir", "output_dir", "formats", "schedule")),
}
"""Read and validated here; their effect comes with the feature that uses them."""
HERE_SHOWN = """
general.timezone general.log_level general.log_format general.log_file general.data_retention_days
plugins.allow plugins.disabled database.type database.path database.url database.host database.port
database.database database.username health_checks.enabled health_checks.schedule
health_checks.thresholds health_checks.tiers health_checks.attempts access.read_only access.surfaces
http.proxy http.ca_bundle http.allow_plain_http
""".split()  # noqa: SIM905, one word a line would be a page
OURS = (
    "general",
    "plugins",
    "reporting",
    "database",
    "health_checks",
    "access",
    "http",
    "inventory",
)
SHOWN_ELSEWHERE = {
    "access.rate_limits": "test_access_keys.py",
    "access.actors": "test_access_guard.py::test_limits_narrow_what_a_call_sees",
    "access.max_clients_per_change": "test_access_guard.py::test_caps_stop_one_call_and_its_repeat_goes_on",
    "access.max_devices_per_change": "test_access_guard.py::test_caps_stop_one_call_and_its_repeat_goes_on",
    "access.plan_expires_after": "test_access_guard.py::test_plans_and_approvals_expire",
    "inventory.default_rmm": "test_toolkit_api.py::test_the_default_of_several_rmms",
    "database.password_env": "test_store_tools.py::test_postgresql_by_its_parts",
    "database.password": "test_store_tools.py::test_the_password_has_a_usual_name",
    "database.readers": "test_store_tools.py::test_options_reach_the_store",
    "database.busy_timeout_s": "test_store_failures.py::test_a_locked_database_is_waited_for_then_named",
    "database.reconnect_s": "test_store_failures.py::test_a_server_that_stays_away",
    "health_checks.max_age": "test_health_sweep.py::test_stale_facts_are_unknown_with_their_age",
    "health_checks.chunk_devices": "test_health_sweep.py::test_reads_are_as_few_as_the_granularity_allows",
    "health_checks.concurrency": "test_health_sweep.py::test_a_broken_console_is_left_alone_after_two_clients",
    "health_checks.timeouts": "test_health_sweep.py::test_a_vendor_that_hangs_delays_nobody_else",
}


def test_no_option_is_without_effect(run: Run) -> None:
    """Each option of the schema is shown to do something, and the tests named for it exist."""
    schema = json.loads(run("config", "schema", "--json").out)["properties"]
    known = {*HERE_SHOWN, *SHOWN_ELSEWHERE, *LATER}
    found = {
        f"{section}.{name}"
        for section, part in schema.items()
        if section in OURS
        for name in part.get("properties", {})
    }
    assert found - known == set()
    assert known - found == set()
    for option, place in SHOWN_ELSEWHERE.items():
        file, _, name = place.partition("::")
        [path] = HERE.glob(f"plugins/*/tests/{file}")
        text = path.read_text()
        assert re.search(rf"def {name}\b", text) if name else option.partition(".")[2] in text, (
            place
        )

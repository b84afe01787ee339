"""Counted budgets: what commands import, what they ask the database, what a sweep asks the vendors.

Numbers that are counted are the same on every machine, so they hold in the tests; times are for `make bench`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from msp_core.testing import run_cli

BIN = Path(sys.executable).parent
PROGRAM = str(BIN / "msp-toolkit")
MODULES = f"""
import runpy, sys
sys.path[0], sys.argv[0] = {str(BIN)!r}, {PROGRAM!r}
try:
    runpy.run_path({PROGRAM!r}, run_name="__main__")
finally:
    print(*(name for name, module in sys.modules.items() if module), file=sys.stderr)
"""
HEAVY = {
    *("aiohttp", "asyncssh", "cattrs", "cryptography", "httpx", "importlib_metadata", "jinja2"),
    *("keyring", "numpy", "psutil", "psycopg", "pydantic", "rich", "tomli_w", "yaml"),
}
CLIENTS = 30


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a workspace with clients, and a warm index."""
    folder = tmp_path_factory.mktemp("budgets")
    names = "\n".join(f"Client {number}" for number in range(CLIENTS))
    (folder / "clients.csv").write_text(f"name\n{names}\n")
    for words in (["init", "--no-input"], ["client", "import", "clients.csv"], ["client", "list"]):
        _run(folder, *words)
    return folder


def _run(folder: Path, *words: str) -> set[str]:
    """Run a command in a process of its own and return the modules it imported."""
    apart = ("MSP_", "COVERAGE")  # measuring coverage imports modules of its own
    env = {name: value for name, value in os.environ.items() if not name.startswith(apart)}
    env |= {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", MODULES, *words],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_help_imports_no_plugin(workspace):
    """With a warm index `--help` costs Typer and little else."""
    _run(workspace, "--help")
    modules = _run(workspace, "--help")
    ours = sorted(name for name in modules if name.startswith("msp_"))
    assert set(ours) <= {
        "msp_core", "msp_core.__main__", "msp_core.cli", "msp_core.errors", "msp_core.index",
        "msp_core.program", "msp_core.workspace",
    }  # fmt: skip
    assert not modules & {"asyncio", "attr", "importlib_metadata", "logging", "peewee", *HEAVY}
    assert len(modules) < 170


def test_client_list_imports_what_it_shows(workspace):
    """A list of clients loads the store and the clients, and of other features only what knows a figure."""
    modules = _run(workspace, "client", "list")
    assert not modules & HEAVY
    features = ("msp_health", "msp_inventory", "msp_alerts", "msp_http", "msp_lab", "msp_rmm")
    others = sorted(name for name in modules if name.startswith(features) and "." in name)
    assert [name for name in others if not name.endswith((".plugin", ".migrations"))] == [
        "msp_health.freshness", "msp_inventory.default", "msp_inventory.figures",
        "msp_inventory.kinds", "msp_inventory.tables",
    ]  # fmt: skip
    assert not modules & {"msp_core.adapters", "msp_core.checks", "msp_core.facts", "zoneinfo"}
    assert len(modules) < 340


def test_one_command_loads_the_plugins_it_needs(workspace):
    """Plugins that neither own the command nor a service or table of it stay unloaded."""
    modules = _run(workspace, "client", "list")
    loaded = {name.split(".")[0] for name in modules if name.endswith(".plugin")}
    assert not {"msp_lab", "msp_check_disk", "msp_http", "msp_transport_ssh"} & loaded


def test_tool_modules_are_light():
    """Whoever lists tools with their parameters, as an MCP server does, loads no driver and no vendor's library."""
    code = (
        "import sys; from msp_core.config import Config; from msp_core.toolkit import open_registry\n"
        "from msp_core.records import Tool; from msp_core.schema import parameters\n"
        "registry = open_registry(Config.read(None)); tools = registry.records(Tool)\n"
        "before = set(sys.modules)\n"
        "for tool in tools: parameters(registry.load(tool.run))\n"
        "print(len(tools), *(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    number, *modules = done.stdout.split()
    assert int(number) > 50
    assert not HEAVY.intersection(modules)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note every statement that reads or writes rows."""
    from msp_store.databases import peewee

    noted: list[str] = []
    execute = peewee.Database.execute_sql

    def noting(self, sql, *rest, **more):
        if sql.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            noted.append(sql)
        return execute(self, sql, *rest, **more)

    monkeypatch.setattr(peewee.Database, "execute_sql", noting)
    return noted


@pytest.mark.parametrize(
    ("words", "at_most"),
    [
        (("client", "list"), 5),
        (("client", "show", "client-7"), 6),
        (("device", "list", "client-7"), 5),
        (("health", "status", "client-7"), 5),
        (("health", "status", "--all"), 6),
        (("health", "history", "client-7", "--days", "7"), 4),
        (("alert", "list"), 3),
    ],
)
def test_statements_of_a_command(workspace, statements, words, at_most):
    """A command asks the database a fixed number of times, one of them for the state of the tables."""
    done = run_cli(*words, cwd=workspace)
    assert done.code in (0, 3), done.err
    assert len(statements) <= at_most, "\n".join(statements)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, object]]:
    """Connect a workspace to a lab of 6 clients with 60 devices, and sync."""
    from msp_lab.installation import overlay_text
    from msp_lab.process import Size, lab_process

    folder = tmp_path_factory.mktemp("fleet")
    size = Size(clients=6, devices=60)
    with lab_process(size) as lab:
        (folder / "msp-toolkit.toml").write_text(overlay_text(lab, size))
        done = run_cli("client", "sync", "--all", "--create", cwd=folder)
        assert done.code == 0, done.err
        yield folder, lab


def _requests(lab) -> dict[str, dict[str, int]]:
    state = lab.ask("GET", "/state")
    return {vendor: dict(counts) for vendor, counts in state["requests"].items()}


def test_requests_of_a_sweep(fleet):
    """A sweep reads each vendor's lists once, and only what a vendor has per computer once per computer."""
    folder, lab = fleet
    before = _requests(lab)
    done = run_cli(
        "health", "check", "--all", *_types("cpu", "memory", "disk", "services"), cwd=folder
    )
    assert done.code in (0, 1, 2, 3), done.err
    counts = {
        vendor: {
            path: number - before[vendor].get(path, 0)
            for path, number in paths.items()
            if number > before[vendor].get(path, 0)
        }
        for vendor, paths in _requests(lab).items()
    }
    services = sum(number for path, number in counts["automate"].items() if "Services" in path)
    devices = sum(
        1 for line in run_cli("device", "list", "--all", "--as", "csv", cwd=folder).out.splitlines()
    )
    assert 0 < services <= devices
    assert sum(counts["automate"].values()) - services <= 6, counts["automate"]
    assert sum(counts["ninjaone"].values()) <= 8, counts["ninjaone"]


def _types(*checks: str) -> list[str]:
    return [word for check in checks for word in ("--type", check)]

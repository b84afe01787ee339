"""What is imported, and when: one command must stay cheap."""

import json
import os
import subprocess
import sys

import pytest


def modules_after(code):
    """Run code in a new process and return the modules it has loaded."""
    # Measuring coverage imports modules of its own
    environment = {name: value for name, value in os.environ.items() if "COV" not in name}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_plugin_module_imports_nothing_of_ours():
    """plugin.py costs no implementation."""
    loaded = modules_after("import msp_store.plugin")
    assert {name for name in loaded if name.startswith("msp_store")} == {
        "msp_store",
        "msp_store.plugin",
    }
    assert not loaded & {"peewee", "psycopg", "sqlite3", "asyncio"}


@pytest.mark.parametrize("module", ["msp_store.api", "msp_store.tools", "msp_store.settings"])
def test_the_api_is_light(module):
    """The api and the tools load no database driver."""
    loaded = modules_after(f"import {module}")
    assert not loaded & {"peewee", "psycopg", "sqlite3"}


def test_a_sqlite_session_never_loads_the_postgresql_driver():
    """Opening, writing, reading: no psycopg, no anyio, no HTTP client, no rich."""
    loaded = modules_after(
        "import asyncio, tempfile, pathlib\n"
        "from msp_store.databases import SqliteTarget\n"
        "from msp_store.engine import DatabaseStore\n"
        "from msp_core.v1 import Migrations\n"
        "from msp_store.api import Model, TextField, fn\n"
        "async def main():\n"
        "    with tempfile.TemporaryDirectory() as folder:\n"
        "        target = SqliteTarget(path=pathlib.Path(folder) / 'x.db')\n"
        "        store = DatabaseStore(target, [Migrations(id='store', package='msp_store.migrations')])\n"
        "        await store.write(lambda tx: tx.emit('a', {}))\n"
        "        assert await store.read(lambda tx: tx.db.execute_sql('select 1').fetchone()) == (1,)\n"
        "        await store.aclose()\n"
        "asyncio.run(main())"
    )
    assert "peewee" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {
        "psycopg",
        "psycopg_binary",
        "anyio",
        "httpx",
        "rich",
    }


def test_hiding_the_drivers_leaves_no_trace():
    """After peewee is loaded, psycopg can be imported as ever."""
    loaded = modules_after(
        "from msp_store.api import Model\nimport psycopg\nassert psycopg.connect"
    )
    assert "psycopg" in loaded


def test_postgresql_works_when_somebody_imported_psycopg_first():
    """The order of imports does not matter."""
    modules_after(
        "import psycopg, peewee\nfrom msp_store.testing import open_store\nopen_store('postgresql://127.0.0.1:1/x')"
    )

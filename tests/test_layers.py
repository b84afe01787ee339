"""Who may import whom, held against the tree and against planted breaches."""

import re
from pathlib import Path

import pytest

from scripts import layers

ROOT = Path(__file__).parents[1]


def plant(root: Path, plugin_id: str, files: dict[str, str], requires: str = "") -> None:
    package = f"msp_{plugin_id.replace('-', '_')}"
    home = root / "plugins" / plugin_id
    source = home / "src" / package
    source.mkdir(parents=True)
    listed = ", ".join(f'"{name}>=0.1"' for name in requires.split())
    (home / "pyproject.toml").write_text(
        f'[project]\nname = "msp-{plugin_id}"\ndependencies = [{listed}]\n',
        encoding="utf-8",
    )
    for name, text in {"__init__.py": "", **files}.items():
        (source / name).write_text(text, encoding="utf-8")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Give a small workspace in which every import is in its place."""
    (tmp_path / "msp_core").mkdir()
    (tmp_path / "msp_core" / "__init__.py").write_text("import attrs\n", encoding="utf-8")
    plant(
        tmp_path,
        "store",
        {"api.py": "from msp_core.v1 import Context\nimport peewee\n"},
    )
    plant(tmp_path, "http", {"api.py": "from msp_core import v1\nimport httpx\n"})
    plant(tmp_path, "hosts", {"api.py": "from msp_core.v1 import Target\n", "inside.py": "x = 1\n"})
    plant(
        tmp_path,
        "clients",
        {
            "api.py": "from msp_core.v1 import Client\n",
            "tools.py": "from typing import TYPE_CHECKING\nfrom msp_clients.api import Clients\n"
            "from msp_clients.words import re\nif TYPE_CHECKING:\n    import peewee\nfrom msp_core.v1 import Context\n"
            "def late():\n    from msp_clients.book import x\n    return x\n",
            "words.py": "import re\nimport attrs\n",
            "book.py": "from msp_store.api import Store\nx = Store\n",
            "plugin.py": "import typing\nfrom msp_core.v1 import Tool\n"
            "RUN = 'msp_clients.tools:late'\nTYPE = 'msp_core.protocols:Guard'\n",
        },
        requires="msp-core msp-store",
    )
    plant(
        tmp_path,
        "rmm-a",
        {"adapter.py": "import msp_http.api\n"},
        requires="msp-core msp-http",
    )
    plant(
        tmp_path,
        "transport-a",
        {"session.py": "from msp_hosts.api import KeptOutput\n"},
        requires="msp-core msp-hosts",
    )
    return tmp_path


def test_the_tree_keeps_the_rules() -> None:
    """No import of the repository breaks a rule."""
    assert layers.violations(ROOT) == []


def test_a_tidy_house_is_left_alone(house: Path) -> None:
    """The rules allow what plugins need."""
    assert layers.violations(house) == []


@pytest.mark.parametrize(
    ("plugin_id", "name", "text", "rule"),
    [
        ("health", "run.py", "from msp_core.errors import Oops\n", "msp_core.v1 alone"),
        ("health", "run.py", "import msp_core\n", "msp_core.v1 alone"),
        (
            "health",
            "run.py",
            "from msp_clients.book import x\n",
            "through msp_clients.api only",
        ),
        (
            "health",
            "run.py",
            "from msp_clients.api import Clients\n",
            "declared dependencies",
        ),
        (
            "health",
            "run.py",
            "def f():\n    import msp_rmm_a.adapter\n",
            "nobody imports a leaf",
        ),
        ("health", "run.py", "import msp_http.api\n", "does not import a foundation"),
        ("health", "run.py", "import msp_hosts.api\n", "does not import a foundation"),
        ("mcp-server", "run.py", "import msp_hosts.api\n", "does not import a foundation"),
        ("host-x", "run.py", "import msp_hosts.inside\n", "through msp_hosts.api only"),
        ("host-x", "run.py", "import msp_hosts.api\n", "declared dependencies"),
        ("health", "run.py", "import httpx\n", "imports httpx"),
        ("health", "plugin.py", "import attrs\n", "plugin.py imports"),
        ("health", "plugin.py", "from msp_health.api import X\n", "plugin.py imports"),
        (
            "health",
            "plugin.py",
            'RUN = "msp_rmm_a.adapter:run"\n',
            "nobody imports a leaf",
        ),
        ("health", "tools.py", "import peewee\n", "this brings peewee"),
        (
            "health",
            "tools.py",
            "from msp_health.plan import plan\n",
            "this brings jinja2",
        ),
        (
            "check-x",
            "check.py",
            "from msp_clients.api import Clients\n",
            "does not import",
        ),
        ("check-x", "check.py", "from msp_store.api import Store\n", "does not import"),
        (
            "mcp-server",
            "serve.py",
            "from msp_clients.api import Clients\n",
            "does not import",
        ),
        ("health", "run.py", "import msp_dashboard.page\n", "nobody imports a surface"),
    ],
)
def test_a_breach_is_named(house: Path, plugin_id: str, name: str, text: str, rule: str) -> None:
    """Each rule catches the import that breaks it, and only that one."""
    plant(house, "dashboard", {})
    plan = {"plan.py": "import jinja2.sandbox as plan\n"}
    plant(house, plugin_id, {name: text, **plan}, requires="msp-core")
    (broken,) = layers.violations(house)
    assert rule in broken
    assert f"/{name}:" in broken


def test_a_testing_module_may_use_the_kit(house: Path) -> None:
    """What a plugin offers to tests may stand on the test kit; its other modules may not."""
    files = dict.fromkeys(["testing.py", "run.py"], "from msp_core.testing import kit\n")
    plant(house, "health", files, requires="msp-core")
    (broken,) = layers.violations(house)
    assert "/run.py:1" in broken


def test_the_kernel_knows_no_plugin(house: Path) -> None:
    """The kernel may not import what stands on it, not even inside a function."""
    (house / "msp_core" / "cli.py").write_text(
        "def f() -> None:\n    import msp_clients.api\n", encoding="utf-8"
    )
    (broken,) = layers.violations(house)
    assert "the kernel imports nothing above it" in broken


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("cli.py", "def f() -> None:\n    from msp_core.testing import run_cli\n", "of the kit"),
        ("builtin.py", "RUN = 'msp_core.testing.authoring:new'\n", "of the kit"),
        ("testing/plugin.py", "import msp_core.registry\n", "plugin.py imports msp_core.v1"),
        ("testing/plugin.py", "RUN = 'msp_core.testing.authoring:new'\n", None),
        ("testing/authoring.py", "import msp_core.registry, msp_core.testing.kinds\n", None),
    ],
)
def test_the_kit_stands_on_the_kernel(house: Path, name: str, text: str, rule: str | None) -> None:
    """The kernel names nothing of the kit, which is a plugin like others and uses the kernel as it likes."""
    (house / "msp_core" / "testing").mkdir()
    (house / "msp_core" / name).write_text(text)
    broken = layers.violations(house)
    assert [rule in one for one in broken] == [True] if rule else not broken


def test_tests_of_plugins_use_nothing_private_of_the_kernel() -> None:
    """What they need of it is in `msp_core.testing`, as for the authors of other plugins."""
    private = re.compile(r"from msp_core\.(?!testing)\S+ import (?:\([^)]*?|[^(\n]*?)\b_[a-z]\w*")
    found = [
        f"{path.name}: {match[0]}"
        for path in sorted(ROOT.glob("plugins/*/tests/*.py"))
        for match in private.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []

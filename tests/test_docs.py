"""What the documents say about the code, held against the code."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from msp_core import errors, testing, v1
from msp_core.builtin.configuration import KERNEL_SECTIONS
from msp_core.testing import authoring, conformance, isolated, run_cli
from scripts import hookspecs

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PROGRAMS = Path(sys.executable).parent
DOCUMENTS = [
    ROOT / "README.md",
    *sorted(DOCS.rglob("*.md")),
    *sorted(ROOT.glob("plugins/*/README.md")),
]
# What stands for a value, and commands of plugins that a document makes up
EXAMPLES = {"acme-greeting", "acme-load", "acme-hello", "acme-wake"}


def document_id(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def python_blocks(document: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S)


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MSP_", "PYTEST"))}
    path = f"{PROGRAMS}{os.pathsep}{kept['PATH']}"
    return kept | {"HOME": str(home), "NO_COLOR": "1", "PATH": path, **more}


def run(words: list[str] | str, cwd: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    line = ["bash", "-c", words] if isinstance(words, str) else words
    env = environment(cwd, **more)
    return subprocess.run(line, cwd=cwd, env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with this machine in it, as the documents assume."""
    folder = tmp_path_factory.mktemp("workspace")
    for line in ("init --no-input", "client sync local --create"):
        done = run(["msp-toolkit", *line.split()], folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_every_command_that_a_document_names_exists() -> None:
    """`msp-toolkit ...` in a block or in a line of text leads to a command that has help."""
    named: dict[tuple[str, ...], str] = {}
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for match in re.finditer(
            r"msp-toolkit ((?:--[\w-]+(?: \w+\.\w+=\S+)? )*)([a-z][^\n`|#]*)", text
        ):
            words = []
            for word in match[2].split():
                if not re.fullmatch(r"[a-z][a-z-]*", word) or len(words) == 2:
                    break
                words.append(word)
            if words and words[0] not in EXAMPLES and not words[0].startswith("msp-"):
                named.setdefault(tuple(words), document_id(document))
    known = known_commands()
    wrong = {
        f"{document}: {' '.join(words)}"
        for words, document in named.items()
        if words not in known and words[:1] not in known
    }
    assert wrong == set()
    assert len(named) > 40


def known_commands() -> set[tuple[str, ...]]:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    return {
        tuple(name.split()) for name in re.findall(r"^\| `([a-z -]+)` \| [A-Z]+ \|", text, re.M)
    }


def test_every_listed_command_has_help(tmp_path: Path) -> None:
    """The list in docs/commands.md is the list of the program, and each command explains itself."""
    found = sorted(known_commands())
    assert len(found) > 50
    with isolated(tmp_path):
        for words in found:
            done = run_cli(*words, "--help", cwd=tmp_path)
            assert done.code == 0, words
            assert "Usage:" in done.out


def test_the_tables_are_those_of_the_code() -> None:
    """The options in docs/configuration.md and the commands in docs/commands.md are up to date."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference.py", "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def options(schema: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    known = schema.get("properties", {})
    for name, one in known.items():
        if name.endswith("_env") and name.removesuffix("_env") in known:
            continue  # every secret's second form
        inner = one.get("additionalProperties")
        deeper = one if one.get("properties") else inner if isinstance(inner, dict) else {}
        more = options(deeper, f"{prefix}{name}." if deeper is one else f"{prefix}{name}.NAME.")
        found |= more
        if not one.get("properties"):
            found.add(f"{prefix}{name}")
    return found


def test_every_option_is_documented_and_every_documented_option_exists(workspace: Path) -> None:
    """Section by section, docs/configuration.md and `config schema` name the same options."""
    schema = json.loads(run(["msp-toolkit", "config", "schema"], workspace).stdout)
    kinds = schema["properties"].pop("adapters")["additionalProperties"]["anyOf"]
    real = {f"[{name}]": options(one) for name, one in schema["properties"].items()}
    for one in kinds:
        head = one["properties"].pop("kind")["enum"][0]
        real[f'kind = "{head}"'] = options(one)
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    told = {}
    for part in text.partition("## All options")[2].split("\n### ")[1:]:
        head = re.search(r"`([^`]+)`", part.splitlines()[0])
        assert head is not None
        told[head[1]] = set(re.findall(r"^\| `([\w.]+)` \|", part, re.M))
    assert told == real
    assert set(KERNEL_SECTIONS) <= set(schema["properties"])


def test_a_new_plugin_is_installed_as_plugin_new_says() -> None:
    """Wherever a document makes a plugin, the next line is the one the command prints."""
    made = authoring.NewPlugin(id="acme-x", folder=Path("./acme-x"), files=("a",)).text()
    printed = re.search(r"pip install .*", made.replace("'acme-x", "'./acme-x"))
    assert printed is not None
    seen = 0
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for name, line in re.findall(r"^\$ \S+ plugin new \w+ (\S+)\n\$ (.*)", text, re.M):
            assert line == printed[0].replace("acme-x", name), document
            seen += 1
    assert seen >= 6


def test_every_error_code_is_documented() -> None:
    """docs/errors.md has each code of the tree with its class, and no other."""
    tree = {(errors.MspError.code, "SystemFailure")}
    todo = [errors.MspError]
    while todo:
        found = todo.pop().__subclasses__()
        todo += found
        tree |= {(one.code, one.__name__) for one in found if one.__module__ == errors.__name__}
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([A-Z_]+)` \| `(\w+)` \|", text, re.M)) == tree


def test_every_plugin_is_in_the_readme() -> None:
    """The table of the README names each plugin there is."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    there = {file.parent.name for file in ROOT.glob("plugins/*/pyproject.toml")}
    assert there == set(re.findall(r"\(plugins/([\w-]+)/README\.md\)", text))


def test_every_module_of_the_kernel_is_in_the_architecture() -> None:
    """The table at its end knows each file."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    there = {file.name for file in (ROOT / "msp_core").glob("*.py")} - {
        "__init__.py",
        "__main__.py",
    }
    assert there == set(re.findall(r"`(\w+\.py)`", text.partition("| `msp_core/` |")[2])) - {
        "plugin.py",
        "api.py",
        "tools.py",
        "service.py",
        "tables.py",
    }


def test_every_decision_is_in_the_list() -> None:
    """docs/decisions/README.md has each page under its own title."""
    listed = dict(
        re.findall(
            r"\| \[\d{4}\]\(([^)]+)\) \| (.+) \|", (DOCS / "decisions/README.md").read_text()
        )
    )
    pages = sorted((DOCS / "decisions").glob("0*.md"))[1:]
    assert listed == {
        page.name: page.read_text().splitlines()[0].split(": ", 1)[1] for page in pages
    }


def test_the_failures_of_plugins_are_told_in_the_loaders_words(tmp_path: Path) -> None:
    """Each reason that docs/when-a-plugin-fails.md quotes is what the loader says in that stage."""
    script = (
        "import json, sys; from pathlib import Path; sys.path.insert(0, 'tests/kernel')\n"
        "from fakes import GOOD_TOOL, install, on_path\n"
        "from test_kernel_isolation import BROKEN, loaded\n"
        "site = Path(sys.argv[1]); install(site, 'good', GOOD_TOOL)\n"
        "[install(site, id, source) for id, (source, *_) in BROKEN.items()]\n"
        "with on_path(site):\n"
        "    found = loaded(site).failures.values()\n"
        "    print(json.dumps([(one.stage, one.reason) for one in found]))\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    stages = {stage for stage, _ in said}
    text = (DOCS / "when-a-plugin-fails.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split(" | ")] for line in text.splitlines()]
    table = [row for row in rows if len(row) == 4 and row[1] in stages]
    assert {row[1] for row in table} == stages
    for row in table:
        for quote in re.findall(r"`([^`]+)`", row[2]):
            start = quote.removesuffix("...").strip()
            assert any(row[1] == stage and start in reason for stage, reason in said), quote


def test_every_failure_of_a_plugin_has_its_test() -> None:
    """Each row of the table in docs/when-a-plugin-fails.md is a row of the second one, which names a test."""
    first, _, second = (DOCS / "when-a-plugin-fails.md").read_text("utf-8").partition("## How this")
    head, told = "what happens", re.findall(r"^\| (.+?) \| `(\S+)` \| `(\w+)` \|$", second, re.M)
    happens = [
        line.split(" | ")[0].removeprefix("| ") for line in first.splitlines() if " | " in line
    ]
    assert happens[0] == head
    assert [row for row, *_ in told] == happens[1:]
    assert len(told) >= 25
    for row, file, name in told:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), row


def test_every_name_of_the_contract_is_explained() -> None:
    """What plugins and their tests import has a text of its own, and a place in the reference."""
    listed = {
        name: set(re.findall(r"\w+", " ".join(re.findall(r"members: \[(.*)\]", text))))
        for name in ("reference.md", "reference-testing.md")
        for text in [(DOCS / name).read_text(encoding="utf-8")]
    }
    silent = []
    for module, page in (
        (v1, "reference.md"),
        (testing, "reference-testing.md"),
        (conformance, ""),
    ):
        for name in module.__all__:
            one = getattr(module, name)
            home = getattr(one, "__module__", "")
            if isinstance(one, type) and not vars(one).get("__doc__"):
                silent.append(name)
            if inspect.isfunction(one) and not one.__doc__:
                silent.append(name)
            if home.startswith("msp_core.testing" if page != "reference.md" else "msp_core."):
                found = listed[page or "reference-testing.md"]
                assert name in found or home == "msp_core.registry", name
    assert silent == []


def test_hookspecs_is_up_to_date() -> None:
    """hookspecs.md is what the script makes of the code."""
    assert (ROOT / "hookspecs.md").read_text(encoding="utf-8") == hookspecs.document()


EXAMPLE_BLOCKS = [block for block in python_blocks(ROOT / "hookspecs.md") if "import" in block]


@pytest.mark.parametrize(
    "block", EXAMPLE_BLOCKS, ids=lambda block: re.findall(r"def (\w+)", block)[0]
)
def test_an_example_of_a_hook_runs(block: str) -> None:
    """Pasted into a plugin, it offers valid records of its hook's kind."""
    from msp_core.hookspecs import record_of

    names: dict[str, Any] = {}
    exec(block, names)
    name = re.findall(r"def (\w+)", block)[0]
    found = list(names[name]())
    assert found
    assert all(isinstance(one, record_of(name)) for one in found)


def test_every_hook_has_an_example() -> None:
    """No hook is documented without one."""
    from msp_core.hookspecs import HOOKS

    assert len(EXAMPLE_BLOCKS) == len(HOOKS)

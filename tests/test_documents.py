"""What the documents tell a reader to type, paste or configure: typed, pasted, configured."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from scripts import constraints
from scripts.documents import Block, blocks

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    *sorted(ROOT.glob("plugins/*/README.md")),
    ROOT / "plugin_template" / "README.md",
]
# CHANGELOG.md is made of fragments; tests/test_docs.py runs the examples of hookspecs.md as hooks
DOCUMENTS = [one for one in DOCUMENTS if one.name not in {"CHANGELOG.md", "hookspecs.md"}]
RUN = {"console", "python", "toml", "yaml", "json"}
SHOWN = {"text", "powershell"}  # output, and what runs on a client's machine
JUDGING = re.compile(r"\b(health check|health status|doctor|config check|credential check)\b(?!s)")
# These take their time: they install plugins, start simulators or wait for servers
SLOW = (
    "docs/getting-started.md",
    "docs/guides/",
    "docs/mcp.md",
    "docs/plugins.md",
    "examples/",
    "plugin_template/",
    "plugins/mcp-server/",
)
# What a reader sees at the end of an example: the plugin does something
SEEN = {
    "docs/plugins.md": ("acme-greeting", "Hello, World", "Every case passed"),
    "examples/acme-banned/README.md": ("runs and must not: Spooler", "Every case passed"),
    "examples/acme-uptime/README.md": ("up for", "Every case passed"),
    "examples/acme-sheet/README.md": ("fleet.csv has 2 rows", "PC-1", "Every case passed"),
    "examples/acme-mounted/README.md": ("mounted", "Every case passed"),
    "examples/acme-wake/README.md": ("Sent to 00:11:22:33:44:55", "Every case passed"),
    "examples/acme-runbooks/README.md": ("Look at the history", "client acme-corp"),
}
FLEET = '[rmm]\nprovider = "mock"\nclients = 3\ndevices = 24\n'
PREPARE = """
msp-toolkit init --no-input && printf '%s' "$FLEET" > config/conf.d/fleet.toml &&
msp-toolkit client sync --all --create && msp-toolkit client sync local --create &&
msp-toolkit health check --all || [ $? -lt 4 ]
"""
# A reader's shell: plugins go into a folder of their own instead of the environment of the tests
SHELL = """
pip() {
  local word names=()
  for word in "${@:2}"; do
    case "$word" in
      -*) ;;
      */*) names+=("$word") ;;
      *) [ -d "${word%%[[]*}" ] && names+=("./$word") && continue
        python -c 'import sys, importlib.metadata as m; m.version(sys.argv[1].split("[")[0])' "$word" || return ;;
    esac
  done
  [ ${#names[@]} = 0 ] || uv pip install -q --offline --no-deps --target "$SITE" "${names[@]}"
}
pytest() { python -m pytest -q -p no:cacheprovider -c /dev/null --rootdir . --import-mode=importlib "$@"; }
until_interrupted() { timeout --preserve-status -s INT 10 "$@" </dev/null || [ $? = 130 ]; }
"""


def document_id(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def typed(block: Block) -> list[str]:
    """Return what is entered into the shell for a block."""
    if block.not_run or block.run_by:
        return []
    if block.kind == "python":
        return [f"python - <<'END_OF_BLOCK'\n{block.text}\nEND_OF_BLOCK"]
    found = []
    for line in block.commands:
        command = line.replace(".venv/bin/", "").strip()
        if "# until Ctrl-C" in command:
            command = f"until_interrupted {command}"
        if "credential set" in command:  # what the reader types at the prompt
            command = f"{command.partition('#')[0]} --stdin <<< s3cret"
        found.append(command)
    return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of somebody who has the toolkit installed, and nothing configured."""
    home = tmp_path_factory.mktemp("home")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MSP_", "PYTEST", "COVERAGE"))}
    cache = os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    return kept | {
        "COLUMNS": "200",
        "FLEET": FLEET,
        "HOME": str(home),
        "NO_COLOR": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "UV_CACHE_DIR": cache,
        "UV_LINK_MODE": "copy",
    }


@pytest.fixture(scope="module")
def prepared(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a small fleet that was synchronised and swept, as most documents assume."""
    folder = tmp_path_factory.mktemp("prepared")
    done = subprocess.run(
        ["bash", "-c", PREPARE], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def follow(lines: list[str], folder: Path, environment: dict[str, str]) -> list[tuple[int, str]]:
    """Enter lines into one shell; return the exit code and the output of each."""
    script = [SHELL]
    for line in lines:
        script += [f"printf '\\036'\n{line}", "printf '\\037%d' $?"]
    script.append("kill $(jobs -p) 2>/dev/null; true")
    env = environment | {"SITE": str(folder / "site"), "PYTHONPATH": str(folder / "site")}
    (folder / "script").write_text("\n".join(script))
    done = subprocess.run(
        ["bash", folder / "script"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=580,
    )
    steps = [part.rpartition("\037") for part in done.stdout.split("\036")[1:]]
    assert len(steps) == len(lines), done.stdout
    return [(int(re.match(r"\d+", code)[0]), said) for said, _, code in steps]  # type: ignore[index]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(one, marks=[pytest.mark.slow] if document_id(one).startswith(SLOW) else [])
        for one in DOCUMENTS
        if any(map(typed, blocks(one)))
    ],
    ids=document_id,
)
@pytest.mark.timeout(600)
def test_a_document_can_be_followed(
    document: Path, prepared: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """Every command and every piece of Python works, in the order in which a reader meets it.

    It all goes into one shell, in a workspace that has been swept; a document that says `init` starts in an empty
    folder. Commands that judge something may find it in a bad state or not know (exit 1, 2 or 3).
    """
    lines = [line for block in blocks(document) for line in typed(block)]
    folder = tmp_path / "workspace"
    if any(line.startswith("msp-toolkit init") for line in lines):
        folder.mkdir()
    else:
        shutil.copytree(prepared, folder)
    for name in ("examples", "plugins", "plugin_template", "docs"):
        (folder / name).symlink_to(ROOT / name)
    if document.name == "releasing.md":  # its reader stands in the clone
        (folder / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    steps = follow(lines, folder, environment)
    story = "\n".join(
        f"$ {line}\n{said}(exit {code})" for line, (code, said) in zip(lines, steps, strict=True)
    )
    for line, (code, said) in zip(lines, steps, strict=True):
        fine = {0, 1, 2, 3} if JUDGING.search(line) else {0}
        assert code in fine, f"{line} exited {code}:\n{story}"
        assert not re.search(r"^(Error: |Traceback)", said, re.M), story
    for wanted in SEEN.get(document_id(document), ()):
        assert wanted in story, story


CONFIGURED = [
    pytest.param(block, id=f"{document_id(one)}:{block.line}")
    for one in DOCUMENTS
    for block in blocks(one)
    if block.kind in ("toml", "yaml", "json") and not (block.not_run or block.run_by)
]


@pytest.fixture(scope="module")
def examples(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugins of examples/ in it, installed."""
    folder = tmp_path_factory.mktemp("configured")
    steps = follow(["pip install ./examples/acme-*"], _linked(folder), environment)
    assert steps[0][0] == 0, steps
    return folder


def _linked(folder: Path) -> Path:
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


@pytest.mark.parametrize("block", CONFIGURED)
def test_a_configuration_is_right(
    block: Block, examples: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """`config check` finds no error in a block of configuration; a credential nobody gave yet is none."""
    if block.kind == "json":
        assert json.loads(block.text)
        return
    file = tmp_path / f"msp-toolkit.{block.kind}"
    file.write_text(block.text, encoding="utf-8")
    done = subprocess.run(
        ["msp-toolkit", "--config", str(file), "config", "check"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(examples / "site")},
        capture_output=True,
        text=True,
    )
    said = f"{block.text}\n{done.stdout}{done.stderr}"
    assert "The configuration is wrong" not in said, said
    assert done.returncode in {0, 1}, said


def test_every_block_is_run_or_says_why_not() -> None:
    """A block is entered, configured, followed by a make target, or gives its reason; the numbers are printed."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    count: Counter[str] = Counter()
    odd = []
    for document in DOCUMENTS:
        for block in blocks(document):
            where = f"{document_id(document)}:{block.line}"
            if block.kind not in RUN | SHOWN or (block.kind == "console" and not block.commands):
                odd.append(f"{where}: {block.kind}")
            if block.kind == "text" and re.search(
                r"^(\$ )?(msp|msp-toolkit|pip|make) ", block.text, re.M
            ):
                odd.append(f"{where}: commands outside a console block")
            if block.run_by and block.run_by.removeprefix("make ") not in targets:
                odd.append(f"{where}: run by {block.run_by}")
            if block.not_run and len(block.not_run.split()) < 3:
                odd.append(f"{where}: {block.not_run} is no reason")
            if block.kind in RUN:
                count[
                    "not run" if block.not_run else "run elsewhere" if block.run_by else "run here"
                ] += 1
            else:
                count["shown"] += 1
    print(dict(count))
    assert odd == []
    assert count["not run"] * 7 <= count["run here"], count


def anchors(document: Path) -> set[str]:
    """Return the anchors that a reader of the document can jump to."""
    heads = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", head.lower()).strip() for head in heads]
    return {re.sub(r"\s", "-", head) for head in plain}


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link points at a file that is there, and at a heading in it."""
    broken = []
    for document in [*DOCUMENTS, *ROOT.glob("*/README.md")]:
        text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", text):
            file = document.parent / target if target else document
            if "://" in target or target.startswith("mailto:"):
                continue
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append(f"{document_id(document)}: {target}#{anchor}")
    assert broken == []


def test_every_dependency_is_accounted_for() -> None:
    """A library that a distribution asks for has its reason in docs/dependencies.md."""
    told = set(re.findall(r"[\w-]+", (ROOT / "docs" / "dependencies.md").read_text().lower()))
    missing = {
        (file.parent.name, name)
        for file in constraints.project_files(ROOT)
        for name in constraints.wanted(file)
        if name not in told and not name.startswith("msp-")
    }
    assert missing == set()

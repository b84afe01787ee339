"""What the documents tell a reader to type, typed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import constraints
from scripts.documents import commands

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
PROGRAMS = Path(sys.executable).parent
# Set-up steps: `make ways` follows those of docs/installation.md, the others need what CI has not
SET_UP = {
    "git",
    "cd",
    "mkdir",
    "copier",
    "pytest",
    "source",
    "uv",
    "python3",
    "pip",
    "pipx",
    "docker",
    "pre-commit",
    "brew",
}
JUDGING = re.compile(r"\b(health check|health status|doctor|config check|credential check)\b(?!s)")


def document_id(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def lines(document: Path) -> list[str]:
    return [line for found in commands(document).values() for line in found]


def program(line: str) -> str:
    words = [word for word in shlex.split(line, comments=True) if "=" not in word]
    return Path(words[0]).name if words else ""


@pytest.mark.parametrize("document", DOCUMENTS, ids=document_id)
def test_every_command_is_of_a_known_kind(document: Path) -> None:
    """A command in a document is ours, a make target, a script that exists, or a set-up step."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in lines(document):
        name = program(line)
        if name == "make":
            wanted = [word for word in line.split()[1:] if "=" not in word]
            assert set(wanted) <= targets, line
        elif name == "python":
            script = next(word for word in line.split()[1:] if not word.startswith("-"))
            assert (ROOT / script).exists(), line
        else:
            assert name in {"msp", "msp-toolkit", *SET_UP}, line


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(found, marks=[pytest.mark.slow] if found.name == "getting-started.md" else [])
        for found in DOCUMENTS
        if found.name != "plugins.md"  # it installs plugins: tests/test_docs.py
        and any("msp" in program(line) for line in lines(found))
    ],
    ids=document_id,
)
@pytest.mark.timeout(300)
def test_the_commands_of_a_document_work(document: Path, tmp_path: Path) -> None:
    """The toolkit's commands succeed in the order in which a reader meets them.

    A line that ends in `&` goes on until the end of the document. Commands that judge something
    may find it in a bad state or not know (exit 1, 2 or 3); the others must succeed.
    """
    dropped = ("MSP_", "PYTEST")
    env = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    path = f"{PROGRAMS}{os.pathsep}{env['PATH']}"
    env |= {"HOME": str(tmp_path), "NO_COLOR": "1", "PATH": path}
    data = tmp_path / "data"
    data.mkdir()
    running: list[subprocess.Popen[bytes]] = []
    try:
        for line in lines(document):
            if program(line) not in {"msp", "msp-toolkit"} or "docker" in line:
                continue
            typed = line.replace(".venv/bin/", "").strip()
            if typed.endswith("&"):
                words = shlex.split(typed.removesuffix("&"))
                running.append(subprocess.Popen(words, cwd=data, env=env))
                continue
            done = subprocess.run(
                ["bash", "-c", typed],
                cwd=data,
                env=env,
                capture_output=True,
                text=True,
                timeout=120,
            )
            said = f"$ {typed}\n{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr, said
            assert done.returncode in ({0, 1, 2, 3} if JUDGING.search(typed) else {0}), said
    finally:
        for process in running:
            process.terminate()
            process.wait(timeout=20)


def anchors(document: Path) -> set[str]:
    """Return the anchors that a reader of the document can jump to."""
    heads = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", head.lower()).strip() for head in heads]
    return {re.sub(r"\s", "-", head) for head in plain}


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link points at a file that is there, and at a heading in it."""
    broken = []
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")]
    for document in [*documents, *ROOT.glob("plugins/*/README.md")]:
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

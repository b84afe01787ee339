"""The habits of the repository that no linter knows."""

import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
PLUGINS = [file.parent for file in PROJECTS[1:]]


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git clone")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda folder: folder.name)
def test_a_plugin_is_a_whole_distribution(plugin: Path) -> None:
    """Each plugin has its name, README, tests, news, types and entry point in the agreed places."""
    declared = project(plugin)
    assert declared["project"]["name"] == f"msp-{plugin.name}"
    assert declared["project"]["license"] == "MIT"
    assert declared["project"]["requires-python"] == ">=3.11"
    package = f"msp_{plugin.name.replace('-', '_')}"
    assert (plugin / "src" / package / "py.typed").is_file()
    assert (plugin / "README.md").stat().st_size > 100
    assert list(plugin.glob("tests/**/test_*.py"))
    assert list(plugin.glob("news/*.md")) or (plugin / "CHANGELOG.md").is_file()
    # tests/outside holds whole packages that stand for other people's distributions
    packages = plugin.glob("tests/**/__init__.py")
    assert not [one for one in packages if "outside" not in one.parts]
    if (plugin / "src" / package / "plugin.py").exists():
        entries = declared["project"]["entry-points"]["msp_toolkit.plugins"]
        assert entries == {plugin.name: f"{package}.plugin"}


@pytest.mark.parametrize("file", PROJECTS, ids=lambda file: file.parent.name)
def test_dependencies_are_bounded(file: Path) -> None:
    """What a distribution asks for has a lower and an upper bound; our own kernel above all."""
    declared = project(file.parent)["project"]
    needs = list(declared.get("dependencies", ()))
    for extra in declared.get("optional-dependencies", {}).values():
        needs += extra
    own = {need for need in needs if re.match(rf"{declared['name']}\[", need)}
    loose = [need for need in needs if need not in own and not (">=" in need and "<" in need)]
    assert loose == []
    if file.parent != ROOT:
        assert any(need.startswith("msp-core>=0.1,<0.2") for need in needs)


def test_news_fragments_are_read() -> None:
    """A fragment with an unknown type would be left out of the changelog."""
    kinds = {kind["directory"] for kind in project(ROOT)["tool"]["towncrier"]["type"]}
    fragments = [*ROOT.glob("news/*"), *ROOT.glob("plugins/*/news/*")]
    names = [file.name for file in fragments if file.name != ".gitignore"]
    good = re.compile(rf"\+?[\w-]+\.({'|'.join(kinds)})\.md")
    assert [name for name in names if not good.fullmatch(name)] == []


def test_every_member_is_found_by_the_others() -> None:
    """A plugin that another one may need is in the root's list of workspace sources."""
    sources = project(ROOT)["tool"]["uv"]["sources"]
    assert [plugin.name for plugin in PLUGINS if f"msp-{plugin.name}" not in sources] == []


def test_test_files_have_names_of_their_own() -> None:
    """Two test files of one name are hard to tell apart in a report."""
    files = [
        *ROOT.glob("tests/**/test_*.py"),
        *ROOT.glob("plugins/*/tests/**/test_*.py"),
    ]
    assert [name for name, n in Counter(file.name for file in files).items() if n > 1] == []


def test_no_machine_is_named() -> None:
    """No tracked file holds a path or registry address of the machine it was written on."""
    forbidden = re.compile(
        r"(?<![\w.])/(work|root|tmp/team)/|pypi\.org/simple|registry\.npmjs|files\.pythonhosted"
    )
    named = []
    for file in tracked():
        if file == Path(__file__) or not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        named += [
            f"{file.relative_to(ROOT)}:{number}"
            for number, line in enumerate(text.splitlines(), 1)
            if forbidden.search(line)
        ]
    assert named == []


def test_nothing_private_is_tracked() -> None:
    """Locks, environments and databases stay out of the repository."""
    names = {file.name for file in tracked()}
    assert names.isdisjoint({"uv.lock", ".env", "package-lock.json", "Thumbs.db"})
    assert [name for name in names if name.endswith((".db", ".sqlite3"))] == []


def test_no_source_file_is_too_long() -> None:
    """A module holds one idea; one beyond 420 lines holds two."""
    files = [*ROOT.glob("msp_core/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]
    files += ROOT.glob("scripts/*.py")
    long = {file.relative_to(ROOT).as_posix(): len(file.read_text().splitlines()) for file in files}
    assert {name: count for name, count in long.items() if count > 420} == {}


def test_workflows_run_the_commands_of_the_makefile() -> None:
    """What the hosted CI runs is what a contributor runs."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = workflow.read_text(encoding="utf-8")
        for command in re.findall(r"^\s*- run: (.+)$", text, re.MULTILINE):
            words = command.split()
            assert words == ["bash", ".ci/run"] or (words[0] == "make" and words[1] in targets)
        used = re.findall(r"uses: \S+@(\S+)", text)
        assert used
        assert all(re.fullmatch(r"[0-9a-f]{40}", version) for version in used)

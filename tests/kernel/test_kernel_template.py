"""A later template reaches a plugin that was made from an earlier one, and what its author wrote stays."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msp_core.testing import Done, authoring, isolated, run_cli, template_tags

LATER = "\nMade from a later template.\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of our own, with a name for commits."""
    folder = tmp_path / "home"
    folder.mkdir()
    with isolated(folder):
        (folder / ".gitconfig").write_text("[user]\nname = Ann\nemail = ann@example.com\n")
        yield folder


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def committed(folder: Path) -> Path:
    """Put everything in a folder under git."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "everything")
    return folder


def changed_template(source: Path, target: Path) -> Path:
    """Return a copy of the template whose README says more, and that has one file more."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".git"))
    readme = target / "template" / "README.md.jinja"
    readme.write_text(readme.read_text().replace("{{ summary }}\n", "{{ summary }}\n" + LATER))
    (target / "template" / "NEWS.md.jinja").write_text("# News of {{ plugin }}\n")
    return target


def edit(plugin: Path) -> None:
    """What an author does to a plugin."""
    readme = plugin / "README.md"
    readme.write_text(readme.read_text() + "\nOur own words.\n")
    (plugin / "src" / "acme_thing" / "more.py").write_text('"""Ours."""\n')
    committed(plugin)


def assert_merged(plugin: Path) -> None:
    """Both are there: what the author wrote, and what is new in the template."""
    readme = (plugin / "README.md").read_text()
    assert LATER in readme
    assert "Our own words." in readme
    assert "<<<<<<<" not in readme
    assert (plugin / "src" / "acme_thing" / "more.py").read_text() == '"""Ours."""\n'
    assert (plugin / "NEWS.md").read_text() == "# News of acme-thing\n"


def test_copier_updates_from_a_tagged_copy(tmp_path: Path) -> None:
    """The template in a repository of its own: rendered at v1, updated to v2 by copier alone."""
    from copier import run_copy, run_update

    kept = tmp_path / "kept"
    shutil.copytree(template_tags.SOURCE, kept)
    committed(kept)
    git(kept, "tag", "v1.0.0")
    plugin = tmp_path / "acme-thing"
    answers = {"plugin": "acme-thing", "kind": "check"}
    run_copy(str(kept), plugin, data=answers, vcs_ref="v1.0.0", defaults=True, quiet=True)
    assert "_commit: v1.0.0" in (plugin / ".copier-answers.yml").read_text()
    edit(plugin)
    later = changed_template(kept, tmp_path / "later")
    shutil.copytree(later, kept, dirs_exist_ok=True)
    committed(kept)
    git(kept, "tag", "v2.0.0")
    run_update(plugin, defaults=True, overwrite=True, quiet=True)
    assert_merged(plugin)
    noted = (plugin / ".copier-answers.yml").read_text()
    assert "_commit: v2.0.0" in noted
    assert "kind: check" in noted


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A plugin written by `plugin new`, and edited."""
    done = run_cli("plugin", "new", "check", "acme-thing", cwd=tmp_path, env=_home(tmp_path))
    assert done.code == 0, done.err
    edit(tmp_path / "acme-thing")
    return tmp_path / "acme-thing"


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version of the toolkit with a changed template."""
    source = changed_template(template_tags.SOURCE, tmp_path / "later")
    monkeypatch.setattr(template_tags, "SOURCE", source)
    monkeypatch.setattr(template_tags, "__version__", "0.9.0")


def _home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def update(plugin: Path, *words: str) -> Done:
    outside = plugin.parent  # the command's caches would make the plugin's folder dirty
    return run_cli("plugin", "update", str(plugin), *words, cwd=outside, env=_home(outside))


def test_a_new_plugin_says_where_it_comes_from(made: Path) -> None:
    """The answers name the version, and a place that is nobody's home."""
    noted = (made / ".copier-answers.yml").read_text()
    assert f"_commit: v{template_tags.__version__}\n" in noted
    assert f"_src_path: {template_tags.PLACE}\n" in noted


def test_a_new_plugin_gets_what_is_new(made: Path, later: None) -> None:
    """`plugin update` merges a later template, and again finds nothing to do."""
    done = update(made)
    assert done.code == 0, done.err
    assert "-> v0.9.0, 3 files changed." in done.out
    assert_merged(made)
    committed(made)
    assert "is as the template of v0.9.0 has it" in update(made).out


def test_copier_itself_updates_a_new_plugin(made: Path, later: None) -> None:
    """What `plugin new` leaves is enough for copier once the later template is noted."""
    from copier import run_update

    template_tags.note_template()
    run_update(made, defaults=True, overwrite=True, quiet=True)
    assert_merged(made)


def test_what_both_changed_is_left_to_the_author(made: Path, later: None) -> None:
    """One line changed on both sides stays with both texts, and the exit code says that somebody must decide."""
    readme = made / "README.md"
    readme.write_text(readme.read_text().replace("From here on a warning", "Mine"))
    committed(made)
    theirs = template_tags.SOURCE / "template" / "README.md.jinja"
    theirs.write_text(theirs.read_text().replace("From here on a warning", "Theirs"))
    done = update(made)
    assert done.code == 1
    assert "decide between <<<<<<< and >>>>>>>: README.md" in done.out
    assert "| Mine. |" in readme.read_text()
    assert "| Theirs. |" in readme.read_text()


def test_a_dry_run_updates_nothing(made: Path, later: None) -> None:
    """It only says from which version to which."""
    done = update(made, "--dry-run")
    assert "v0.9.0" in done.out
    assert not (made / "NEWS.md").exists()


def test_uncommitted_work_is_not_risked(made: Path, later: None) -> None:
    """An update that cannot be undone is refused."""
    (made / "README.md").write_text("not committed")
    done = update(made)
    assert done.code == 1
    assert "commit everything first" in done.err
    assert (made / "README.md").read_text() == "not committed"


def test_a_template_nobody_has_here_names_the_way_to_it(made: Path, later: None) -> None:
    """On another machine the older version has to note its template first."""
    shutil.rmtree(Path(template_tags.PLACE).expanduser())
    done = update(made)
    assert done.code == 1
    assert (
        f"uvx --from 'msp-core[testing]=={authoring_version(made)}' msp plugin update" in done.err
    )


def authoring_version(plugin: Path) -> str:
    line = (plugin / authoring.ANSWERS).read_text().splitlines()[0]
    return line.removeprefix("_commit: v")


def test_a_folder_that_was_not_made_from_the_template_is_left_alone(tmp_path: Path) -> None:
    """It says what is missing."""
    done = update(tmp_path / "home")
    assert done.code == 1
    assert ".copier-answers.yml does not say" in done.err


def test_without_git_a_plugin_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It only cannot be updated later."""
    python: Callable[[str], str] = os.path.dirname
    monkeypatch.setenv("PATH", python(sys.executable))
    monkeypatch.setattr("shutil.which", lambda name, **_: None if name == "git" else name)
    done = run_cli("plugin", "new", "tool", "acme-thing", cwd=tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "acme-thing" / "pyproject.toml").is_file()
    assert "does not say" in update(tmp_path / "acme-thing").err


def test_a_template_that_changed_within_a_version_is_noted_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever works on the template itself renders what is there now."""
    before = template_tags.note_template()
    monkeypatch.setattr(
        template_tags, "SOURCE", changed_template(template_tags.SOURCE, tmp_path / "later")
    )
    assert template_tags.note_template() == before
    place = Path(template_tags.PLACE).expanduser()
    assert "template/NEWS.md.jinja" in git(place, "ls-tree", "-r", "--name-only", str(before))

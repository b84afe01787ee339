"""The template as a git repository with a tag for each version seen here, so that copier can merge a later one.

copier updates from tags, and the template comes inside a wheel. So each use of this version notes it as a tag.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from msp_core import __version__
from msp_core.v1 import SystemFailure

SOURCE = Path(__file__).parent / "template"
PLACE = "~/.local/share/msp-toolkit/plugin-template"
"""As it stands in `.copier-answers.yml`: it names nobody's home."""
ANSWERS = ".copier-answers.yml"
_SECONDS = 60


def tag_of(version: str) -> str:
    """Return the tag of a version."""
    return f"v{version}"


def note_template() -> str | None:
    """Keep the template of this version under its tag; return the tag, or None on a machine without git."""
    if shutil.which("git") is None:
        return None
    place = Path(PLACE).expanduser()
    tag = tag_of(__version__)
    place.mkdir(parents=True, exist_ok=True)
    if not (place / ".git" / "HEAD").exists():
        _git(place, "init", "--quiet")
        # Older versions of copier need a HEAD, and one that is as the empty work tree is
        nothing = _git(place, "hash-object", "-t", "tree", "-w", os.devnull)
        first = _git(place, "commit-tree", nothing, "-m", "Nothing: the template is in the tags")
        _git(place, "update-ref", "HEAD", first)
    with tempfile.TemporaryDirectory() as folder:
        # An index of its own and no work tree: several may do this at once
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index"), "GIT_WORK_TREE": str(SOURCE)}
        _git(place, "add", "--all", "--force", ".", env=index, cwd=SOURCE)
        tree = _git(place, "write-tree", env=index)
    if tag not in tags() or _git(place, "rev-parse", f"{tag}^{{tree}}") != tree:
        commit = _git(place, "commit-tree", tree, "-m", f"The template of msp-core {__version__}")
        _git(place, "tag", "--force", tag, commit)
    return tag


def tags() -> tuple[str, ...]:
    """Return the versions of the template that are kept here, as tags."""
    place = Path(PLACE).expanduser()
    return tuple(_git(place, "tag").split()) if (place / ".git").is_dir() else ()


def _git(place: Path, *words: str, env: Mapping[str, str] = {}, cwd: Path | None = None) -> str:
    """Run git on the kept repository, whatever the settings of the person and of a git hook we may run in."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    ours |= {"GIT_DIR": str(place / ".git"), "GIT_CONFIG_GLOBAL": os.devnull}
    ours |= {"GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    for role in ("AUTHOR", "COMMITTER"):
        ours |= {f"GIT_{role}_NAME": "MSP Toolkit", f"GIT_{role}_EMAIL": "toolkit@localhost"}
    done = subprocess.run(
        ["git", *words],
        cwd=cwd or place,
        env={**ours, **env},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        message = f"The template cannot be kept in {place}: git {words[0]}: {done.stderr.strip()}"
        raise SystemFailure(message, suggestion=f"Mend or remove {place}, and try again.")
    return done.stdout.strip()

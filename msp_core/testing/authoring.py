"""`plugin new` and `plugin update`: for whoever writes a plugin."""

import importlib.util
import keyword
import re
import subprocess
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

import attrs

from msp_core.discovery import discover, slug
from msp_core.testing.template_tags import ANSWERS, PLACE, SOURCE, note_template, tags
from msp_core.v1 import (
    Conflict,
    Context,
    Display,
    Doc,
    InvalidParameters,
    NotFound,
    NotSupported,
    Param,
)

_NAME = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")  # as copier.yml asks for it
KIT = "pip install 'msp-core[testing]'"


class Kind(StrEnum):
    """What a new plugin brings."""

    TOOL = "tool"
    CHECK = "check"
    SOURCE = "source"
    RMM = "rmm"
    SECRETS = "secrets"


@attrs.frozen(kw_only=True)
class NewPlugin:
    """A plugin that was written, and the commands that come next."""

    DISPLAY: ClassVar[Display] = Display(summary=lambda made: made.text())

    id: str
    folder: Path
    files: tuple[str, ...]

    def text(self) -> str:
        """Say what there is and what to do next."""
        if not self.files:
            return f"{self.folder} would be made."
        return (
            f"{self.folder}: {len(self.files)} files. Next:\n"
            f"  pip install -e '{self.folder}[test]'\n"
            f"  msp-toolkit plugin verify {self.id}"
        )


async def new(
    ctx: Context,
    kind: Annotated[Kind, Doc("What it brings."), Param(arg=True)],
    name: Annotated[
        str, Doc("Its name: lower case, hyphens, such as acme-uptime."), Param(arg=True)
    ],
    *,
    into: Annotated[Path | None, Doc("Folder to make it in (default: the current one).")] = None,
    summary: Annotated[str, Doc("One line that says what it does.")] = "",
    author: Annotated[str, Doc("Your name or company.")] = "",
) -> NewPlugin:
    """Write a new plugin that installs, works and passes its tests."""
    require_kit()
    _require_name(name)
    folder = (into or Path.cwd()) / name
    if folder.exists() and any(folder.iterdir()):
        message = f"{folder} exists and is not empty."
        raise Conflict(message, suggestion="Choose another name, or --into another folder.")
    id = slug(name)
    if slug(id) != id or id in {one.id for one in discover()[0]}:
        message = f"A plugin {id!r} is installed already."
        raise Conflict(message, suggestion="Choose another name; it becomes the plugin's id.")
    _require_package(name)
    data = {"plugin": name, "kind": kind.value, "summary": summary, "author": author}
    if ctx.dry_run:
        return NewPlugin(id=id, folder=folder, files=())
    return NewPlugin(id=id, folder=folder, files=_render(folder, data))


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        near = slug(name)
        such = near if _NAME.fullmatch(near) else "acme-uptime"
        message = f"{name!r} is no name for a plugin: lower case letters, digits and hyphens."
        raise InvalidParameters(message, suggestion=f"Such as: {such}.")


def _require_package(name: str) -> None:
    """Refuse a name whose package would hide another one, or be hidden by it."""
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or _is_there(package):
        message = f"{name!r} would be the package {package!r}, and Python has that name already."
        raise Conflict(message, suggestion=f"Put your company's name in front: acme-{name}.")


def _is_there(package: str) -> bool:
    found = importlib.util.find_spec(package)
    return found is not None and found.origin is not None  # a bare folder nearby is none


def _render(folder: Path, data: dict[str, str]) -> tuple[str, ...]:
    from copier import run_copy

    given = {name: value for name, value in data.items() if value}
    tag = note_template()
    template = PLACE if tag else str(SOURCE)
    run_copy(template, folder, data=given, vcs_ref=tag, defaults=True, quiet=True)
    return tuple(
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    )


@attrs.frozen(kw_only=True)
class UpdatedPlugin:
    """What an update of a plugin from its template came to."""

    DISPLAY: ClassVar[Display] = Display(summary=lambda made: made.text())

    folder: Path
    before: str
    after: str
    changed: tuple[str, ...]
    conflicts: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """1 where somebody must decide."""
        return 1 if self.conflicts else 0

    def text(self) -> str:
        """Say what changed and what is left to do."""
        if self.before == self.after and not self.changed:
            return f"{self.folder} is as the template of {self.after} has it."
        lines = [
            f"{self.folder}: {self.before} -> {self.after}, {len(self.changed)} files changed."
        ]
        lines += [f"  decide between <<<<<<< and >>>>>>>: {name}" for name in self.conflicts]
        return "\n".join([*lines, "See: git diff"])


async def update(
    ctx: Context,
    folder: Annotated[
        Path | None, Doc("Folder of the plugin (default: the current one)."), Param(arg=True)
    ] = None,
) -> UpdatedPlugin:
    """Bring what changed in the template into a plugin made from it; what its author wrote stays."""
    require_kit()
    folder = (folder or Path.cwd()).resolve()
    if not folder.is_dir():
        message = f"There is no folder {folder}."
        raise NotFound(message, suggestion="Name the folder of the plugin's source, not its id.")
    before, after = _noted(folder), note_template()
    if after is None:
        raise NotSupported("There is no git on this machine.", suggestion="Install git.")
    if before not in tags():
        message = f"The template of {before} is not known on this machine."
        older = f"uvx --from 'msp-core[testing]=={before.removeprefix('v')}' msp"
        raise NotFound(message, suggestion=f"Let that version note it: {older} plugin update")
    changed: tuple[str, ...] = ()
    if not ctx.dry_run:
        _merge(folder)
        changed = tuple(line[3:] for line in _status(folder))
    return UpdatedPlugin(
        folder=folder,
        before=before,
        after=after,
        changed=changed,
        conflicts=tuple(name for name in changed if _undecided(folder / name)),
    )


def _noted(folder: Path) -> str:
    """Return the version of the template that a plugin was last made from."""
    import yaml

    file = folder / ANSWERS
    try:
        answers = yaml.safe_load(file.read_text(encoding="utf-8"))
        return str(answers["_commit"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        message = f"{file} does not say from which version of the template the plugin was made."
        raise NotFound(
            message,
            suggestion="It is written by 'msp-toolkit plugin new' where git is installed.",
        ) from None


def _merge(folder: Path) -> None:
    from copier import run_update
    from copier.errors import UserMessageError

    try:
        run_update(folder, defaults=True, overwrite=True, quiet=True)
    except UserMessageError as error:
        reason = str(error).strip().splitlines()[0]
        raise Conflict(
            f"{folder} cannot be updated: {reason}",
            suggestion="Put it under git and commit everything first; then the update can be undone.",
        ) from None


def _status(folder: Path) -> list[str]:
    plain = [
        "-c",
        "status.relativePaths=true",
        "-c",
        "core.quotePath=false",
        "-c",
        "color.ui=false",
    ]
    words = ["git", *plain, "status", "--short", "--untracked-files=all", "."]
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def _undecided(file: Path) -> bool:
    return file.is_file() and b"\n<<<<<<< before updating" in b"\n" + file.read_bytes()


def require_kit() -> None:
    """Raise NotSupported with the line that installs it where the kit is missing."""
    if any(importlib.util.find_spec(name) is None for name in ("copier", "hypothesis", "pytest")):
        message = "The kit for plugin authors is not installed."
        raise NotSupported(message, suggestion=f"Run: {KIT}")

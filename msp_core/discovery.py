"""Find installed plugins without importing any of them, and remember what was found."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from msp_core import __version__

GROUP = "msp_toolkit.plugins"
_INDEX_FORMAT = 3


@frozen(kw_only=True)
class Candidate:
    """A plugin that is installed: its entry point and the distribution it comes from. Nothing of it is imported."""

    id: str
    module: str
    distribution: str
    version: str
    summary: str = ""
    location: str = ""
    """The folder the distribution's metadata lies in."""


@frozen(kw_only=True)
class PluginFailure:
    """Why a plugin, or a part of it, is not in use. `stage` is discover, import, register, hook or record."""

    plugin: str
    distribution: str
    version: str
    stage: str
    reason: str
    fix: str = ""


def slug(distribution: str) -> str:
    """Return the plugin id that a distribution may use: its normalised name without a leading `msp-`."""
    normal = "-".join(filter(None, distribution.lower().replace("_", "-").replace(".", "-").split("-")))
    return normal.removeprefix("msp-") or normal


def search_path() -> list[str]:
    """Return the import path without the current folder: being in a folder is no reason to run what lies there."""
    here = os.path.realpath(".")
    prefix = os.path.realpath(sys.prefix)
    kept = []
    for entry in sys.path:
        real = os.path.realpath(entry or ".")
        if real != here or real.startswith(prefix + os.sep):
            kept.append(entry)
    return kept


def discover(
    *, allow: Sequence[str] | None = None, path: list[str] | None = None
) -> tuple[tuple[Candidate, ...], tuple[PluginFailure, ...]]:
    """Read the entry points of every installed distribution; return the plugins, and what was set aside and why.

    `allow` limits plugins to these distributions (servers). Two distributions with one id: the one whose name is the
    id stays. Costs one look into each distribution's folder; reads the metadata of plugins only.
    """
    from importlib_metadata import distributions

    found: list[Candidate] = []
    seen: set[str] = set()
    for distribution in distributions(path=search_path() if path is None else path):
        if GROUP not in (distribution.read_text("entry_points.txt") or ""):
            continue
        points = [point for point in distribution.entry_points if point.group == GROUP]
        name = distribution.metadata["Name"] or ""
        if not points or slug(name) in seen:
            continue  # an earlier place on the path wins, as it does for imports
        seen.add(slug(name))
        found.extend(
            Candidate(
                id=point.name,
                module=point.value.split(":")[0].strip(),
                distribution=name,
                version=distribution.version,
                summary=distribution.metadata.get("Summary") or "",
                location=str(distribution.locate_file("")),
            )
            for point in points
        )
    return _settle(found, allow)


def _settle(
    found: Iterable[Candidate], allow: Sequence[str] | None
) -> tuple[tuple[Candidate, ...], tuple[PluginFailure, ...]]:
    kept: list[Candidate] = []
    failures: list[PluginFailure] = []
    allowed = None if allow is None else {slug(name) for name in allow}
    for candidate in sorted(found, key=lambda one: (one.id, one.distribution)):
        if slug(candidate.distribution) != candidate.id:
            failures.append(
                _refusal(
                    candidate,
                    f"its id {candidate.id!r} does not follow from the distribution's name",
                    f"Name the entry point {slug(candidate.distribution)!r}, or rename the distribution.",
                )
            )
        elif allowed is not None and candidate.id not in allowed:
            failures.append(
                _refusal(
                    candidate,
                    "the distribution is not in plugins.allow",
                    f"Add {candidate.distribution!r} to plugins.allow if you trust it.",
                )
            )
        else:
            kept.append(candidate)
    return tuple(kept), tuple(failures)


def _refusal(candidate: Candidate, reason: str, fix: str) -> PluginFailure:
    return PluginFailure(
        plugin=candidate.id,
        distribution=candidate.distribution,
        version=candidate.version,
        stage="discover",
        reason=reason,
        fix=fix,
    )


@frozen(kw_only=True)
class IndexEntry:
    """What the index remembers of one plugin: enough for help, and to know which plugins to load for what."""

    id: str
    module: str
    distribution: str
    version: str
    summary: str
    location: str
    file: str
    stamp: str
    hooks: tuple[str, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    sections: tuple[str, ...] = ()

    def candidate(self) -> Candidate:
        """Return the candidate this entry was made from."""
        return Candidate(
            id=self.id,
            module=self.module,
            distribution=self.distribution,
            version=self.version,
            summary=self.summary,
            location=self.location,
        )


@frozen(kw_only=True)
class Index:
    """The plugins of this environment as they were when last loaded, with what they offered."""

    entries: tuple[IndexEntry, ...]
    disabled: tuple[str, ...] = ()
    failures: tuple[dict[str, Any], ...] = field(factory=tuple)


def stamp(path: str) -> str:
    """Return what changes when a file or folder does; empty when it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{status.st_mtime_ns}:{status.st_size}"


def _environment_stamp() -> str:
    parts = [__version__, sys.version, str(_INDEX_FORMAT)]
    parts.extend(f"{entry}={stamp(entry)}" for entry in search_path() if os.path.isdir(entry))
    return sha256("\n".join(parts).encode()).hexdigest()


def index_file(config: Path | None) -> Path:
    """Return where the index of this environment and configuration lies (a cache; safe to delete)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    key = sha256(f"{sys.prefix}\n{config}\n{os.getuid() if hasattr(os, 'getuid') else 0}".encode())
    return Path(base) / "msp-toolkit" / f"index-{key.hexdigest()[:16]}.json"


def read_index(config: Path | None) -> Index | None:
    """Return the index if it still describes what is installed and configured; an unreadable one counts as absent."""
    try:
        raw = json.loads(index_file(config).read_bytes())
        if raw["stamp"] != _environment_stamp() or raw["config"] != _config_stamp(config):
            return None
        entries = tuple(
            IndexEntry(
                **{
                    **entry,
                    "hooks": tuple(entry["hooks"]),
                    "tools": tuple(entry["tools"]),
                    "sections": tuple(entry["sections"]),
                }
            )
            for entry in raw["entries"]
        )
        if any(stamp(entry.file) != entry.stamp for entry in entries):
            return None
        return Index(
            entries=entries, disabled=tuple(raw["disabled"]), failures=tuple(raw["failures"])
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_index(config: Path | None, index: Index) -> None:
    """Save the index in one step; failing to is no failure."""
    path = index_file(config)
    data = {"stamp": _environment_stamp(), "config": _config_stamp(config), **asdict(index)}
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_text(json.dumps(data), encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        return


def _config_stamp(config: Path | None) -> str:
    if config is None:
        return ""
    overlays = config.parent / "conf.d"
    parts = [f"{config}={stamp(str(config))}", f"{overlays}={stamp(str(overlays))}"]
    if overlays.is_dir():
        parts.extend(f"{item}={stamp(str(item))}" for item in sorted(overlays.glob("*.toml")))
    return ";".join(parts)

"""Remember what the installed plugins offer, so that help need not import one of them.

The index is a cache: one file for each environment and configuration, valid while the import path, the configuration
and every plugin module are as they were. An unreadable one counts as absent. This module imports no attrs on purpose:
it is on the way of `--help`.
"""

import json
import os
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msp_core import __version__
from msp_core.workspace import overlays

_FORMAT = 6


class IndexEntry(NamedTuple):
    """What is remembered of one plugin: enough for help, and to know which plugins to load for what."""

    id: str
    module: str
    distribution: str
    version: str
    summary: str
    location: str
    file: str
    stamp: str
    offers: dict[str, list[str]]
    """The hooks it implements, each with the ids of what it offers."""
    tools: list[dict[str, Any]]


class Index(NamedTuple):
    """The plugins of an environment as they were when last loaded, and those that failed."""

    entries: list[IndexEntry]
    failures: list[dict[str, Any]]
    checked: str = ""
    """Digest of the configuration that was last found right with these plugins."""


def search_path() -> list[str]:
    """Return the import path without the current folder: being in a folder is no reason to run what lies there."""
    try:
        here = os.path.realpath(".")
    except OSError:  # it was deleted, and nothing can lie in it
        return [entry for entry in sys.path if os.path.isabs(entry)]
    prefix = os.path.realpath(sys.prefix) + os.sep
    return [
        entry
        for entry in sys.path
        if (real := os.path.realpath(entry or ".")) != here or real.startswith(prefix)
    ]


def stamp(path: str) -> str:
    """Return what changes when a file or folder does; empty when it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{status.st_mtime_ns}:{status.st_size}"


def index_file(config: Path | None) -> Path:
    """Return where the index of this environment and configuration lies."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    key = zlib.crc32(f"{sys.prefix}\n{config}".encode())
    return Path(base) / "msp-toolkit" / f"index-{key:08x}.json"


def read_index(config: Path | None) -> Index | None:
    """Return the index if it still describes what is installed and configured, else None."""
    try:
        raw = json.loads(index_file(config).read_bytes())
        if raw["stamp"] != _stamp(config):
            return None
        entries = [IndexEntry(**entry) for entry in raw["entries"]]
        if any(stamp(entry.file) != entry.stamp for entry in entries):
            return None
        return Index(entries, raw["failures"], raw["checked"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_index(config: Path | None, index: Index) -> None:
    """Save the index in one step; not being able to is no failure."""
    path = index_file(config)
    data = {
        "stamp": _stamp(config),
        "entries": [entry._asdict() for entry in index.entries],
        "failures": index.failures,
        "checked": index.checked,
    }
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_text(json.dumps(data), encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        return


def _stamp(config: Path | None) -> list[str]:
    parts = [__version__, sys.version, sys.prefix, str(_FORMAT)]
    parts.extend(f"{entry}={stamp(entry)}" for entry in search_path() if os.path.isdir(entry))
    if config is not None:
        files = [config, config.parent / "conf.d", *overlays(config)]
        parts.extend(f"{file}={stamp(str(file))}" for file in files)
    parts.extend(f"{name}={value}" for name, value in sorted(os.environ.items()) if _sways(name))
    return parts


def _sways(name: str) -> bool:
    """Tell whether an environment variable decides which plugins are used."""
    return name.startswith("MSP_PLUGINS__")


def groups(index: Index) -> Mapping[str, Any]:
    """Return the command tree: word -> tool entry, or word -> {word -> tool entry} for a group."""
    tree: dict[str, Any] = {}
    for entry in index.entries:
        for tool in entry.tools:
            if "cli" not in tool["surfaces"]:
                continue
            *path, last = tool["cli"].split()
            place = tree
            for word in path:
                place = place.setdefault(word, {}).setdefault("commands", {})
            place[last] = {**place.get(last, {}), **tool}
    return tree

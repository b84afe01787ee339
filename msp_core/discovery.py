"""Find installed plugins without importing any of them."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from msp_core import __version__
from msp_core.data import Data
from msp_core.index import IndexEntry, search_path

GROUP = "msp_toolkit.plugins"
KERNEL = "msp-core"
"""This distribution. What it brings is in use wherever the kernel is: nobody allows it, and nobody takes its ids."""


@frozen(kw_only=True, eq=False, repr=False)
class Candidate(Data):
    """A plugin that is installed: its entry point and the distribution it comes from. Nothing of it is imported."""

    id: str
    module: str
    distribution: str
    version: str
    summary: str = ""
    location: str = ""
    """The folder the distribution's metadata lies in."""

    @classmethod
    def of(cls, entry: IndexEntry) -> "Candidate":
        """Return the candidate an index entry was made from."""
        return cls(
            id=entry.id,
            module=entry.module,
            distribution=entry.distribution,
            version=entry.version,
            summary=entry.summary,
            location=entry.location,
        )


@frozen(kw_only=True, eq=False, repr=False)
class PluginFailure(Data):
    """Why a plugin, or a part of it, is not in use. `stage` is allow, discover, import, register, hook or record."""

    plugin: str
    distribution: str
    version: str
    stage: str
    reason: str
    fix: str = ""


def slug(distribution: str) -> str:
    """Return the plugin id that a distribution may use: its normalised name without a leading `msp-`."""
    return _normal(distribution).removeprefix("msp-") or _normal(distribution)


def _normal(distribution: str) -> str:
    return "-".join(
        filter(None, distribution.lower().replace("_", "-").replace(".", "-").split("-"))
    )


def discover(
    *, allow: Sequence[str] | None = None, path: list[str] | None = None
) -> tuple[tuple[Candidate, ...], tuple[PluginFailure, ...]]:
    """Read the entry points of every installed distribution; return the plugins, and what was set aside and why.

    `allow` limits plugins to these distributions (servers), next to the kernel's own. Two distributions with one id:
    the kernel's stays, else `msp-` and the id. Costs one look into each distribution's folder; reads the metadata of
    plugins only, and nothing in archives.
    """
    found: list[Candidate] = []
    newer: dict[str, str] = {}
    seen: set[str] = set()
    for folder in _metadata_folders(search_path() if path is None else path):
        points = _points(_read(folder, "entry_points.txt"))
        if not points:
            continue
        text = _read(folder, "METADATA") or _read(folder, "PKG-INFO")
        metadata = _headers(text)
        name = metadata.get("Name", "")
        if _normal(name) in seen:
            continue  # an earlier place on the path wins, as it does for imports
        seen.add(_normal(name))
        newer[name] = _newer_kernel(text)
        found.extend(
            Candidate(
                id=id,
                module=module,
                distribution=name,
                version=metadata.get("Version", ""),
                summary=metadata.get("Summary", ""),
                location=os.path.dirname(folder),
            )
            for id, module in points
        )
    return _settle(found, allow, newer)


def _metadata_folders(places: Iterable[str]) -> Iterator[str]:
    """Yield the metadata folder of every distribution.

    Read here and not by importlib-metadata: importing that takes as long as loading 40 plugins.
    """
    for place in places:
        try:
            names = sorted(os.listdir(place or "."))
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                yield os.path.join(place or ".", name)


def _read(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _points(text: str) -> list[tuple[str, str]]:
    """Return the id and the module of each plugin that an `entry_points.txt` names."""
    found: list[tuple[str, str]] = []
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            group = line.strip("[]").strip()
        elif group == GROUP and "=" in line and line[0] not in "#;":
            id, _, value = line.partition("=")
            found.append((id.strip(), value.partition(":")[0].partition("[")[0].strip()))
    return found


def _headers(metadata: str) -> dict[str, str]:
    """Read the headers of a METADATA file."""
    lines = metadata.partition("\n\n")[0].splitlines()
    return dict(line.split(": ", 1) for line in reversed(lines) if ": " in line and line[0] > " ")


def _newer_kernel(metadata: str) -> str:
    """Return the version of msp-core that a distribution needs at least, if this kernel is older, else nothing.

    An upper bound is no reason to refuse: the contract stays within `v1`, and `doctor` names it.
    """
    for line in metadata.partition("\n\n")[0].splitlines():
        if re.match(r"Requires-Dist: msp[-_.]core\b", line, re.IGNORECASE) and ";" not in line:
            for least in re.findall(r"(?:>=|~=|==)\s*(\d[\d.]*)", line):
                if _release(least) > _release(__version__):
                    return str(least).rstrip(".")
    return ""


def _release(version: str) -> list[int]:
    """Return the numbers of a version, without trailing zeros; enough to compare releases of the kernel."""
    digits = re.match(r"[\d.]*", version)
    numbers = [int(part) for part in (digits[0] if digits else "").split(".") if part]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


def _settle(
    found: Iterable[Candidate], allow: Sequence[str] | None, newer: Mapping[str, str]
) -> tuple[tuple[Candidate, ...], tuple[PluginFailure, ...]]:
    kept: dict[str, Candidate] = {}
    failures: list[PluginFailure] = []
    allowed = None if allow is None else {slug(name) for name in allow}
    for candidate in sorted(found, key=_precedence):
        refusal = _refusal(candidate, kept, allowed, newer[candidate.distribution])
        if refusal is None:
            kept[candidate.id] = candidate
        else:
            failures.append(refusal)
    return tuple(kept.values()), tuple(failures)


def _precedence(one: Candidate) -> tuple[str, bool, bool, str]:
    plain = not _normal(one.distribution).startswith("msp-")
    return one.id, one.distribution != KERNEL, plain, one.distribution


def _refusal(
    one: Candidate, kept: Mapping[str, Candidate], allowed: Collection[str] | None, least: str
) -> PluginFailure | None:
    """Say why a plugin is not to be used; None where it is. `least` is the later kernel that it needs."""
    stage = "discover"
    if one.distribution == KERNEL:
        return None
    if slug(one.distribution) != one.id:
        reason = f"its id {one.id!r} does not follow from the distribution's name"
        fix = f"Name the entry point {slug(one.distribution)!r}, or rename the distribution."
    elif one.id in kept:
        reason = f"{kept[one.id].distribution} brings a plugin {one.id!r} already"
        fix = "Rename the distribution and its entry point."
    elif allowed is not None and one.id not in allowed:
        stage, reason = "allow", "the distribution is not in plugins.allow"
        fix = f"Add {one.distribution!r} to plugins.allow if you trust it."
    elif least:
        reason = f"it needs msp-core >= {least}, and this is {__version__}"
        fix = f"Run: pip install 'msp-core>={least}'"
    else:
        return None
    return PluginFailure(
        plugin=one.id,
        distribution=one.distribution,
        version=one.version,
        stage=stage,
        reason=reason,
        fix=fix,
    )

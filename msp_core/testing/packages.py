"""What `doctor` says about plugins as packages: slow to import, requirements not met, entry points out of date."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from msp_core.discovery import GROUP, Candidate, slug
from msp_core.index import search_path
from msp_core.registry import BUILTIN
from msp_core.v1 import Context, Finding, Status

SLOW_MS = 100.0
"""A plugin module is data: with the contract loaded, importing one takes a few milliseconds."""
_MEASURE = """
import importlib, json, sys, time
sys.path += json.loads(sys.argv[1])
import msp_core.v1, msp_core.hookspecs
for name in msp_core.v1.__all__:
    getattr(msp_core.v1, name)  # else the first plugin pays for what all of them use
def now():
    # What is spent waiting for a processor is the fault of others
    try:
        with open("/proc/self/schedstat") as file:
            waited = int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        waited = 0.0
    return time.perf_counter() - waited
took = {}
for module in sys.argv[2:]:
    started = now()
    try:
        importlib.import_module(module)
    except BaseException:
        continue
    took[module] = (now() - started) * 1000
print(json.dumps(took))
"""
_MEASURE_SECONDS = 60


async def packages(ctx: Context) -> Iterable[Finding]:
    """Look at the distributions of the plugins in use."""
    import asyncio

    registry = ctx.toolkit.registry
    used = [registry.candidates[id] for id in registry.active() if id != BUILTIN]
    found = [
        *await asyncio.to_thread(lambda: list(slow(used))),
        *unmet(used),
        *stale(search_path()),
    ]
    return found or [Finding(status=Status.OK, message=f"{len(used)} fit together")]


def slow(candidates: Iterable[Candidate]) -> Iterator[Finding]:
    """Import each plugin module in a fresh process and name those that take long, in milliseconds."""
    by_module = {one.module: one for one in candidates}
    if not by_module:
        return
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _MEASURE, json.dumps(search_path()), *by_module],
            capture_output=True,
            text=True,
            timeout=_MEASURE_SECONDS,
            check=False,
        )
        took = json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        message = "how long plugins take to import cannot be measured"
        yield Finding(status=Status.UNKNOWN, message=message, fix="msp-toolkit plugin list")
        return
    for module, one in by_module.items():
        if took.get(module, 0.0) > SLOW_MS:
            yield Finding(
                status=Status.WARNING,
                message=f"{one.id} ({one.distribution}) takes {took[module]:.0f} ms to import",
                fix=f"{module} should import msp_core.v1 alone; tell its author, or: "
                f"msp-toolkit plugin disable {one.id}",
            )


def unmet(candidates: Iterable[Candidate]) -> Iterator[Finding]:
    """Name requirements of plugins that are not installed, or in a version they do not take."""
    from importlib_metadata import PackageNotFoundError, distribution
    from packaging.requirements import InvalidRequirement, Requirement

    for one in candidates:
        try:
            lines = distribution(one.distribution).requires or ()
        except PackageNotFoundError:
            continue
        for line in lines:
            try:
                need = Requirement(line)
            except InvalidRequirement:
                continue
            if need.marker is not None and not need.marker.evaluate({"extra": ""}):
                continue
            try:
                version = distribution(need.name).version
            except PackageNotFoundError:
                version = ""
            if version and need.specifier.contains(version, prereleases=True):
                continue
            kernel = slug(need.name) == "core"
            there = f"{version} is installed" if version else "it is not installed"
            yield Finding(
                status=Status.CRITICAL,
                message=f"{one.id} ({one.distribution} {one.version}) needs {need}, and {there}",
                fix=f"pip install --upgrade {one.distribution}"
                if kernel
                else f"pip install '{need.name}{need.specifier}'",
            )


def stale(path: list[str]) -> Iterator[Finding]:
    """Name editable installations whose pyproject.toml declares other plugins than were installed."""
    from importlib_metadata import distributions

    for one in distributions(path=path):
        folder = _editable(one.read_text("direct_url.json"))
        if folder is None:
            continue
        try:
            project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        declared = project.get("project", {}).get("entry-points", {}).get(GROUP, {})
        installed = {point.name: point.value for point in one.entry_points if point.group == GROUP}
        if declared != installed:
            name = one.metadata["Name"]
            yield Finding(
                status=Status.WARNING,
                message=f"{name}: pyproject.toml declares the plugins {_shown(declared)}, and "
                f"{_shown(installed)} were installed",
                fix=f"pip install -e {folder}",
            )


def _shown(points: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in sorted(points.items())) or "none"


def _editable(text: str | None) -> Path | None:
    try:
        told = json.loads(text or "{}")
        if not told.get("dir_info", {}).get("editable"):
            return None
        return Path(unquote(urlsplit(told["url"]).path))
    except (ValueError, KeyError, AttributeError):
        return None

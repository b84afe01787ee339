"""The plugin under test: found by its real entry point, with what it depends on and nothing else."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from msp_core.config import Config
from msp_core.discovery import Candidate, PluginFailure, discover, slug
from msp_core.environ import Environ
from msp_core.errors import UnknownPlugin
from msp_core.registry import Registry
from msp_core.testing.clock import FixedClock
from msp_core.toolkit import Toolkit
from msp_core.unknown import no_entry_point


def toolkit_for(
    plugin: str,
    folder: Path,
    *,
    also: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    clock: Callable[[], datetime] | None = None,
) -> Toolkit:
    """Return a toolkit with an installed plugin, the plugins it depends on, those in `also`, and no other.

    Raises UnknownPlugin saying why when the plugin is not installed, and PluginError when it fails to load. Without
    `clock` time stands still; `env` is the whole environment.
    """
    registry = registry_for(plugin, also)
    read = Config(None, folder, Environ(env or {}), [("test", dict(config or {}))])
    read.check(registry)
    return Toolkit(read, registry, clock=clock or FixedClock())


def registry_for(plugin: str, also: Sequence[str] = ()) -> Registry:
    """Return a registry of an installed plugin, what it depends on, and those in `also`."""
    candidates, failures = _installed()
    known = {one.id: one for one in candidates}
    for id in (plugin, *also):
        if id not in known:
            raise _not_installed(id, known, failures)
    wanted = {plugin, *also}
    queue = list(wanted)
    while queue:
        for needed in _needs(known[queue.pop()].distribution):
            if needed in known and needed not in wanted:
                wanted.add(needed)
                queue.append(needed)
    return Registry([one for one in candidates if one.id in wanted])


def installed_ids() -> tuple[str, ...]:
    """Return the ids of every plugin that is installed here."""
    return tuple(one.id for one in _installed()[0])


def _not_installed(
    id: str, known: Mapping[str, Candidate], failures: Sequence[PluginFailure]
) -> UnknownPlugin:
    for failure in failures:
        if failure.plugin == id or slug(failure.distribution) == id:
            message = f"Plugin {id!r} is installed and not usable: {failure.reason}."
            return UnknownPlugin(message, suggestion=failure.fix, value=id)
    undeclared = no_entry_point(id)
    if undeclared is not None:
        return undeclared
    near = get_close_matches(id, known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return UnknownPlugin(
        f"No plugin {id!r} is installed in this environment.",
        suggestion=f"{hint}Install it: pip install -e . (installed: {', '.join(sorted(known))}).",
        value=id,
    )


@lru_cache(maxsize=1)
def _installed() -> tuple[tuple[Candidate, ...], tuple[PluginFailure, ...]]:
    return discover()


@lru_cache(maxsize=256)
def _needs(distribution: str) -> tuple[str, ...]:
    from importlib_metadata import requires

    lines = [line for line in requires(distribution) or () if "extra ==" not in line]
    return tuple(slug(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines)

"""What to say about a name nobody offers: what there is, the nearest, what is out of use, what to install."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msp_core.registry import Registry


def instead(
    name: str,
    known: Iterable[str],
    registry: "Registry",
    install: str = "",
    word: str = "Installed",
) -> str:
    """Say what there is instead of a name; `word` heads the list of what there is."""
    ids = sorted(known)
    near = get_close_matches(name, ids, n=1)
    parts = [f"Did you mean {near[0]!r}?"] if near else []
    parts.append(f"{word}: {', '.join(ids) or 'none'}.")
    failed = [one.plugin for one in registry.failures.values() if one.stage != "allow"]
    if registry.disabled:
        parts.append(f"Disabled: {', '.join(sorted(registry.disabled))}.")
    if failed:
        parts.append(f"Failed to load: {', '.join(sorted(failed))}.")
    if registry.disabled or failed:
        parts.append("See: msp-toolkit plugin list.")
    if install:
        parts.append(f"A known plugin provides it: {install}")
    return " ".join(parts)


def not_there(kind: str, line: str, registry: "Registry") -> str:
    """Say why the plugin of a known adapter kind is not in use; `line` is the command that installs it."""
    from msp_core.discovery import slug

    id = slug(line.rpartition(" ")[2])
    if registry.safe_mode:
        return f"no plugin is loaded, so {kind!r} is not checked"
    if id in registry.failures:
        failure = registry.failures[id]
        return f"the plugin for {kind!r} failed: {failure.reason}. {failure.fix}"
    if id in registry.disabled:
        return f"the plugin for {kind!r} is disabled. Run: msp-toolkit plugin enable {id}"
    return f"the plugin for {kind!r} is not installed. Run: {line}"


def may_be_of_one_out_of_use(name: str, registry: "Registry", *, near: bool) -> bool:
    """Tell whether a name nobody knows may be a plugin's that is not in use, so that it is no mistake of the writer.

    `near` says that it looks like one that is known, which speaks for a mistake.
    """
    word, out = name.replace("_", "-"), {*registry.disabled, *registry.failures}
    named = any(word in id or id in word for id in out)
    return registry.safe_mode or named or (bool(out) and not near)


def out_of_use(registry: "Registry") -> str:
    """Name what is disabled or failed, to be put behind a hint; empty where everything is in use."""
    if registry.safe_mode:
        return "; no plugin is loaded"
    names = sorted({*registry.disabled, *registry.failures})
    return f"; disabled or failed: {', '.join(names)}" if names else ""

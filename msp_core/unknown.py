"""What to say about a name nobody offers: what there is, the nearest, what is out of use, what to install."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from msp_core.catalog import COMMANDS
from msp_core.errors import UnknownPlugin

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
        why = _missing(name, install, registry)
        parts.append(f"{why[0].upper()}{why[1:]}")
    return " ".join(parts)


def not_there(kind: str, line: str, registry: "Registry") -> str:
    """Say why the plugin of a known adapter kind or section is not in use; `line` is the command that installs it."""
    if registry.safe_mode:
        return f"no plugin is loaded, so {kind!r} is not checked"
    return _missing(kind, line, registry)


def no_command(
    word: str, known: Iterable[str], registry: "Registry", *, group: bool = False
) -> str:
    """Say why there is no such command at the top, or in a group, and what there is to do."""
    near = get_close_matches(word, list(known), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    if registry.safe_mode:
        return f"There is no command {word!r} while no plugin is loaded (--safe-mode).{hint}"
    if word in COMMANDS and not group:
        why = _missing(word, f"pip install {COMMANDS[word]}", registry)
        return f"There is no command {word!r}: {why}"
    if word in registry.failures and not group:
        return (
            f"There is no command {word!r}: that plugin failed. Run: msp-toolkit plugin show {word}"
        )
    names = sorted({*registry.disabled, *registry.failures})
    out = f" Disabled or failed plugins: {', '.join(names)}." if names else ""
    return f"There is no command {word!r}.{hint}{out}"


def no_service(service: type, registry: "Registry") -> UnknownPlugin:
    """Return the error for a service nobody offers: it belongs to the plugin whose package defines it."""
    from msp_core.discovery import slug

    distribution = service.__module__.split(".")[0].replace("_", "-")
    id, line = slug(distribution), f"pip install {distribution}"
    if registry.safe_mode:
        why, fix = "no plugin is loaded", "Run it without --safe-mode."
    elif id in registry.candidates and id in registry.active():
        why, fix = f"plugin {id!r} is in use and does not", f"See: msp-toolkit plugin show {id}"
    else:
        why, _, fix = _missing(id, line, registry).partition(". ")
    return UnknownPlugin(f"Nothing offers {service.__name__}: {why}.", suggestion=fix)


def no_entry_point(id: str) -> UnknownPlugin | None:
    """Return the error for a plugin whose distribution is installed and does not say that it is one."""
    from importlib_metadata import distributions

    from msp_core.discovery import GROUP
    from msp_core.index import search_path

    for name in (id, f"msp-{id}"):
        found = next(iter(distributions(name=name, path=search_path())), None)
        wants = found.requires or () if found and id else ()
        ours = any(line.startswith("msp-core") for line in wants)
        if found is None or not ours or found.entry_points.select(group=GROUP):
            continue
        line = f'{id} = "{name.replace("-", "_")}.plugin"'
        return UnknownPlugin(
            f"{name} is installed and declares no plugin.",
            suggestion=f'Write {line} below [project.entry-points."msp_toolkit.plugins"] in its pyproject.toml, '
            "and install it again.",
            value=id,
        )
    return None


def _missing(name: str, line: str, registry: "Registry") -> str:
    from msp_core.discovery import slug

    id = slug(line.rpartition(" ")[2])
    if id in registry.failures:
        failure = registry.failures[id]
        return f"the plugin for {name!r} failed: {failure.reason}. {failure.fix}"
    if id in registry.disabled:
        return f"the plugin for {name!r} is disabled. Run: msp-toolkit plugin enable {id}"
    return f"the plugin for {name!r} is not installed. Run: {line}"


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

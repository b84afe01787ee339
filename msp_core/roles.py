"""Which sort of adapter belongs where in the configuration: an RMM under `rmm`, a backup under `backup.providers`."""

from collections.abc import Mapping
from difflib import get_close_matches

from msp_core.adapters import Adapter, Role
from msp_core.catalog import KNOWN_ADAPTERS, distribution_for
from msp_core.structure import Problem

_PLACES = {"rmm": (Role.RMM, "provider"), "backup": (Role.BACKUP, "name")}


def wrong_role(path: str, kind: str, kinds: Mapping[str, Adapter]) -> Problem | None:
    """Return what is wrong with an adapter of another sort in a place for one; `adapters` takes every sort."""
    place = _PLACES.get(path.partition(".")[0])
    if place is None:
        return None
    role, word = place
    if kinds[kind].role is role if kind in kinds else _is_known(kind, role):
        return None
    installed = sorted(name for name, one in kinds.items() if one.role is role)
    known = [name for name in KNOWN_ADAPTERS if _is_known(name, role)]
    near = get_close_matches(kind, sorted({*installed, *known}), n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    hint += f"installed: {', '.join(installed) or 'none'}; known: {', '.join(known)}"
    if kind in kinds:
        hint += f'; write this one as [adapters.NAME] with kind = "{kind}"'
    return Problem(f"{path}.{word}", f"{kind!r} is no {role} adapter", hint)


def _is_known(kind: str, role: Role) -> bool:
    return (distribution_for(kind) or "").startswith(f"msp-{role}-")

"""Which RMM is meant where none is named."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from msp_core.v1 import Problem, Registry, Toolkit

if TYPE_CHECKING:
    from msp_core.v1 import Adapter
    from msp_inventory.settings import InventorySettings


def check(
    settings: "InventorySettings",
    registry: Registry,
    adapters: "Mapping[str, Adapter | None]",
) -> Iterable[Problem]:
    """Say that the default RMM is none that is configured; one whose plugin is not in use may be one."""
    chosen = settings.default_rmm
    adapter = adapters.get(chosen)
    silent = registry.safe_mode or (chosen in adapters and adapter is None)
    if not chosen or silent or (adapter is not None and adapter.role == "rmm"):
        return
    names = sorted(name for name, one in adapters.items() if one is None or one.role == "rmm")
    near = get_close_matches(chosen, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"RMMs: {', '.join(names) or 'none'}"
    yield Problem("inventory.default_rmm", f"no RMM {chosen!r} is configured", hint)


def default_rmm(toolkit: Toolkit) -> str | None:
    """Return the instance whose ids are a client's and a device's RMM id, None where nobody can tell.

    It is the one called `rmm`, else `inventory.default_rmm`, else the only one. That setting may name one whose plugin
    is not in use; then nobody can tell.
    """
    configured = toolkit.config.instances(toolkit.registry)  # of those built in none is an RMM
    names = [one.name for one in configured if one.adapter.role == "rmm"]
    if "rmm" in names:
        return "rmm"
    if toolkit.config.data.get("inventory"):
        from msp_inventory.settings import InventorySettings

        if chosen := toolkit.settings(InventorySettings).default_rmm:
            return chosen if chosen in names else None
    return names[0] if len(names) == 1 else None

"""Which RMM is meant where none is named."""

from msp_core.v1 import ConfigError, Toolkit


def default_rmm(toolkit: Toolkit) -> str | None:
    """Return the instance whose ids are a client's and a device's RMM id, None where nobody can tell.

    It is the one called `rmm`, else `inventory.default_rmm`, else the only one. Raises ConfigError where that setting
    names none.
    """
    configured = toolkit.config.instances(toolkit.registry)  # of those built in none is an RMM
    names = [one.name for one in configured if one.adapter.role == "rmm"]
    if "rmm" in names:
        return "rmm"
    if toolkit.config.data.get("inventory"):
        from msp_inventory.settings import InventorySettings

        chosen = toolkit.settings(InventorySettings).default_rmm
        if chosen and chosen not in names:
            message = f"inventory.default_rmm is {chosen!r}, and no RMM of that name is configured."
            raise ConfigError(
                message,
                suggestion=f"RMMs: {', '.join(names) or 'none'}. Name one, or leave it out.",
            )
        if chosen:
            return chosen
    return names[0] if len(names) == 1 else None

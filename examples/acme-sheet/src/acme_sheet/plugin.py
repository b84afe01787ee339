"""What this plugin offers: an adapter kind."""

from collections.abc import Iterable

from msp_core.v1 import Adapter, ListsClients, ListsDevices, Role, hookimpl


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer `kind = "acme-sheet"`."""
    yield Adapter(
        id="acme-sheet",
        title="Acme spreadsheet",
        role=Role.RMM,
        factory="acme_sheet.adapter:Sheet",
        settings="acme_sheet.adapter:Settings",
        offers=(ListsClients, ListsDevices),
    )

"""What this plugin offers: the service `HttpClients` and the section `http`."""

from collections.abc import Iterable

from msp_core.v1 import Service, Settings, hookimpl


@hookimpl
def msp_services() -> Iterable[Service]:
    """Offer HTTP clients to adapters."""
    yield Service(type="msp_http.api:HttpClients", factory="msp_http.service:create")


@hookimpl
def msp_settings() -> Iterable[Settings]:
    """Type the section `http`."""
    yield Settings(section="http", type="msp_http.settings:HttpSettings")

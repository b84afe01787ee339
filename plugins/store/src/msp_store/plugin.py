"""What the store offers."""

from collections.abc import Iterable

from msp_core.v1 import Migrations, Service, Settings, hookimpl


@hookimpl
def msp_services() -> Iterable[Service]:
    """Offer the database and the outbox."""
    yield Service(type="msp_store.api:Store", factory="msp_store.service:create_store")
    yield Service(type="msp_store.api:Outbox", factory="msp_store.service:create_outbox")


@hookimpl
def msp_settings() -> Iterable[Settings]:
    """Offer the section `[database]`."""
    yield Settings(section="database", type="msp_store.settings:DatabaseSettings")


@hookimpl
def msp_migrations() -> Iterable[Migrations]:
    """Offer the outbox tables."""
    yield Migrations(id="store", package="msp_store.migrations")

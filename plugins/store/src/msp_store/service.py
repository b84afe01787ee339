"""Builds the services of a toolkit from its configuration."""

import asyncio
from typing import TYPE_CHECKING, Any

from msp_core.v1 import ConfigError, Migrations, Secret
from msp_store.databases import PostgresqlTarget, SqliteTarget, Target, conninfo_of
from msp_store.engine import DatabaseStore
from msp_store.settings import DatabaseKind, DatabaseSettings

if TYPE_CHECKING:
    from msp_core.v1 import Toolkit


async def create_store(toolkit: "Toolkit") -> DatabaseStore:
    """Make the store of a toolkit; nothing is opened before the first read or write."""
    settings = toolkit.settings(DatabaseSettings)
    return DatabaseStore(
        await _target(toolkit, settings),
        toolkit.registry.records(Migrations),
        now=toolkit.now,
        readers=settings.readers,
        reconnect_s=settings.reconnect_s,
    )


async def _target(toolkit: "Toolkit", settings: DatabaseSettings) -> Target:
    if settings.type is DatabaseKind.SQLITE:
        toolkit.require_workspace()
        return SqliteTarget(
            path=toolkit.root / settings.path,
            mark=toolkit.config.state_dir / "database",
            busy_timeout_s=settings.busy_timeout_s,
        )
    password = await asyncio.to_thread(_password, toolkit, settings)
    return PostgresqlTarget(
        conninfo=_conninfo(settings, password), busy_timeout_s=settings.busy_timeout_s
    )


def _password(toolkit: "Toolkit", settings: DatabaseSettings) -> Secret | None:
    """Look where the configuration says, else under the usual name; libpq has PGPASSWORD and ~/.pgpass besides."""
    if settings.password is not None:
        return toolkit.secrets.resolve(settings.password)
    return toolkit.secrets.find("database/password")


def _conninfo(settings: DatabaseSettings, password: Secret | None) -> dict[str, Any]:
    if settings.url is not None:
        conninfo = conninfo_of(settings.url)
        if "password" in conninfo:
            raise ConfigError(
                "database.url holds a password, and the configuration is no place for secrets",
                suggestion='Leave it out of the address and set password = "env:DB_PASSWORD"',
            )
    else:
        conninfo = {
            "host": settings.host,
            "port": settings.port,
            "dbname": settings.database,
        }
        if settings.username:
            conninfo["user"] = settings.username
    if password is not None:
        conninfo["password"] = password.reveal()
    conninfo.setdefault("application_name", "msp-toolkit")
    conninfo.setdefault("connect_timeout", 10)
    return conninfo

"""The configuration section `[database]`."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from attrs import field, frozen, validators

from msp_core.v1 import Data, Doc, SecretRef

_PASSWORD = re.compile(r"^[^:]*://[^/@]*:[^/@]+@|(?:^|[?&\s])password\s*=")


def _has_no_password(_: object, attribute: Any, url: str | None) -> None:
    if url is not None and _PASSWORD.search(url):
        message = "it holds a password; leave that out and give its reference in `password`"
        raise ValueError(message, attribute)


class DatabaseKind(StrEnum):
    """Which database."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@frozen(kw_only=True, eq=False, repr=False)
class DatabaseSettings(Data):
    """Where the records are kept."""

    type: Annotated[DatabaseKind, Doc("`sqlite` (one file, no server) or `postgresql`.")] = (
        DatabaseKind.SQLITE
    )
    path: Annotated[
        Path, Doc("SQLite: the file, relative to the workspace; its folder is made where missing.")
    ] = Path("data/msp-toolkit.db")
    url: Annotated[
        str | None,
        Doc("PostgreSQL: a connection address instead of host, port, database and username."),
    ] = field(default=None, validator=_has_no_password)
    host: Annotated[str, Doc("PostgreSQL: host name, or the folder of its socket.")] = "localhost"
    port: Annotated[
        int,
        Doc("PostgreSQL: port."),
    ] = field(default=5432, validator=[validators.ge(1), validators.le(65535)])
    database: Annotated[str, Doc("PostgreSQL: name of the database.")] = "msp_toolkit"
    username: Annotated[str, Doc("PostgreSQL: user; empty means the name of the system user.")] = ""
    password: Annotated[
        SecretRef | None, Doc("PostgreSQL: reference of the password, such as `env:DB_PASSWORD`.")
    ] = None
    readers: Annotated[int, Doc("Reader threads, each with a connection of its own.")] = field(
        default=4, validator=[validators.ge(1), validators.le(64)]
    )
    busy_timeout_s: Annotated[
        float, Doc("How long to wait for another process that is writing.")
    ] = field(default=30.0, validator=validators.ge(0))
    reconnect_s: Annotated[
        float, Doc("How long to keep trying when a database that worked has gone away.")
    ] = field(default=10.0, validator=validators.ge(0))

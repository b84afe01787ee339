"""What the drivers raise, turned into errors a person can act on."""

import sqlite3
from typing import Any

from msp_core.v1 import Conflict, MspError, StoreError
from msp_store.drivers import peewee


class ConnectionLost(StoreError):
    """The connection broke; whether the work can be repeated depends on when."""


_BUSY_HINT = (
    "Another process is writing for a long time: look for other msp-toolkit commands, a scheduler, a backup or an "
    "open database browser on this file"
)
_SQLITE: dict[str, tuple[str, str, str]] = {
    "SQLITE_BUSY": ("busy", "The database is locked by another process", _BUSY_HINT),
    "SQLITE_LOCKED": ("busy", "The database is locked by another process", _BUSY_HINT),
    "SQLITE_FULL": (
        "full",
        "The disk of the database is full; nothing of this write was kept",
        "Free some space, or remove old records with: msp-toolkit db prune",
    ),
    "SQLITE_NOTADB": (
        "not-a-database",
        "The file is not a SQLite database",
        "Correct `path` in the section [database], or restore the file from a backup",
    ),
    "SQLITE_CORRUPT": (
        "corrupt",
        "The database file is damaged",
        "Restore it from a backup, or save what can be read with: sqlite3 FILE .recover",
    ),
    "SQLITE_READONLY": (
        "read-only",
        "The database cannot be written",
        "Give this user write permission for the file and its folder",
    ),
    "SQLITE_PERM": (
        "read-only",
        "The database may not be opened",
        "Give this user permission for the file and its folder",
    ),
    "SQLITE_CANTOPEN": (
        "unreachable",
        "The database file cannot be opened",
        "Check that the folder exists and that this user may write in it",
    ),
    "SQLITE_IOERR": (
        "unreachable",
        "Reading or writing the database file failed",
        "Check the disk (space, file system errors, a network share that went away)",
    ),
}
_POSTGRESQL: dict[str, tuple[str, str, str]] = {
    "53100": (
        "full",
        "The disk of the PostgreSQL server is full; nothing of this write was kept",
        "Free some space on the server, or remove old records with: msp-toolkit db prune",
    ),
    "55P03": (
        "busy",
        "Another process is writing to the database",
        "Look for other msp-toolkit commands or a scheduler; "
        "on the server: SELECT pid, application_name, client_addr, query_start FROM pg_stat_activity",
    ),
    "25006": ("read-only", "The database refuses to be written", "Write to the primary server"),
    "42501": (
        "refused",
        "The database user may not do this",
        "GRANT it the rights on the schema and its tables",
    ),
    "28P01": ("unreachable", "The database refused the user or password", "Check [database]"),
    "28000": ("unreachable", "The database refused the user", "Check [database]"),
    "3D000": ("unreachable", "The database does not exist", "Create it, or correct [database]"),
    "57P01": ("unreachable", "The database server is shutting down", "Try again"),
}


def original(error: BaseException) -> BaseException:
    """Return the driver's own exception inside peewee's."""
    inner = getattr(error, "orig", None) if isinstance(error, peewee.PeeweeException) else None
    return inner if isinstance(inner, BaseException) else error


def translate(error: Exception, where: str) -> Exception:
    """Return the error to raise instead; `where` names the database without its password."""
    if isinstance(error, MspError):
        return error
    inner = original(error)
    if isinstance(error, peewee.IntegrityError) or isinstance(inner, sqlite3.IntegrityError):
        return _conflict(inner)
    if isinstance(inner, sqlite3.Error):
        return _sqlite(inner, where)
    if type(inner).__module__.partition(".")[0] == "psycopg":
        return _postgresql(inner, where)
    if isinstance(inner, OSError):
        return StoreError(
            f"The database cannot be used: {where}: {inner.strerror or inner}",
            suggestion="Check that the folder exists and that this user may write in it",
            reason="unreachable",
        )
    return error


def _conflict(inner: BaseException) -> Conflict:
    return Conflict(
        f"The record contradicts what is stored: {_first_line(inner)}",
        suggestion="Somebody may have recorded the same thing at the same time; look at it and try again",
    )


def _sqlite(inner: sqlite3.Error, where: str) -> Exception:
    name = getattr(inner, "sqlite_errorname", "") or ""
    for prefix, (reason, message, hint) in _SQLITE.items():
        if name.startswith(prefix):
            return StoreError(
                f"{message}: {where}", suggestion=hint, reason=reason, driver_code=name
            )
    if isinstance(inner, (sqlite3.OperationalError, sqlite3.DatabaseError)) and not isinstance(
        inner, sqlite3.ProgrammingError
    ):
        return StoreError(
            f"The database refused a statement: {_first_line(inner)}",
            suggestion="Check it with: msp-toolkit db status",
            reason="refused",
            driver_code=name,
        )
    return inner


def _postgresql(inner: BaseException, where: str) -> Exception:
    import psycopg

    state = str(getattr(inner, "sqlstate", None) or "")
    if isinstance(inner, psycopg.IntegrityError):
        return _conflict(inner)
    if state in _POSTGRESQL:
        reason, message, hint = _POSTGRESQL[state]
        kind = ConnectionLost if state.startswith("57P") else StoreError
        return kind(f"{message}: {where}", suggestion=hint, reason=reason, driver_code=state)
    if isinstance(inner, (psycopg.OperationalError, psycopg.InterfaceError)) and (
        not state or state.startswith(("08", "57P"))
    ):
        return ConnectionLost(
            f"The database cannot be reached: {where}: {_first_line(inner)}",
            suggestion="Check that the server runs and that [database] names it",
            reason="unreachable",
            driver_code=state,
        )
    if isinstance(inner, psycopg.Error):
        return StoreError(
            f"The database refused a statement: {_first_line(inner)}",
            suggestion="Check it with: msp-toolkit db status",
            reason="refused",
            driver_code=state,
        )
    return Exception(str(inner)) if not isinstance(inner, Exception) else inner


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__


def newer(plugin: str, names: list[str], where: str) -> StoreError:
    """Say that the database was written by a newer version of a plugin."""
    return StoreError(
        f"The database is from a newer version of {plugin} (it has {', '.join(names[:3])}): {where}",
        suggestion=f"Install the newer msp-{plugin}, or use the backup made before it was upgraded",
        reason="newer",
        plugin=plugin,
    )


def gone(where: str) -> StoreError:
    """Say that a database file that was there has been removed or replaced."""
    return StoreError(
        f"The database file was there and is gone, or another is in its place: {where}",
        suggestion="Put it back from a backup and run this again; "
        "to begin with an empty one: msp-toolkit db upgrade --create",
        reason="missing",
    )


def unmerged(where: str) -> StoreError:
    """Say that what was recorded last stands in a log that this user may not merge."""
    return StoreError(
        f"The database was not closed properly, and this user may not mend it: {where}",
        suggestion="Run any msp-toolkit command as a user who may write the file and its folder",
        reason="read-only",
    )


def nested(verb: str) -> StoreError:
    """Say that a read or write was started inside another one."""
    details: dict[str, Any] = {"reason": "nested"}
    return StoreError(
        f"A {verb} was started inside the function of another read or write",
        suggestion="Do all of it in one function, or start the second after the first has returned",
        **details,
    )

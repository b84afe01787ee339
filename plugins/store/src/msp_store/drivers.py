"""The only importer of peewee, and of the PostgreSQL driver when that is the database."""

import logging
import sys
from types import ModuleType
from typing import Any

from msp_core.v1 import StoreError

# peewee imports every database driver it finds: psycopg alone costs several times as much as peewee itself, on each
# command. A module that is None in sys.modules counts as not installed.
_UNWANTED = ("psycopg", "psycopg2", "psycopg2cffi", "pymysql", "MySQLdb", "pysqlite3")


def _import_peewee() -> ModuleType:
    hidden = [name for name in _UNWANTED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        import peewee
    finally:
        for name in hidden:
            del sys.modules[name]
    return peewee


def _without_values(record: logging.LogRecord) -> bool:
    """Keep the values of statements out of the log: people and agents wrote them, and they may be secrets."""
    if isinstance(record.msg, tuple):
        record.msg = record.msg[0]
    return True


peewee: Any = _import_peewee()
logging.getLogger("peewee").addFilter(_without_values)

EXCLUDED = peewee.EXCLUDED
JOIN = peewee.JOIN
SQL = peewee.SQL
Case = peewee.Case
CompositeKey = peewee.CompositeKey
IntegrityError = peewee.IntegrityError
Value = peewee.Value
fn = peewee.fn


def load_psycopg() -> Any:
    """Import psycopg 3 and tell peewee about it; raise StoreError with the install line where it is missing."""
    if peewee.psycopg is not None:
        return peewee.psycopg
    try:
        import psycopg
        from psycopg.pq import TransactionStatus
        from psycopg.types.json import Json, Jsonb
    except ImportError as error:
        raise StoreError(
            f"The database is PostgreSQL, and its driver cannot be imported: {error}",
            suggestion="Install it with: pip install 'msp-store[postgresql]'",
            reason="driver",
        ) from error
    adapter = peewee.Psycopg3Adapter
    adapter.txn_idle = TransactionStatus.IDLE
    adapter.txn_inerror = TransactionStatus.INERROR
    adapter.txn_unknown = TransactionStatus.UNKNOWN
    peewee.TransactionStatus = TransactionStatus
    peewee.Json_pg3, peewee.Jsonb_pg3 = Json, Jsonb
    peewee.psycopg = psycopg
    return psycopg

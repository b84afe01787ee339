"""What the function inside a read or write is given."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from msp_store.databases import insert_rows, upsert_rows
from msp_store.models import driver_values, to_micros


class Transaction:
    """The open transaction; implements `msp_store.api.Tx`."""

    def __init__(
        self, database: Any, dialect: Literal["sqlite", "postgresql"], now: datetime
    ) -> None:
        self.db = database
        self.dialect: Literal["sqlite", "postgresql"] = dialect
        self.now = now
        # A sweep writes the same data twice, to the history and to the latest status
        self._written: dict[int, tuple[Any, str]] = {}

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Run SQL written by hand, with `?` for each value, and return the driver's cursor."""
        if self.dialect != "sqlite":
            sql = sql.replace("%", "%%").replace("?", "%s")
        return self.db.execute_sql(sql, values)

    def insert_many(self, table: Any, rows: Sequence[Sequence[Any]], fields: Sequence[Any]) -> int:
        """Insert many rows fast and return their number."""
        if rows:
            names = [field.column_name for field in fields]
            columns = self._driver_columns(rows, fields)
            insert_rows(self.db, table._meta.table_name, names, zip(*columns, strict=True))
        return len(rows)

    def upsert_many(
        self,
        table: Any,
        rows: Sequence[Sequence[Any]],
        fields: Sequence[Any],
        *,
        conflict: Sequence[Any],
        update: Sequence[Any],
    ) -> int:
        """Insert or update many rows fast and return their number."""
        if not rows:
            return 0
        names = [field.column_name for field in fields]
        key = [field.column_name for field in conflict]
        columns = self._driver_columns(rows, fields)
        keys = [columns[names.index(name)] for name in key]
        wanted: Iterable[Sequence[Any]] = zip(*columns, strict=True)
        distinct = len(set(zip(*keys, strict=True)))
        if distinct < len(rows):
            # PostgreSQL refuses to update a row twice in one statement; the last one counts on both
            wanted = dict(zip(zip(*keys, strict=True), wanted, strict=True)).values()
        upsert_rows(
            self.db,
            table._meta.table_name,
            names,
            wanted,
            conflict=key,
            update=[field.column_name for field in update],
        )
        return distinct

    def emit(self, name: str, payload: Mapping[str, Any]) -> None:
        """Add an event to the outbox."""
        now = to_micros(self.now)
        self.execute(
            "INSERT INTO outbox (name, payload, created_at, due_at) VALUES (?, ?, ?, ?)",
            (name, json.dumps(dict(payload), separators=(",", ":"), sort_keys=True), now, now),
        )

    def _driver_columns(
        self, rows: Sequence[Sequence[Any]], fields: Sequence[Any]
    ) -> list[Sequence[Any]]:
        columns = zip(*rows, strict=True)
        return [
            driver_values(field, column, self._written)
            for field, column in zip(fields, columns, strict=True)
        ]

"""What the function inside a read or write is given."""

import json
from collections.abc import Mapping, Sequence
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

    def insert_many(self, table: Any, rows: Sequence[Sequence[Any]], fields: Sequence[Any]) -> int:
        """Insert many rows fast and return their number."""
        if rows:
            names = [field.column_name for field in fields]
            insert_rows(self.db, table._meta.table_name, names, _driver_rows(rows, fields))
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
        places = [names.index(name) for name in key]
        # PostgreSQL refuses to update a row twice in one statement; the last one counts on both
        last = {tuple([row[place] for place in places]): row for row in _driver_rows(rows, fields)}
        upsert_rows(
            self.db,
            table._meta.table_name,
            names,
            last.values(),
            conflict=key,
            update=[field.column_name for field in update],
        )
        return len(last)

    def emit(self, name: str, payload: Mapping[str, Any]) -> None:
        """Add an event to the outbox."""
        now = to_micros(self.now)
        mark = "?" if self.dialect == "sqlite" else "%s"
        self.db.execute_sql(
            f"INSERT INTO outbox (name, payload, created_at, due_at) VALUES ({', '.join([mark] * 4)})",  # noqa: S608
            (name, json.dumps(dict(payload), separators=(",", ":"), sort_keys=True), now, now),
        )


def _driver_rows(rows: Sequence[Sequence[Any]], fields: Sequence[Any]) -> list[Sequence[Any]]:
    columns = zip(*rows, strict=True)
    converted = [
        driver_values(field, column) for field, column in zip(fields, columns, strict=True)
    ]
    return list(zip(*converted, strict=True))

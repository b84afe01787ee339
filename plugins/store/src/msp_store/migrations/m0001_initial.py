"""The outbox: events, and what became of each call of a subscriber."""

from msp_store.api import Migrator, auto, integer, json, text, timestamp


def upgrade(m: Migrator) -> None:
    """Create the tables."""
    m.create_table(
        "outbox",
        auto(),
        text("name"),
        json("payload"),
        timestamp("created_at"),
        timestamp("due_at"),
        timestamp("done_at", null=True),
        text("lease_owner", null=True),
        timestamp("lease_until", null=True),
    )
    m.create_index("outbox", "due_at", "id", where="done_at IS NULL", name="outbox_open")
    m.create_index("outbox", "done_at")
    m.create_table(
        "outbox_deliveries",
        integer("event_id", references="outbox.id", on_delete="cascade"),
        text("subscriber"),
        integer("attempts", default=0),
        text("last_error", default=""),
        timestamp("delivered_at", null=True),
        timestamp("dead_at", null=True),
        primary_key=("event_id", "subscriber"),
    )

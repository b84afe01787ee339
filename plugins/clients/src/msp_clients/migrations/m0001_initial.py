"""Clients and their own settings."""

from msp_store.api import Migrator, auto, json, text, timestamp


def upgrade(m: Migrator) -> None:
    """Create the tables."""
    m.create_table(
        "clients",
        text("id", key=True),
        text("name"),
        text("contact_email", default=""),
        text("tier"),
        text("status"),
        json("tags", default="[]"),
        text("notes", default=""),
        text("folded"),
        timestamp("created_at"),
        timestamp("updated_at"),
        timestamp("deleted_at", null=True),
    )
    m.create_table(
        "configurations",
        auto(),
        text("client_id", references="clients.id"),
        text("key"),
        json("value"),
        timestamp("created_at"),
        timestamp("updated_at"),
        unique=(("client_id", "key"),),
    )

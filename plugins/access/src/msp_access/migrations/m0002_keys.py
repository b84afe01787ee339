"""Keys that stand for callers from outside."""

from msp_store.api import Migrator, json, text, timestamp


def upgrade(m: Migrator) -> None:
    """Create the table."""
    m.create_table(
        "access_keys",
        text("id", key=True),
        text("name"),
        text("hash"),
        text("level"),
        json("tools", null=True),
        json("clients", null=True),
        text("created_by"),
        timestamp("created_at"),
        timestamp("expires_at", null=True),
        timestamp("revoked_at", null=True),
        timestamp("used_at", null=True),
    )

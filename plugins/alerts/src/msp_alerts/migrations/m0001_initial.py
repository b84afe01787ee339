"""Alerts, and how far the results behind them were heard."""

from msp_store.api import Migrator, auto, boolean, integer, text, timestamp


def upgrade(m: Migrator) -> None:
    """Create the tables."""
    m.create_table(
        "alerts",
        auto(),
        text("key"),
        text("client_id"),
        text("device_id", null=True),
        text("check_type", null=True),
        text("source"),
        text("severity"),
        text("message"),
        boolean("acknowledged", default=False),
        text("acknowledged_by", null=True),
        timestamp("acknowledged_until", null=True),
        text("note", default=""),
        boolean("muted", default=False),
        boolean("stale", default=False),
        timestamp("created_at"),
        timestamp("updated_at"),
        timestamp("resolved_at", null=True),
    )
    m.create_index(
        "alerts", "key", unique=True, where="resolved_at IS NULL", name="alerts_open_key"
    )
    m.create_index("alerts", "client_id", "created_at")
    m.create_index("alerts", "resolved_at")
    m.create_table("alert_cursors", text("key", key=True), integer("seq"))

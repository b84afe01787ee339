"""The audit trail, the journal of changes, plans that wait for approval."""

from msp_store.api import Migrator, integer, json, real, text, timestamp


def upgrade(m: Migrator) -> None:
    """Create the tables."""
    m.create_table(
        "audit",
        integer("seq", key=True),
        timestamp("at"),
        text("event"),
        text("actor"),
        text("surface"),
        text("action"),
        text("target", default=""),
        text("effect"),
        text("outcome"),
        text("error_code", default=""),
        text("message", default=""),
        text("arguments", default="{}"),
        real("duration_ms"),
        text("correlation_id"),
        text("client_id", null=True),
        text("previous"),
        text("hash"),
    )
    m.create_index("audit", "at")
    m.create_table("audit_head", integer("id", key=True), integer("seq"), text("hash"))
    m.create_table(
        "changes",
        text("key", key=True),
        text("kind"),
        text("target"),
        text("client_id", null=True),
        integer("effect"),
        text("actor"),
        text("tool"),
        text("state"),
        text("preview", default=""),
        json("result", null=True),
        text("correlation_id"),
        text("owner", default=""),
        integer("attempts"),
        timestamp("started_at"),
        timestamp("finished_at", null=True),
    )
    m.create_index("changes", "state", "started_at")
    m.create_index("changes", "correlation_id")
    m.create_table(
        "plans",
        text("id", key=True),
        text("state"),
        text("actor"),
        text("surface"),
        text("tool"),
        integer("effect"),
        text("arguments"),
        text("digest"),
        text("reason", default=""),
        timestamp("created_at"),
        timestamp("expires_at"),
        text("decided_by", default=""),
        timestamp("decided_at", null=True),
        text("note", default=""),
    )
    m.create_index("plans", "digest", "state")

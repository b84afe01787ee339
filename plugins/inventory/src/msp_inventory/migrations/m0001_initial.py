"""Sites, devices and links."""

from msp_store.api import Migrator, boolean, json, text, timestamp


def upgrade(m: Migrator) -> None:
    """Create the tables."""
    m.create_table(
        "sites",
        text("id", key=True),
        text("client_id"),
        text("name"),
        timestamp("created_at"),
        timestamp("updated_at"),
    )
    m.create_index("sites", "client_id")
    m.create_table(
        "devices",
        text("id", key=True),
        text("client_id"),
        text("name"),
        text("type"),
        text("rmm_device_id", null=True),
        timestamp("last_seen", null=True),
        text("site_id", null=True),
        text("hostname", default=""),
        text("os"),
        text("os_name", default=""),
        text("serial", default=""),
        json("macs", default="[]"),
        json("addresses", default="[]"),
        boolean("online", null=True),
        text("folded"),
        timestamp("missing_since", null=True),
        timestamp("created_at"),
        timestamp("updated_at"),
    )
    m.create_index("devices", "client_id", "id")
    m.create_table(
        "links",
        text("instance"),
        text("kind"),
        text("external_id"),
        text("our_id"),
        text("client_id"),
        text("data", default="{}"),
        json("maybe", default="[]"),
        timestamp("seen_at"),
        timestamp("missing_since", null=True),
        primary_key=("instance", "kind", "external_id"),
    )
    m.create_index("links", "kind", "our_id")
    m.create_index("links", "client_id", "kind")

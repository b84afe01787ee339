"""Runs, results, latest status, daily roll-ups and leases."""

from msp_store.api import Migrator, auto, boolean, integer, json, real, text, timestamp

_COUNTS = ("ok", "warning", "critical", "unknown", "error", "skipped")


def upgrade(m: Migrator) -> None:
    """Create the tables."""
    m.create_table(
        "health_runs",
        auto(),
        text("state"),
        text("token"),
        text("actor"),
        text("correlation_id"),
        text("host"),
        integer("pid"),
        json("selection"),
        integer("expected", default=0),
        integer("planned", default=0),
        *(integer(name, default=0) for name in _COUNTS),
        timestamp("started_at"),
        timestamp("finished_at", null=True),
        timestamp("heartbeat_at"),
    )
    m.create_index("health_runs", "state")
    m.create_table("health_leases", text("client_id", key=True), integer("run_id"))
    m.create_index("health_leases", "run_id")
    m.create_table(
        "health_checks",
        auto(),
        integer("run_id"),
        text("client_id"),
        text("device_id"),
        text("check_type"),
        text("status"),
        text("message"),
        text("data", null=True),
        text("metrics", null=True),
        real("value", null=True),
        text("source", default=""),
        integer("attempt", default=1),
        boolean("hard", default=True),
        timestamp("observed_at", null=True),
        timestamp("checked_at"),
        unique=(("run_id", "device_id", "check_type"),),
    )
    m.create_index("health_checks", "client_id", "device_id", "checked_at")
    m.create_index("health_checks", "client_id", "checked_at")
    m.create_table(
        "latest_status",
        text("client_id"),
        text("device_id"),
        text("check_type"),
        integer("run_id"),
        text("status"),
        text("message"),
        text("data", null=True),
        text("metrics", null=True),
        text("source", default=""),
        integer("attempt", default=0),
        boolean("hard", default=True),
        text("hard_status", null=True),
        text("known_status", null=True),
        text("known_data", null=True),
        integer("seq", default=1),
        timestamp("since"),
        timestamp("observed_at", null=True),
        timestamp("checked_at"),
        primary_key=("client_id", "device_id", "check_type"),
    )
    m.create_table(
        "health_daily",
        text("client_id"),
        text("device_id"),
        text("check_type"),
        integer("day"),
        *(integer(name, default=0) for name in _COUNTS),
        real("lowest", null=True),
        real("highest", null=True),
        real("total", null=True),
        integer("measured", default=0),
        primary_key=("client_id", "device_id", "check_type", "day"),
    )

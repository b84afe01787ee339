"""The tables of health: runs, results, the latest of each, daily roll-ups, and who is checking which client."""

from typing import Any

from msp_store.api import (
    AutoField,
    BooleanField,
    CompositeKey,
    FloatField,
    IntegerField,
    JsonField,
    Model,
    TextField,
    Tx,
    UtcDateTimeField,
)


def rows_of(tx: Tx, query: Any) -> list[tuple[Any, ...]]:
    """Return the driver's own rows of a query: no field converts anything, which is what makes bulk reads fast."""
    database: Any = tx.db
    rows: list[tuple[Any, ...]] = database.execute(query).fetchall()
    return rows


class HealthRunRow(Model):
    """One sweep. `token` is the right to record for it; a run that another process took over has a new one."""

    id = AutoField()
    state = TextField()
    token = TextField()
    actor = TextField()
    correlation_id = TextField()
    host = TextField()
    pid = IntegerField()
    selection = JsonField()
    expected = IntegerField()
    planned = IntegerField()
    ok = IntegerField()
    warning = IntegerField()
    critical = IntegerField()
    unknown = IntegerField()
    error = IntegerField()
    skipped = IntegerField()
    started_at = UtcDateTimeField()
    finished_at = UtcDateTimeField(null=True)
    heartbeat_at = UtcDateTimeField()

    class Meta:
        """The table."""

        table_name = "health_runs"


class HealthLease(Model):
    """The run that is checking a client now."""

    client_id = TextField(primary_key=True)
    run_id = IntegerField()

    class Meta:
        """The table."""

        table_name = "health_leases"


class HealthCheckRow(Model):
    """One result. `data` and `metrics` are JSON text, NULL for nothing; `value` is the main number."""

    id = AutoField()
    run_id = IntegerField()
    client_id = TextField()
    device_id = TextField()
    check_type = TextField()
    status = TextField()
    message = TextField()
    data = TextField(null=True)
    metrics = TextField(null=True)
    value = FloatField(null=True)
    source = TextField()
    attempt = IntegerField()
    hard = BooleanField()
    observed_at = UtcDateTimeField(null=True)
    checked_at = UtcDateTimeField()

    class Meta:
        """The table."""

        table_name = "health_checks"


class LatestStatus(Model):
    """The newest result of each device and check, and where it stands.

    `known_status` and `known_data` are those of the last result that judged the device (`known_data` NULL where that is
    this one). `seq` counts the results. `since` is when `status` became what it is.
    """

    client_id = TextField()
    device_id = TextField()
    check_type = TextField()
    run_id = IntegerField()
    status = TextField()
    message = TextField()
    data = TextField(null=True)
    metrics = TextField(null=True)
    source = TextField()
    attempt = IntegerField()
    hard = BooleanField()
    hard_status = TextField(null=True)
    known_status = TextField(null=True)
    known_data = TextField(null=True)
    seq = IntegerField()
    since = UtcDateTimeField()
    observed_at = UtcDateTimeField(null=True)
    checked_at = UtcDateTimeField()

    class Meta:
        """The table."""

        table_name = "latest_status"
        primary_key = CompositeKey("client_id", "device_id", "check_type")


class HealthDay(Model):
    """One day (UTC, days since 1970) of one device and check; what stays when its results are removed."""

    client_id = TextField()
    device_id = TextField()
    check_type = TextField()
    day = IntegerField()
    ok = IntegerField()
    warning = IntegerField()
    critical = IntegerField()
    unknown = IntegerField()
    error = IntegerField()
    skipped = IntegerField()
    lowest = FloatField(null=True)
    highest = FloatField(null=True)
    total = FloatField(null=True)
    measured = IntegerField()

    class Meta:
        """The table."""

        table_name = "health_daily"
        primary_key = CompositeKey("client_id", "device_id", "check_type", "day")

"""The tables of alerts."""

from typing import Any

from msp_core.v1 import Severity
from msp_store.api import (
    AutoField,
    BooleanField,
    EnumField,
    IntegerField,
    Model,
    TextField,
    UtcDateTimeField,
)


class AlertRow(Model):
    """One alert. While `resolved_at` is NULL it is the only one of its key; a unique index sees to that.

    `acknowledged` counts only while `acknowledged_until` is NULL or ahead.
    """

    id = AutoField()
    key = TextField()
    client_id = TextField()
    device_id = TextField(null=True)
    check_type = TextField(null=True)
    source = TextField()
    severity: Any = EnumField(Severity)
    message = TextField()
    acknowledged = BooleanField()
    acknowledged_by = TextField(null=True)
    acknowledged_until = UtcDateTimeField(null=True)
    note = TextField()
    muted = BooleanField()
    stale = BooleanField()
    created_at = UtcDateTimeField()
    updated_at = UtcDateTimeField()
    resolved_at = UtcDateTimeField(null=True)

    class Meta:
        """The table."""

        table_name = "alerts"


class AlertCursor(Model):
    """How far the results behind a key have been heard: what is not newer is a repetition."""

    key = TextField(primary_key=True)
    seq = IntegerField()

    class Meta:
        """The table."""

        table_name = "alert_cursors"

"""The tables of the store itself."""

from typing import ClassVar

from msp_store.drivers import CompositeKey
from msp_store.models import AutoField, IntegerField, JsonField, Model, TextField, UtcDateTimeField


class OutboxEvent(Model):
    """An event that was committed; open until every subscriber has had it."""

    id = AutoField()
    name = TextField()
    payload = JsonField()
    created_at = UtcDateTimeField()
    due_at = UtcDateTimeField()
    done_at = UtcDateTimeField(null=True)
    lease_owner = TextField(null=True)
    lease_until = UtcDateTimeField(null=True)

    class Meta:
        """The table."""

        table_name: ClassVar[str] = "outbox"


class OutboxDelivery(Model):
    """What became of the calls of one subscriber for one event."""

    event_id = IntegerField()
    subscriber = TextField()
    attempts = IntegerField(default=0)
    last_error = TextField(default="")
    delivered_at = UtcDateTimeField(null=True)
    dead_at = UtcDateTimeField(null=True)

    class Meta:
        """The table."""

        table_name: ClassVar[str] = "outbox_deliveries"
        primary_key = CompositeKey("event_id", "subscriber")

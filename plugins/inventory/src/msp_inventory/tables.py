"""Tables of the inventory."""

from msp_core.v1 import DeviceKind, OsFamily
from msp_inventory.kinds import LinkKind
from msp_store.api import (
    BooleanField,
    CompositeKey,
    EnumField,
    JsonField,
    Model,
    TextField,
    UtcDateTimeField,
)


class SiteRow(Model):
    """A place of a client."""

    id = TextField(primary_key=True)
    client_id = TextField()
    name = TextField()
    created_at = UtcDateTimeField()
    updated_at = UtcDateTimeField()

    class Meta:
        """The table."""

        table_name = "sites"


class DeviceRow(Model):
    """A machine; what its links say, put together. `folded` is for searching alike on every database."""

    id = TextField(primary_key=True)
    client_id = TextField()
    name = TextField()
    type = EnumField(DeviceKind)
    rmm_device_id = TextField(null=True)
    last_seen = UtcDateTimeField(null=True)
    site_id = TextField(null=True)
    hostname = TextField()
    os = EnumField(OsFamily)
    os_name = TextField()
    serial = TextField()
    macs = JsonField()
    addresses = JsonField()
    online = BooleanField(null=True)
    folded = TextField()
    missing_since = UtcDateTimeField(null=True)
    created_at = UtcDateTimeField()
    updated_at = UtcDateTimeField()

    class Meta:
        """The table."""

        table_name = "devices"


class LinkRow(Model):
    """What one console calls one of our things, and what it last said of it (`data`, canonical JSON text)."""

    instance = TextField()
    kind = EnumField(LinkKind)
    external_id = TextField()
    our_id = TextField()
    client_id = TextField()
    data = TextField()
    maybe = JsonField()
    seen_at = UtcDateTimeField()
    missing_since = UtcDateTimeField(null=True)

    class Meta:
        """The table."""

        table_name = "links"
        primary_key = CompositeKey("instance", "kind", "external_id")

"""Tables of the clients."""

from msp_core.v1 import ClientStatus, Tier
from msp_store.api import AutoField, EnumField, JsonField, Model, TextField, UtcDateTimeField


class ClientRow(Model):
    """A client. `folded` is name, id and contact in one case, for searching and sorting alike on every database."""

    id = TextField(primary_key=True)
    name = TextField()
    contact_email = TextField()
    tier = EnumField(Tier)
    status = EnumField(ClientStatus)
    tags = JsonField()
    notes = TextField()
    folded = TextField()
    created_at = UtcDateTimeField()
    updated_at = UtcDateTimeField()
    deleted_at = UtcDateTimeField(null=True)

    class Meta:
        """The table."""

        table_name = "clients"


class ConfigurationRow(Model):
    """One setting of one client."""

    id = AutoField()
    client_id = TextField()
    key = TextField()
    value = JsonField()
    created_at = UtcDateTimeField()
    updated_at = UtcDateTimeField()

    class Meta:
        """The table."""

        table_name = "configurations"

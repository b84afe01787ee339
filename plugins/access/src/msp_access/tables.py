"""Tables of access control."""

from msp_access.api import JournalState, PlanState
from msp_store.api import (
    EnumField,
    FloatField,
    IntegerField,
    JsonField,
    Model,
    TextField,
    UtcDateTimeField,
)


class AuditTable(Model):
    """The audit trail; each row's hash covers the row before it."""

    seq = IntegerField(primary_key=True)
    at = UtcDateTimeField()
    event = TextField()
    actor = TextField()
    surface = TextField()
    action = TextField()
    target = TextField()
    effect = TextField()
    outcome = TextField()
    error_code = TextField()
    message = TextField()
    arguments = TextField()
    duration_ms = FloatField()
    correlation_id = TextField()
    client_id = TextField(null=True)
    previous = TextField()
    hash = TextField()

    class Meta:
        """The table."""

        table_name = "audit"


class AuditHead(Model):
    """The number and hash of the last row, so that cutting off the end shows."""

    id = IntegerField(primary_key=True)
    seq = IntegerField()
    hash = TextField()

    class Meta:
        """The table."""

        table_name = "audit_head"


class ChangeTable(Model):
    """The journal of changes. `owner` is the process that is applying one."""

    key = TextField(primary_key=True)
    kind = TextField()
    target = TextField()
    client_id = TextField(null=True)
    effect = IntegerField()
    actor = TextField()
    tool = TextField()
    state = EnumField(JournalState)
    preview = TextField()
    result = JsonField(null=True)
    correlation_id = TextField()
    owner = TextField()
    attempts = IntegerField()
    started_at = UtcDateTimeField()
    finished_at = UtcDateTimeField(null=True)

    class Meta:
        """The table."""

        table_name = "changes"


class PlanTable(Model):
    """Calls that wait for approval. `digest` is of actor, tool, arguments; `targets` are pairs of kind and target."""

    id = TextField(primary_key=True)
    state = EnumField(PlanState)
    actor = TextField()
    surface = TextField()
    tool = TextField()
    effect = IntegerField()
    arguments = TextField()
    digest = TextField()
    reason = TextField()
    created_at = UtcDateTimeField()
    expires_at = UtcDateTimeField()
    decided_by = TextField()
    decided_at = UtcDateTimeField(null=True)
    note = TextField()
    targets = JsonField(null=True)

    class Meta:
        """The table."""

        table_name = "plans"


class KeyTable(Model):
    """Keys of callers from outside; `hash` is of the part that is secret."""

    id = TextField(primary_key=True)
    name = TextField()
    hash = TextField()
    level = TextField()
    tools = JsonField(null=True)
    clients = JsonField(null=True)
    created_by = TextField()
    created_at = UtcDateTimeField()
    expires_at = UtcDateTimeField(null=True)
    revoked_at = UtcDateTimeField(null=True)
    used_at = UtcDateTimeField(null=True)

    class Meta:
        """The table."""

        table_name = "access_keys"

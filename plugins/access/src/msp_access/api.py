"""What other plugins may use of access control: its records. The guard itself is `msp_core.v1.Guard`."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol

from attrs import frozen

from msp_access.settings import Level
from msp_core.v1 import Column, Context, Display, Effect, Listing


@frozen(kw_only=True)
class AuditRow:
    """One row of the audit trail. `event` is `call`, `change` (about to be applied) or `approval`."""

    seq: int
    at: datetime
    event: str
    actor: str
    surface: str
    action: str
    target: str
    effect: str
    outcome: str
    error_code: str
    message: str
    arguments: str
    """The arguments as JSON text, secrets masked."""
    duration_ms: float
    correlation_id: str
    client_id: str | None
    previous: str
    hash: str

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("seq", "No."),
            Column("at", "When"),
            Column("actor", "Who"),
            Column("surface", "Where"),
            Column("event", "Event"),
            Column("action", "What"),
            Column("target", "Target"),
            Column("outcome", "Outcome"),
            Column("error_code", "Error"),
        ),
        empty="The audit trail holds no such row.",
    )


class PlanState(StrEnum):
    """Where a plan is in its life. OFFERED waits for its caller to make the call, PENDING for a person."""

    OFFERED = "offered"
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"
    EXPIRED = "expired"


@frozen(kw_only=True)
class Plan:
    """A call that waits for a person. Once approved, the same actor's same call runs one time."""

    id: str
    state: PlanState
    actor: str
    surface: str
    tool: str
    effect: Effect
    arguments: str
    """The arguments as JSON text, secrets masked."""
    reason: str
    created_at: datetime
    expires_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    note: str = ""

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("id", "Plan"),
            Column("state", "State"),
            Column("actor", "Who"),
            Column("tool", "What"),
            Column("expires_at", "Expires"),
            Column("arguments", "Arguments"),
            Column("reason", "Why it waits"),
        ),
        empty="Nothing waits for approval.",
    )


class JournalState(StrEnum):
    """Where a change is in its life. IN_FLIGHT outlives a crash: whether it happened is not known."""

    IN_FLIGHT = "in-flight"
    DONE = "done"
    FAILED = "failed"


@frozen(kw_only=True)
class JournalEntry:
    """One change outside our own records."""

    key: str
    kind: str
    target: str
    client_id: str | None
    effect: Effect
    actor: str
    tool: str
    state: JournalState
    preview: str
    correlation_id: str
    started_at: datetime
    finished_at: datetime | None
    attempts: int

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("started_at", "Started"),
            Column("state", "State"),
            Column("kind", "Change"),
            Column("target", "Target"),
            Column("actor", "Who"),
            Column("attempts", "Tries"),
            Column("key", "Key"),
        ),
        empty="Nothing was changed outside our own records.",
    )


@frozen(kw_only=True)
class Proof:
    """Whether the audit trail is whole. `problems` names every row that was edited or removed."""

    rows: int
    head: str
    problems: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """1 where something is wrong."""
        return int(bool(self.problems))

    def say(self) -> str:
        """Return the verdict for people."""
        if not self.problems:
            return f"{self.rows} rows, none edited or removed. Last hash: {self.head or 'none'}"
        return "\n".join([f"{self.rows} rows; the trail was tampered with:", *self.problems])

    DISPLAY: ClassVar[Display] = Display(summary=lambda proof: proof.say())


@frozen(kw_only=True)
class Key:
    """A key of a caller from outside, without its text. `level` is the most it may do."""

    id: str
    name: str
    state: str
    """`active`, `expired` or `revoked`."""
    level: str
    tools: tuple[str, ...]
    """Names or patterns; empty for every tool."""
    clients: tuple[str, ...]
    """Ids; empty for every client."""
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("id", "Key"),
            Column("name", "Name"),
            Column("state", "State"),
            Column("level", "May"),
            Column("tools", "Tools"),
            Column("clients", "Clients"),
            Column("expires_at", "Expires"),
            Column("used_at", "Last used"),
        ),
        empty="No keys. Make one: msp-toolkit key create NAME",
    )


@frozen(kw_only=True)
class NewKey:
    """A key with its text, which is shown once and stored nowhere."""

    key: Key
    text: str

    def say(self) -> str:
        """Return the text for people."""
        until = f" until {self.key.expires_at:%Y-%m-%d}" if self.key.expires_at else ""
        return (
            f"{self.text}\n\nKey {self.key.id} ({self.key.name}) may {self.key.level}{until}. "
            "Keep the text now: it is shown only this once."
        )

    DISPLAY: ClassVar[Display] = Display(summary=lambda made: made.say())


class KeyRing(Protocol):
    """The keys of callers from outside. Only a local person on the command line makes or changes them."""

    async def issue(
        self,
        ctx: Context,
        name: str,
        *,
        level: Level,
        tools: Sequence[str],
        clients: Sequence[str],
        expires_at: datetime | None,
    ) -> NewKey:
        """Make a key; no tools or clients named means every one."""
        ...

    async def list(self, ctx: Context, *, all: bool = False) -> Listing[Key]:
        """Return the keys, newest first; `all` also those that cannot be used any more."""
        ...

    async def revoke(self, ctx: Context, ref: str) -> Key:
        """Make a key useless at once."""
        ...

    async def rotate(self, ctx: Context, ref: str) -> NewKey:
        """Give a key a new text, with the same name and scope."""
        ...


class Access(Protocol):
    """The records of access control. Only callers who may see every client may see them."""

    async def audit(
        self,
        ctx: Context,
        *,
        actor: str | None = None,
        action: str | None = None,
        outcome: str | None = None,
        client_id: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        after: int | None = None,
    ) -> Listing[AuditRow]:
        """Return rows of the trail, newest first (with `after`: oldest first, behind that number)."""
        ...

    async def verify(self, ctx: Context) -> Proof:
        """Recompute the chain of hashes and say which rows were edited or removed."""
        ...

    async def plans(self, ctx: Context, *, states: Sequence[PlanState] = ()) -> Listing[Plan]:
        """Return plans, newest first."""
        ...

    async def decide(self, ctx: Context, plan_id: str, *, approve: bool, note: str = "") -> Plan:
        """Approve or deny a pending plan; only a local person on the command line may."""
        ...

    async def changes(
        self,
        ctx: Context,
        *,
        state: JournalState | None = None,
        client_id: str | None = None,
        limit: int | None = None,
    ) -> Listing[JournalEntry]:
        """Return the journal of changes, newest first."""
        ...

    async def settle(self, ctx: Context, key: str, *, happened: bool) -> JournalEntry:
        """Say of an interrupted change whether it happened; if not, it may be tried again."""
        ...

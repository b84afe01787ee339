"""What other plugins may use of access control: its records. The guard itself is `msp_core.v1.Guard`."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol

from attrs import frozen

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
    """Where a plan is in its life."""

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
            Column("arguments", "Arguments"),
            Column("reason", "Why it waits"),
            Column("expires_at", "Expires"),
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

"""Plans: calls that wait for a person. Functions run inside a transaction."""

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from attrs import frozen

from msp_access.api import Plan, PlanState
from msp_access.chain import arguments_text, clean
from msp_access.ids import new_id
from msp_access.tables import PlanTable
from msp_core.v1 import (
    ApprovalRequired,
    Call,
    Change,
    Conflict,
    Data,
    Effect,
    NotFound,
    Planned,
    mask_data,
)
from msp_store.api import Tx


@frozen(kw_only=True, eq=False, repr=False)
class Used(Data):
    """A plan that is being carried out.

    `targets` are pairs of kind and target: None is one known after an earlier change. None for all: none was known.
    """

    id: str
    state: PlanState
    targets: Sequence[Sequence[str | None]] | None

    @property
    def approved(self) -> bool:
        """Whether a person said yes to it."""
        return self.state is PlanState.APPROVED

    def require(self, change: Change) -> None:
        """Raise Conflict for a change that nobody was shown."""
        shown = self.targets
        if shown is None or any([change.kind, it] in shown for it in (change.target, None)):
            return
        raise Conflict(
            f"plan {self.id} says nothing of {change.kind} on {change.target}",
            suggestion="What it is about has changed since; make the call without a plan to get a new one.",
            plan=self.id,
        )


def digest_of(call: Call) -> str:
    """Hash what makes two calls the same: who, where, what, with which arguments, masked ones too."""
    given = call.digest or arguments_text(call)
    same = json.dumps([call.actor.id, call.surface.value, call.tool, given])
    return hashlib.sha256(same.encode()).hexdigest()


def use(tx: Tx, call: Call) -> Used | None:
    """Use up a plan of exactly this call that has not expired, and return it as it was.

    APPROVED: a person said yes. OFFERED: the call names a plan its caller was shown. None: there is none.
    Raises Conflict for a plan that is named and cannot be carried out.
    """
    if call.plan:
        require_same(tx, call, call.plan)
    same = PlanTable.digest == digest_of(call)
    fitting = PlanTable.state == PlanState.APPROVED
    if call.plan:
        fitting = (PlanTable.id == _plain(call.plan)) & (
            fitting | (PlanTable.state == PlanState.OFFERED)
        )
    found: Any = (
        PlanTable.select()
        .where(same & fitting & (PlanTable.expires_at > tx.now))
        .order_by(PlanTable.created_at)
        .limit(1)
    )
    row = next(iter(found), None)
    if row is None:
        return None
    was = Used(id=row.id, state=row.state, targets=row.targets)
    row.state = PlanState.USED
    row.save()
    return was


def pending(plan_id: str) -> str:
    """Return the id of a plan, known to be open, where it waits for a person."""
    row = PlanTable.get_or_none(PlanTable.id == _plain(plan_id))
    return str(row.id) if row is not None and row.state is PlanState.PENDING else ""


def require_same(tx: Tx, call: Call, plan_id: str) -> None:
    """Raise Conflict unless the plan is of this very call and still open."""
    row = PlanTable.get_or_none(PlanTable.id == _plain(plan_id))
    if row is None or row.digest != digest_of(call):
        why = "is of another call: the tool, the arguments and the caller must be the same"
    else:
        state = plan_of(row, tx).state
        if state in (PlanState.OFFERED, PlanState.PENDING, PlanState.APPROVED):
            return
        why = f"is {state.value}"
    raise Conflict(
        f"plan {plan_id[:40]!r} {why}",
        suggestion="Make the call without a plan to get a new one.",
        plan=plan_id[:40],
    )


def _plain(plan_id: str) -> str:
    """Return an id as it is stored, however it was typed."""
    return plan_id.strip().lower()


def ask(
    tx: Tx,
    call: Call,
    effect: Effect,
    reason: str,
    lifetime: timedelta,
    state: PlanState = PlanState.PENDING,
    planned: Sequence[Planned] | None = None,
) -> str:
    """Store a plan for this call, or find the one of the same that waits already; return its id."""
    digest = digest_of(call)
    targets = None if planned is None else _shown(planned)
    waiting = PlanTable.select().where(
        (PlanTable.digest == digest) & (PlanTable.state == state) & (PlanTable.expires_at > tx.now)
    )
    for row in waiting:
        if row.targets == targets:
            return str(row.id)
    made = new_id()
    plan_id = f"{made[:4]}-{made[4:]}"
    PlanTable.insert(
        id=plan_id,
        state=state,
        actor=call.actor.id,
        surface=call.surface.value,
        tool=call.tool,
        effect=int(effect),
        arguments=clean(arguments_text(call)),
        digest=digest,
        reason=clean(mask_data(reason)),
        created_at=tx.now,
        expires_at=tx.now + lifetime,
        decided_by="",
        note="",
        targets=targets,
    ).execute()
    return plan_id


def _shown(planned: Sequence[Planned]) -> list[list[str | None]]:
    return [[one.kind, one.target if one.target_known else None] for one in planned]


def required(call: Call, plan_id: str, reason: str, lifetime: timedelta) -> ApprovalRequired:
    """Say that a person has to approve, and how."""
    return ApprovalRequired(
        f"{call.tool} needs a person's approval: {reason}",
        suggestion=f"Ask for: msp-toolkit approval approve {plan_id} (within "
        f"{lifetime.total_seconds() / 60:g} minutes), then make the same call again.",
        plan=plan_id,
        tool=call.tool,
    )


def decide(
    tx: Tx, plan_id: str, actor: str, lifetime: timedelta, *, approve: bool, note: str
) -> Plan:
    """Approve or deny a pending plan; an approval lives as long as a plan does."""
    row = PlanTable.get_or_none(PlanTable.id == _plain(plan_id))
    if row is None:
        raise NotFound(
            f"there is no plan {plan_id[:40]!r}",
            suggestion="See what waits: msp-toolkit approval list",
        )
    plan = plan_of(row, tx)
    if plan.state is not PlanState.PENDING:
        raise Conflict(
            f"plan {plan.id} is {plan.state.value} already",
            suggestion="Make the call again to get a new plan.",
            plan=plan.id,
        )
    row.state = PlanState.APPROVED if approve else PlanState.DENIED
    row.decided_by, row.decided_at, row.note = actor, tx.now, clean(note)
    if approve:
        row.expires_at = tx.now + lifetime
    row.save()
    return plan_of(row, tx)


def plan_of(row: Any, tx: Tx) -> Plan:
    """Build a plan from its row, as it stands now."""
    state = row.state
    if (
        state in (PlanState.OFFERED, PlanState.PENDING, PlanState.APPROVED)
        and row.expires_at <= tx.now
    ):
        state = PlanState.EXPIRED
    return Plan(
        id=row.id,
        state=state,
        actor=row.actor,
        surface=row.surface,
        tool=row.tool,
        effect=Effect(row.effect),
        arguments=row.arguments,
        reason=row.reason,
        created_at=row.created_at,
        expires_at=row.expires_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        note=row.note,
    )

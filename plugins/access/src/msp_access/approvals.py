"""Plans of calls that a model decided on, kept for surfaces that show them and ask people."""

from collections.abc import Sequence

from msp_access import chain, plans
from msp_access.api import PlanState
from msp_access.policy import Policies, Policy
from msp_access.settings import AccessSettings
from msp_core.v1 import Call, Planned, Proposal, Toolkit
from msp_store.api import Store, Tx

_SHOWN = 10


async def create(toolkit: Toolkit) -> "AccessApprovals":
    """Build the service on the toolkit's store."""
    return AccessApprovals(toolkit, await toolkit.get(Store))


class AccessApprovals:
    """See `msp_core.v1.Approvals`."""

    def __init__(self, toolkit: Toolkit, store: Store) -> None:
        self._settings = toolkit.settings(AccessSettings)
        self._policies = Policies(self._settings, toolkit.registry)
        self._store = store

    async def propose(self, call: Call, planned: Sequence[Planned]) -> Proposal:
        """Store what the call would change; a person has to approve what destroys, and what is beyond the caps."""
        limits = self._policies.of(call.surface, call.actor, call.scope)
        limits.check(call)
        why = _person_because(limits, call, planned)
        state = PlanState.PENDING if why else PlanState.OFFERED
        lifetime = self._settings.plan_expires_after
        reason = "; ".join(part for part in (why, _would(planned)) if part)

        def write(tx: Tx) -> Proposal:
            plan_id = plans.ask(
                tx, call, call.effect, reason, lifetime, state=state, planned=planned
            )
            return Proposal(id=plan_id, person=bool(why), reason=why, expires_at=tx.now + lifetime)

        return await self._store.write(write)

    async def decide(self, call: Call, plan_id: str, *, approve: bool, by: str) -> None:
        """Note what a person said, in the plan and in the audit trail."""
        lifetime = self._settings.plan_expires_after

        def write(tx: Tx) -> None:
            plans.require_same(tx, call, plan_id)
            plan = plans.decide(tx, plan_id, by, lifetime, approve=approve, note="")
            chain.append(tx, chain.approval_row(call, plan, by))

        await self._store.write(write)


def _person_because(limits: Policy, call: Call, planned: Sequence[Planned]) -> str:
    if limits.approval.wants(call.effect):
        return f"on this surface everything that may {limits.approval.value} needs a person"
    clients = {one.client_id for one in planned if one.client_id is not None}
    targets = {one.target for one in planned}
    return limits.beyond_caps(len(clients), len(targets))


def _would(planned: Sequence[Planned]) -> str:
    if not planned:
        return ""
    more = f" and {len(planned) - _SHOWN} more" if len(planned) > _SHOWN else ""
    return "would: " + "; ".join(one.preview for one in planned[:_SHOWN]) + more

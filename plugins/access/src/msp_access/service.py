"""The records of access control, for people."""

from collections.abc import Sequence
from datetime import datetime

from msp_access import chain, journal, plans
from msp_access.api import AuditRow, JournalEntry, JournalState, Plan, PlanState, Proof
from msp_access.settings import AccessSettings
from msp_access.tables import AuditTable, ChangeTable, PlanTable
from msp_core.v1 import Context, Listing, PermissionDenied, Surface, Toolkit
from msp_store.api import Store, Tx


async def create(toolkit: Toolkit) -> "AccessRecords":
    """Build the service on the toolkit's store."""
    return AccessRecords(await toolkit.get(Store), toolkit.settings(AccessSettings))


class AccessRecords:
    """See `msp_access.api.Access`."""

    def __init__(self, store: Store, settings: AccessSettings) -> None:
        self._store = store
        self._settings = settings

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
        """Return rows of the trail."""
        _require_everything(ctx)
        query = AuditTable.select().where(AuditTable.seq > (after or 0))
        for column, value in (
            (AuditTable.actor, actor),
            (AuditTable.action, action),
            (AuditTable.outcome, outcome),
            (AuditTable.client_id, client_id),
        ):
            if value is not None:
                query = query.where(column == value)
        if since is not None:
            query = query.where(AuditTable.at >= since)
        order = AuditTable.seq if after is not None else AuditTable.seq.desc()

        def read(_tx: Tx) -> Listing[AuditRow]:
            items = tuple(chain.listed(query.order_by(order).limit(limit)))
            return Listing(items=items, total=len(items) if limit is None else query.count())

        return await self._store.read(read)

    async def verify(self, ctx: Context) -> Proof:
        """Recompute the chain."""
        _require_everything(ctx)
        return await self._store.read(lambda _tx: chain.prove())

    async def plans(self, ctx: Context, *, states: Sequence[PlanState] = ()) -> Listing[Plan]:
        """Return plans, newest first."""
        _require_everything(ctx)

        def read(tx: Tx) -> Listing[Plan]:
            query = PlanTable.select().order_by(PlanTable.created_at.desc(), PlanTable.id)
            found = [plans.plan_of(row, tx) for row in query]
            items = tuple(plan for plan in found if not states or plan.state in states)
            return Listing(items=items, total=len(items))

        return await self._store.read(read)

    async def decide(self, ctx: Context, plan_id: str, *, approve: bool, note: str = "") -> Plan:
        """Approve or deny a pending plan."""
        _require_everything(ctx)
        if ctx.surface is not Surface.CLI or ctx.actor.kind != "local" or not ctx.records:
            raise PermissionDenied(
                "only a person on the command line may approve or deny",
                suggestion="Run: msp-toolkit approval list",
            )
        lifetime = self._settings.plan_expires_after
        return await self._store.write(
            lambda tx: plans.decide(tx, plan_id, ctx.actor.id, lifetime, approve=approve, note=note)
        )

    async def changes(
        self,
        ctx: Context,
        *,
        state: JournalState | None = None,
        client_id: str | None = None,
        limit: int | None = None,
    ) -> Listing[JournalEntry]:
        """Return the journal, newest first."""
        _require_everything(ctx)
        query = ChangeTable.select()
        if state is not None:
            query = query.where(ChangeTable.state == state)
        if client_id is not None:
            query = query.where(ChangeTable.client_id == client_id)

        def read(_tx: Tx) -> Listing[JournalEntry]:
            newest = query.order_by(ChangeTable.started_at.desc(), ChangeTable.key)
            items = tuple(journal.entry_of(row) for row in newest.limit(limit))
            return Listing(items=items, total=len(items) if limit is None else query.count())

        return await self._store.read(read)

    async def settle(self, ctx: Context, key: str, *, happened: bool) -> JournalEntry:
        """Say of an interrupted change whether it happened."""
        _require_everything(ctx)
        if not ctx.records:
            raise PermissionDenied(
                "this call may not record anything", suggestion="Run it without --dry-run."
            )
        return await self._store.write(lambda tx: journal.settle(tx, key, happened=happened))


def _require_everything(ctx: Context) -> None:
    if ctx.scope.clients is not None:
        raise PermissionDenied(
            f"{ctx.actor.id} may see certain clients only, and these records are of all of them",
            suggestion="Ask somebody whose access is not limited to certain clients.",
        )

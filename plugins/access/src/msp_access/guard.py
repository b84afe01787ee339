"""The guard: asked by the kernel before every call and every change, told how each ended.

Built for every command, so the tables (and the database) are loaded only where something is written or approved.
"""

import asyncio
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from msp_access.policy import Policies, Policy
from msp_access.rates import Rates
from msp_access.settings import AccessSettings
from msp_access.trail import Entry, Trail
from msp_core.v1 import (
    Actor,
    Call,
    Change,
    ChangeState,
    Effect,
    Grant,
    Outcome,
    Scope,
    Surface,
    Toolkit,
)

if TYPE_CHECKING:
    from msp_access.plans import Used
    from msp_store.api import Tx

T = TypeVar("T")
_BY_HAND = frozenset({Surface.CLI, Surface.PYTHON})
_LIMITED = frozenset({Surface.MCP})


def create(toolkit: Toolkit) -> "AccessGuard":
    """Build the guard; it opens nothing."""
    return AccessGuard(toolkit)


class AccessGuard:
    """Policy from the section `access`, the audit trail, approvals and the journal; see `msp_core.v1.Guard`."""

    def __init__(self, toolkit: Toolkit) -> None:
        self._toolkit = toolkit
        self._settings = toolkit.settings(AccessSettings)
        self._rates = Rates(self._settings.rate_limits)
        self._policies = Policies(self._settings, toolkit.registry)
        self._trail = Trail(self._write_rows)
        self._plans: dict[str, Used] = {}  # correlation id of a call -> the plan it carries out
        self._applying: dict[str, str] = {}  # key of a change -> correlation id of its call

    async def authorise(self, call: Call) -> Grant:
        """Let the call pass within the limits of its actor and surface, or stop it."""
        limits = self._policies.of(call.surface, call.actor, call.scope)
        if call.surface in _LIMITED:
            self._rates.take(call)
        limits.check(call)
        if call.effect >= Effect.CHANGE and not call.dry_run:
            await self._approve(call, limits)
        return Grant(scope=limits.scope, read_only=limits.read_only)

    async def grant(self, actor: Actor, scope: Scope, surface: Surface) -> Grant:
        """Return what the settings leave of a scope on a surface."""
        limits = self._policies.of(surface, actor, scope)
        return Grant(scope=limits.scope, read_only=limits.read_only)

    async def record(self, call: Call, outcome: Outcome) -> None:
        """Add the call to the audit trail."""
        self._plans.pop(call.correlation_id, None)
        left = [key for key, owner in self._applying.items() if owner == call.correlation_id]
        for key in left:
            del self._applying[key]
        if not left and not _is_audited(call, outcome):
            return
        row = _module("chain").call_row(call, outcome)
        row["at"] = self._toolkit.now()
        # What a call read or noted is as true after a power cut that took its row; what it changed must not be.
        sync = bool(left) or call.effect >= Effect.CHANGE
        await asyncio.shield(self._trail.add(Entry(row, left, sync)))

    async def begin_change(self, call: Call, change: Change) -> ChangeState:
        """Commit the intention to change something, with its row in the audit trail."""
        limits = self._policies.of(call.surface, call.actor, call.scope)
        chain, journal, plans = _module("chain"), _module("journal"), _module("plans")
        plan = self._plans.get(call.correlation_id)
        if plan is not None:
            plan.require(change)
        approved = plan is not None and plan.approved
        lifetime = self._settings.plan_expires_after

        def write(tx: "Tx") -> tuple[Any, str, str]:
            reason = "" if approved else _exceeds(limits, change, journal)
            if reason:
                return None, plans.ask(tx, call, change.effect, reason, lifetime), reason
            state = journal.begin(tx, call, change, frozenset(self._applying))
            if state.state != "done":
                chain.append(tx, chain.change_row(call, change))
            return state, "", ""

        state, plan_id, reason = await self._write(write)
        if plan_id:
            raise plans.required(call, plan_id, reason, lifetime)
        if state.state != "done":
            self._applying[change.key] = call.correlation_id
        known: ChangeState = state
        return known

    async def finish_change(self, change: Change, *, ok: bool, result: Any) -> None:
        """Note how the change ended."""
        journal = _module("journal")
        await self._write(lambda tx: journal.finish(tx, change.key, ok=ok, result=result))
        self._applying.pop(change.key, None)

    async def _approve(self, call: Call, limits: Policy) -> None:
        """Use up an approval where one is needed; also proves that the trail can be written before anything happens."""
        plans = _module("plans")
        lifetime = self._settings.plan_expires_after
        needs_person = limits.approval.wants(call.effect)
        word = limits.approval.value if needs_person else call.effect.name.lower()
        reason = f"on this surface everything that may {word} needs one"

        def write(tx: "Tx") -> "tuple[Used | None, str]":
            used = plans.use(tx, call)
            if used and (used.approved or not needs_person):
                return used, ""
            if not (needs_person or limits.plan_first):
                return None, ""
            if waiting := plans.pending(call.plan):
                return None, waiting
            return None, plans.ask(tx, call, call.effect, reason, lifetime)

        used, plan_id = await self._write(write)
        if plan_id:
            raise plans.required(call, plan_id, reason, lifetime)
        if used is not None:
            self._plans[call.correlation_id] = used

    async def _write_rows(self, entries: Sequence[Entry]) -> None:
        append = _module("chain").append
        left = [key for entry in entries for key in entry.left]

        def write(tx: "Tx") -> None:
            if left:
                _module("journal").abandon(left)
            for entry in entries:
                append(tx, entry.row)

        await self._write(write, sync=any(entry.sync for entry in entries))

    async def _write(self, fn: Callable[["Tx"], T], *, sync: bool = True) -> T:
        from msp_store.api import Store

        return await (await self._toolkit.get(Store)).write(fn, sync=sync)


def _exceeds(limits: Policy, change: Change, journal: Any) -> str:
    """Say why this change needs an approval that the call does not have; empty where it does not."""
    if limits.approval.wants(change.effect):
        return f"on this surface everything that may {limits.approval.value} needs one"
    if limits.max_clients is None and limits.max_targets is None:
        return ""
    return limits.beyond_caps(*journal.touched(change.correlation_id, change))


def _is_audited(call: Call, outcome: Outcome) -> bool:
    """Everything is, except what a person reads by hand (and a person's typing errors)."""
    if call.surface not in _BY_HAND or call.actor.kind != "local" or call.effect >= Effect.RECORD:
        return True
    return outcome.status == "refused" and outcome.error_code != "INVALID_PARAMETERS"


def _module(name: str) -> Any:
    return import_module(f"msp_access.{name}")

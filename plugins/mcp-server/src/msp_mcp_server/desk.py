"""One call from an agent to its answer: plan, approval, pages. Knows the toolkit, and nothing of the protocol."""

import asyncio
import json
import logging
import math
import time
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from attrs import evolve

from msp_core.v1 import (
    Actor,
    ApprovalRequired,
    Approvals,
    Asks,
    AuthenticationFailed,
    Call,
    Context,
    Effect,
    InvalidParameters,
    McpAgent,
    McpResult,
    MspError,
    NotFound,
    Outcome,
    PermissionDenied,
    Planned,
    Principal,
    Progress,
    Proposal,
    RateLimited,
    Scope,
    Surface,
    SystemFailure,
    Toolkit,
    UnknownPlugin,
    call_of,
    invoke,
    mask_data,
    refuse,
)
from msp_mcp_server.catalog import Catalog, Offered
from msp_mcp_server.hygiene import clean, safe, spelled
from msp_mcp_server.pages import Page, entries_of, page_of, paged_arguments, rows_of
from msp_mcp_server.results import (
    Reply,
    content_reply,
    page_reply,
    plan_reply,
    refusal,
    whole_reply,
)
from msp_mcp_server.settings import McpSettings

log = logging.getLogger(__name__)

LONGEST_UNKNOWN = 100
_MOST_CALLERS = 1000
_AWAY_S = 60
_NOBODY = Actor(id="nobody", kind="nobody")
_HIDDEN = "Something in it looks like a secret and is not shown here: say no unless you know it. "
LONGEST_LEARNING_S = 10.0
"""Then calls are served all the same: a keyring may wait for its owner to unlock it."""
MOST_ARGUMENTS = 1_000_000
"""Characters of arguments in one call."""


class Line(Progress, Asks, McpAgent, Protocol):
    """The way back to an agent while its call runs."""

    def say(self, level: Any, text: str) -> None:
        """Send a message of this level, such as `info`."""
        ...

    async def approve(self, plan: str, text: str) -> bool | None:
        """Have a person decide about a plan; None where nobody can be asked."""
        ...


class Desk:
    """Serves the calls of every agent of one toolkit."""

    def __init__(self, toolkit: Toolkit) -> None:
        self.toolkit = toolkit
        self.settings = toolkit.settings(McpSettings)
        self.catalog = Catalog(toolkit, self.settings.page)
        self._zone = ZoneInfo(toolkit.config.general.timezone)
        self._admitted: dict[Principal, Principal] = {}
        self._turned_away: set[tuple[str, str]] = set()
        self._away_since = -math.inf
        self._learning: asyncio.Task[None] | None = None

    def local(self) -> Principal:
        """Return the caller on stdio: whoever runs this process."""
        return Principal(
            actor=self.toolkit.context().actor, scope=Scope(), read_only=self.settings.read_only
        )

    async def admit(self, caller: Principal) -> Principal:
        """Return a caller with what the settings leave it to do here; it sees no more than that."""
        known = self._admitted.get(caller)
        if known is None:
            guard = await self.toolkit.guard()
            read_only = caller.read_only or self.settings.read_only
            known = evolve(caller, read_only=read_only)
            if guard is not None:
                grant = await guard.grant(caller.actor, caller.scope, Surface.MCP)
                known = evolve(known, scope=grant.scope, read_only=read_only or grant.read_only)
            if len(self._admitted) >= _MOST_CALLERS:
                self._admitted.clear()
            self._admitted[caller] = known
        return known

    def context(self, caller: Principal, line: Line | None = None, *, asks: bool = True) -> Context:
        """Return the context of a call; what the caller may do comes from its key, never from an argument."""
        ctx = self.toolkit.context(
            actor=caller.actor,
            scope=caller.scope,
            surface=Surface.MCP,
            read_only=caller.read_only or self.settings.read_only,
            progress=line,
        )
        if line is not None:
            ctx.on_message = lambda text: line.say("info", text)
            ctx.on_warning = lambda text: line.say("warning", text)
            if asks:
                ctx.agent = ctx.asker = line
        return ctx

    async def learn(self) -> None:
        """Know every secret before the first call, so that one an agent sends is masked wherever it turns up.

        Not when the server starts: agents wait for that.
        """
        if self._learning is None:
            toolkit = self.toolkit
            reading = asyncio.to_thread(toolkit.secrets.learn, toolkit.config.data)
            self._learning = asyncio.ensure_future(reading)
        if not self._learning.done():
            await asyncio.wait({self._learning}, timeout=LONGEST_LEARNING_S)

    async def call(
        self,
        caller: Principal,
        one: Offered,
        arguments: Mapping[str, Any],
        line: Line | None = None,
    ) -> Reply:
        """Make a call; every failure is an answer. Only a cancellation is raised."""
        if self._learning is None or not self._learning.done():
            await self.learn()
        try:
            return await self._call(caller, one, arguments, line)
        except MspError as error:
            return refusal(error)
        except (
            Exception
        ) as error:  # what a tool gave cannot be told, such as data that holds itself
            log.error("%s: its result cannot be told: %s", one.tool.name, type(error).__name__)
            log.debug("%s", one.tool.name, exc_info=True)
            return refusal(unusable(one))

    async def unknown(self, caller: Principal, name: str) -> None:
        """Note in the audit trail that somebody called, read or chose what does not exist, or not for them.

        Raise RateLimited where they did so, or called anything else that reads, too often.
        """
        await self.learn()
        call = self._refused(caller, safe(name)[:LONGEST_UNKNOWN])
        guard = await self.toolkit.guard()
        error: MspError = NotFound(call.tool)
        try:
            if guard is not None:
                await guard.authorise(call)
        except RateLimited as limited:
            error = limited
        except PermissionDenied:
            pass  # it is none of theirs, as far as that can be said of what does not exist
        await self._note(call, error.code)
        if isinstance(error, RateLimited):
            raise error

    async def turned_away(self, address: str, key_id: str) -> None:
        """Note in the audit trail that somebody came without a valid key, from where, and with the id of which.

        Once in a minute for each of them, and not more of them than that has seconds: the ids are whatever somebody
        sends who may do nothing, and shall not fill the trail. The log has every time.
        """
        now, who = time.monotonic(), (address, key_id)
        if now - self._away_since >= _AWAY_S:
            self._turned_away.clear()
            self._away_since = now
        if who in self._turned_away or len(self._turned_away) >= _AWAY_S:
            return
        self._turned_away.add(who)
        said = {"address": address, "key_id": key_id} if key_id else {"address": address}
        call = self._refused(
            Principal(actor=_NOBODY, scope=Scope(), read_only=True), "mcp.serve", said
        )
        await self._note(call, AuthenticationFailed.code)

    def _refused(
        self, caller: Principal, name: str, arguments: Mapping[str, Any] | None = None
    ) -> Call:
        """Return what is noted of a call that never becomes one."""
        ctx = self.context(caller)
        return Call(
            tool=name,
            effect=Effect.READ,
            surface=ctx.surface,
            actor=ctx.actor,
            scope=ctx.scope,
            correlation_id=ctx.correlation_id,
            started_at=ctx.now(),
            dry_run=False,
            arguments=arguments or {},
        )

    async def _note(self, call: Call, code: str) -> None:
        guard = await self.toolkit.guard()
        if guard is None:
            return
        try:
            await guard.record(call, Outcome(status="refused", duration_ms=0, error_code=code))
        except MspError as failure:
            log.error("a refused call could not be noted: %s", failure.message)

    async def _call(
        self,
        caller: Principal,
        one: Offered,
        arguments: Mapping[str, Any],
        line: Line | None,
    ) -> Reply:
        # A change depends on its arguments alone, which its plan shows, not on what is asked while it is made
        ctx = self.context(caller, line, asks=not one.planned)
        rest = {name: _exact(value) for name, value in arguments.items()}
        plan = rest.pop("plan", "") if one.planned else ""
        try:
            page = self._checked(one, rest, plan)
            most = 0 if page is not None else entries_of(one, rest)
        except InvalidParameters as error:
            await refuse(one.tool, _short(arguments), ctx, error)
        if one.planned and ctx.read_only:
            await refuse(one.tool, rest, ctx, _reads_only(one, caller))
        if page is not None:
            rest = paged_arguments(one, page)
        if one.planned and not plan:
            planned = await self._planned(caller, one, rest, line)
            if isinstance(planned, Reply):
                return planned
            plan = planned
        ctx.plan = plan
        result = await invoke(one.tool, rest, ctx)
        return self._reply(one, page, most, result, ctx)

    def _checked(self, one: Offered, arguments: Mapping[str, Any], plan: Any) -> Page | None:
        if _size(arguments) > MOST_ARGUMENTS:
            raise InvalidParameters(
                f"{one.tool.name}: the arguments are too long",
                suggestion=f"At most {MOST_ARGUMENTS} characters are taken.",
            )
        if not isinstance(plan, str):
            raise InvalidParameters(
                f"{one.tool.name}: plan: expected text",
                suggestion=f"Look at the input schema of {one.name}.",
            )
        known = one.input["properties"]
        unknown = [name for name in arguments if name not in known]
        if unknown:
            near = get_close_matches(unknown[0][:40], known, n=1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise InvalidParameters(
                f"{one.tool.name}: {safe(unknown[0])[:40]}: unknown parameter "
                f"(known: {', '.join(known) or 'none'})",
                suggestion=f"{meant}Look at the input schema of {one.name}.",
            )
        return page_of(one, arguments, self.settings.page) if one.rows else None

    def _reply(
        self, one: Offered, page: Page | None, most: int, result: Any, ctx: Context
    ) -> Reply:
        if isinstance(result, McpResult):
            return content_reply(result)
        notes = list(ctx.warnings)
        if ctx.read_only and one.tool.effect is Effect.RECORD:
            notes.append("Read-only: nothing was recorded.")
        if page is not None:
            return page_reply(one, page, rows_of(one, page, result), notes, self._zone)
        return whole_reply(one, result, notes, self._zone, most)

    async def _planned(
        self,
        caller: Principal,
        one: Offered,
        arguments: dict[str, Any],
        line: Line | None,
    ) -> Reply | str:
        """Plan the call. Return the plan for its caller, or the id of one that a person has just approved."""
        try:
            approvals = await self.toolkit.get(Approvals)
        except UnknownPlugin:
            raise PermissionDenied(
                f"{one.tool.name} may change something, and nobody is here to approve it.",
                suggestion="Install access control: pip install msp-access",
            ) from None
        call = call_of(one.tool, arguments, self.context(caller))
        dry = self.context(caller)
        dry.dry_run = True
        await self.toolkit.call(one.tool.name, arguments, ctx=dry)
        proposal = await approvals.propose(call, dry.planned)
        if not proposal.person:
            return plan_reply(one, proposal, dry.planned)
        said = None
        if line is not None and self.settings.elicitation:
            said = await line.approve(proposal.id, question(one, proposal, dry.planned, arguments))
        if said is None:
            raise self._approval_required(one, proposal, dry.planned)
        by = f"asked through the agent of {call.actor.id}"
        await approvals.decide(call, proposal.id, approve=said, by=by)
        if said:
            return proposal.id
        raise PermissionDenied(
            f"{call.tool}: the person who was asked said no.",
            suggestion="Do not try again; ask them what they want instead.",
            plan=proposal.id,
        )

    def _approval_required(
        self, one: Offered, proposal: Proposal, planned: list[Planned]
    ) -> ApprovalRequired:
        return ApprovalRequired(
            f"{one.tool.name} needs a person's approval: {proposal.reason}",
            suggestion=f"Ask somebody to run: msp-toolkit approval approve {proposal.id} - then make "
            f'the same call with "plan": "{proposal.id}".',
            plan=proposal.id,
            expires_at=proposal.expires_at.isoformat(timespec="seconds"),
            changes=[spelled(change.preview) for change in planned],
        )


def _reads_only(one: Offered, caller: Principal) -> PermissionDenied:
    return PermissionDenied(
        f"{one.tool.name} may change something, and {caller.actor.id} may only read here.",
        suggestion="Ask for a key that may do more, or do it on the command line.",
        tool=one.tool.name,
    )


def unusable(one: Offered) -> SystemFailure:
    """Return the error of a call whose result is of no use; the call itself has been made."""
    return SystemFailure(
        f"{one.tool.name} ran, but what it returned cannot be shown.",
        suggestion="Tell the plugin's author; do not assume that nothing happened.",
    )


def question(
    one: Offered, proposal: Proposal, planned: list[Planned], arguments: Mapping[str, Any]
) -> str:
    """Return what a person is asked: our own words about our own plan."""
    changes = "\n".join(f"- {spelled(change.preview)}" for change in planned[:20])
    more = f"\n- and {len(planned) - 20} more" if len(planned) > 20 else ""
    given = spelled(json.dumps(arguments, ensure_ascii=False))
    hidden = mask_data(given + changes) != given + changes
    return (
        f"An agent wants to call {one.name} with {given}. {clean(one.description).rstrip('.')}. "
        f"It would:\n{changes or '- not known before'}{more}\n\n"
        f"{_HIDDEN if hidden else ''}"
        f"You are asked because {proposal.reason}. Approve?"
    )


def _exact(value: Any) -> Any:
    """Return data with 1.0 as 1: some agents have one kind of numbers, and in JSON Schema both are whole."""
    kind = type(value)
    if kind is float:
        return int(value) if value.is_integer() else value
    if kind is list:
        return [_exact(item) for item in value]
    return {key: _exact(item) for key, item in value.items()} if kind is dict else value


def _size(arguments: Mapping[str, Any]) -> int:
    return len(json.dumps(arguments, ensure_ascii=False, default=str))


def _short(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return arguments for the audit trail, without those that are too long for it."""
    size = _size(arguments)
    return arguments if size <= MOST_ARGUMENTS else {"arguments": f"{size} characters"}

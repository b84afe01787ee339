"""Calls that wait for an answer between two requests, found again by a state nobody can guess."""

import asyncio
import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import mcp_types as types
from attrs import frozen
from mcp.shared.exceptions import MCPError

from msp_core.v1 import Data, Principal
from msp_mcp_server.desk import Desk
from msp_mcp_server.talk import FIRST_MODERN, Request, Talk

T = TypeVar("T")

PRINCIPAL = "msp.principal"
"""Where the HTTP front leaves who is calling."""
AGAIN = "msp.again"
"""Where it leaves what finds out once more who that is; None where the key is good no longer."""
MOST_WAITING = 200
MOST_WAITING_OF_ONE = 50
"""Calls of one caller that wait, so that it leaves room for the others."""
_MOST_SESSIONS = 10_000


@frozen(eq=False, repr=False)
class Identity(Data):
    """Whose call it is, and which: another caller, tool or argument has no part in it."""

    actor: str
    method: str
    name: str
    arguments: str


class Conversations:
    """The calls of all agents, across the requests each of them takes.

    What waits is kept in this process alone: after a restart the agent is told to begin again.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Identity, Talk]] = {}
        self._levels: OrderedDict[str, types.LoggingLevel] = OrderedDict()

    async def hold(
        self, request: Request, caller: Principal, work: Callable[[Talk], Coroutine[Any, Any, T]]
    ) -> T | types.InputRequiredResult:
        """Do the work of a call, or go on with it; return what it gives, or a question that comes first."""
        state = (request.params or {}).get("requestState")
        if state is not None and request.protocol_version >= FIRST_MODERN:
            talk = self._take(str(state), identity(request, caller))
            result = await talk.go_on(request)
        else:
            talk = Talk(request, self._levels.get(session_of(request), "info"))
            result = await talk.run(work(talk))
        if talk.done:
            return result  # type: ignore[no-any-return]
        return talk.question(self._keep(talk, identity(request, caller)))

    def _keep(self, talk: Talk, identity: Identity) -> str:
        own = sum(one.actor == identity.actor for one, _ in self._waiting.values())
        if len(self._waiting) >= MOST_WAITING or own >= MOST_WAITING_OF_ONE:
            talk.give_up()
            raise MCPError(types.INTERNAL_ERROR, "Too many calls wait for an answer; try later.")
        state = secrets.token_urlsafe(24)
        self._waiting[state] = (identity, talk)
        talk.wait(lambda: self._waiting.pop(state, None))
        return state

    def _take(self, state: str, identity: Identity) -> Talk:
        """Return the call of a state; refuse one that was changed, used, has expired or belongs to another call."""
        kept = self._waiting.get(state)
        if kept is None or kept[0] != identity:
            raise MCPError(types.INVALID_PARAMS, "Invalid or expired requestState")
        del self._waiting[state]
        return kept[1]

    async def aclose(self) -> None:
        """Give up the calls that wait, and let each end in its own way."""
        ending = [talk.give_up() for _, talk in self._waiting.values()]
        self._waiting.clear()
        if tasks := [one for one in ending if one is not None]:
            await asyncio.wait(tasks)

    async def set_level(
        self, request: Request, params: types.SetLevelRequestParams
    ) -> types.EmptyResult:
        """Note from which level on an agent of the handshake era wants messages."""
        self._levels[session_of(request)] = params.level
        if len(self._levels) > _MOST_SESSIONS:
            self._levels.popitem(last=False)
        return types.EmptyResult()


def session_of(request: Request) -> str:
    """Return what tells sessions of the handshake era apart; there is but one on stdio."""
    headers = getattr(request.request, "headers", {})
    return str(headers.get("mcp-session-id", ""))


def identity(request: Request, caller: Principal) -> Identity:
    """Say whose call a request belongs to."""
    params: dict[str, Any] = dict(request.params or {})
    arguments = json.dumps(params.get("arguments") or {}, sort_keys=True)
    return Identity(
        caller.actor.id,
        request.method,
        str(params.get("name", "")),
        hashlib.sha256(arguments.encode()).hexdigest(),
    )


async def caller_of(request: Request, desk: Desk) -> Principal:
    """Return who calls, with what they may do here: the key of the HTTP request, or the local user."""
    if request.request is None:
        return await desk.admit(desk.local())
    principal = request.request.scope.get(PRINCIPAL)
    if not isinstance(principal, Principal):
        raise MCPError(types.INVALID_REQUEST, "No caller is known for this request.")
    return await desk.admit(principal)

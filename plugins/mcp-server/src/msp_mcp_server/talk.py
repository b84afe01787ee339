"""What goes between a running call and its agent: progress, messages, and questions either way of the protocol."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar, get_args

import anyio
import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.server.connection import allowed_log_levels
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from pydantic import ValidationError

from msp_core.v1 import (
    AgentRequest,
    ConfirmationRequired,
    InvalidParameters,
    NotSupported,
    Question,
)
from msp_mcp_server.hygiene import clean, safe

log = logging.getLogger(__name__)
Request = ServerRequestContext[Any, Any]
T = TypeVar("T")

FIRST_MODERN = "2026"
LONGEST_WAIT_S = 600.0
"""How long a call stays open for an answer."""
LEVELS: tuple[types.LoggingLevel, ...] = get_args(types.LoggingLevel)
"""The protocol's levels of messages, the least first."""
_MOST_MESSAGES = 1000
"""Messages kept for an agent that is slow to take them; the oldest go first."""
_APPROVE = "approve"
_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "approve": {"type": "boolean", "title": "Approve", "description": "Let it happen, once"}
    },
    "required": ["approve"],
}
_ELICIT = "elicitation/create"
_RESULTS: dict[str, tuple[type[Any], type[Any]]] = {
    _ELICIT: (types.ElicitRequest, types.ElicitResult),
    "sampling/createMessage": (types.CreateMessageRequest, types.CreateMessageResult),
    "roots/list": (types.ListRootsRequest, types.ListRootsResult),
}


class Undeclared(NotSupported):
    """The agent did not say that it answers a request that a call needs to make."""

    def __init__(self, method: str) -> None:
        super().__init__(
            f"The agent does not offer {method}, and the call needs it.",
            suggestion="Use an agent that does.",
        )
        self.capability = method.partition("/")[0]


class NobodyToAsk(ConfirmationRequired):
    """The agent has no window to put a question in."""

    capability = "elicitation"

    def __init__(self, question: Question) -> None:
        super().__init__(
            f"The agent cannot ask its person: {question.text}",
            suggestion="Use an agent that can (elicitation), or the command line.",
        )


class Unanswered(InvalidParameters):
    """What the agent sent back is no answer, or none came."""

    def __init__(self, method: str) -> None:
        super().__init__(
            f"The agent's answer to {method} is none.", suggestion="Make the call again."
        )


class Talk:
    """One call's line to its agent. It outlives the request that began the call where a question was put in between.

    Up to 2025-11-25 a question is a request of its own. From 2026-07-28 on it is the answer to the agent's request,
    which the agent repeats with what its person said; the call waits meanwhile and is not run again.
    """

    def __init__(self, request: Request, level: types.LoggingLevel) -> None:
        self._request: Request | None = request
        self._modern = request.protocol_version >= FIRST_MODERN
        self._level = level
        self._capabilities = request.session.client_capabilities
        self._answers: Mapping[str, Any] = (request.params or {}).get("inputResponses") or {}
        self._asked: dict[str, AgentRequest] = {}
        self._given: asyncio.Future[Mapping[str, Any]] | None = None
        self._turn: asyncio.Future[None] | None = None
        self._task: asyncio.Task[Any] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._latest: tuple[int, int | None, str] | None = None
        self._sent = -1
        self._progress: asyncio.Task[None] | None = None
        self._messages: deque[tuple[types.LoggingLevel, str]] = deque(maxlen=_MOST_MESSAGES)
        self._sending: asyncio.Task[None] | None = None

    # The call, and its turns

    async def run(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Run work until it is done, or (None) until it has put a question that is to be this request's answer.

        The work is a task of its own, so that it is cancelled once and ends in its own way: where the SDK cancels,
        every later await is cancelled too, and a sweep could not give back what it holds.
        """
        self._task = asyncio.ensure_future(self._to_its_end(work))
        self._task.add_done_callback(lambda _: self._next_turn())  # one cancelled before it began
        found: T | None = await self._until_turn()
        return found

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        finally:
            # At once: a callback of the task would come a round of the loop later
            self._next_turn()

    async def go_on(self, request: Request) -> Any:
        """Let the call go on with what another request brought, until the next turn."""
        self._request = request
        if self._expiry is not None:
            self._expiry.cancel()
        answers = (request.params or {}).get("inputResponses") or {}
        self._asked, asked = {}, self._asked
        if self._given is None or any(key not in answers for key in asked):
            self._asked = asked
            return None
        self._given.set_result({key: answers[key] for key in asked})
        return await self._until_turn()

    async def _until_turn(self) -> Any:
        assert self._task is not None
        self._turn = asyncio.get_running_loop().create_future()
        if self._task.done():
            self._next_turn()
        try:
            await self._turn
        except asyncio.CancelledError:
            self._task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait({self._task})
            raise
        await self._quieten()
        return self._task.result() if self._task.done() else None

    def _next_turn(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    @property
    def done(self) -> bool:
        """Tell whether the call has ended."""
        return self._task is not None and self._task.done()

    def question(self, state: str) -> types.InputRequiredResult:
        """Return what was asked as the answer to a request; the state finds the call again."""
        return types.InputRequiredResult(
            input_requests={key: _request(one) for key, one in self._asked.items()},
            request_state=state,
        )

    def wait(self, forget: Callable[[], Any]) -> None:
        """Let the call wait for the next request; give it up where none comes for too long."""
        self._request = None
        loop = asyncio.get_running_loop()

        def expire() -> None:
            forget()
            self.give_up()

        self._expiry = loop.call_later(LONGEST_WAIT_S, expire)

    def give_up(self) -> "asyncio.Task[Any] | None":
        """End the call, which nobody waits for any more; return its task while it ends."""
        if self._expiry is not None:
            self._expiry.cancel()
        if self._task is not None:
            self._task.cancel()
        return self._task

    # Questions

    def can(self, method: str) -> bool:
        """Tell whether the agent said that it answers this request."""
        name = method.partition("/")[0]
        declared = getattr(self._capabilities, name, None) if method in _RESULTS else None
        if declared is None or not (self._modern or self._can_send()):
            return False
        # An agent that opens pages only cannot show a form
        return method != _ELICIT or declared.form is not None or declared.url is None

    def _can_send(self) -> bool:
        return self._request is not None and self._request.session.can_send_request

    async def request(
        self, requests: Mapping[str, AgentRequest]
    ) -> Mapping[str, Mapping[str, Any]]:
        """Put requests to the agent and return its results by the same keys."""
        return await self._put(requests, early=True)

    async def ask(self, question: Question) -> Mapping[str, Any] | None:
        """Have the person in front of the agent fill in a form; None where they decline."""
        if not self.can(_ELICIT):
            raise NobodyToAsk(question)
        schema = {
            "type": "object",
            "properties": {name: dict(one) for name, one in question.fields.items()},
            "required": list(question.required),
        }
        params = {"message": question.text, "requestedSchema": schema}
        asked = {question.key: AgentRequest(method=_ELICIT, params=params)}
        said = (await self._put(asked, early=True))[question.key]
        return (said.get("content") or {}) if said.get("action") == "accept" else None

    async def approve(self, _plan: str, text: str) -> bool | None:
        """Have a person approve a plan; None where nobody can be asked, or nobody answers.

        An answer sent before the question is none.
        """
        if not self.can(_ELICIT):
            return None
        params = {"message": text, "requestedSchema": _FORM}
        asked = {_APPROVE: AgentRequest(method=_ELICIT, params=params)}
        try:
            said = (await self._put(asked, early=False))[_APPROVE]
        except Unanswered:
            return None
        return said.get("action") == "accept" and (said.get("content") or {}).get(_APPROVE) is True

    async def _put(
        self, requests: Mapping[str, AgentRequest], *, early: bool
    ) -> Mapping[str, Mapping[str, Any]]:
        for one in requests.values():
            if not self.can(one.method):
                raise Undeclared(one.method)
        if not self._modern:
            return {key: await self._send(one) for key, one in requests.items()}
        known = {key: self._answers[key] for key in requests if early and key in self._answers}
        self._asked = {key: one for key, one in requests.items() if key not in known}
        if self._asked:
            self._given = asyncio.get_running_loop().create_future()
            self._next_turn()
            known.update(await self._given)
        return {key: _result(requests[key], known[key]) for key in requests}

    async def _send(self, one: AgentRequest) -> Mapping[str, Any]:
        assert self._request is not None
        _, result = _RESULTS[one.method]
        try:
            said = await self._request.session.send_request(
                _request(one),
                result,
                request_read_timeout_seconds=LONGEST_WAIT_S,
                metadata=ServerMessageMetadata(related_request_id=self._request.request_id),
            )
        except (MCPError, ValidationError):  # it failed there, it is malformed, or the time is up
            raise Unanswered(one.method) from None
        return _plain(said)

    # Progress and messages

    def update(self, done: int, total: int | None, text: str = "") -> None:
        """Note how far the work is; it is sent at most ten times a second, and only forward."""
        self._latest = (done, total, text)
        if self._progress is None or self._progress.done():
            self._progress = asyncio.ensure_future(self._report())

    async def _report(self) -> None:
        while self._latest is not None:
            (done, total, text), self._latest = self._latest, None
            if done > self._sent and self._request is not None:
                self._sent = done
                await self._request.session.report_progress(done, total, clean(text) or None)
            await asyncio.sleep(0.1)

    def say(self, level: types.LoggingLevel, text: str) -> None:
        """Send a message, in order, if the agent wants those of its level."""
        self._messages.append((level, text))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._send_messages())

    async def _send_messages(self) -> None:
        while self._messages and self._request is not None:
            level, text = self._messages.popleft()
            request = self._request
            if level not in self._wanted(request):
                continue
            params = types.LoggingMessageNotificationParams(
                level=level, data=safe(text), logger="msp-toolkit"
            )
            try:
                await request.session.send_notification(
                    types.LoggingMessageNotification(params=params), request.request_id
                )
            except Exception:  # the agent has gone; the work goes on
                log.debug("a message could not be sent", exc_info=True)

    def _wanted(self, request: Request) -> frozenset[str]:
        if self._modern:
            return allowed_log_levels(request.protocol_version, request.meta)
        return frozenset(LEVELS[LEVELS.index(self._level) :])

    async def _quieten(self) -> None:
        """Send the messages that are left, and no progress more: nothing comes after an answer."""
        self._latest = None
        if self._progress is not None:
            self._progress.cancel()
        if self._sending is not None:
            await asyncio.wait({self._sending})


def lacking(error: Undeclared | NobodyToAsk) -> MCPError:
    """Return the protocol's own error for what an agent would have to offer (2026-07-28)."""
    return MCPError(
        types.MISSING_REQUIRED_CLIENT_CAPABILITY,
        clean(error.message),
        {"requiredCapabilities": {error.capability: {}}, "error": {"code": error.code}},
    )


def _request(one: AgentRequest) -> Any:
    kind, _ = _RESULTS[one.method]
    try:
        return kind.model_validate({"method": one.method, "params": safe(one.params)})
    except ValidationError as error:
        raise InvalidParameters(
            f"{one.method} cannot be asked like this: {error.errors()[0]['msg']}",
            suggestion="Look at the protocol's schema.",
        ) from None


def _result(one: AgentRequest, said: Any) -> Mapping[str, Any]:
    _, kind = _RESULTS[one.method]
    try:
        return _plain(kind.model_validate(said, by_name=False))
    except ValidationError:
        raise Unanswered(one.method) from None


def _plain(said: Any) -> dict[str, Any]:
    found: dict[str, Any] = said.model_dump(by_alias=True, mode="json", exclude_none=True)
    return found

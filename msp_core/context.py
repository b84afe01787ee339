"""What one call carries: who, for whom, since when, whether for real; and the one door for changes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from attrs import define, field, frozen

from msp_core.correlation import correlation_id as correlation_id
from msp_core.correlation import new_correlation_id
from msp_core.data import Data
from msp_core.display import Display
from msp_core.errors import (
    ClientNotFound,
    ConfirmationRequired,
    Conflict,
    InvalidParameters,
    MspError,
    PermissionDenied,
)
from msp_core.program import program_name
from msp_core.protocols import Actor, Asks, Change, Guard, Progress, Scope
from msp_core.records import Effect, Surface
from msp_core.structure import Unstructurable, plain, structure

if TYPE_CHECKING:
    from msp_core.mcp import McpAgent
    from msp_core.protocols import Call
    from msp_core.toolkit import Toolkit

T = TypeVar("T")
log = logging.getLogger(__name__)

_inside_door: ContextVar[Effect] = ContextVar("msp_inside_door", default=Effect.RECORD)


@frozen(kw_only=True, eq=False, repr=False)
class Planned(Data):
    """What a change gives in a dry run instead of its result; anything that depends on it is known after apply.

    `target_known` is False where it was made from the result of an earlier change.
    """

    DISPLAY: ClassVar[Display] = Display(summary=str)

    kind: str
    target: str
    preview: str
    client_id: str | None = None
    target_known: bool = True

    def __str__(self) -> str:
        return "(known after apply)"


class NoProgress:
    """Progress that nobody watches."""

    def update(self, done: int, total: int | None, text: str = "") -> None:
        """Do nothing."""


@define(kw_only=True, eq=False, repr=False)
class Context:
    """One call. Made by `Toolkit.context`; handed to tools, sources and adapters, and never kept by them."""

    toolkit: "Toolkit"
    actor: Actor
    scope: Scope = field(factory=Scope)
    surface: Surface = Surface.PYTHON
    correlation_id: str = field(factory=new_correlation_id)
    dry_run: bool = False
    read_only: bool = False
    plan: str = ""
    """The id of the plan this call carries out, where the caller was given one."""
    progress: Progress = field(factory=NoProgress)
    warnings: list[str] = field(factory=list)
    planned: list[Planned] = field(factory=list)
    call: "Call | None" = None
    on_warning: Callable[[str], None] | None = None
    on_message: Callable[[str], None] | None = None
    interactive: bool = False
    """Whether somebody is there to answer a question."""
    asker: Asks | None = None
    agent: "McpAgent | None" = None
    """What the agent behind the call offers beyond calling; None on every surface but MCP."""
    deadline: asyncio.Timeout | None = None
    """When the call is given up; it stands still while a person is asked."""

    def now(self) -> datetime:
        """Return the time by the toolkit's clock, aware UTC."""
        return self.toolkit.now()

    async def get(self, service: type[T]) -> T:
        """Return the service of this Protocol; raise UnknownPlugin saying what to install."""
        return await self.toolkit.get(service)

    async def adapter(self, instance: str) -> Any:
        """Return the adapter of this configured name; raise UnknownPlugin naming the configured ones."""
        return await self.toolkit.adapter(instance)

    def settings(self, section_type: type[T]) -> T:
        """Return a typed section of the configuration."""
        return self.toolkit.settings(section_type)

    def warn(self, text: str) -> None:
        """Tell people something beside the result; on the command line at once, elsewhere as a note."""
        self.warnings.append(text)
        log.info("%s", text)
        if self.on_warning is not None:
            self.on_warning(text)

    def say(self, text: str) -> None:
        """Tell people how the work goes, while it runs: on stderr, or as a log message to an agent that wants them."""
        log.debug("%s", text)
        if self.on_message is not None:
            self.on_message(text)

    async def ask(self, text: str, form: type[T], *, key: str = "answer") -> T | None:
        """Ask the person behind this call to fill in a form; return it filled in, None where they decline.

        `form` is an attrs class of texts, numbers, yes or no, enums and lists of enums; `Annotated[..., Doc]` labels a
        field. It is put at the terminal, or in the window of the person's agent; two questions of one call need two
        keys. The call's timeout stands still meanwhile. Raise ConfirmationRequired where nobody is there to answer: in
        a workflow, on a schedule, and where an agent plans a change, which has to depend on its arguments alone.
        """
        if self.asker is None:
            message = f"A question was not put, because nobody is here to answer it: {text}"
            raise ConfirmationRequired(
                message, suggestion="Run it where a person can answer, or give it as an argument."
            )
        from msp_core.questions import Question

        with self.unhurried():
            said = await self.asker.ask(Question(key=key, text=text, form=form))
        if said is None:
            return None
        try:
            return structure(said, form, key)  # type: ignore[no-any-return]
        except Unstructurable as error:
            raise InvalidParameters(
                f"The answer does not fit the question: {error}",
                suggestion="Ask again.",
                problems=list(map(str, error.problems)),
            ) from None

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Let the time inside not count towards the call's timeout: somebody is being waited for."""
        at = None if self.deadline is None else self.deadline.when()
        if self.deadline is None or at is None:
            yield
            return
        clock = asyncio.get_running_loop().time
        left = at - clock()
        self.deadline.reschedule(None)
        try:
            yield
        finally:
            self.deadline.reschedule(clock() + left)

    @property
    def records(self) -> bool:
        """Tell whether this call may write to our own records: not in a dry run, not read-only."""
        return not (self.dry_run or self.read_only)

    def require_client(self, *client_ids: str) -> None:
        """Raise ClientNotFound when a client is outside the scope, as if it did not exist."""
        if self.scope.clients is None:
            return
        for client_id in client_ids:
            if not self.scope.allows_client(client_id):
                message = f"Client {client_id!r} not found."
                raise ClientNotFound(
                    message,
                    suggestion=f"Use {self.spelt('client.list')} to see available clients.",
                    client_id=client_id,
                )

    def spelt(self, tool: str) -> str:
        """Return how a tool is called where this call came from: `msp-toolkit client list` or `client_list`."""
        if self.surface is Surface.CLI:
            return f"{program_name()} {tool.replace('.', ' ')}"
        return tool.replace(".", "_")

    async def change(
        self,
        kind: str,
        target: str,
        apply: Callable[[], Awaitable[T]],
        *,
        key: str,
        client_id: str | None = None,
        effect: Effect = Effect.CHANGE,
        preview: str = "",
        find: Callable[[], Awaitable[T | None]] | None = None,
        idempotent: bool = False,
        after: object = None,
    ) -> T | Planned:
        """Alter something outside our own records; there is no other way to.

        Dry run: nothing happens, the change is listed and a `Planned` returned. Otherwise the guard approves it and
        commits the key before `apply` runs. A key that is done returns what was recorded. One that a dead process left
        in flight is applied again only if `find` says nothing is there or the change is idempotent; else Conflict.
        `after` is the result of an earlier change that the target is made from: a plan cannot name such a target yet,
        so it allows any of this kind.
        """
        if client_id is not None:
            self.require_client(client_id)
        if self.dry_run:
            plan = Planned(
                kind=kind,
                target=target,
                preview=preview or f"{kind} {target}",
                client_id=client_id,
                target_known=not isinstance(after, Planned),
            )
            self.planned.append(plan)
            return plan
        if self.read_only or effect > self.scope.max_effect:
            message = f"{kind} on {target} would change something, and this call may only read."
            raise PermissionDenied(
                message, suggestion="Run it without read-only mode, or ask for a wider scope."
            )
        self._require_declared(kind, target)
        guard = await self.toolkit.guard()
        change = Change(
            kind=kind,
            target=target,
            key=key,
            effect=effect,
            actor=self.actor,
            correlation_id=self.correlation_id,
            client_id=client_id,
            preview=preview,
        )
        if guard is None or self.call is None:
            self._require_local(kind, target)
            return await _apply(apply, effect)
        return await self._guarded(guard, self.call, change, apply, find, idempotent=idempotent)

    def _require_declared(self, kind: str, target: str) -> None:
        """A tool that is called without a plan, as one that only reads or records, changes nothing either."""
        if self.call is not None and self.call.effect < Effect.CHANGE:
            word = self.call.effect.name.lower()
            message = (
                f"{kind} on {target}: {self.call.tool} is declared as one that may {word} only."
            )
            raise PermissionDenied(message, suggestion="Declare the tool's effect as it is.")

    def _require_local(self, kind: str, target: str) -> None:
        """Without a guard only the local user's own command passes."""
        if self.actor.kind != "local":
            message = f"{kind} on {target}: nobody is here to approve it."
            raise PermissionDenied(
                message, suggestion="Install access control: pip install msp-access"
            )

    async def _guarded(
        self,
        guard: Guard,
        call: "Call",
        change: Change,
        apply: Callable[[], Awaitable[T]],
        find: Callable[[], Awaitable[T | None]] | None,
        *,
        idempotent: bool,
    ) -> T | Planned:
        known = await guard.begin_change(call, change)
        if known.state == "done":
            return known.result  # type: ignore[no-any-return]
        if known.state == "in-flight":
            there = await find() if find is not None else None
            if there is not None:
                await guard.finish_change(change, ok=True, result=plain(there))
                return there
            if find is None and not idempotent:
                message = f"{change.kind} on {change.target} was interrupted, and whether it happened is unknown."
                raise Conflict(
                    message,
                    suggestion="Look at the target, then settle it: msp-toolkit change list",
                    key=change.key,
                )
        try:
            result = await _apply(apply, change.effect)
        except MspError as error:
            await guard.finish_change(
                change, ok=False, result={"code": error.code, "message": error.message}
            )
            raise
        except Exception as error:
            await guard.finish_change(
                change, ok=False, result={"code": "SYSTEM_ERROR", "message": type(error).__name__}
            )
            raise
        await guard.finish_change(change, ok=True, result=plain(result))
        return result


async def _apply(apply: Callable[[], Awaitable[T]], effect: Effect) -> T:
    with inside_door(effect):
        return await apply()


@contextmanager
def inside_door(effect: Effect) -> Iterator[None]:
    """Let the code inside pass `check_door` up to this effect; `Context.change` alone does so in real work."""
    token = _inside_door.set(effect)
    try:
        yield
    finally:
        _inside_door.reset(token)


def check_door(effect: Effect, what: str) -> None:
    """Raise PermissionDenied when `what` would change something outside `ctx.change`; adapters call it first."""
    if effect >= Effect.CHANGE and _inside_door.get() < effect:
        message = f"{what} would change something, but not through ctx.change."
        raise PermissionDenied(
            message,
            suggestion="Call it inside ctx.change(...), so that it is approved and recorded.",
        )

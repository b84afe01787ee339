"""What one call may do: the settings of its surface and its actor put together. Pure."""

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial

from attrs import evolve, frozen

from msp_access.settings import AccessSettings, Approval, Limits, Role
from msp_core.v1 import (
    Actor,
    Call,
    Data,
    Effect,
    McpPrompt,
    McpResource,
    PermissionDenied,
    Registry,
    Scope,
    Surface,
    Tool,
    completion,
)

_UNATTENDED = frozenset({Surface.MCP})
"""Surfaces where a model, not a person, decides to call.

Nothing changes there that was not planned first; what destroys, and what is beyond the caps, needs a person.
"""
_MOST_KNOWN = 1000
_UNATTENDED_CLIENTS, _UNATTENDED_TARGETS = 1, 10
"""Caps there, where the settings name none."""


@frozen(kw_only=True, eq=False, repr=False)
class Policy(Data):
    """The limits of one call."""

    scope: Scope
    read_only: bool
    approval: Approval
    plan_first: bool
    max_clients: int | None
    max_targets: int | None

    def beyond_caps(self, clients: int, targets: int) -> str:
        """Say which cap so many clients or targets in one call are beyond; empty where none."""
        if self.max_clients is not None and clients > self.max_clients:
            return f"it changes more than {_counted(self.max_clients, 'client')} in one call"
        if self.max_targets is not None and targets > self.max_targets:
            return f"it changes more than {_counted(self.max_targets, 'device')} in one call"
        return ""

    def check(self, call: Call) -> None:
        """Raise PermissionDenied where the call is more than its actor may do."""
        if self.scope.tools is not None and call.tool not in self.scope.tools:
            raise PermissionDenied(
                f"{call.actor.id} may not use {call.tool} here",
                suggestion="Ask whoever keeps the `access` settings for it.",
                tool=call.tool,
            )
        most = self.scope.max_effect
        if self.read_only and not call.dry_run:
            most = min(most, Effect.RECORD)
        if call.effect > most:
            why = (
                "the toolkit is in read-only mode" if self.read_only else f"{call.actor.id} may not"
            )
            raise PermissionDenied(
                f"{call.tool} may {call.effect.name.lower()}, and {why}",
                suggestion="Use --dry-run to see what it would do, or ask for wider access.",
                tool=call.tool,
            )


class Policies:
    """The policies of one toolkit, each put together once: settings do not change while it is open."""

    def __init__(self, settings: AccessSettings, registry: Registry) -> None:
        self._settings = settings
        self._registry = registry
        self._known: dict[tuple[Surface, str, Scope], Policy] = {}

    def of(self, surface: Surface, actor: Actor, scope: Scope) -> Policy:
        """Return what an actor with this scope may do on a surface."""
        key = (surface, actor.id, scope)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            names = partial(tool_names, self._registry)
            found = self._known[key] = policy(self._settings, surface, actor, scope, names)
        return found


def policy(
    settings: AccessSettings,
    surface: Surface,
    actor: Actor,
    scope: Scope,
    tool_names: Callable[[], Iterable[str]],
) -> Policy:
    """Put together what the settings say; no source widens what another one limits."""
    limits = [
        *_found(settings.surfaces.get(surface.value)),
        *_found(settings.actors.get(actor.id)),
    ]
    read_only = settings.read_only
    for one in limits:
        scope = _narrowed(scope, one, tool_names)
        read_only = read_only or one.read_only or one.role is Role.VIEWER
    said = [one.approval for one in limits if one.approval is not None]
    unattended = surface in _UNATTENDED
    default = Approval.DESTROY if unattended else Approval.NEVER
    max_clients = _least(
        settings.max_clients_per_change, *(one.max_clients_per_change for one in limits)
    )
    max_targets = _least(
        settings.max_devices_per_change, *(one.max_devices_per_change for one in limits)
    )
    if unattended:
        max_clients = max_clients or _UNATTENDED_CLIENTS
        max_targets = max_targets or _UNATTENDED_TARGETS
    return Policy(
        scope=scope,
        read_only=read_only,
        approval=min(said, key=_strictness) if said else default,
        plan_first=unattended and not said,
        max_clients=max_clients,
        max_targets=max_targets,
    )


def tool_names(registry: Registry) -> Iterator[str]:
    """Yield every name a pattern may mean: tools, and what reading, choosing and completing documents counts as."""
    for tool in registry.records(Tool):
        yield tool.name
    documents: list[McpResource | McpPrompt] = [*registry.records(McpResource)]
    documents += registry.records(McpPrompt)
    for one in documents:
        yield one.tool.name
        completing = completion(one)
        if completing is not None:
            yield completing.name


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _found(limits: Limits | None) -> list[Limits]:
    return [] if limits is None else [limits]


def _strictness(approval: Approval) -> int:
    return (Approval.CHANGE, Approval.DESTROY, Approval.NEVER).index(approval)


def _least(*numbers: int | None) -> int | None:
    return min((number for number in numbers if number is not None), default=None)


def _narrowed(scope: Scope, limits: Limits, tool_names: Callable[[], Iterable[str]]) -> Scope:
    most = scope.max_effect
    if limits.role is Role.OPERATOR:
        most = min(most, Effect.CHANGE)
    if limits.max_effect is not None:
        most = min(most, limits.max_effect.effect)
    clients, tools = scope.clients, scope.tools
    if limits.clients is not None:
        named = frozenset(limits.clients)
        clients = named if clients is None else clients & named
    if limits.tools is not None:
        matching = frozenset(
            name
            for name in tool_names()
            if any(fnmatchcase(name, pattern) for pattern in limits.tools)
        )
        tools = matching if tools is None else tools & matching
    return evolve(scope, clients=clients, tools=tools, max_effect=most)

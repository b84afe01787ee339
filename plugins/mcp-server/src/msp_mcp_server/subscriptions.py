"""Resources an agent wants to hear of: read again from time to time, for whoever changes them does not tell."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable

import mcp_types as types
from attrs import define
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError

from msp_core.v1 import Principal
from msp_mcp_server.desk import Desk
from msp_mcp_server.documents import Documents
from msp_mcp_server.talk import Request
from msp_mcp_server.waiting import AGAIN, caller_of, session_of

log = logging.getLogger(__name__)

MOST_WATCHED = 100
"""Resources of one caller; beyond them the one watched longest is let go, as its session may be long gone."""
_PASSING = ("RATE_LIMIT_EXCEEDED", "STORE_UNAVAILABLE")
"""Why a resource cannot be read now, and can be later."""
Key = tuple[str, str]
"""Who watches (a session, or a stream), and the URI."""


@define
class Watched:
    """One resource, whoever watches it, what it was like, and whom to tell.

    `again` finds out whether the watcher's key is still good; over stdio there is none.
    """

    caller: Principal
    again: Callable[[], Awaitable[Principal | None]] | None
    uri: str
    mark: str
    tell: Callable[[], Awaitable[None]]


class Subscriptions:
    """What is watched. Nothing runs while nothing is."""

    def __init__(self, desk: Desk, documents: Documents) -> None:
        self._desk = desk
        self._documents = documents
        self._watched: dict[Key, Watched] = {}
        self._task: asyncio.Task[None] | None = None
        self._bus = InMemorySubscriptionBus()
        self._streams = ListenHandler(self._bus)

    async def subscribe(
        self, request: Request, params: types.SubscribeRequestParams
    ) -> types.EmptyResult:
        """Watch a resource for a session of the handshake era."""
        uri, session = str(params.uri), request.session

        async def tell() -> None:
            await session.send_resource_updated(uri)

        await self._watch((session_of(request), uri), request, tell)
        return types.EmptyResult()

    async def unsubscribe(
        self, request: Request, params: types.UnsubscribeRequestParams
    ) -> types.EmptyResult:
        """Watch it no longer."""
        self._watched.pop((session_of(request), str(params.uri)), None)
        return types.EmptyResult()

    async def listen(
        self, request: Request, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Watch resources for as long as a stream is open (2026-07-28); those its caller cannot read are left out."""
        caller = await caller_of(request, self._desk)
        stream = f"stream {id(params)}"
        watched: list[str] = []
        for uri in params.notifications.resource_subscriptions or ():
            try:
                await self._watch((stream, uri), request, self._publisher(uri))
                watched.append(uri)
            except MCPError:
                log.info("%s may not subscribe to %s", caller.actor.id, uri)
        wanted = params.notifications.model_copy(update={"resource_subscriptions": watched or None})
        try:
            return await self._streams(request, params.model_copy(update={"notifications": wanted}))
        finally:
            for uri in watched:
                self._watched.pop((stream, uri), None)

    def close(self) -> None:
        """Watch nothing more."""
        self._watched.clear()
        if self._task is not None:
            self._task.cancel()

    def _publisher(self, uri: str) -> Callable[[], Awaitable[None]]:
        async def tell() -> None:
            await self._bus.publish(ResourceUpdated(uri=uri))

        return tell

    async def _watch(self, key: Key, request: Request, tell: Callable[[], Awaitable[None]]) -> None:
        caller = await caller_of(request, self._desk)
        again = None if request.request is None else request.request.scope.get(AGAIN)
        mark = await self._mark(caller, key[1])
        own = [one for one, kept in self._watched.items() if kept.caller.actor == caller.actor]
        if key not in self._watched and len(own) >= MOST_WATCHED:
            del self._watched[own[0]]
        self._watched[key] = Watched(caller, again, key[1], mark, tell)
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        while self._watched:
            await asyncio.sleep(self._desk.settings.watch_seconds)
            for key, one in list(self._watched.items()):
                if key not in self._watched:
                    continue
                try:
                    if one.again is not None and await one.again() is None:
                        self._watched.pop(key, None)
                        continue
                    mark = await self._mark(one.caller, one.uri)
                    if mark != one.mark:
                        one.mark = mark
                        await one.tell()
                except Exception as error:  # not to be read any more, or nobody there to be told
                    if isinstance(error, MCPError) and _passes(error):
                        continue
                    log.debug("the subscription to %s ends", one.uri, exc_info=True)
                    self._watched.pop(key, None)

    async def _mark(self, caller: Principal, uri: str) -> str:
        found = await self._documents.read(caller, uri)
        return hashlib.sha256(found.model_dump_json().encode()).hexdigest()


def _passes(error: MCPError) -> bool:
    data = error.data if isinstance(error.data, dict) else {}
    return data.get("error", {}).get("code") in _PASSING

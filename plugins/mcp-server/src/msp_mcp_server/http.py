"""Serve agents over Streamable HTTP: this machine only, unless keys and names of hosts are configured."""

import asyncio
import ipaddress
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache, partial
from typing import Any

import uvicorn
from mcp.server.auth.middleware.bearer_auth import (
    AuthenticatedUser,
    AuthorizationContext,
    authorization_context,
)
from mcp.server.auth.provider import AccessToken
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import ClientDisconnect

from msp_core.v1 import ConfigError, Keys, MspError, Principal, UnknownPlugin
from msp_mcp_server.connections import Connection
from msp_mcp_server.desk import Desk
from msp_mcp_server.server import build
from msp_mcp_server.talk import FIRST_MODERN
from msp_mcp_server.waiting import AGAIN, PRINCIPAL

log = logging.getLogger(__name__)

PATH = "/mcp"
LARGEST_BODY = 2 * 1024 * 1024
MOST_SESSIONS_OF_ONE = 1_000
"""Open sessions of the handshake era of one caller, so that it leaves room for others: the SDK keeps 10,000."""
_KEY_HEADERS = (b"authorization", b"x-api-key")
_KEY = re.compile(r"\bmsp_([2-9a-z]{8})_")
_UNKNOWN = (
    "A valid key is needed.",
    "Send Authorization: Bearer KEY; make one with: msp-toolkit key create NAME",
)
_CROWDED = (
    "This key has too many sessions open.",
    "End them (DELETE) or go on in one of them; those nobody uses end after 30 minutes.",
)
_CLOSED = ("Keys cannot be looked up now.", "Try again later; the server's log says why.")
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def serve(desk: Desk, host: str, port: int, *, started: Callable[[str], None]) -> None:
    """Serve until the process is told to stop; raise ConfigError before listening where that would not be safe."""
    host = host.strip("[]")
    keys = await _keys(desk)
    needs_key = keys is not None and await keys.any()
    if not is_loopback(host):
        _require_safe(desk, host, needs_key=needs_key)
    server = build(desk)
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        host=host,
        transport_security=_security(desk, host),
        max_request_body_size=LARGEST_BODY,
    )
    manager = server.session_manager
    front = Front(
        app, desk, keys, local=is_loopback(host), owners=lambda: manager._session_owners.values()
    )
    config = uvicorn.Config(
        front,
        host=host,
        port=port,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    await Announcing(config, started).serve()


class Announcing(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, started: Callable[[str], None]) -> None:
        super().__init__(config)
        self._announce = started

    async def startup(self, sockets: Any = None) -> None:
        """Listen, and say so; raise ConfigError where that cannot be."""
        try:
            await super().startup(sockets)
        except SystemExit as error:  # uvicorn's way, from the handler of what went wrong
            cause = error.__context__
            why = f": {cause.strerror}" if isinstance(cause, OSError) else ""
            raise ConfigError(
                f"Nobody can listen on {self.config.host}, port {self.config.port}{why}.",
                suggestion="Choose another port with --port, or stop what listens there.",
            ) from None
        for one in self.servers:
            for socket in one.sockets:
                host, port = socket.getsockname()[:2]
                name = f"[{host}]" if ":" in host else host
                self._announce(f"http://{name}:{port}{PATH}")


class Front:
    """Finds out who calls before anything else looks at the request."""

    def __init__(
        self,
        app: App,
        desk: Desk,
        keys: Keys | None,
        *,
        local: bool,
        owners: Callable[[], Iterable[AuthorizationContext]],
    ) -> None:
        self._app = app
        self._desk = desk
        self._keys = keys
        self._local = local
        """Whether nobody but this machine can call: only then may somebody without a key be its user."""
        self._owners = owners
        """Gives whose session each open one is; the SDK has no public way to ask."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 to a wrong key, and to none where keys are in use; pass everything else on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == "/healthz":
            await _plainly(send, 200, {"status": "ok"})
            return
        headers = _headers(scope)
        again = partial(self._principal, headers)
        try:
            principal = await again()
        except MspError as error:
            log.error("keys cannot be looked up: %s", error.message)
            await _plainly(send, 503, _error(error.code, *_CLOSED))
            return
        if principal is None:
            address = (scope.get("client") or ["?"])[0]
            log.warning("a request from %s has no valid key", address)
            await self._desk.turned_away(address, _key_id(headers))
            challenge = (b"www-authenticate", b'Bearer realm="msp-toolkit"')
            await _plainly(send, 401, _error("AUTHENTICATION_FAILED", *_UNKNOWN), [challenge])
            return
        scope[PRINCIPAL], scope[AGAIN] = principal, again
        scope["user"] = user = _owner(principal.actor.id)
        if _begins_session(scope) and self._has_many(user):
            await _plainly(send, 429, _error("RATE_LIMIT_EXCEEDED", *_CROWDED))
            return
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            log.info("%s went before its request was whole", principal.actor.id)
        except asyncio.CancelledError:
            # By nobody but uvicorn, for which it would be a crash: the server stops, and has waited long enough
            log.warning("a request of %s ends with the server", principal.actor.id)

    def _has_many(self, user: AuthenticatedUser) -> bool:
        mine = authorization_context(user)
        return sum(one == mine for one in self._owners()) >= MOST_SESSIONS_OF_ONE

    async def _principal(self, headers: dict[str, str]) -> Principal | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if "authorization" in headers or "x-api-key" in headers:
            return await self._keys.principal(key) if self._keys is not None and key else None
        if not self._local or (self._keys is not None and await self._keys.any()):
            return None
        return self._desk.local()


@lru_cache(maxsize=1000)
def _owner(actor: str) -> AuthenticatedUser:
    """Return a caller as the SDK knows one: a session answers to nobody but who began it."""
    return AuthenticatedUser(AccessToken(token="", client_id=actor, scopes=[]))


def _begins_session(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    version = headers.get(b"mcp-protocol-version", b"").decode("latin-1")
    return b"mcp-session-id" not in headers and version < FIRST_MODERN


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


async def _keys(desk: Desk) -> Keys | None:
    try:
        return await desk.toolkit.get(Keys)
    except UnknownPlugin:
        return None


def _require_safe(desk: Desk, host: str, *, needs_key: bool) -> None:
    missing = []
    if not needs_key:
        missing.append("a key (msp-toolkit key create NAME)")
    if not desk.settings.allowed_hosts:
        missing.append("mcp.allowed_hosts")
    if missing:
        raise ConfigError(
            f"Others than this machine could reach {host}, and it lacks {' and '.join(missing)}.",
            suggestion="Listen on 127.0.0.1, or configure what is missing.",
        )


def _security(desk: Desk, host: str) -> TransportSecuritySettings:
    """Answer only to names of this machine and those configured: a web page elsewhere must not reach in."""
    settings = desk.settings
    hosts = [*_LOCAL_HOSTS, *settings.allowed_hosts]
    if is_loopback(host) and ":" not in host:
        hosts.append(host)  # another address of this machine's own, such as 127.0.0.2
    origins = [f"http://{name}:*" for name in _LOCAL_HOSTS]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[form for name in hosts for form in (name, f"{name}:*")],
        allowed_origins=[*origins, *settings.allowed_origins],
    )


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers a key may be in; their names come in small letters."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name in _KEY_HEADERS:
            known = name.decode("latin-1")
            # What was sent twice is no key: a proxy before us may have looked at the other one
            found[known] = "" if known in found else value.decode("latin-1")
    return found


def _key_id(headers: Mapping[str, str]) -> str:
    """Return the id in what was sent as a key, which is no secret; nothing of anything else, which may be one."""
    found = _KEY.search(" ".join(headers.values()))
    return found[1] if found else ""


def _error(code: str, message: str, suggestion: str) -> dict[str, Any]:
    details = {"suggestion": suggestion}
    return {"error": {"code": code, "message": message, "details": details}}


async def _plainly(
    send: Send, status: int, data: Any, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    body = json.dumps(data).encode()
    kind = (b"content-type", b"application/json")
    length = (b"content-length", str(len(body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [kind, length, *(headers or [])],
        }
    )
    await send({"type": "http.response.body", "body": body})

"""A real HTTP server on loopback whose every byte a test decides."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import define, field

from msp_http.api import HttpClient, Response, Token
from msp_http.service import Clients
from msp_http.settings import HttpSettings


@define
class Request:
    """What arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[bytes | None]]


@define
class Server:
    """Answers what `handle` returns; None closes the connection without an answer."""

    handle: Handler
    requests: list[Request] = field(factory=list)
    url: str = ""
    open_now: int = 0
    most_open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                pairs = (line.partition(": ") for line in head[1:] if line)
                headers = {name.lower(): value for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                request = Request(method, target, headers, body)
                self.requests.append(request)
                self.open_now += 1
                self.most_open = max(self.most_open, self.open_now)
                try:
                    said = await self.handle(request, writer)
                finally:
                    self.open_now -= 1
                if said is None:
                    break
                writer.write(said)
                await writer.drain()
        writer.close()


@define
class Login:
    """An Authenticator that asks POST /token and counts."""

    secret: str = "s3cr3t-canary-value"
    lifetime: float | None = None
    calls: int = 0

    async def authenticate(self, http: Any) -> Token:
        self.calls += 1
        response: Response = await http.request(
            "POST", "/token", data={"client_id": "me", "client_secret": self.secret}
        )
        token = response.json()["access_token"]
        lifetime = None if self.lifetime is None else timedelta(seconds=self.lifetime)
        return Token(headers={"Authorization": f"Bearer {token}"}, lifetime=lifetime)


@define
class Bench:
    """Makes servers and clients, and closes them."""

    clients: Clients = field(factory=lambda: Clients(HttpSettings()))
    stack: contextlib.AsyncExitStack = field(factory=contextlib.AsyncExitStack)

    async def server(self, handle: Handler) -> Server:
        server = Server(handle)
        tasks: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            await server.serve(reader, writer)

        listening = await asyncio.start_server(accept, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"

        async def stop() -> None:
            listening.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.stack.push_async_callback(stop)
        return server

    def client(self, server: Server | str, **options: Any) -> HttpClient:
        url = server if isinstance(server, str) else server.url
        return self.clients.client(instance=options.pop("instance", "rmm"), base_url=url, **options)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Servers and clients for one test."""
    made = Bench()
    async with made.stack:
        try:
            yield made
        finally:
            await made.clients.aclose()


@pytest.fixture
def login() -> Login:
    """An authenticator that logs in at POST /token."""
    return Login()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little between tries; how long it really is has tests of its own."""
    monkeypatch.setattr("msp_http.retry.FIRST_DELAY_S", 0.02)

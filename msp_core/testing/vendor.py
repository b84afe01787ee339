"""A vendor to test against: a real HTTP server on the loopback device that remembers every request."""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from attrs import define, field, frozen

HOST = "127.0.0.1"


@frozen(kw_only=True)
class Request:
    """One request as it arrived. Header names are lower case; of a repeated query name the last value counts."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    target: str
    """Path and query as they were sent."""

    def json(self) -> Any:
        """Decode the body."""
        return json.loads(self.body)


@frozen(kw_only=True)
class Reply:
    """One answer. `data` becomes JSON unless `body` is given; `cut` sends half of it, `reset` nothing at all."""

    status: int = 200
    data: Any = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(factory=dict)
    cut: bool = False
    reset: bool = False

    def encoded(self) -> bytes:
        """Return the body's bytes."""
        return json.dumps(self.data).encode() if self.body is None else self.body

    def read(self) -> Any:
        """Decode the body as JSON; None where it is none."""
        try:
            return json.loads(self.encoded())
        except ValueError:
            return None


Handler = Callable[[Request], Reply | Awaitable[Reply]]


class Vendor:
    """Serves a handler on a free port: `async with Vendor(answer) as vendor: ... vendor.url`."""

    def __init__(self, answer: Handler) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        assert self._server is not None, "the vendor is not started"
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def respond(self, request: Request) -> Reply:
        """Answer one request."""
        answer = self.answer(request)
        return await answer if inspect.isawaitable(answer) else answer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            self.requests.append(request)
            await _write(writer, await self.respond(request))
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        except Exception as error:
            text = f"the test vendor failed: {type(error).__name__}: {error}"
            await _write(writer, Reply(status=500, data={"error": text}))
            raise
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    return Request(
        method=method,
        path=parts.path,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers=headers,
        body=body,
        target=target,
    )


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    if reply.reset:
        writer.transport.abort()
        return
    body = reply.encoded()
    headers = {"content-type": "application/json", **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} -", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
    writer.write(body[: len(body) // 2] if reply.cut else body)
    await writer.drain()


async def forward(url: str, request: Request) -> Reply:
    """Send a request on to another server and return its answer."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    left_out = {"connection", "host", "accept-encoding", "content-length", "transfer-encoding"}
    kept = {name: value for name, value in request.headers.items() if name not in left_out}
    # HTTP/1.0 spares us answers in chunks
    lines = [f"{request.method} {request.target} HTTP/1.0", f"host: {parts.netloc}"]
    lines += [f"content-length: {len(request.body)}"]
    lines += [f"{name}: {value}" for name, value in kept.items()]
    try:
        writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body)
        await writer.drain()
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): text.strip() for name, _, text in (line.partition(":") for line in rest)
    }
    for name in ("content-length", "connection", "date", "server"):
        headers.pop(name, None)
    return Reply(status=int(first.split()[1]), body=body, headers=headers)


@define
class _Expected:
    method: str
    path: str
    reply: Reply | Callable[[Request], Reply]
    query: Mapping[str, str]
    times: int | None
    served: int = 0

    def matches(self, request: Request) -> bool:
        return (
            (self.method, self.path) == (request.method, request.path)
            and all(request.query.get(name) == value for name, value in self.query.items())
            and (self.times is None or self.served < self.times)
        )


class StrictVendor(Vendor):
    """Answers what was expected; anything else is refused with 501, and fails the test at the end."""

    def __init__(self) -> None:
        super().__init__(self._match)
        self._expected: list[_Expected] = []
        self.unmatched: list[Request] = []

    def expect(
        self,
        method: str,
        path: str,
        reply: Reply | Callable[[Request], Reply],
        *,
        query: Mapping[str, str] | None = None,
        times: int | None = 1,
    ) -> None:
        """Answer requests of this method, path and (at least) query, `times` times; None for any number."""
        self._expected.append(_Expected(method, path, reply, query or {}, times))

    def _match(self, request: Request) -> Reply:
        for one in self._expected:
            if one.matches(request):
                one.served += 1
                return one.reply if isinstance(one.reply, Reply) else one.reply(request)
        self.unmatched.append(request)
        return Reply(status=501, data={"error": f"not expected: {request.method} {request.target}"})

    def verify(self) -> None:
        """Fail for requests nobody expected, and for expected ones that never came."""
        problems = [f"not expected: {one.method} {one.target}" for one in self.unmatched]
        problems += [
            f"never came: {one.method} {one.path} ({one.served} of {one.times})"
            for one in self._expected
            if one.times is not None and one.served < one.times
        ]
        if problems:
            raise AssertionError("\n".join(problems))

    async def __aexit__(self, *failure: object) -> None:
        await super().__aexit__()
        if failure[0] is None:
            self.verify()


Spoil = Callable[[Request, Callable[[], Awaitable[Reply]]], Awaitable[Reply]]


@define
class _Fault:
    spoil: Spoil
    on: Callable[[Request], bool]
    after: int
    times: int | None
    seen: int = 0

    def due(self, request: Request) -> bool:
        if not self.on(request):
            return False
        self.seen += 1
        return self.seen > self.after and (
            self.times is None or self.seen <= self.after + self.times
        )


class FaultyVendor(Vendor):
    """Stands between an adapter and a well-behaved vendor, and makes trouble on demand."""

    def __init__(self, answer: Handler) -> None:
        super().__init__(answer)
        self._faults: list[_Fault] = []

    def fault(
        self,
        spoil: Reply | Spoil,
        *,
        on: Callable[[Request], bool] = lambda _: True,
        after: int = 0,
        times: int | None = None,
    ) -> None:
        """Spoil requests that `on` picks: the first `after` go well, the next `times` do not (None: for ever).

        A `Reply` answers instead of the vendor; a function gets the request and a call for the vendor's own answer.
        """
        fixed = spoil

        async def instead(request: Request, call: Callable[[], Awaitable[Reply]]) -> Reply:
            return fixed if isinstance(fixed, Reply) else await fixed(request, call)

        self._faults.append(_Fault(instead, on, after, times))

    def clear(self) -> None:
        """Behave well from now on."""
        self._faults.clear()

    async def respond(self, request: Request) -> Reply:
        """Answer one request, spoilt by the faults that are due."""
        call = self._good(request)
        for one in self._faults:
            if one.due(request):
                call = _spoilt(one.spoil, request, call)
        return await call()

    def _good(self, request: Request) -> Callable[[], Awaitable[Reply]]:
        answer = super().respond
        return lambda: answer(request)


def _spoilt(
    spoil: Spoil, request: Request, call: Callable[[], Awaitable[Reply]]
) -> Callable[[], Awaitable[Reply]]:
    return lambda: spoil(request, call)

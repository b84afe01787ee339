"""HTTP connections: those that do not go on or do not end, and what requests look like to the SDK."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from msp_mcp_server import connections

pytestmark = [pytest.mark.anyio]
WHOLE = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab"


async def slowly(_scope: Any, receive: Any, send: Any) -> None:
    """Answer after longer than a request may take."""
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(0.8)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"ok"})


async def measured(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the size of the body, and with what a header says."""
    more, size, said = True, 0, dict(scope["headers"]).get(b"mcp-name", b"")
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body")
    body = b"%d <%s>" % (size, said)
    length = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Serve with little patience."""
    monkeypatch.setattr(connections, "LONGEST_REQUEST_S", 0.4)
    async for number in serving(slowly):
        yield number


@pytest.fixture
async def patient() -> AsyncIterator[int]:
    """Serve with the usual patience."""
    async for number in serving(measured):
        yield number


async def serving(app: Any) -> AsyncIterator[int]:
    """Serve this application on a free port."""
    config = uvicorn.Config(
        app, port=0, http=connections.Connection, log_config=None, lifespan="off"
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def read(reader: asyncio.StreamReader) -> bytes:
    """Read until the connection ends."""
    with suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), 4)
    return b""


@pytest.mark.parametrize("before", [b"", WHOLE])
@pytest.mark.parametrize(
    "sent",
    [b"", b"POST / HT", b"POST / HTTP/1.1\r\nhost: x\r\nx: ", WHOLE[:-1], WHOLE[:-2]],
)
async def test_a_request_that_never_ends_is_not_waited_for(
    port: int, before: bytes, sent: bytes
) -> None:
    """Neither the first of a connection nor one behind another; the answer to a whole one may take longer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(before)
    if before:
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    writer.write(sent)
    assert await read(reader) == b""
    writer.close()


async def test_bytes_one_by_one_are_no_progress(port: int) -> None:
    """What comes now and then does not keep a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.ensure_future(read(reader))
    for byte in WHOLE:
        writer.write(bytes([byte]))
        with suppress(ConnectionError):
            await writer.drain()
        await asyncio.sleep(0.05)
        if reading.done():
            break
    assert reading.done()
    assert reading.result() == b""
    writer.close()


HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize(
    ("before", "again"),
    [
        (b"POST /", b"a" * 1000),
        (HEAD + b"x: ", b"a" * 1000),
        (HEAD, b"x: y\r\n"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", b"x: y\r\n"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n2;", b"a" * 1000),
    ],
)
async def test_what_is_no_body_has_an_end(patient: int, before: bytes, again: bytes) -> None:
    """Address, headers, trailers and extensions of chunks are not collected for ever."""
    reader, writer = await asyncio.open_connection("127.0.0.1", patient)
    most = (
        10 * connections.LARGEST_HEAD
    )  # of what is read at once with a part of a body, nothing counts
    writer.write(before + again * (most // len(again)))
    assert b"200" not in await read(reader)
    writer.close()


async def test_a_body_comes_in_any_pieces(patient: int) -> None:
    """What frames its chunks does not count as a head; requests behind one another are all answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", patient)
    chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n"
    whole = HEAD + b"content-length: 500000\r\n\r\n" + b"b" * 500_000
    writer.write(chunked + whole + b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
    for size in (50_000, 500_000, 0, 0, 0):
        assert (await reader.readuntil(b">")).endswith(b"\r\n\r\n%d <>" % size)
    writer.close()


@pytest.mark.parametrize("padded", [b"x", b" x", b"x ", b"\t x \t "])
async def test_blanks_around_a_header_are_not_its_value(patient: int, padded: bytes) -> None:
    """As RFC 9110, section 5.5 has it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", patient)
    writer.write(HEAD + b"mcp-name:" + padded + b"\r\n\r\n")
    assert (await reader.readuntil(b">")).endswith(b"<x>")
    writer.close()


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nab",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nab",
        b"POST / HTTP/1.1\r\nhost: x\r\nx : y\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\nx: a\x00b\r\n\r\n",
        b"POST http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\nHost: y\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-api-key: y\r\n\r\n",
        b"POST / HTTP/1.1\nhost: x\n\n",
        b"POST / HTTP/1.1\r\nhost: x\r\nx: a\r\n b\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2.0\r\nhost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_no_request_is_refused(patient: int, request_line: bytes) -> None:
    """Two lengths, control characters, other protocols: nothing that two readers could read in two ways."""
    reader, writer = await asyncio.open_connection("127.0.0.1", patient)
    writer.write(request_line)
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()


OFFER = b"connection: upgrade\r\nupgrade: h2c\r\n"


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(
    ("request_", "size"),
    [
        (HEAD + OFFER + b"content-length: 38\r\n\r\n" + b"GET / HTTP/1.1\r\nhost: smuggled.example\r\n", 38),
        (HEAD + b"transfer-encoding: chunked\r\n" + OFFER + b"\r\n2\r\nab\r\n0\r\n\r\n", 2),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + OFFER + b"\r\n", 0),
    ],
)  # fmt: skip
async def test_an_offer_to_speak_another_protocol_is_declined(
    patient: int, request_: bytes, size: int, apart: bool
) -> None:
    """The body stays the request's own, and what follows is the next request, however they arrive."""
    reader, writer = await asyncio.open_connection("127.0.0.1", patient)
    head, _, body = request_.partition(b"\r\n\r\n")
    for part in (head + b"\r\n\r\n", body + WHOLE) if apart else (request_ + WHOLE,):
        writer.write(part)
        await asyncio.sleep(0.05)
    for expected in (size, 2):
        answer = await asyncio.wait_for(reader.readuntil(b">"), 4)
        assert answer.endswith(b"\r\n\r\n%d <>" % expected)
    writer.close()


async def test_many_offers_at_once_are_declined(patient: int) -> None:
    """One behind another, without going deeper for each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", patient)
    writer.write((b"GET / HTTP/1.1\r\nhost: x\r\n" + OFFER + b"\r\n") * 3000)
    for _ in range(3000):
        assert (await asyncio.wait_for(reader.readuntil(b">"), 4)).endswith(b"0 <>")
    writer.close()


@pytest.mark.parametrize(
    "broken",
    [b"NONSENSE\r\n\r\n", HEAD + b"transfer-encoding: chunked\r\n\r\nz\r\n", b"a" * 500_000],
)
async def test_a_refusal_is_not_taken_for_another_answer(port: int, broken: bytes) -> None:
    """What is wrong behind a request that is being answered ends the connection without a word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(WHOLE)
    await asyncio.sleep(0.1)
    writer.write(broken)
    assert await read(reader) == b""
    writer.close()


async def test_a_request_learns_that_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another request came behind it: an endless answer would go on for ever."""
    gone = asyncio.Event()

    async def endless(_scope: Any, receive: Any, send: Any) -> None:
        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

        watching = asyncio.ensure_future(watch())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.is_set():
            await send({"type": "http.response.body", "body": b"more", "more_body": True})
            await asyncio.sleep(0.02)
        await watching

    async for port in serving(endless):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(WHOLE + WHOLE)
        await reader.readuntil(b"more")
        writer.transport.abort()
        await asyncio.wait_for(gone.wait(), 4)

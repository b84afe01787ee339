"""Connections that begin and do not go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from msp_mcp_server import impatience

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


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Serve with little patience."""
    monkeypatch.setattr(impatience, "LONGEST_REQUEST_S", 0.4)
    config = uvicorn.Config(
        slowly, port=0, http=impatience.Impatient, log_config=None, lifespan="off"
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

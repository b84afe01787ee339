"""Serve one agent over this process's standard streams.

The SDK's own transport moves every line through a thread and two queues, which is most of what a call costs there.
Where the system can, the event loop reads and writes the streams itself.
"""

import asyncio
import json
import os
import select
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from threading import Thread
from typing import Any, Self

import anyio
import mcp_types as types
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

from msp_mcp_server.desk import Desk
from msp_mcp_server.server import build

LONGEST_LINE = 64 * 1024 * 1024
"""What is longer is no message of an agent's; it is answered as a broken one, and skipped."""
_AT_ONCE = 4096
"""What a pipe that is ready takes without making us wait (PIPE_BUF)."""


async def serve(desk: Desk) -> None:
    """Serve until the agent closes the stream; while serving, stray output goes to stderr."""
    server = build(desk)
    streams: AbstractAsyncContextManager[Any] = pipes() if os.name == "posix" else stdio_server()
    async with streams as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())


@contextmanager
def _waitable() -> Iterator[None]:
    """Let the event loop wait for standard input also where it is a terminal or a file: a thread makes a pipe of it.

    Nobody waits for that thread: it reads until something comes, and a server that is told to stop ends before.
    """
    mode = os.fstat(0).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        yield
        return
    reading, writing = os.pipe()
    with _taken(0, reading) as source:
        Thread(target=_pump, args=(source, writing), daemon=True).start()
        yield


def _pump(source: int, target: int) -> None:
    with suppress(OSError), os.fdopen(target, "wb", 0) as pipe:
        while data := os.read(source, _AT_ONCE):
            pipe.write(data)


@asynccontextmanager
async def pipes() -> AsyncIterator[tuple["Reader", "Writer"]]:
    """Take the standard streams for the protocol alone."""
    with (
        _waitable(),
        _taken(0, os.open(os.devnull, os.O_RDONLY)) as inward,
        _taken(1, os.dup(2)) as outward,
    ):
        lines = asyncio.StreamReader(limit=LONGEST_LINE)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(os.dup(inward), "rb", 0)
        )
        try:
            writer = Writer(outward)
            yield Reader(lines, writer), writer
        finally:
            transport.close()


@contextmanager
def _taken(fd: int, instead: int) -> Iterator[int]:
    """Put something else in the place of a stream, and give the stream itself under another number."""
    mine = os.dup(fd)
    os.dup2(instead, fd)
    os.close(instead)
    try:
        yield mine
    finally:
        os.dup2(mine, fd)
        os.close(mine)


class _Stream:
    async def aclose(self) -> None:
        """Nothing is held; the process's streams end with it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Reader(_Stream):
    """Messages, one on each line; a line that is none is answered, and comes as the exception."""

    def __init__(self, lines: asyncio.StreamReader, writer: "Writer") -> None:
        self._lines = lines
        self._writer = writer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message."""
        try:
            line = await self._lines.readline()
        except ValueError as error:  # longer than anything an agent sends
            await self._refuse("")
            return error
        if not line:
            raise anyio.EndOfStream
        text = line.decode("utf-8", "replace")
        try:
            return SessionMessage(types.jsonrpc_message_adapter.validate_json(text, by_name=False))
        except ValueError as error:
            await self._refuse(text)
            return error

    async def _refuse(self, text: str) -> None:
        """Answer what is no message, so that no agent waits for ever."""
        answer = refusal(text)
        if answer is not None:
            with suppress(anyio.BrokenResourceError):
                await self._writer.send(SessionMessage(answer))


def refusal(text: str) -> types.JSONRPCError | None:
    """Return the answer to a line that is no message; None for a broken notification or answer."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return _error(None, types.PARSE_ERROR, "Parse error")
    if not isinstance(data, dict):
        return _error(None, types.INVALID_REQUEST, "Invalid request")
    if "method" not in data or "id" not in data:
        return None
    id = data["id"]
    known = type(id) is int or (isinstance(id, str) and id.isprintable())
    return _error(id if known else None, types.INVALID_REQUEST, "Invalid request")


def _error(id: int | str | None, code: int, message: str) -> types.JSONRPCError:
    return types.JSONRPCError(
        jsonrpc="2.0", id=id, error=types.ErrorData(code=code, message=message)
    )


class Writer(_Stream):
    """Writes messages in whole, also when the call that sends one is cancelled; waits for an agent that is slow."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._capacity = _capacity(fd)
        self._left = bytearray()
        self._flushing: asyncio.Task[None] | None = None
        self._ready = select.poll()
        self._ready.register(fd, select.POLLOUT)

    async def send(self, item: SessionMessage) -> None:
        """Send a message; BrokenResourceError where nobody reads any more."""
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        self._left += text.encode() + b"\n"
        if self._flushing is None:
            self._write()
            if not self._left:
                return
            self._flushing = asyncio.ensure_future(self._flush())
        await asyncio.shield(self._flushing)

    async def aclose(self) -> None:
        """Wait until what was sent is written."""
        if self._flushing is not None:
            await asyncio.wait({self._flushing})

    async def _flush(self) -> None:
        try:
            while self._left:
                await anyio.wait_writable(self._fd)
                self._write()
        finally:
            self._flushing = None

    def _write(self) -> None:
        """Write as much as goes without waiting: the stream may be shared, so it stays as blocking as it is."""
        done = 0
        try:
            while done < len(self._left) and self._ready.poll(0):
                empty = self._capacity > 0 and _unread(self._fd) == 0
                room = self._capacity if empty else _AT_ONCE
                done += os.write(self._fd, self._left[done : done + room])
        except BlockingIOError:
            pass
        except OSError as error:
            self._left.clear()
            raise anyio.BrokenResourceError from error
        del self._left[:done]


def _capacity(fd: int) -> int:
    """Return how many bytes an empty pipe takes without making us wait; 0 where that cannot be known."""
    if sys.platform != "linux":
        return 0
    import fcntl

    try:
        return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
    except OSError:  # a socket
        return 0


def _unread(fd: int) -> int:
    """Return how many bytes nobody has read yet; on Linux the writing end of a pipe tells it too."""
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)

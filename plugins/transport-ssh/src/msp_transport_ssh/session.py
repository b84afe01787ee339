"""Run one command over an open connection: limited in time and output."""

import asyncio
import contextlib
import signal
from datetime import timedelta

import asyncssh

from msp_hosts.api import EndedCommand, KeptOutput

GRACE_S = 2.0
"""How long a command may take to end after being asked to."""
OUTPUT_S = 5.0
"""How long the output of a command that ended may take to arrive before it is taken for cut off."""


class ConnectionDropped(Exception):
    """The connection ended before the command did."""


async def execute(
    connection: asyncssh.SSHClientConnection, line: str, timeout: timedelta, stdin: bytes = b""
) -> EndedCommand:
    """Run a command line and wait for it; raise ConnectionDropped where its end is not known.

    At the timeout, or when the caller is cancelled, the command is sent signals and its channel closed: an SSH server
    that ignores signals leaves it running.
    """
    timed_out, watch = False, _Watch()
    channel: asyncssh.SSHClientChannel[bytes] | None = None
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            channel, _ = await connection.create_session(lambda: watch, line, encoding=None)
            with contextlib.suppress(BrokenPipeError):  # a command may end without reading
                channel.write(stdin)
                channel.write_eof()
            await watch.exited.wait()
    except TimeoutError:
        timed_out = True
    except (asyncssh.Error, OSError) as error:
        raise ConnectionDropped(str(error)) from None
    finally:
        if channel is not None:
            await _finish(channel, watch)
    if not timed_out and watch.exit_code is None:
        raise ConnectionDropped(str(watch.dropped or "the server closed the session"))
    return EndedCommand(
        exit_code=None if timed_out else watch.exit_code,
        stdout=watch.out.text,
        stderr=watch.err.text,
        timed_out=timed_out,
        truncated=watch.truncated,
    )


async def _finish(channel: "asyncssh.SSHClientChannel[bytes]", watch: "_Watch") -> None:
    if not watch.exited.is_set():
        for ask in (channel.terminate, channel.kill):
            with contextlib.suppress(OSError, asyncssh.Error):
                ask()
            await _within_grace(watch.exited, GRACE_S / 4)
    # A server may tell the end before the last of the output. A child left running on purpose keeps the channel open;
    # it is not waited for
    await _within_grace(watch.complete, OUTPUT_S if watch.exited.is_set() else 0.1)
    channel.close()


async def _within_grace(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class _Watch(asyncssh.SSHClientSession[bytes]):
    """Hears of output, of the end of the command, and of the end of the channel."""

    def __init__(self) -> None:
        self.out, self.err = KeptOutput(), KeptOutput()
        self.exited, self.complete = asyncio.Event(), asyncio.Event()
        self.exit_code: int | None = None
        self.dropped: Exception | None = None

    @property
    def truncated(self) -> bool:
        """Tell whether there is more output than was kept, or may be."""
        cut_off = self.exit_code is not None and not self.complete.is_set()
        return cut_off or self.out.truncated or self.err.truncated

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        (self.err if datatype == asyncssh.EXTENDED_DATA_STDERR else self.out).add(data)

    def eof_received(self) -> bool:
        self.complete.set()
        return False

    def exit_status_received(self, status: int) -> None:
        self.exit_code = status
        self.exited.set()

    def exit_signal_received(
        self,
        signal: str,
        core_dumped: bool,  # noqa: ARG002 - asyncssh's signature
        msg: str,  # noqa: ARG002
        lang: str,  # noqa: ARG002
    ) -> None:
        self.exit_code = -_number(signal)
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.dropped = exc
        self.exited.set()
        self.complete.set()


def _number(name: str) -> int:
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:  # a signal of another system
        return 255

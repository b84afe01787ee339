"""Run one process: limited in time and output, ended together with its children."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta

from msp_hosts.api import EndedCommand, KeptOutput

GRACE_S = 2.0
"""How long a process may take to end after being asked to, and its output to arrive after it ended."""
_KEPT = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "TMP",
    "SYSTEMROOT", "COMSPEC", "PATHEXT", "WINDIR", "USERPROFILE", "PROGRAMFILES", "APPDATA",
)  # fmt: skip


async def run(arguments: Sequence[str], timeout: timedelta) -> EndedCommand:
    """Run a program without input and wait for it; raise OSError where it cannot be started.

    The process gets a plain environment: ours may hold credentials. At the timeout, or when the caller is
    cancelled, it is ended with all its children.
    """
    transport, watch = await asyncio.get_running_loop().subprocess_exec(
        _Watch,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name.upper() in _KEPT},
        start_new_session=True,
    )
    timed_out = False
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            await watch.exited.wait()
    except TimeoutError:
        timed_out = True
    finally:
        if transport.get_returncode() is None:
            await _end(transport, watch)
        # a child left running on purpose keeps the pipes open; it is not waited for
        await _within_grace(watch.closed)
        transport.close()
    return EndedCommand(
        exit_code=None if timed_out else transport.get_returncode(),
        stdout=watch.out.text,
        stderr=watch.err.text,
        timed_out=timed_out,
        truncated=watch.out.truncated or watch.err.truncated,
    )


class _Watch(asyncio.SubprocessProtocol):
    """Hears of output, of the end of the process, and of the end of its output, which may come much later."""

    def __init__(self) -> None:
        self.out, self.err = KeptOutput(), KeptOutput()
        self.exited, self.closed = asyncio.Event(), asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        (self.out if fd == 1 else self.err).add(data)

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.closed.set()


async def _within_grace(event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE_S):
            await event.wait()


async def _end(transport: asyncio.SubprocessTransport, watch: _Watch) -> None:
    _signal(transport, signal.SIGTERM)
    await _within_grace(watch.exited)
    # children may ignore the first signal even where their parent did not
    _signal(transport, getattr(signal, "SIGKILL", signal.SIGTERM))
    await watch.exited.wait()


def _signal(transport: asyncio.SubprocessTransport, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "win32":
            transport.kill()
        else:
            os.killpg(transport.get_pid(), number)

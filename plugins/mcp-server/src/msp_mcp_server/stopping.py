"""End a server that is told to stop: for a server that is the normal end."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio

_TOLD = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def until_told_to_stop() -> Iterator[None]:
    """End what runs, each call in its own way, at the first Ctrl-C or SIGTERM; the second is what it always is.

    The loop's own way to listen would also hear what an HTTP server listens to by itself.
    """
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}
    with anyio.CancelScope() as scope:

        def stop(number: int, _: Any) -> None:
            signal.signal(number, before[number])
            loop.call_soon_threadsafe(scope.cancel)

        with suppress(ValueError):  # only the main thread of a process can listen
            for number in _TOLD:
                before[number] = signal.getsignal(number) or signal.SIG_DFL
                signal.signal(number, stop)
        try:
            yield
        finally:
            with suppress(ValueError):
                for told, handler in before.items():
                    signal.signal(told, handler)

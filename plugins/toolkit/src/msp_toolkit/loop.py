"""One event loop in a thread of its own, for synchronous callers."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for a synchronous caller, also one that itself runs inside an event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="msp-toolkit", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return its result; Ctrl-C in the caller cancels it."""
        if threading.current_thread() is self._thread:
            work.close()
            message = "the synchronous API was called from inside the toolkit; use the asynchronous one there"
            raise RuntimeError(message)
        if self._loop.is_closed():
            work.close()
            message = "the toolkit is closed; open it again with MSPToolkit.from_config(...)"
            raise RuntimeError(message)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop and wait for the thread; calling it again does nothing."""
        if self._loop.is_closed():
            return
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

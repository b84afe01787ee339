"""Threads that own database connections."""

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

Job = tuple["Future[Any]", contextvars.Context, Callable[[], Any]]


class ConnectionThreads:
    """Up to `size` threads that run jobs one after the other, started when there is work for them.

    They are daemons: a command that ends without closing the store leaves nothing that was acknowledged behind.
    """

    def __init__(self, name: str, size: int, on_end: Callable[[], None]) -> None:
        self._name = name
        self._size = size
        self._on_end = on_end
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._free = 0
        self._closed = False

    def submit(self, work: Callable[[], Any]) -> "Future[Any]":
        """Run `work` in one of the threads, with the caller's context variables."""
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                message = "the store is closed"
                raise RuntimeError(message)
            if self._free > 0:
                self._free -= 1
            elif len(self._threads) < self._size:
                thread = threading.Thread(
                    target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
            self._jobs.put((future, contextvars.copy_context(), work))
        return future

    def close(self) -> None:
        """Finish the jobs that wait, close the connections and end the threads."""
        with self._lock:
            self._closed = True
            for _ in self._threads:
                self._jobs.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                self._do(*job)
                del job
                with self._lock:
                    self._free += 1
        finally:
            self._on_end()

    @staticmethod
    def _do(future: "Future[Any]", context: contextvars.Context, work: Callable[[], Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = context.run(work)
        except BaseException as error:  # noqa: BLE001
            future.set_exception(error)
        else:
            future.set_result(result)

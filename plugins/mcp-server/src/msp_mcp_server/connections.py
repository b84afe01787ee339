"""HTTP connections: what a request may cost in time and room before anything else looks at it."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_REQUEST_S = 30.0
"""From the first moment it could be sent to its last byte; an answer may take as long as it takes."""
LARGEST_HEAD = 64 * 1024
"""Bytes with nothing of a body between them, give or take one read: the parser itself would keep any number."""
_TOO_LONG = "The head of the request is too long."


class Connection(HttpToolsProtocol):
    """Ends when a request is not there in time, or is endless: each open one costs a file and a port."""

    _deadline: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Look whether the request is there."""
        self._head += len(data)
        super().data_received(data)
        if self._head > LARGEST_HEAD:
            if self._answering():
                self.transport.close()
            else:
                self.send_400_response(_TOO_LONG)
        self._watch()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header without the blanks around it, which the parser leaves and the SDK compares."""
        super().on_header(name, value.strip(b" \t"))

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, whose size the SDK bounds."""
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Know the whole request."""
        self._head = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next one."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()

    def _answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its declaration says
        return cycle is not None and not cycle.response_complete

    def _watch(self) -> None:
        waits = not self.pipeline and not (self._answering() and not self.cycle.more_body)
        if waits and self._deadline is None:
            self._deadline = self.loop.call_later(LONGEST_REQUEST_S, self.transport.close)
        elif not waits and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

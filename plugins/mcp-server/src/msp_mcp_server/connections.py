"""HTTP connections: what a request may cost in time and room before anything else looks at it."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

LONGEST_REQUEST_S = 30.0
"""From the first moment it could be sent to its last byte; an answer may take as long as it takes."""
LARGEST_HEAD = 64 * 1024
"""Bytes with nothing of a body between them, give or take one read: the parser itself would keep any number."""
_TOO_LONG = "The head of the request is too long."
_VERSIONS = ("1.1", "1.0")


class Parser(HttpRequestParser):
    """Takes a request that offers to speak another protocol as if it did not, which is how one declines.

    The parser for itself would skip the body, and what follows would be read as the next request.
    """

    def __init__(self, protocol: Any, again: Callable[[], bytes]) -> None:
        super().__init__(protocol)
        # As uvicorn has it: a request that is to be the last is answered, whatever comes behind it
        self.set_dangerous_leniencies(lenient_data_after_close=True)
        self._again = again

    def feed_data(self, data: Any) -> None:
        """Read what came; `again` gives the head of a request without its offer."""
        while True:
            try:
                return super().feed_data(data)
            except HttpParserUpgrade as offer:
                data = memoryview(data)[offer.args[0] :]
            super().feed_data(self._again())


class Connection(HttpToolsProtocol):
    """Ends when a request is not there in time, or is endless: each open one costs a file and a port.

    Nothing is let through that another reader of the same bytes, such as a proxy, could read in another way.
    """

    _deadline: asyncio.TimerHandle | None = None
    _head = 0
    _is_body = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser = Parser(self, self._head_again)
        self._unanswered: deque[RequestResponseCycle] = deque()

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Look whether the request is there."""
        self._head += len(data)
        super().data_received(data)
        if self._head > LARGEST_HEAD:
            self.send_400_response(_TOO_LONG)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse what was sent; in silence where that would be read as the answer to what came before it."""
        if self._waits() and not any(one.response_started for one in self._unanswered):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin with nothing."""
        super().on_message_begin()
        self._is_body = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header without the blanks around it, which the parser leaves and the SDK compares.

        One behind the body would stand beside those before it, a key for instance, and nobody here needs any.
        """
        if self._is_body:
            raise HttpParserError("a header behind the body")
        super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._is_body = True
        self._require_clear()
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self._unanswered.append(self.cycle)

    def _require_clear(self) -> None:
        """Raise HttpParserError for a head that can be read in two ways, and that the parser takes."""
        names = [name for name, _ in self.headers]
        version = self.parser.get_http_version()
        hosts = names.count(b"host")
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if (
            hosts > 1
            or (hosts == 0 and version == "1.1")
            or version not in _VERSIONS
            or codings not in ([], [b"chunked"])
            or self.parser.get_method() == b"CONNECT"
        ):
            raise HttpParserError("not clear")

    def _head_again(self) -> bytes:
        """Return the head of the request without its offer of another protocol."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, whose size the SDK bounds."""
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Know the whole request."""
        self._head = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next one."""
        self._unanswered.popleft()
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()
        # uvicorn tells the last one, which need not be the one that runs
        for one in self._unanswered:
            one.disconnected = True
            one.message_event.set()

    def _waits(self) -> bool:
        """Tell whether nothing is missing but the next request, or the rest of one."""
        return not self._unanswered or (
            len(self._unanswered) == 1 and self._unanswered[0].more_body
        )

    def _watch(self) -> None:
        waits = self._waits()
        if waits and self._deadline is None:
            self._deadline = self.loop.call_later(LONGEST_REQUEST_S, self.transport.close)
        elif not waits and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

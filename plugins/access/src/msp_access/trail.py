"""Rows on their way into the audit trail."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from msp_core.v1 import StoreError

MOST_KEPT = 1_000
"""Rows kept while the database cannot be written; what comes then is told to the log alone."""


class Entry(NamedTuple):
    """A row, the keys of changes that its call left unfinished, and whether it must be on the disk."""

    row: Mapping[str, Any]
    left: Sequence[str]
    sync: bool


class Trail:
    """Writes the rows of calls that end together in one transaction.

    Where that fails, those who wait fail together, not one after the other; their rows are kept and go first next time.
    """

    def __init__(self, write: Callable[[Sequence[Entry]], Awaitable[None]]) -> None:
        self._write = write
        self._lock = asyncio.Lock()
        self._entries: list[Entry] = []
        self._last = self._written = self._failed = 0  # numbers of those who wait
        self._failure: StoreError | None = None

    async def add(self, entry: Entry) -> None:
        """Return when the row is committed; raise StoreError where it cannot be now."""
        while len(self._entries) >= MOST_KEPT:
            await self._flush(self._number())
        self._entries.append(entry)
        await self._flush(self._number())

    def _number(self) -> int:
        self._last += 1
        return self._last

    async def _flush(self, number: int) -> None:
        """Wait until what was there when this number was given is written; write it where nobody has."""
        async with self._lock:
            if number <= self._written:
                return
            if number <= self._failed and self._failure is not None:
                raise self._failure
            taken, last = tuple(self._entries), self._last
            try:
                await self._write(taken)
            except StoreError as error:
                # Who came meanwhile has waited for the same thing
                self._failed, self._failure = self._last, error
                raise
            self._written = last
            del self._entries[: len(taken)]

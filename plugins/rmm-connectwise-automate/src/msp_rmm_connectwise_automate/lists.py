"""Lists: bare arrays without a total, walked until a page is empty or short, each row once."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from msp_core.v1 import AdapterEnv, VendorError
from msp_http.api import HttpClient

Row = Mapping[str, Any]

LISTED = 500
"""Up to so many ids are asked for by id; more are cheaper as the whole list."""
_QUERY_BYTES = 1400
"""IIS takes 2048 bytes of query by default; a comma counts three."""
_ROUND = 25
_AHEAD = 8
"""Pages under way at the same time, of those that are certain to exist."""
_MOST_PAGES = 10_000
_ZONE_HOLDS = timedelta(hours=1)
_AWARE = re.compile(r"(Z|[+-]\d\d:?\d\d)$", re.IGNORECASE)
_FIRST_YEAR = 1990
"""Dates before it are what .NET and MySQL write for "never"."""


class Lists:
    """Reads the lists of one server."""

    def __init__(self, http: HttpClient, env: AdapterEnv, page_size: int) -> None:
        self._http = http
        self._env = env
        self._size = page_size
        self._zone: tzinfo | None = None
        self._zone_until: datetime | None = None

    async def pages(
        self, path: str, *, key: str, fields: str, condition: str = "", at_least: int = 0
    ) -> AsyncIterator[list[Row | None]]:
        """Yield page after page, every row once by its `key`; None stands for what is not a row at all.

        The next page is fetched while the caller works on this one; where `at_least` so many rows are known to be
        there, several pages at once. Raises VendorError for an answer that is not a list, and for a server that
        repeats a page instead of ending.
        """
        params = {
            "pagesize": self._size,
            "includefields": fields,
            "orderby": f"{key} asc",
            "condition": condition or None,
        }
        seen: set[str] = set()
        certain = -(-at_least // self._size)
        asked = 0
        coming: deque[asyncio.Task[list[Any]]] = deque()
        try:
            for number in range(1, _MOST_PAGES):
                while asked < min(certain, number + _AHEAD):
                    asked += 1
                    coming.append(self._fetch(path, {**params, "page": asked}))
                if coming:
                    rows = await coming.popleft()
                else:  # the first of many short lists; a task for each would cost more than it saves
                    asked += 1
                    rows = await self._page(path, {**params, "page": asked})
                last = not self._may_go_on(len(rows))
                if not last and not coming:
                    asked += 1
                    coming.append(self._fetch(path, {**params, "page": asked}))
                known = len(seen)
                fresh = _unseen(rows, key, seen)
                if rows and number > 1 and len(seen) == known:
                    raise VendorError(
                        f"{self._env.instance}: GET {path} brought nothing new on page {number}: "
                        "the server repeats a page instead of ending the list.",
                        suggestion="Try a smaller page_size; if it stays, report it to the vendor.",
                    )
                yield fresh
                if last:
                    return
        finally:
            for task in coming:
                task.cancel()
        raise VendorError(f"{self._env.instance}: GET {path} does not end.")

    async def pages_of(
        self,
        path: str,
        ids: Collection[str],
        *,
        id_field: str,
        key: str,
        fields: str,
        each: int = 1,
    ) -> AsyncIterator[list[Row | None]]:
        """Yield the pages about these ids: asked for by id where they are few, else out of the whole list.

        `each` is how many rows every id has at least.
        """
        if len(ids) > LISTED:
            whole = self.pages(path, key=key, fields=fields, at_least=len(ids) * each)
            async for rows in whole:
                yield rows
            return
        for part in _parts(ids):
            condition = f"{id_field} in ({part})"
            async for rows in self.pages(path, key=key, fields=fields, condition=condition):
                yield rows

    async def zone(self, rows: Sequence[Row | None], *fields: str) -> tzinfo | None:
        """Return the zone of dates that name none: the server's own, asked for only when one of these needs it."""
        if not any(_is_naive(row.get(name)) for row in rows if row is not None for name in fields):
            return UTC
        now = self._env.now()
        if self._zone_until is None or now >= self._zone_until:
            answer = await self._http.get_json("/DatabaseServerTime")
            try:
                self._zone = datetime.fromisoformat(str(answer)).tzinfo
            except ValueError:
                self._zone = None
            self._zone_until = now + _ZONE_HOLDS
        return self._zone

    def _fetch(self, path: str, params: Mapping[str, Any]) -> "asyncio.Task[list[Any]]":
        task = asyncio.create_task(self._page(path, params))
        task.add_done_callback(_noticed)
        return task

    async def _page(self, path: str, params: Mapping[str, Any]) -> list[Any]:
        answer = await self._http.get_json(path, params=params)
        if not isinstance(answer, list):
            raise VendorError(
                f"{self._env.instance}: GET {path} answered something that is not a list.",
                suggestion="Check the instance's api_url and the permissions of its user.",
            )
        return answer

    def _may_go_on(self, count: int) -> bool:
        """Tell whether another page may follow; a short page of a round number may be a lower limit of the server."""
        return count >= self._size or (count > 0 and count % _ROUND == 0)


def _noticed(task: "asyncio.Task[list[Any]]") -> None:
    if not task.cancelled():
        task.exception()  # of a page nobody waits for any more


def _unseen(rows: list[Any], key: str, seen: set[str]) -> list[Row | None]:
    fresh: list[Row | None] = []
    for row in rows:
        if not isinstance(row, dict):
            fresh.append(None)
            continue
        mark = as_id(row.get(key))
        if mark is None:
            fresh.append(row)
        elif mark not in seen:
            seen.add(mark)
            fresh.append(row)
    return fresh


def _parts(ids: Collection[str]) -> Iterator[str]:
    part: list[str] = []
    length = 0
    for one in ids:
        if part and length + len(one) + 3 > _QUERY_BYTES:
            yield ",".join(part)
            part, length = [], 0
        part.append(one)
        length += len(one) + 3
    if part:
        yield ",".join(part)


def _is_naive(value: object) -> bool:
    """Tell whether a date names no zone; most end in Z, and hundreds of thousands are asked."""
    if not isinstance(value, str) or not value or value[-1] == "Z":
        return False
    return _AWARE.search(value) is None


def as_id(value: object) -> str | None:
    """Return an id as text, whether the server sent it as text or number; None where there is none."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def is_number(external_id: str | None) -> bool:
    """Tell whether an id can stand in a condition or a path."""
    return external_id is not None and external_id.isascii() and external_id.isdigit()


def moment(value: object, zone: tzinfo | None) -> datetime | None:
    """Return a date of the server as aware UTC; None for none, "never", or one in a zone nobody knows."""
    if not isinstance(value, str) or not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    if found.year < _FIRST_YEAR:
        return None
    if found.tzinfo is None:
        if zone is None:
            return None
        found = found.replace(tzinfo=zone)
    return found.astimezone(UTC)

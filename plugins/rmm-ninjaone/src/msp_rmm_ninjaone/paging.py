"""Pages of lists and reports: every row once, whatever the vendor's paging does."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from attrs import define, field, frozen

from msp_core.v1 import VendorError, VendorRefused
from msp_http.api import HttpClient, Params
from msp_rmm_ninjaone.shapes import external_id

Page = list[Any]

MOST_FILTERED = 100
"""More organisations than this make a filter too long for a URL; then everything is read."""


@frozen
class Step:
    """What one answer comes to: its rows, the parameters of the next page, or what is wrong with going on."""

    rows: Page
    following: Mapping[str, Any] | None = None
    trouble: VendorError | None = None


class Walk(Protocol):
    """Walks through one list or report; told of every answer in order."""

    def step(self, answer: Any) -> Step:
        """Take an answer; raise VendorError where it has no known shape."""
        ...


@define
class ListWalk:
    """A list continues `after` the last id. Rows seen before are left out; those without an id are kept."""

    path: str
    size: int
    _seen: set[str] = field(factory=set)
    _first: int = -1

    def step(self, answer: Any) -> Step:
        """Take a page."""
        rows = expect_list(answer, self.path)
        self._first = len(rows) if self._first < 0 else self._first
        fresh: Page = []
        after: Any = None
        repeated = False
        for row in rows:
            found = external_id(row.get("id")) if isinstance(row, dict) else None
            if found is None:
                fresh.append(row)  # unreadable: the caller says so
            elif found in self._seen:
                repeated = True
            else:
                self._seen.add(found)
                fresh.append(row)
                after = row["id"]
        if repeated and after is None:
            return Step(fresh, trouble=_repeats(self.path))
        if is_last(rows, self.size, self._first):
            return Step(fresh)
        if after is None:
            return Step(fresh, trouble=_unknown(self.path))
        return Step(fresh, {"after": after})


@define
class ReportWalk:
    """A report continues by cursor. A row may come twice, a page may not."""

    path: str
    size: int
    _seen: set[tuple[Any, ...]] = field(factory=set)
    _first: int = -1

    def step(self, answer: Any) -> Step:
        """Take a page."""
        if not isinstance(answer, dict):
            raise _unknown(self.path)
        rows = expect_list(answer.get("results"), self.path)
        self._first = len(rows) if self._first < 0 else self._first
        if not rows:
            return Step(rows)
        mark = (len(rows), _mark(rows[0]), _mark(rows[-1]))
        if mark in self._seen:
            return Step([], trouble=_repeats(self.path))
        self._seen.add(mark)
        if is_last(rows, self.size, self._first):
            return Step(rows)
        named = answer.get("cursor")
        cursor = named.get("name") if isinstance(named, dict) else None
        if not isinstance(cursor, str) or not cursor:
            return Step(rows, trouble=_unknown(self.path))
        return Step(rows, {"cursor": cursor})


class Pages:
    """Reads pages. Remembers when the vendor does not understand our filters, and then reads without."""

    def __init__(self, http: HttpClient, page_size: int) -> None:
        self._http = http
        self._size = page_size
        self._filters = True

    def of_list(self, path: str, params: Params | None = None) -> AsyncIterator[Page]:
        """Yield the pages of a list."""
        return self._walk(path, params or {}, ListWalk(path, self._size))

    def of_report(self, path: str, params: Params | None = None) -> AsyncIterator[Page]:
        """Yield the pages of a report."""
        return self._walk(path, params or {}, ReportWalk(path, self._size))

    async def whole(self, path: str, params: Params | None = None) -> Page:
        """Return a list that has no pages."""
        return expect_list(await self._get(path, params or {}), path)

    async def _walk(self, path: str, params: Params, walk: Walk) -> AsyncIterator[Page]:
        """Yield page after page; the next one is under way while the caller works on this one."""
        params = {**params, "pageSize": self._size}
        ahead = asyncio.create_task(self._get(path, params))
        try:
            while True:
                step = walk.step(await ahead)
                if step.following is not None:
                    ahead = asyncio.create_task(self._get(path, {**params, **step.following}))
                if step.rows:
                    yield step.rows
                if step.trouble is not None:
                    raise step.trouble
                if step.following is None:
                    return
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def _get(self, path: str, params: Mapping[str, Any]) -> Any:
        """Get a page. The syntax of `df` with several organisations is not confirmed by the vendor.

        Where it is refused, everything is read; the callers look at every row's organisation or device anyway.
        """
        filtered = " in (" in str(params.get("df"))
        if filtered and self._filters:
            try:
                return await self._http.get_json(path, params=params)
            except VendorRefused as error:
                if error.details.get("status") != 400:
                    raise
        if filtered:
            params = {name: value for name, value in params.items() if name != "df"}
        answer = await self._http.get_json(path, params=params)
        self._filters = self._filters and not filtered
        return answer


def is_last(rows: Page, size: int, first: int) -> bool:
    """Tell whether a page is the last one: it is short, and not because the vendor's own ceiling cut it.

    A ceiling would be a round number and cut every page alike, so it costs a request only where the first page has
    50, 100, 150 ... rows.
    """
    return not rows or (len(rows) < size and (len(rows) % 50 != 0 or len(rows) != first))


def device_filter(clients: Sequence[str] | None) -> str | None:
    """Write the filter for these organisations; None when everything has to be read."""
    numbers = sorted({int(one) for one in clients or () if one.isascii() and one.isdigit()})
    if not numbers or len(numbers) > MOST_FILTERED:
        return None
    if len(numbers) == 1:
        return f"org = {numbers[0]}"
    return f"org in ({','.join(map(str, numbers))})"


def expect_list(value: Any, path: str) -> Page:
    """Return the value where it is a list; raise VendorError otherwise."""
    if not isinstance(value, list):
        raise _unknown(path)
    return value


def _mark(row: Any) -> str:
    return f"{row.get('deviceId')} {row.get('name')}" if isinstance(row, dict) else str(row)[:100]


def _unknown(path: str) -> VendorError:
    message = f"NinjaOne answered {path} in a shape this adapter does not know."
    return VendorError(message, suggestion="Check the instance's URL and look for a newer plugin.")


def _repeats(path: str) -> VendorError:
    message = f"NinjaOne's {path} repeats a page instead of going on; the list is incomplete."
    return VendorError(message, suggestion="Try again, or set a larger page_size.")

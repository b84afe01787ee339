"""Pages of lists and reports: every row once, whatever the vendor's paging does."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from msp_core.v1 import VendorError, VendorRefused
from msp_http.api import HttpClient, Params
from msp_rmm_ninjaone.shapes import external_id

Page = list[Any]

MOST_FILTERED = 100
"""More organisations than this make a filter too long for a URL; then everything is read."""


class Pages:
    """Reads pages. Remembers when the vendor does not understand our filters, and then reads without."""

    def __init__(self, http: HttpClient, page_size: int) -> None:
        self._http = http
        self._size = page_size
        self._filters = True

    async def of_list(self, path: str, params: Params | None = None) -> AsyncIterator[Page]:
        """Yield the pages of a list that continues `after` the last id; rows seen before are left out."""
        seen: set[str] = set()
        after: Any = None
        first = -1
        while True:
            rows = expect_list(await self._page(path, {**(params or {}), "after": after}), path)
            fresh: Page = []
            goes_on = repeated = False
            for row in rows:
                found = external_id(row.get("id")) if isinstance(row, dict) else None
                if found is None:
                    fresh.append(row)  # unreadable: the caller says so
                elif found in seen:
                    repeated = True
                else:
                    seen.add(found)
                    fresh.append(row)
                    after, goes_on = row["id"], True
            if fresh:
                yield fresh
            if repeated and not goes_on:
                raise _repeats(path)
            first = len(rows) if first < 0 else first
            if self._is_last(rows, first):
                return
            if not goes_on:
                raise _unknown(path)

    async def of_report(self, path: str, params: Params | None = None) -> AsyncIterator[Page]:
        """Yield the pages of a report that continues by cursor; a row may come twice, a page may not."""
        seen: set[tuple[Any, ...]] = set()
        cursor: Any = None
        first = -1
        while True:
            answer = await self._page(path, {**(params or {}), "cursor": cursor})
            if not isinstance(answer, dict):
                raise _unknown(path)
            rows = expect_list(answer.get("results"), path)
            mark = (len(rows), _mark(rows[0]), _mark(rows[-1])) if rows else ()
            if rows and mark in seen:
                raise _repeats(path)
            seen.add(mark)
            if rows:
                yield rows
            first = len(rows) if first < 0 else first
            if self._is_last(rows, first):
                return
            named = answer.get("cursor")
            cursor = named.get("name") if isinstance(named, dict) else None
            if not isinstance(cursor, str) or not cursor:
                raise _unknown(path)

    async def whole(self, path: str, params: Params | None = None) -> Page:
        """Return a list that has no pages."""
        return expect_list(await self._with_filter(path, params or {}), path)

    async def _page(self, path: str, params: Mapping[str, Any]) -> Any:
        return await self._with_filter(path, {**params, "pageSize": self._size})

    async def _with_filter(self, path: str, params: Mapping[str, Any]) -> Any:
        """The syntax of `df` with several organisations is not confirmed: a vendor that refuses it is asked for all."""
        if "df" in params and not self._filters:
            params = {name: value for name, value in params.items() if name != "df"}
        try:
            return await self._http.get_json(path, params=params)
        except VendorRefused as error:
            if error.details.get("status") != 400 or " in (" not in str(params.get("df")):
                raise
        self._filters = False
        rest = {name: value for name, value in params.items() if name != "df"}
        return await self._http.get_json(path, params=rest)

    def _is_last(self, rows: Page, first: int) -> bool:
        """A short page is the last one, unless the vendor's own ceiling may have cut it.

        A ceiling would be a round number and cut every page alike, so it costs a request only where the first page
        has 50, 100, 150 ... rows.
        """
        return not rows or (len(rows) < self._size and (len(rows) % 50 != 0 or len(rows) != first))


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

"""Lists in pages: which rows of a tool's list one answer holds, and how to ask for the next."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from msp_core.v1 import Data, InvalidParameters, Listing
from msp_mcp_server.catalog import LARGEST_PAGE, SHORT_LIST, Offered
from msp_mcp_server.hygiene import safe

_OWN = ("limit", "cursor", "fields")
_WRONG_LIMIT = f"limit: expected a whole number from 1 to {LARGEST_PAGE}"


@frozen(kw_only=True, eq=False, repr=False)
class Page(Data):
    """What of a list was asked for. `arguments` are those of the tool itself."""

    start: int
    limit: int
    fields: tuple[str, ...]
    arguments: Mapping[str, Any]
    mark: str
    """Ties a cursor to the arguments it was given for."""

    def cursor(self, after: int) -> str:
        """Return the cursor of the rows behind this one."""
        return base64.urlsafe_b64encode(f"{after}.{self.mark}".encode()).decode().rstrip("=")


def page_of(one: Offered, arguments: Mapping[str, Any], page: int) -> Page:
    """Read `limit`, `cursor` and `fields`; raise InvalidParameters where one is not as published."""
    problems = []
    own = {name: arguments[name] for name in _OWN if name in arguments}
    rest = {name: value for name, value in arguments.items() if name not in _OWN}
    limit = own.get("limit", page)
    if not _is_limit(limit):
        problems.append(_WRONG_LIMIT)
    fields = own.get("fields", [])
    if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
        problems.append("fields: expected a list of names")
        fields = []
    known = set(one.output["properties"]["items"]["items"].get("properties", {}))
    unknown = [name for name in fields if known and name not in known]
    if unknown:
        problems.append(
            f"fields: no field {safe(unknown[0])[:40]!r}; there are {', '.join(sorted(known))}"
        )
    mark = _mark(one, rest)
    start = 0
    if "cursor" in own:
        start = _start(own["cursor"], mark)
        if start < 0:
            problems.append("cursor: not one this call was given; leave it out to start again")
    if problems:
        raise InvalidParameters(
            f"{one.tool.name}: {'; '.join(problems)}",
            suggestion=f"Look at the input schema of {one.name}.",
            problems=problems,
        )
    return Page(start=start, limit=limit, fields=tuple(fields), arguments=rest, mark=mark)


def entries_of(one: Offered, arguments: dict[str, Any]) -> int:
    """Return how many entries of each list inside a whole are given; take the limit out where the tool has none."""
    if one.has("limit"):
        limit = arguments.get("limit")
        return min(max(limit, SHORT_LIST), LARGEST_PAGE) if type(limit) is int else SHORT_LIST
    limit = arguments.pop("limit", SHORT_LIST)
    if not _is_limit(limit):
        raise InvalidParameters(
            f"{one.tool.name}: {_WRONG_LIMIT}",
            suggestion=f"Look at the input schema of {one.name}.",
        )
    return int(limit)


def paged_arguments(one: Offered, page: Page) -> dict[str, Any]:
    """Return the arguments that make the tool give at least the rows of a page."""
    arguments = dict(page.arguments)
    if one.has("limit"):
        arguments["limit"] = page.limit if one.has("offset") else page.start + page.limit
    if one.has("offset"):
        arguments["offset"] = page.start
    return arguments


def rows_of(one: Offered, page: Page, result: Any) -> Listing[Any]:
    """Return the rows of the page out of what the tool gave."""
    items = result.items if isinstance(result, Listing) else tuple(result)
    found = result if isinstance(result, Listing) else Listing(items=items, total=len(items))
    if one.has("offset") and one.has("limit"):
        return found
    return evolve(found, items=items[page.start : page.start + page.limit])


def _is_limit(value: Any) -> bool:
    return type(value) is int and 1 <= value <= LARGEST_PAGE


def _mark(one: Offered, arguments: Mapping[str, Any]) -> str:
    text = json.dumps([one.name, arguments], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _start(cursor: Any, mark: str) -> int:
    try:
        text = base64.urlsafe_b64decode(str(cursor) + "=" * (-len(str(cursor)) % 4)).decode()
        start, _, of = text.partition(".")
        return int(start) if of == mark and 0 <= int(start) < 2**40 else -1
    except ValueError:
        return -1

"""The list options every Automate list has: condition, order, paging, fields, ids."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

import attrs

from msp_lab import automate_conditions
from msp_lab.web import Call, Refusal, Reply, joined, whole

T = TypeVar("T")

DEFAULT_PAGE, MAX_PAGE = 50, 1000

Fields = Mapping[str, Callable[[T], object]]


def plain(value: object) -> object:
    """Turn dates into the vendor's ISO texts, at any depth."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


@attrs.frozen(kw_only=True)
class Options:
    """The list options of one call, under their long or their short names."""

    page: int
    size: int
    condition: str
    order: str
    descending: bool
    included: tuple[str, ...]
    excluded: tuple[str, ...]
    ids: frozenset[str]

    @classmethod
    def of(cls, call: Call) -> "Options":
        query = {name.lower().removeprefix("options."): text for name, text in call.query.items()}
        order, _, side = query.get("orderby", "").partition(" ")
        return cls(
            page=whole(query.get("page"), 1, low=1),
            size=whole(query.get("pagesize"), DEFAULT_PAGE, low=1, high=MAX_PAGE),
            condition=query.get("condition", "").strip(),
            order=query.get("orderby.name", order),
            descending=(query.get("orderby.type", "") or side).lower().startswith("desc"),
            included=_names(query.get("includefields") or query.get("includedfields")),
            excluded=_names(query.get("excludefields") or query.get("excludedfields")),
            ids=frozenset(_names(query.get("ids"))),
        )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


@attrs.define
class Kept:
    """Answers of one list, right for one moment of the world only."""

    moment: tuple[int, int]
    rows: dict[tuple[str, object], bytes] = attrs.Factory(dict)
    chosen: dict[tuple[str, str, bool], list[Any]] = attrs.Factory(dict)


class Listing(Generic[T]):
    """One kind of row: its fields, and how to find its id."""

    def __init__(self, fields: Fields[T], id_field: str) -> None:
        self.fields = fields
        self.id_field = id_field
        self._names = {name.lower(): name for name in fields}

    def value(self, item: T, path: str) -> object:
        """Return a field by its name, nested ones with dots; raises Refusal 400 if unknown."""
        head, *rest = path.split(".")
        name = self._names.get(head.lower())
        if name is None:
            raise Refusal(400, f"Invalid field: {path}")
        found = self.fields[name](item)
        for part in rest:
            found = self._inside(found, part, path)
        return found

    def _inside(self, found: object, part: str, path: str) -> object:
        if isinstance(found, list):
            return [self._inside(item, part, path) for item in found]
        if isinstance(found, dict):
            for key, value in found.items():
                if key.lower() == part.lower():
                    return value
        raise Refusal(400, f"Invalid field: {path}")

    def row(self, item: T, options: Options | None = None) -> dict[str, object]:
        """Return one item with the fields that the options ask for."""
        names = self._chosen(options)
        return {name: plain(self.fields[name](item)) for name in names}

    def _chosen(self, options: Options | None) -> list[str]:
        if options is None:
            return list(self.fields)
        included = {self._known(name) for name in options.included}
        excluded = {self._known(name) for name in options.excluded}
        return [n for n in self.fields if (not included or n in included) and n not in excluded]

    def _known(self, name: str) -> str:
        found = self._names.get(name.split(".")[0].lower())
        if found is None:
            raise Refusal(400, f"Invalid field: {name}")
        return found

    def answer(
        self,
        call: Call,
        items: Callable[[], Iterable[T]],
        kept: "Kept | None" = None,
        key: Callable[[T], object] | None = None,
    ) -> Reply:
        """Answer a list call; with `kept` and `key` (which tells items apart) rows stay encoded."""
        options = Options.of(call)
        names = self._chosen(options)
        chosen = self._select(options, items, kept)
        start = (options.page - 1) * options.size
        shape = ",".join(names)
        page = []
        for item in chosen[start : start + options.size]:
            mark = (shape, key(item)) if key else None
            found = kept.rows.get(mark) if mark and kept else None
            if found is None:
                row = {name: plain(self.fields[name](item)) for name in names}
                found = json.dumps(row, separators=(",", ":")).encode()
                if mark and kept:
                    kept.rows[mark] = found
            page.append(found)
        return joined(page)

    def _select(
        self, options: Options, items: Callable[[], Iterable[T]], kept: "Kept | None"
    ) -> list[T]:
        mark = (options.condition, options.order, options.descending)
        found: list[T] | None = kept.chosen.get(mark) if kept else None
        if found is None:
            found = list(items())
            if options.condition:
                test = automate_conditions.parse(options.condition)
                found = [item for item in found if test(partial(self.value, item))]
            if options.order:
                self._known(options.order)
                found.sort(
                    key=lambda item: _sortable(self.value(item, options.order)),
                    reverse=options.descending,
                )
            if kept:
                kept.chosen[mark] = found
        if options.ids:
            found = [i for i in found if str(self.value(i, self.id_field)) in options.ids]
        return found


def _sortable(value: object) -> tuple[float, str]:
    text = str(plain(value))
    try:
        return float(text), ""
    except ValueError:
        return float("inf"), text.lower()

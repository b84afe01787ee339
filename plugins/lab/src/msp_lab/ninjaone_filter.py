"""NinjaOne's device filter (`df`): terms joined with AND, each about one property."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from msp_lab.ninjaone_shapes import (
    CREATED,
    DEVICE_OFFSET,
    ORG_OFFSET,
    SITE_OFFSET,
    node_class,
    role_id,
)
from msp_lab.web import Refusal
from msp_lab.world import View

Test = Callable[[View], bool]

_TERM = re.compile(
    r"(?P<name>\w+)\s*(?:=\s*(?P<one>[\w.-]+)|in\s*\((?P<many>[^()]*)\))", re.IGNORECASE
)
_CREATED = re.compile(
    r"created\s+(?P<side>after|before)\s+(?P<day>\d{4}-\d{2}-\d{2})", re.IGNORECASE
)

_VALUES: dict[str, Callable[[View], str]] = {
    "org": lambda view: str(view.device.client.number + ORG_OFFSET),
    "loc": lambda view: str(view.device.site.number + SITE_OFFSET),
    "id": lambda view: str(view.device.number + DEVICE_OFFSET),
    "class": lambda view: node_class(view.device),
    "role": lambda view: str(role_id(view.device)),
    "status": lambda _: "APPROVED",
}


def parse(text: str | None) -> tuple[Test, frozenset[int] | None]:
    """Return the test of a filter, and the organisations it is limited to (None: all)."""
    if text is None or not text.strip():
        return (lambda _: True), None
    tests: list[Test] = []
    organisations: frozenset[int] | None = None
    for term in re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE):
        test, orgs = _term(term.strip())
        tests.append(test)
        if orgs is not None:
            organisations = orgs if organisations is None else organisations & orgs
    return (lambda view: all(test(view) for test in tests)), organisations


def _term(term: str) -> tuple[Test, frozenset[int] | None]:
    if term.lower() in ("online", "offline"):
        wanted = term.lower() == "online"
        return (lambda view: view.online is wanted), None
    created = _CREATED.fullmatch(term)
    if created:
        try:
            day = datetime.fromisoformat(created["day"]).replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise Refusal(400, f"invalid device filter: {term}") from None
        after = created["side"].lower() == "after"
        # Every device of the lab was enrolled on the same day, long before the story starts.
        return (lambda _: (day <= CREATED) is after), None
    found = _TERM.fullmatch(term)
    name = found["name"].lower() if found else ""
    if found is None or name not in _VALUES:
        raise Refusal(400, f"invalid device filter: {term}")
    texts = [found["one"]] if found["one"] else (found["many"] or "").split(",")
    values = frozenset(value.strip().upper() for value in texts if value.strip())
    if not values:
        raise Refusal(400, f"invalid device filter: {term}")
    if name in ("org", "loc", "id", "role") and not all(v.isdigit() for v in values):
        raise Refusal(400, f"invalid device filter: {term}")
    value_of = _VALUES[name]
    orgs = frozenset(int(value) - ORG_OFFSET for value in values) if name == "org" else None
    return (lambda view: value_of(view) in values), orgs

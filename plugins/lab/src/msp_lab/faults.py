"""Faults that the simulators show on demand, repeatable for a seed."""

import json
from fnmatch import fnmatchcase

import attrs

from msp_lab.chance import mix, unit
from msp_lab.fleet import VENDORS
from msp_lab.web import JSON, Call, Reply, encode

STATUSES = {
    "401": 401, "403": 403, "404": 404, "409": 409, "429": 429,
    "500": 500, "502": 502, "503": 503, "504": 504,
}  # fmt: skip
KINDS = (
    *STATUSES, "expire", "slow", "reset", "truncate", "html", "malformed", "idtypes", "repeat",
)  # fmt: skip
_SECONDS = {"429": 1.0, "slow": 2.0}
_PAGE_MARKS = ("after", "cursor", "page", "options.page", "olderthan", "newerthan")
_IDS = frozenset(("id", "deviceid", "computerid", "organizationid", "locationid", "alertid"))


@attrs.frozen(kw_only=True)
class Fault:
    """One kind of trouble on the paths of one vendor.

    `path` is a shell pattern on the path, case ignored; the login is left alone unless the pattern
    is `**` or names it. The first `skip` matching requests go well, then each one is hit with
    `probability` until `count` were hit (None: for ever). `seconds` is the delay of `slow` and the
    Retry-After of `429`.
    """

    vendor: str
    kind: str
    path: str = "*"
    probability: float = 1.0
    count: int | None = None
    skip: int = 0
    seconds: float = 1.0

    def __attrs_post_init__(self) -> None:
        if self.vendor not in (*VENDORS, "*"):
            raise ValueError(f"unknown vendor '{self.vendor}': use {', '.join(VENDORS)} or *")
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault '{self.kind}': use one of {', '.join(KINDS)}")
        if not 0 <= self.probability <= 1:
            raise ValueError("probability must lie between 0 and 1")

    def text(self) -> str:
        """Write the fault as `parse` reads it."""
        options = [f"path={self.path}"] if self.path != "*" else []
        if self.probability != 1.0:
            options.append(f"probability={self.probability:g}")
        if self.count is not None:
            options.append(f"count={self.count}")
        if self.skip:
            options.append(f"skip={self.skip}")
        if self.seconds != _SECONDS.get(self.kind, 1.0):
            options.append(f"seconds={self.seconds:g}")
        return ",".join([f"{self.vendor}:{self.kind}", *options])


def parse(text: str) -> Fault:
    """Read `vendor:kind[,path=..][,probability=..][,count=..][,skip=..][,seconds=..]`.

    Raises ValueError with the reason.
    """
    head, *options = text.split(",")
    vendor, mark, kind = head.strip().partition(":")
    if not mark:
        raise ValueError(f"a fault is written vendor:kind, not '{text}'")
    given: dict[str, str] = {}
    for option in options:
        name, mark, value = option.strip().partition("=")
        if not mark or name not in ("path", "probability", "count", "skip", "seconds"):
            raise ValueError(f"unknown option '{option}' in '{text}'")
        given[name] = value
    try:
        return Fault(
            vendor=vendor,
            kind=kind,
            path=given.get("path", "*"),
            probability=float(given.get("probability", 1.0)),
            count=int(given["count"]) if "count" in given else None,
            skip=int(given.get("skip", 0)),
            seconds=float(given.get("seconds", _SECONDS.get(kind, 1.0))),
        )
    except ValueError as error:
        raise ValueError(f"fault '{text}': {error}") from None


@attrs.define
class _Active:
    fault: Fault
    number: int
    seen: int = 0
    hit: int = 0

    def due(self, seed: int, vendor: str, path: str, *, login: bool) -> bool:
        fault = self.fault
        if fault.vendor not in (vendor, "*") or (login and fault.path == "*"):
            return False
        if not fnmatchcase(path.lower(), fault.path.lower()):
            return False
        self.seen += 1
        if self.seen <= fault.skip or (fault.count is not None and self.hit >= fault.count):
            return False
        if unit(seed, self.number, self.seen, 700) >= fault.probability:
            return False
        self.hit += 1
        return True


class Faults:
    """The faults that are switched on."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._active: list[_Active] = []
        self._made = 0

    def add(self, fault: Fault) -> None:
        self._made += 1
        self._active.append(_Active(fault, self._made))

    def clear(self, vendor: str | None = None) -> None:
        self._active = [a for a in self._active if vendor and a.fault.vendor not in (vendor, "*")]

    def listed(self) -> list[dict[str, object]]:
        return [{"fault": a.fault.text(), "seen": a.seen, "hit": a.hit} for a in self._active]

    def due(self, vendor: str, path: str, *, login: bool) -> list[Fault]:
        """Return the faults that hit this request, and count it."""
        return [a.fault for a in self._active if a.due(self._seed, vendor, path, login=login)]


def repeat_first_page(call: Call) -> None:
    """Make a call ask for the first page whatever page it asked for."""
    for name in [name for name in call.query if name.lower() in _PAGE_MARKS]:
        del call.query[name]


def spoil(kind: str, call: Call, answer: Reply) -> Reply:
    """Change a good answer in the way of a fault; other answers stay as they are."""
    if kind == "html":
        page = b"<!DOCTYPE html><html><body><h1>Please sign in</h1></body></html>"
        return Reply(status=200, body=page, content_type="text/html")
    if answer.status != 200 or answer.content_type != JSON or not answer.body:
        return answer
    if kind == "malformed":
        return Reply(body=encode(_with_bad_item(json.loads(answer.body), call)))
    if kind == "idtypes":
        return Reply(body=encode(_with_other_ids(json.loads(answer.body))))
    return answer


def _with_bad_item(value: object, call: Call) -> object:
    if isinstance(value, dict):
        for name in ("results", "activities"):
            if name in value:
                return {**value, name: _with_bad_item(value[name], call)}
        return {key: item for key, item in value.items() if key.lower() not in _IDS}
    if not isinstance(value, list) or not value:
        return value
    draw = mix(len(value), *call.path.encode()[-12:])
    place = draw % len(value)
    item = value[place]
    spoilt: object = "### not an object ###"
    if isinstance(item, dict) and draw % 3:
        spoilt = {
            key: ({} if draw % 3 == 2 else None) if key.lower() in _IDS else part
            for key, part in item.items()
        }
    return [*value[:place], spoilt, *value[place + 1 :]]


def _with_other_ids(value: object) -> object:
    if isinstance(value, list):
        return [_with_other_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {}
    for key, item in value.items():
        if key.lower() in _IDS and isinstance(item, int):
            item = str(item)
        elif key.lower() in _IDS and isinstance(item, str) and item.isdigit():
            item = int(item)
        changed[key] = _with_other_ids(item)
    return changed

"""NinjaOne's fleet-wide reports (`/v2/queries/*`) with their cursors."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import attrs

from msp_lab import ninjaone_shapes as shapes
from msp_lab.chance import uid
from msp_lab.web import Call, Refusal, Reply, encode, whole
from msp_lab.world import View

if TYPE_CHECKING:
    from msp_lab.ninjaone import NinjaOne

CURSOR_SECONDS = 600
DEFAULT_PAGE, MAX_PAGE = 100, 1000

Rows = Callable[[View], Iterable[dict[str, object]]]


@attrs.frozen(kw_only=True)
class _Cursor:
    report: str
    rows: list[bytes]
    offset: int
    expires: float


def _stamped(view: View, row: dict[str, object]) -> dict[str, object]:
    return {
        **row,
        "deviceId": view.device.number + shapes.DEVICE_OFFSET,
        "timestamp": shapes.epoch(view.seen_at),
    }


_REPORTS: dict[str, Rows] = {
    "volumes": lambda view: (_stamped(view, row) for row in shapes.volumes(view)),
    "windows-services": lambda v: (_stamped(v, row) for row in shapes.windows_services(v)),
    "operating-systems": lambda view: (_stamped(view, shapes.operating_system(view)),),
    "computer-systems": lambda view: (_stamped(view, shapes.computer_system(view)),),
    "processors": lambda view: (_stamped(view, shapes.processor(view)),),
    "device-health": lambda view: (shapes.device_health(view),),
}
# A report may be narrowed by these parameters: parameter -> property of the row.
_NARROWED = {
    "windows-services": {"name": "name", "state": "state"},
    "device-health": {"health": "healthStatus"},
}


class Reports:
    """Serves every report; a cursor names one page of a finished result and can be asked twice."""

    def __init__(self, vendor: "NinjaOne") -> None:
        self._vendor = vendor
        self._cursors: dict[str, _Cursor] = {}
        self._kept: dict[tuple[object, ...], list[bytes]] = {}
        self._kept_of: tuple[int, int] = (-1, -1)
        self._made = 0

    def add_routes(self) -> None:
        for name in _REPORTS:
            self._vendor.add("GET", f"/v2/queries/{name}", partial(self._answer, name))

    def _rows(self, name: str, call: Call) -> list[bytes]:
        rows_of, narrowed = _REPORTS[name], _NARROWED.get(name, {})
        wanted = {
            prop: call.query[param] for param, prop in narrowed.items() if call.query.get(param)
        }
        if self._kept_of != self._vendor.world.moment():
            self._kept, self._kept_of = {}, self._vendor.world.moment()
        mark = (name, call.query.get("df", ""), *sorted(wanted.items()))
        found = self._kept.get(mark)
        if found is not None:
            return found
        found = self._kept[mark] = []
        for view in self._vendor.filtered(call):
            for row in rows_of(view):
                if all(row[prop] == value for prop, value in wanted.items()):
                    found.append(encode(row))
        return found

    def _answer(self, name: str, call: Call) -> Reply:
        size = whole(call.query.get("pageSize"), DEFAULT_PAGE, low=1, high=MAX_PAGE)
        elapsed = self._vendor.world.clock.elapsed()
        mark = call.query.get("cursor")
        if mark:
            cursor = self._cursors.get(mark)
            if cursor is None or cursor.report != name or cursor.expires <= elapsed:
                raise Refusal(400, "The cursor is unknown or has expired")
            rows, offset = cursor.rows, cursor.offset
        else:
            rows, offset = self._rows(name, call), 0
        page = rows[offset : offset + size]
        expires = elapsed + CURSOR_SECONDS
        self._made += 1
        following = uid(self._vendor.world.seed, self._made, 88)
        self._forget(elapsed)
        self._cursors[following] = _Cursor(
            report=name, rows=rows, offset=offset + len(page), expires=expires
        )
        head = {
            "name": following,
            "offset": offset + len(page),
            "count": len(page),
            "expires": self._vendor.now() + CURSOR_SECONDS,
        }
        return Reply(body=b'{"cursor":' + encode(head) + b',"results":[' + b",".join(page) + b"]}")

    def _forget(self, elapsed: float) -> None:
        if len(self._cursors) > 1000:
            self._cursors = {k: c for k, c in self._cursors.items() if c.expires > elapsed}

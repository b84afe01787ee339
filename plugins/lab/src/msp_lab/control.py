"""What can be done to a running lab: move the clock, switch faults, read what was asked of it."""

import os
from collections import Counter, deque
from datetime import timedelta

import attrs

from msp_lab import faults
from msp_lab.web import Call, Refusal, Reply, Router, reply, whole
from msp_lab.world import World

LOG_LENGTH = 10_000


@attrs.frozen(kw_only=True)
class Served:
    """One request that was answered."""

    vendor: str
    method: str
    path: str
    query: str
    pattern: str
    status: int
    milliseconds: float
    faults: tuple[str, ...]


class Control:
    """The handle of a running lab, used directly in one process and over HTTP from others."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.faults = faults.Faults(seed)
        self.log: deque[Served] = deque(maxlen=LOG_LENGTH)
        self._counts: Counter[tuple[str, str]] = Counter()
        self.urls: dict[str, str] = {}

    def advance(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> str:
        """Let the fleet live through so much more and return the lab's time as ISO text."""
        step = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return self.world.clock.advance(step).isoformat()

    def fault(self, text: str) -> None:
        """Switch a fault on; `text` as in `msp_lab.faults.parse`."""
        self.faults.add(faults.parse(text))

    def clear_faults(self, vendor: str | None = None) -> None:
        self.faults.clear(vendor)

    def note(self, served: Served) -> None:
        self.log.append(served)
        self._counts[(served.vendor, f"{served.method} {served.pattern}")] += 1

    def counts(self, vendor: str | None = None) -> dict[str, int]:
        """Return the number of requests per `METHOD /path/{pattern}`, of one vendor or of all."""
        found: Counter[str] = Counter()
        for (name, request), count in self._counts.items():
            if vendor in (None, name):
                found[request] += count
        return dict(sorted(found.items()))

    def total(self, vendor: str | None = None) -> int:
        return sum(self.counts(vendor).values())

    def reset_counts(self) -> None:
        self._counts.clear()
        self.log.clear()

    def state(self) -> dict[str, object]:
        """Return everything about the lab as plain data."""
        return {
            **self.world.summary(),
            "pid": os.getpid(),
            "urls": self.urls,
            "faults": self.faults.listed(),
            "requests": {
                vendor: self.counts(vendor) for vendor in sorted({v for v, _ in self._counts})
            },
        }


class ControlApi:
    """The control handle over HTTP."""

    name = "control"

    def __init__(self, control: Control) -> None:
        self._control = control
        self.router = Router()
        add = self.router.add
        add("GET", "/state", lambda _: reply(control.state()))
        add("POST", "/advance", self._advance)
        add("GET", "/faults", lambda _: reply(control.faults.listed()))
        add("POST", "/faults", self._add_fault)
        add("DELETE", "/faults", self._clear_faults)
        add("GET", "/requests", self._requests)
        add("DELETE", "/requests", self._reset)
        add("GET", "/log", self._log)

    def error(self, refusal: Refusal) -> Reply:
        return reply({"error": refusal.text}, refusal.status)

    def _advance(self, call: Call) -> Reply:
        body = call.json_object()
        steps = {name: body.get(name, 0) for name in ("hours", "minutes", "seconds")}
        try:
            now = self._control.advance(**{k: float(str(v)) for k, v in steps.items()})
        except (ValueError, OverflowError) as error:
            raise Refusal(400, str(error)) from None
        return reply({"now": now})

    def _add_fault(self, call: Call) -> Reply:
        try:
            self._control.fault(str(call.json_object().get("fault", "")))
        except ValueError as error:
            raise Refusal(400, str(error)) from None
        return reply(self._control.faults.listed(), 201)

    def _clear_faults(self, call: Call) -> Reply:
        self._control.clear_faults(call.query.get("vendor"))
        return Reply(status=204)

    def _requests(self, call: Call) -> Reply:
        return reply(self._control.counts(call.query.get("vendor")))

    def _reset(self, _: Call) -> Reply:
        self._control.reset_counts()
        return Reply(status=204)

    def _log(self, call: Call) -> Reply:
        limit = whole(call.query.get("limit"), 100, low=1, high=LOG_LENGTH)
        return reply([attrs.asdict(row) for row in list(self._control.log)[-limit:]])

"""What a run keeps to show at its end: counts, what is wrong, and reasons for what is not known."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from heapq import heappush, heappushpop

from attrs import define, field

from msp_core.v1 import CheckResult, Status
from msp_health.api import Concern, Counts
from msp_health.evaluator import Outcome

_DIGITS = re.compile(r"\d+")
_WRONG = frozenset((Status.WARNING, Status.CRITICAL, Status.ERROR))
MOST = 1000
"""Concerns kept of each kind; the counts always hold all."""

_Results = Callable[[Iterable[Outcome], int, datetime, str], Iterable[CheckResult]]


@define(kw_only=True)
class _Reason:
    """One reason for UNKNOWN, and for which checks on which devices; `message` is how it was first said."""

    message: str
    similar: bool = False
    checks: set[str] = field(factory=set)
    devices: set[str] = field(factory=set)
    clients: set[str] = field(factory=set)


class Findings:
    """Gathers outcomes chunk by chunk in bounded memory; with `keep` every result is kept as well."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._numbers: dict[Status, int] = {}
        self._wrong: list[tuple[int, int, Concern]] = []
        self._order = 0
        self._unknown: dict[str, _Reason] = {}
        self._results: list[CheckResult] = []
        self._closed: Counts | None = None

    @property
    def counts(self) -> Counts:
        """How many checks ended how; those of the database once it was asked."""
        return self._closed or Counts.of(self._numbers)

    @counts.setter
    def counts(self, counts: Counts) -> None:
        self._closed = counts

    def add(
        self,
        results_of: _Results,
        outcomes: Sequence[Outcome],
        attempts: int,
        now: datetime,
        run_id: str,
    ) -> None:
        """Gather the outcomes of one chunk."""
        for outcome in outcomes:
            self._numbers[outcome.status] = self._numbers.get(outcome.status, 0) + 1
            if outcome.status is Status.UNKNOWN:
                self._add_unknown(outcome)
        wrong = [outcome for outcome in outcomes if outcome.status in _WRONG]
        kept = outcomes if self._keep else wrong
        for result in results_of(kept, attempts, now, run_id):
            if self._keep:
                self._results.append(result)
            if result.status in _WRONG:
                self._add_wrong(result)

    def _add_unknown(self, outcome: Outcome) -> None:
        message = outcome.message
        key = _DIGITS.sub("#", message)  # ids in addresses, ages
        if key not in self._unknown and len(self._unknown) >= MOST:
            key = message = "for other reasons"
        reason = self._unknown.setdefault(key, _Reason(message=message))
        reason.similar = reason.similar or message != reason.message
        device = outcome.row.subject.device
        reason.checks.add(outcome.row.check.id)
        reason.devices.add(device.id)
        reason.clients.add(device.client_id)

    def _add_wrong(self, result: CheckResult) -> None:
        self._order -= 1
        concern = Concern(
            status=result.status,
            client_id=result.client_id,
            device=_slug(result.device_id),
            check=result.check,
            message=result.message,
            hard=result.hard,
        )
        entry = (result.status.rank, self._order, concern)
        if len(self._wrong) < MOST:
            heappush(self._wrong, entry)
        else:
            heappushpop(self._wrong, entry)

    def concerns(self) -> tuple[Concern, ...]:
        """Return what is wrong, worst first, then the reasons for what is not known, widest first."""
        wrong = [entry[2] for entry in self._wrong]
        wrong.sort(key=lambda c: (-c.status.rank, c.client_id, c.device, c.check))
        unknown = [_concern(reason) for reason in self._unknown.values()]
        unknown.sort(key=lambda c: (-c.devices, c.client_id, c.device, c.check))
        return (*wrong, *unknown)

    def results(self) -> tuple[CheckResult, ...]:
        """Return every result, where they were kept."""
        return tuple(sorted(self._results, key=lambda r: (r.device_id, r.check)))


def _concern(reason: _Reason) -> Concern:
    clients, devices = sorted(reason.clients), sorted(reason.devices)
    return Concern(
        status=Status.UNKNOWN,
        client_id=clients[0] if len(clients) == 1 else f"{len(clients)} clients",
        device=_slug(devices[0]) if len(devices) == 1 else f"{len(devices)} devices",
        check=", ".join(sorted(reason.checks)),
        message=f"{reason.message} (and similar)" if reason.similar else reason.message,
        devices=len(devices),
    )


def _slug(device_id: str) -> str:
    return device_id.rpartition("/")[2]

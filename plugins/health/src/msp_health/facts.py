"""The facts of a run while it needs them, and whether they are fresh enough."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from msp_core.v1 import Mode, Observation
from msp_health.catalog import fact_id

if TYPE_CHECKING:
    from msp_health.planner import Row

_SKEW = timedelta(minutes=15)
"""How far ahead of ours a vendor's clock may be before its times say nothing."""


@frozen
class Known:
    """An observation, with how its source reads."""

    observation: Observation
    mode: Mode
    source_key: str


class FactBook:
    """What was observed about each device, and the reasons for what was not."""

    def __init__(self, now: datetime, max_age: timedelta) -> None:
        self.now = now
        self._max_age = max_age
        self._bounds: dict[timedelta | None, tuple[datetime, datetime]] = {}
        self._known: dict[str, dict[type, Known]] = {}
        self._reasons: dict[tuple[str, str], list[str]] = {}
        self._source_reasons: dict[str, str] = {}

    def add(self, known: Known) -> None:
        """Keep an observation; a newer one of the same kind replaces it, one of unknown age does not."""
        facts = self._known.setdefault(known.observation.device_id, {})
        kind = type(known.observation.fact)
        before = facts.get(kind)
        if before is None or _newer(known, before):
            facts[kind] = known

    def give_reason(self, device_id: str, fact: str, reason: str) -> None:
        """Keep why a fact about a device could not be had."""
        reasons = self._reasons.setdefault((device_id, fact), [])
        if reason not in reasons:
            reasons.append(reason)

    def give_source_reason(self, source_key: str, reason: str) -> None:
        """Keep why a source could not be read at all."""
        self._source_reasons[source_key] = reason

    def source_reason(self, source_key: str) -> str:
        """Return why a source could not be read at all, empty where it could."""
        return self._source_reasons.get(source_key, "")

    def reason(self, device_id: str, fact: str) -> str:
        """Return why a fact about a device could not be had, empty where nobody said."""
        return "; ".join(self._reasons.get((device_id, fact), ()))

    def has(self, device_id: str, kind: type) -> bool:
        """Tell whether a fact of this kind was observed, fresh or not."""
        return kind in self._known.get(device_id, ())

    def get(self, row: "Row", need: Sequence[type]) -> Known | None:
        """Return the best fresh fact for a need."""
        facts = self._known.get(row.subject.device.id)
        if facts is None:
            return None
        for kind in need:
            known = facts.get(kind)
            if known is not None and (self._in_time(row, known) or not self.staleness(row, known)):
                return known
        return None

    def _in_time(self, row: "Row", known: Known) -> bool:
        """Tell whether an observation has a time, and a fitting one; quickly, because nearly all have."""
        max_age = row.check.max_age
        if max_age not in self._bounds:
            span = max_age or self._max_age
            self._bounds[max_age] = (self.now - span, self.now + max(_SKEW, span))
        oldest, newest = self._bounds[max_age]
        observed = known.observation.observed_at
        return observed is not None and oldest <= observed <= newest

    def served(self, row: "Row", need: Sequence[type]) -> bool:
        """Tell whether a fresh fact serves the need."""
        return self.get(row, need) is not None

    def stale_reason(self, row: "Row", need: Sequence[type]) -> str:
        """Return why facts that were observed are not used, empty where none was."""
        facts = self._known.get(row.subject.device.id, {})
        reasons = [self.staleness(row, facts[kind]) for kind in need if kind in facts]
        return "; ".join(dict.fromkeys(reason for reason in reasons if reason))

    def staleness(self, row: "Row", known: Known) -> str:
        """Return why an observation is too old for a row, empty when it is fresh.

        Where the vendor does not say when it measured, a stored fact is as old as the device's last contact.
        """
        max_age = row.check.max_age or self._max_age
        observed = known.observation.observed_at
        what = f"the last {fact_id(type(known.observation.fact))} reading"
        if observed is None:
            seen = row.subject.device.last_seen
            offline = row.subject.device.online is False
            if (
                known.mode is Mode.STORED
                and offline
                and seen is not None
                and self.now - seen > max_age
            ):
                return (
                    f"{what} is from before the device was last seen, {_age(self.now - seen)} ago"
                )
            return ""
        if self._in_time(row, known):
            return ""
        age = self.now - observed
        if age > max_age:
            return f"{what} is {_age(age)} old, at most {_age(max_age)} is allowed"
        return f"{what} carries a time {_age(-age)} in the future: a clock is wrong"

    def forget(self, device_ids: Sequence[str]) -> None:
        """Drop what is known about devices that are done."""
        for device_id in device_ids:
            self._known.pop(device_id, None)
        done = set(device_ids)
        for key in [key for key in self._reasons if key[0] in done]:
            del self._reasons[key]


def _newer(one: Known, other: Known) -> bool:
    mine, theirs = one.observation.observed_at, other.observation.observed_at
    if mine is None or theirs is None:
        return one.mode is Mode.LIVE and other.mode is not Mode.LIVE
    return mine > theirs


def _age(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    if minutes >= 4 * 24 * 60:
        return f"{minutes // (24 * 60)} days"
    if minutes >= 2 * 60:
        return f"{minutes // 60} hours"
    return f"{minutes} minutes"

"""What a result does to an alert. Pure: the open alert of a key and a change go in, the next alert comes out."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import evolve, frozen

from msp_core.v1 import Severity, Status

_SEVERITY = {Status.WARNING: Severity.WARNING, Status.CRITICAL: Severity.CRITICAL}
_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


class Effect(StrEnum):
    """What became of an alert."""

    NOTHING = "nothing"
    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"


@frozen(kw_only=True)
class OpenAlert:
    """An alert that is not resolved, as far as a result can alter it."""

    severity: Severity
    message: str
    acknowledged: bool = False
    muted: bool = False
    stale: bool = False


def key_of(device_id: str, check: str) -> str:
    """Return the key of what a check may find wrong with a device."""
    return f"health:{device_id}:{check}"


@frozen(kw_only=True)
class Change:
    """What health says about one check on one device. `status` is the hard one: never UNKNOWN.

    `stale` means that nobody could look this time; `standing` that the status is what it was.
    """

    client_id: str
    device_id: str
    check: str
    title: str
    status: Status
    seq: int
    message: str
    stale: bool = False
    standing: bool = False

    @classmethod
    def read(cls, data: Mapping[str, Any], *, standing: bool) -> "Change":
        """Read one change of an event's payload."""
        return cls(
            client_id=data["client_id"],
            device_id=data["device_id"],
            check=data["check"],
            title=data["title"],
            status=Status(data["status"]),
            seq=int(data["seq"]),
            message=data["message"],
            stale=bool(data.get("stale", False)),
            standing=standing,
        )

    @property
    def key(self) -> str:
        """The problem it is about."""
        return key_of(self.device_id, self.check)

    @property
    def text(self) -> str:
        """The alert's message."""
        device = self.device_id.rpartition("/")[2]
        return f"{self.title or self.check} on {device}: {self.message}"


def apply(
    before: OpenAlert | None, change: Change, *, muted: bool
) -> tuple[OpenAlert | None, Effect]:
    """Return the open alert after a change, and what somebody should hear of it.

    A problem opens an alert or brings it up to date; an OK resolves it; where nobody could look an open alert stays as
    it was and is called stale. Getting worse ends an acknowledgement: it was given for less.
    """
    severity = _SEVERITY.get(change.status)
    if severity is None:
        return (None, Effect.NOTHING) if before is None else (None, Effect.RESOLVED)
    if before is None:
        if change.stale:
            return None, Effect.NOTHING
        opened = OpenAlert(severity=severity, message=change.text, muted=muted)
        return opened, Effect.OPENED
    if change.stale:
        after = evolve(before, stale=True, muted=muted)
        return after, Effect.NOTHING if before == after else Effect.UPDATED
    worse = _RANK[severity] > _RANK[before.severity]
    after = OpenAlert(
        severity=severity,
        message=change.text,
        acknowledged=before.acknowledged and not worse,
        muted=muted,
    )
    if before.muted and not muted:
        return after, Effect.OPENED  # nobody has heard of it yet
    return after, Effect.NOTHING if before == after else Effect.UPDATED

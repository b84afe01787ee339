"""Judge the space of one volume: by share, by what is left, and by size."""

from functools import cached_property
from math import inf

from attrs import frozen

from msp_core.v1 import RECOVER_SHARE, Status

GB = 10**9
_OK, _WARNING, _CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL


@frozen(kw_only=True)
class Bounds:
    """What makes one status: a share that counts only while little is left, or little left outright."""

    percent: float | None
    recover_percent: float | None
    enough_free_gb: float | None
    least_free_gb: float | None

    @cached_property
    def _sharp(self) -> tuple[float, float, float]:
        """The share from which a volume is too full, while less than this is free; and what is too little anyway."""
        return (
            inf if self.percent is None else self.percent,
            inf if self.enough_free_gb is None else self.enough_free_gb * GB,
            0 if self.least_free_gb is None else self.least_free_gb * GB,
        )

    @cached_property
    def _wide(self) -> tuple[float, float, float]:
        """The same for a volume that was in this state before."""
        percent, enough, least = self._sharp
        recover = self.recover_percent or percent * RECOVER_SHARE
        return (
            inf if self.percent is None else recover,
            enough / RECOVER_SHARE,
            least / RECOVER_SHARE,
        )

    def holds(self, used: float, free: float, *, stays: bool) -> bool:
        """Tell whether a volume is in this state; `stays` when it was before, which widens every bound."""
        percent, enough, least = self._wide if stays else self._sharp
        return free < least or (used >= percent and free < enough)

    def explain(self, used: float, free: float) -> str:
        """Name the bound that was crossed, such as `at 90 %`, or until when the state lasts."""
        percent, enough, least = self._sharp
        if free < least:
            return f"below {self.least_free_gb:g} GB free"
        if used >= percent and free < enough:
            return f"at {self.percent:g} %"
        return "until it is clearly better"


def judge(
    used: float, free: float, critical: Bounds, warning: Bounds, before: object
) -> tuple[Status, str]:
    """Return the status of a volume and the reason for people, given its status word before.

    `used` is a percentage, `free` is in bytes.
    """
    if critical.holds(used, free, stays=before == "critical"):
        return _CRITICAL, f"critical {critical.explain(used, free)}"
    if warning.holds(used, free, stays=before in ("warning", "critical")):
        return _WARNING, f"warning {warning.explain(used, free)}"
    if warning.percent is not None and used >= warning.percent:
        return _OK, "enough is free"
    return _OK, ""

"""Judge the space of one volume: by share, by what is left, and by size."""

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

    def holds(self, used: float, free: float, *, stays: bool) -> bool:
        """Tell whether a volume is in this state; `stays` when it was before, which widens every bound."""
        if self._too_little(free, stays=stays):
            return True
        limit = self.percent
        if limit is None:
            return False
        if stays:
            limit = self.recover_percent or limit * RECOVER_SHARE
        return used >= limit and (
            self.enough_free_gb is None or free < _widened(self.enough_free_gb, stays=stays)
        )

    def explain(self, used: float, free: float) -> str:
        """Name the bound that was crossed, such as `at 90 %`, or until when the state lasts."""
        if self._too_little(free, stays=False):
            return f"below {self.least_free_gb:g} GB free"
        if self.holds(used, free, stays=False):
            return f"at {self.percent:g} %"
        return "until it is clearly better"

    def _too_little(self, free: float, *, stays: bool) -> bool:
        return self.least_free_gb is not None and free < _widened(self.least_free_gb, stays=stays)


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


def _widened(gigabytes: float, *, stays: bool) -> float:
    return gigabytes * GB / (RECOVER_SHARE if stays else 1)

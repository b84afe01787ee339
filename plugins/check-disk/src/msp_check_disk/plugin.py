"""The disk check as data."""

from collections.abc import Iterable

from msp_core.v1 import Check, DiskFacts, hookimpl


@hookimpl
def msp_checks() -> Iterable[Check]:
    """Offer the check `disk`."""
    yield Check(
        id="disk",
        aliases=("disk-space",),
        title="Disk space",
        summary="Space, inodes and read-only remounts of every fixed volume.",
        needs=(DiskFacts,),
        limits="msp_check_disk.limits:DiskLimits",
        evaluate="msp_check_disk.check:evaluate",
    )

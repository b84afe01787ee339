"""Judge the volumes of a device: a pure function from facts to a verdict."""

from collections.abc import Mapping
from typing import Any

from attrs import define

from msp_check_disk.limits import DiskLimits
from msp_check_disk.space import GB, judge
from msp_core.v1 import (
    DiskFacts,
    Metric,
    Previous,
    Status,
    Verdict,
    Volume,
    measured,
    printable,
    worst,
)

MOST_BYTES = 2.0**70  # a thousand exbibytes: beyond every file system in use
MOST_INODES = 2.0**64
ALWAYS_FULL = frozenset({"squashfs", "iso9660", "cd9660", "udf", "erofs", "cramfs"})
"""Images: full and read-only by nature, so never judged."""
SHOWN = 3
_SIZES = (("PB", GB * 10**6), ("TB", GB * 10**3), ("GB", GB))


@define  # not frozen: there is one for each volume of a sweep
class _Finding:
    """What is to say about one volume. `fullness` orders findings of one status."""

    mount: str
    status: Status
    text: str
    fullness: float
    metrics: tuple[Metric, ...]
    state: Mapping[str, Any]


def evaluate(disk: DiskFacts, *, limits: DiskLimits, previous: Previous | None = None) -> Verdict:
    """Judge every volume; the worst one decides."""
    if not disk.volumes:
        return Verdict(Status.UNKNOWN, "no volumes are reported")
    remembered = _volumes(previous)
    findings = [
        _judge_volume(volume, limits.for_mount(volume.mount), remembered.get(volume.mount))
        for volume in disk.volumes
        if not limits.ignores(volume.mount) and volume.filesystem.casefold() not in ALWAYS_FULL
    ]
    if not findings:
        return Verdict(Status.UNKNOWN, "no volume is left to judge: all are ignored or images")
    return Verdict(
        worst([finding.status for finding in findings]),
        _message(findings),
        tuple([metric for finding in findings for metric in finding.metrics]),
        {"volumes": {finding.mount: finding.state for finding in findings}},
    )


def _volumes(previous: Previous | None) -> Mapping[str, Any]:
    volumes = previous.data.get("volumes") if previous else None
    return volumes if isinstance(volumes, dict) else {}


def _judge_volume(volume: Volume, limits: DiskLimits, before: Any) -> _Finding:
    memory: Mapping[str, Any] = before if isinstance(before, dict) else {}
    name = printable(volume.mount, 60) or "(no name)"
    total = measured(volume.total_bytes, MOST_BYTES)
    free = measured(volume.free_bytes, MOST_BYTES)
    if not total or free is None or free > total:
        said = "not reported" if None in (volume.total_bytes, volume.free_bytes) else "impossible"
        text = f"{name} size or free space is {said}"
        return _Finding(volume.mount, Status.UNKNOWN, text, 0, (), dict(memory))
    used = 100 * (1 - free / total)
    space, reason = judge(used, free, limits.critical, limits.warning, memory.get("space"))
    inodes, inode_text, inode_state = _judge_inodes(volume, limits, memory.get("inodes"))
    # Seen writable once and read-only now: a kernel remounts a damaged file system that way.
    # Never seen writable is how it is meant to be (the sealed system volume of a Mac)
    remounted = volume.read_only is True and memory.get("was_writable") is True
    broken = remounted and not limits.allows_read_only(volume.mount)
    text = f"{name} {used:.1f} % used, {_size(free)} free of {_size(total)}"
    text += f" ({reason})" if reason else ""
    text += inode_text
    text += "; turned read-only" if broken else ""
    return _Finding(
        volume.mount,
        Status.CRITICAL if broken else worst((space, inodes)),
        text,
        used,
        _metrics(name, used, free, limits),
        {
            "space": str(space),
            "inodes": inode_state,
            "was_writable": volume.read_only is False or memory.get("was_writable") is True,
            "total_bytes": int(total),
        },
    )


def _judge_inodes(volume: Volume, limits: DiskLimits, before: Any) -> tuple[Status, str, str]:
    """Return status, text for people and the word to remember; file systems without inodes say 0."""
    if not volume.inodes_total or volume.inodes_free is None:
        return Status.OK, "", "ok"
    total = measured(volume.inodes_total, MOST_INODES)
    free = measured(volume.inodes_free, MOST_INODES)
    if not total or free is None or free > total:
        return Status.UNKNOWN, "; the reported inodes make no sense", str(before or "unknown")
    used = 100 * (1 - free / total)
    status = limits.inodes.judge(used, before)
    reason = limits.inodes.explain(used, status, " %")
    return status, f"; {used:.1f} % of inodes used ({reason})" if reason else "", str(status)


def _metrics(name: str, used: float, free: float, limits: DiskLimits) -> tuple[Metric, ...]:
    percent = Metric(name, round(used, 2), "%", limits.warning_percent, limits.critical_percent)
    return percent, Metric(f"{name} free", free, "B")


def _message(findings: list[_Finding]) -> str:
    ordered = findings
    if len(findings) > 1:
        ordered = sorted(findings, key=lambda item: (-item.status.rank, -item.fullness))
    told = [finding for finding in ordered if finding.status is not Status.OK]
    if not told:
        fullest = ordered[0].text
        return fullest if len(ordered) == 1 else f"{len(ordered)} volumes, fullest: {fullest}"
    more = len(told) - SHOWN
    text = "; ".join(finding.text for finding in told[:SHOWN])
    return f"{text}; and {more} more" if more > 0 else text


def _size(value: float) -> str:
    for unit, factor in _SIZES:
        if value >= factor:
            amount = value / factor
            return f"{amount:.0f} {unit}" if amount >= 100 else f"{amount:.1f} {unit}"
    return f"{value / 10**6:.0f} MB"

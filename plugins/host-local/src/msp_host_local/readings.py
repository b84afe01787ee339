"""Measure this machine: processor, memory and volumes. These functions block; call them in a thread."""

import os
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from msp_core.v1 import CpuFacts, DiskFacts, MemoryFacts, Volume

_IMAGES = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs"})


def read_cpu(sample: timedelta) -> CpuFacts:
    """Measure processor use over `sample`."""
    times = psutil.cpu_times_percent(interval=sample.total_seconds())
    # waiting for disks is idle time: the processor could do something else
    idle = times.idle + getattr(times, "iowait", 0.0)
    return CpuFacts(
        used_percent=max(0.0, min(100.0, 100.0 - idle)),
        steal_percent=getattr(times, "steal", None),
        # psutil only imitates a load on Windows, and that from its first call on
        load_1m=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        logical_cpus=psutil.cpu_count(),
    )


def read_memory(root: Path = Path("/")) -> MemoryFacts:
    """Measure memory; inside a control group with a limit, what the group may still use."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    total, available = memory.total, memory.available
    group = cgroup_memory(root)
    if group is not None and group[0] < total:
        total, used = group
        available = max(0, min(available, total - used))
    return MemoryFacts(
        total_bytes=total,
        available_bytes=available,
        swap_total_bytes=swap.total,
        swap_free_bytes=swap.free,
    )


def cgroup_memory(root: Path = Path("/")) -> tuple[int, int] | None:
    """Return limit and use in bytes of the tightest control group (v2) we run in; None without a limit.

    File cache that the kernel can drop does not count as use.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
        path = next(line.removeprefix("0::") for line in lines if line.startswith("0::"))
    except (OSError, StopIteration):
        return None
    base = root / "sys/fs/cgroup"
    group = base / path.lstrip("/")
    groups = [group, *group.parents]
    known = [_group(folder) for folder in groups[: len(groups) - len(base.parents)]]
    return min((limit for limit in known if limit), default=None)


def _group(folder: Path) -> tuple[int, int] | None:
    try:
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return limit, max(0, used - int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):  # no such file, or the word "max"
        return None


def read_disks() -> DiskFacts:
    """Measure the fixed volumes of this machine."""
    return DiskFacts(volumes=tuple(_volume(partition) for partition in _fixed()))


def _fixed() -> list[Any]:
    """Return one partition per device: real ones, and the root of a container."""
    listed = psutil.disk_partitions(all=False)
    if not any(partition.mountpoint == "/" for partition in listed) and sys.platform != "win32":
        listed += [part for part in psutil.disk_partitions(all=True) if part.mountpoint == "/"][-1:]
    found: dict[str, Any] = {}
    for partition in sorted(listed, key=lambda part: len(part.mountpoint)):
        if partition.fstype not in _IMAGES and not _removable(partition):
            # bind mounts and subvolumes share the space of the first mount
            found.setdefault(partition.device, partition)
    return sorted(found.values(), key=lambda part: str(part.mountpoint))


def _removable(partition: Any) -> bool:
    options = partition.opts.split(",")
    if "cdrom" in options or "removable" in options or not partition.fstype:
        return True
    block = Path("/sys/class/block", Path(partition.device).name)
    return any(_says_removable(folder) for folder in _with_parent(block))


def _with_parent(block: Path) -> Iterable[Path]:
    try:
        real = block.resolve(strict=True)
    except OSError:
        return ()
    return (real, real.parent)  # a partition lies in the folder of its disk


def _says_removable(folder: Path) -> bool:
    try:
        return (folder / "removable").read_text().strip() == "1"
    except OSError:
        return False


def _volume(partition: Any) -> Volume:
    mount = str(partition.mountpoint)
    try:
        if sys.platform == "win32":
            usage = psutil.disk_usage(mount)
            return Volume(
                mount=mount,
                total_bytes=usage.total,
                free_bytes=usage.free,
                filesystem=partition.fstype,
                read_only="ro" in partition.opts.split(","),
            )
        stat = os.statvfs(mount)
    except OSError:  # gone, or not readable: the check says UNKNOWN for a volume without a size
        return Volume(mount=mount, total_bytes=None, free_bytes=None, filesystem=partition.fstype)
    free = stat.f_bavail * stat.f_frsize
    return Volume(
        mount=mount,
        # as `df` counts: what is reserved for root is neither used nor free
        total_bytes=(stat.f_blocks - stat.f_bfree) * stat.f_frsize + free,
        free_bytes=free,
        filesystem=partition.fstype,
        inodes_total=stat.f_files,
        inodes_free=stat.f_favail,
        read_only=bool(stat.f_flag & os.ST_RDONLY),
    )

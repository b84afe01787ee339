"""Read what the script prints on Linux. Every function raises Unreadable and nothing else."""

import re
from collections.abc import Mapping

from msp_core.v1 import CpuFacts, DiskFacts, MemoryFacts, ServiceFacts, Volume
from msp_transport_ssh.numbers import decimal, whole
from msp_transport_ssh.script import Unreadable, part
from msp_transport_ssh.services import parse_systemd, parse_sysv

_SHOWN = 8  # user nice system idle iowait irq softirq steal; guest time is inside user
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
_ROW = re.compile(
    r"(?P<device>\S.*?) +(?P<type>\S+) +(?P<total>\d+) +(?P<used>\d+) +(?P<free>\d+) +(?:\d+%|-) (?P<mount>/.*)"
)
_INODES = re.compile(r"\S.*? +(?P<total>\d+) +\d+ +(?P<free>\d+) +(?:\d+%|-) (?P<mount>/.*)")
_OCTAL = re.compile(r"\\([0-7]{3})")
_POOLS = frozenset({"zfs", "btrfs", "bcachefs"})
_IMAGES = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs"})
KIB = 1024


def cpu(parts: Mapping[str, str]) -> CpuFacts:
    """Compare two readings of /proc/stat."""
    first, second = _times(parts, "stat"), _times(parts, "stat2")
    spent = [max(0, after - before) for before, after in zip(first, second, strict=True)]
    total = sum(spent)
    if not total:
        raise Unreadable("/proc/stat does not move")
    return CpuFacts(
        # waiting for disks is idle time: the processor could do something else
        used_percent=100 * (1 - (spent[_IDLE] + spent[_IOWAIT]) / total),
        steal_percent=100 * spent[_STEAL] / total,
        load_1m=decimal((part(parts, "load").split() or [""])[0], "the load"),
        logical_cpus=whole(part(parts, "cpus").strip(), "the number of processors"),
    )


def _times(parts: Mapping[str, str], name: str) -> list[int]:
    words = part(parts, name).split()
    if words[:1] != ["cpu"] or len(words) < 1 + 4:
        raise Unreadable("/proc/stat is not readable")
    times = [whole(word, "a time in /proc/stat") for word in words[1 : 1 + _SHOWN]]
    return times + [0] * (_SHOWN - len(times))  # old kernels count less


def memory(parts: Mapping[str, str]) -> MemoryFacts:
    """Read /proc/meminfo; kernels before 3.14 do not say what is available, so it is added up."""
    known: dict[str, int] = {}
    for line in part(parts, "memory").splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            known.setdefault(name, whole(value.removesuffix(" kB").strip(), name) * KIB)
    if "MemTotal" not in known:
        raise Unreadable("/proc/meminfo has no MemTotal")
    if "MemAvailable" in known:
        available = known["MemAvailable"]
    elif "MemFree" in known:
        available = sum(known.get(name, 0) for name in ("MemFree", "Buffers", "Cached"))
    else:
        raise Unreadable("/proc/meminfo does not say what is free")
    return MemoryFacts(
        total_bytes=known["MemTotal"],
        available_bytes=available,
        swap_total_bytes=known.get("SwapTotal"),
        swap_free_bytes=known.get("SwapFree"),
    )


def disks(parts: Mapping[str, str]) -> DiskFacts:
    """Join `df` for blocks and inodes with /proc/mounts: the fixed volumes, each device once."""
    inodes = {
        row["mount"]: (
            whole(row["total"], "the inodes of a volume"),
            whole(row["free"], "the free inodes of a volume"),
        )
        for line in parts.get("inodes", "").splitlines()
        if (row := _INODES.fullmatch(line))
    }
    read_only = _read_only(parts.get("mounts", ""))
    rows = [row for line in part(parts, "blocks").splitlines() if (row := _ROW.fullmatch(line))]
    found: dict[str, Volume] = {}
    for row in sorted(rows, key=lambda row: len(row["mount"])):
        if not _fixed(row["device"], row["type"], row["mount"]):
            continue
        mount, free = row["mount"], whole(row["free"], "the free space of a volume") * KIB
        total, left = inodes.get(mount, (None, None))
        volume = Volume(
            mount=mount,
            # as `df` counts: what is reserved for root is neither used nor free
            total_bytes=whole(row["used"], "the use of a volume") * KIB + free,
            free_bytes=free,
            filesystem=row["type"],
            inodes_total=total,
            inodes_free=left,
            read_only=read_only.get(mount),
        )
        # bind mounts and subvolumes share the space of the first mount
        found.setdefault(row["device"], volume)
    if not found:
        raise Unreadable("df lists no fixed volume")
    return DiskFacts(volumes=tuple(found.values()))


def _fixed(device: str, kind: str, mount: str) -> bool:
    if kind in _IMAGES:
        return False
    return device.startswith("/dev/") or kind in _POOLS or mount == "/"


def _read_only(mounts: str) -> dict[str, bool]:
    found = {}
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) >= 4:
            mount = _OCTAL.sub(lambda match: chr(int(match[1], 8)), words[1])
            found[mount] = "ro" in words[3].split(",")  # of mounts on one place the last counts
    return found


def services(parts: Mapping[str, str]) -> ServiceFacts:
    """Read systemd's units, or SysV scripts as Debian lists them."""
    if parts.get("units", "").strip():
        return parse_systemd(parts["units"], parts.get("unitfiles", ""))
    if parts.get("sysv", "").strip():
        return parse_sysv(parts["sysv"], parts.get("boot", ""))
    raise Unreadable("neither systemd nor SysV services were listed")

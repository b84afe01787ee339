"""Read what the script prints on macOS. Every function raises Unreadable and nothing else.

Written from published output; no Mac was at hand to prove it.
"""

import re
from collections.abc import Mapping

from msp_core.v1 import CpuFacts, DiskFacts, MemoryFacts, ServiceFacts, Volume
from msp_transport_ssh.numbers import decimal, whole
from msp_transport_ssh.script import Unreadable, part
from msp_transport_ssh.services import parse_launchd

KIB = 1024
_CPU = re.compile(r"^CPU usage: ([\d.]+)% user, ([\d.]+)% sys, ([\d.]+)% idle", re.MULTILINE)
_PAGE_SIZE = re.compile(r"page size of (\d+) bytes")
_PAGES = re.compile(r'^"?([A-Za-z][A-Za-z -]*)"?: +(\d+)\.?$', re.MULTILINE)
_SWAP = re.compile(r"total = ([\d.]+)M +used = [\d.]+M +free = ([\d.]+)M")
_ROW = re.compile(r"(?P<device>/dev/\S+) +\d+ +(?P<used>\d+) +(?P<free>\d+) +\d+% +(?P<mount>/.*)")
_MOUNT = re.compile(r"(?P<device>/dev/\S+) on (?P<mount>/.*) \((?P<options>[^()]*)\)")
_HELPERS = re.compile(r"/System/Volumes/(?!Data$)|/private/var/vm$|/Volumes/Recovery$")
_IMAGES = frozenset({"cd9660", "udf", "cddafs", "devfs"})


def cpu(parts: Mapping[str, str]) -> CpuFacts:
    """Take the second sample of `top`: the first one is an average since the start."""
    samples = _CPU.findall(part(parts, "top"))
    if len(samples) < 2:
        raise Unreadable("top shows no second sample")
    idle = decimal(samples[1][2], "the idle share")
    load = part(parts, "load").strip("{} \t\r\n").split()
    return CpuFacts(
        used_percent=100 - idle,
        load_1m=decimal(load[0] if load else "", "the load"),
        logical_cpus=whole(part(parts, "cpus").strip(), "the number of processors"),
    )


def memory(parts: Mapping[str, str]) -> MemoryFacts:
    """Count free, speculative and inactive pages as available, as psutil does."""
    text = part(parts, "vmstat")
    size = _PAGE_SIZE.search(text)
    pages = {name: whole(count, name) for name, count in _PAGES.findall(text)}
    if size is None or "Pages free" not in pages or "Pages inactive" not in pages:
        raise Unreadable("vm_stat does not say what is free")
    free = pages["Pages free"] + pages["Pages inactive"] + pages.get("Pages speculative", 0)
    swap = _SWAP.search(parts.get("swap", ""))
    return MemoryFacts(
        total_bytes=whole(part(parts, "memsize").strip(), "the memory size"),
        available_bytes=free * whole(size[1], "the page size"),
        swap_total_bytes=_mebibytes(swap[1]) if swap else None,
        swap_free_bytes=_mebibytes(swap[2]) if swap else None,
    )


def _mebibytes(text: str) -> int:
    return round(decimal(text, "the swap size") * KIB * KIB)


def disks(parts: Mapping[str, str]) -> DiskFacts:
    """Join `df` and `mount`: local volumes, without the system's helpers in the same APFS container."""
    options = {
        match["mount"]: [word.strip() for word in match["options"].split(",")]
        for line in part(parts, "mounts").splitlines()
        if (match := _MOUNT.fullmatch(line))
    }
    volumes = []
    for line in part(parts, "blocks").splitlines():
        row = _ROW.fullmatch(line)
        known = options.get(row["mount"]) if row else None
        if row is None or not known or "local" not in known or known[0] in _IMAGES:
            continue
        if _HELPERS.match(row["mount"]):
            continue
        free = whole(row["free"], "the free space of a volume") * KIB
        volumes.append(
            Volume(
                mount=row["mount"],
                # volumes of a container share its free space, so its size is not theirs
                total_bytes=whole(row["used"], "the use of a volume") * KIB + free,
                free_bytes=free,
                filesystem=known[0],
                read_only="read-only" in known,
            )
        )
    if not volumes:
        raise Unreadable("df lists no local volume")
    return DiskFacts(volumes=tuple(volumes))


def services(parts: Mapping[str, str]) -> ServiceFacts:
    """Read launchd's jobs of the user that is logged in (all of the system's for root)."""
    return parse_launchd(part(parts, "launchd"))

"""Facts of the whole fleet from a few bulk lists."""

# ruff: noqa: ARG001 - the contract hands a Context to everybody

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime

from msp_core.v1 import (
    ConditionFacts,
    ConnectivityFacts,
    Context,
    CpuFacts,
    DiskFacts,
    FactQuery,
    MemoryFacts,
    Missing,
    Observation,
    Quarantined,
    VendorCondition,
    Volume,
)
from msp_rmm_connectwise_automate import rows
from msp_rmm_connectwise_automate.adapter import Automate
from msp_rmm_connectwise_automate.lists import Row, as_id, is_number, moment

MIB = 1024 * 1024
"""Sizes come without a unit; everything seen fits MiB."""

COMPUTERS, DRIVES, ALERTS = (
    f"connectwise-automate.{name}" for name in ("computers", "drives", "alerts")
)
_FULL = 100
_OPTICAL = frozenset({"cdfs", "udf", "iso9660"})
_NOT_LISTED = "ConnectWise Automate no longer lists this device"
_NOT_A_COMPUTER = "ConnectWise Automate has this fact for computers only"
_DRIVE_FIELDS = "DriveId,ComputerId,Letter,Size,FreeSpace,FileSystem,IsMissing,DateLastInventoried"

Answer = Observation | Missing | Quarantined


def _targets(query: FactQuery) -> dict[str, str]:
    """Return our device ids by the computer ids of the server."""
    return {
        target.external_id: target.device.id
        for target in query.targets
        if target.external_id is not None and is_number(target.external_id)
    }


def _others(query: FactQuery, fact_ids: Iterable[str], source: str) -> Iterable[Missing]:
    """Yield why there is nothing about targets that are no computers."""
    for target in query.targets:
        if not is_number(target.external_id):
            yield from _missing(target.device.id, fact_ids, source, _NOT_A_COMPUTER)


def _missing(
    device_id: str, fact_ids: Iterable[str], source: str, reason: str
) -> Iterable[Missing]:
    for fact_id in fact_ids:
        yield Missing(device_id=device_id, fact_id=fact_id, source=source, reason=reason)


async def computers(ctx: Context, adapter: Automate, query: FactQuery) -> AsyncIterator[Answer]:
    """Read processor, memory and connectivity of computers from one list.

    Processor and memory are what the agent last reported, as old as its last contact; whether it is online is the
    server's own present view.
    """
    cpu, memory, contact = (
        kind in query.facts for kind in (CpuFacts, MemoryFacts, ConnectivityFacts)
    )
    fields = ["Id", "Status", "RemoteAgentLastContact", "LastHeartbeat"]
    fields += ["CpuUsage"] if cpu else []
    fields += ["TotalMemory", "FreeMemory"] if memory else []
    wanted = [
        kind.fact_id for kind in (CpuFacts, MemoryFacts, ConnectivityFacts) if kind in query.facts
    ]
    waiting = _targets(query)
    for one in _others(query, wanted, COMPUTERS):
        yield one
    if not waiting:
        return
    async for page in adapter.lists.pages_of(
        "/Computers", list(waiting), id_field="Id", key="Id", fields=",".join(fields)
    ):
        zone = await adapter.lists.zone(page, "RemoteAgentLastContact", "LastHeartbeat")
        now = ctx.now()
        for row in page:
            external_id = as_id(row.get("Id")) if row is not None else None
            if row is None or external_id is None:
                yield Quarantined("computer", "it is no object, or has no id")
                continue
            device_id = waiting.pop(external_id, None)
            if device_id is None:
                continue
            seen = rows.last_seen(row, zone)
            if cpu:
                yield _cpu(row, device_id, seen)
            if memory:
                yield _memory(row, device_id, seen)
            if contact:
                yield _connectivity(row, device_id, seen, now)
    for device_id in waiting.values():
        for one in _missing(device_id, wanted, COMPUTERS, _NOT_LISTED):
            yield one


def _cpu(row: Row, device_id: str, seen: datetime | None) -> Observation | Missing:
    used = rows.whole(row.get("CpuUsage"))
    if used is None or used > _FULL:
        reason = "ConnectWise Automate has no processor reading of this computer"
        return Missing(
            device_id=device_id, fact_id=CpuFacts.fact_id, source=COMPUTERS, reason=reason
        )
    return Observation(
        device_id=device_id,
        fact=CpuFacts(used_percent=float(used)),
        source=COMPUTERS,
        observed_at=seen,
    )


def _memory(row: Row, device_id: str, seen: datetime | None) -> Observation | Missing:
    total, free = rows.whole(row.get("TotalMemory")), rows.whole(row.get("FreeMemory"))
    if not total or free is None or free > total:
        reason = "ConnectWise Automate has no memory reading of this computer"
        return Missing(
            device_id=device_id, fact_id=MemoryFacts.fact_id, source=COMPUTERS, reason=reason
        )
    return Observation(
        device_id=device_id,
        fact=MemoryFacts(total_bytes=total * MIB, available_bytes=free * MIB),
        source=COMPUTERS,
        observed_at=seen,
    )


def _connectivity(
    row: Row, device_id: str, seen: datetime | None, now: datetime
) -> Observation | Missing:
    online = rows.online(row)
    if online is None and seen is None:
        reason = "ConnectWise Automate does not say whether this computer is online"
        return Missing(
            device_id=device_id, fact_id=ConnectivityFacts.fact_id, source=COMPUTERS, reason=reason
        )
    return Observation(
        device_id=device_id,
        fact=ConnectivityFacts(online=online, last_seen=seen),
        source=COMPUTERS,
        observed_at=now,
    )


async def drives(ctx: Context, adapter: Automate, query: FactQuery) -> AsyncIterator[Answer]:
    """Read the drives of the last inventory.

    Drives of one computer may lie on several pages, so a computer is answered for when its list is at its end.
    """
    wanted = _targets(query)
    fact_ids = (DiskFacts.fact_id,)
    for one in _others(query, fact_ids, DRIVES):
        yield one
    volumes: dict[str, list[Volume]] = defaultdict(list)
    oldest: dict[str, datetime] = {}
    spoilt: set[str] = set()
    if wanted:
        async for page in adapter.lists.pages_of(
            "/Computers/Drives",
            list(wanted),
            id_field="ComputerId",
            key="DriveId",
            fields=_DRIVE_FIELDS,
        ):
            zone = await adapter.lists.zone(page, "DateLastInventoried")
            for row in page:
                owner = as_id(row.get("ComputerId")) if row is not None else None
                if row is None or owner is None:
                    yield Quarantined("drive", "it is no object, or belongs to no computer")
                    continue
                if owner not in wanted or not _is_fixed(row):
                    continue
                volume = _volume(row)
                if volume is None:
                    spoilt.add(owner)
                    yield Quarantined(
                        "drive", "its letter or its sizes cannot be read", as_id(row.get("DriveId"))
                    )
                    continue
                volumes[owner].append(volume)
                at = moment(row.get("DateLastInventoried"), zone)
                if at is not None:
                    oldest[owner] = min(at, oldest.get(owner, at))
    for owner, device_id in wanted.items():
        if owner in spoilt:
            # The rest would look as if it were all there is
            reason = (
                "ConnectWise Automate answered something unreadable about a drive of this computer"
            )
        elif owner not in volumes:
            reason = "ConnectWise Automate has no fixed drive of this computer in its inventory"
        else:
            yield Observation(
                device_id=device_id,
                fact=DiskFacts(volumes=tuple(volumes.pop(owner))),
                source=DRIVES,
                observed_at=oldest.get(owner),
            )
            continue
        for one in _missing(device_id, fact_ids, DRIVES, reason):
            yield one


def _is_fixed(row: Row) -> bool:
    system = row.get("FileSystem")
    optical = isinstance(system, str) and system.strip().lower() in _OPTICAL
    return row.get("IsMissing") is not True and not optical


def _volume(row: Row) -> Volume | None:
    letter = row.get("Letter")
    total, free = rows.whole(row.get("Size")), rows.whole(row.get("FreeSpace"))
    if not isinstance(letter, str) or not letter.strip() or total is None or free is None:
        return None
    if free > total:
        return None
    mount = letter.strip()
    system = row.get("FileSystem")
    return Volume(
        mount=f"{mount}:" if len(mount) == 1 and mount.isalpha() else mount,
        total_bytes=total * MIB,
        free_bytes=free * MIB,
        filesystem=system if isinstance(system, str) else "",
    )


async def conditions(ctx: Context, adapter: Automate, query: FactQuery) -> AsyncIterator[Answer]:
    """Read the alerts of monitors as triggered conditions.

    Which monitors exist is not in any bulk list, so a quiet computer is never declared well: `monitored` stays empty.
    """
    wanted = _targets(query)
    for one in _others(query, (ConditionFacts.fact_id,), ALERTS):
        yield one
    if not wanted:
        return
    active: Mapping[str, list[VendorCondition]] = defaultdict(list)
    async for page in adapter.lists.pages_of(
        "/Alerts",
        list(wanted),
        id_field="Computer.Id",
        key="AlertId",
        fields=rows.ALERT_FIELDS,
        each=0,
    ):
        zone = await adapter.lists.zone(page, "AlertDate")
        for row in page:
            if row is None:
                yield Quarantined("alert", "it is no object")
                continue
            owner = rows.inner_id(row, "Computer")
            if owner in wanted:
                active[owner].append(rows.condition(row, zone))
    now = ctx.now()
    for owner, device_id in wanted.items():
        yield Observation(
            device_id=device_id,
            fact=ConditionFacts(active=tuple(active.get(owner, ()))),
            source=ALERTS,
            observed_at=now,
        )

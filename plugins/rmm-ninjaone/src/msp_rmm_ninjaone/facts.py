"""Facts by bulk query: what one read of the whole fleet says about the devices that were asked for.

Nothing is said about a device before all pages have been read where its rows may be spread over several: half of the
volumes of a device would be a wrong answer, and it could be a reassuring one.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from msp_core.v1 import (
    ConditionFacts,
    ConnectivityFacts,
    Context,
    DiskFacts,
    FactQuery,
    Missing,
    Observation,
    OsFamily,
    Quarantined,
    ServiceFact,
    ServiceFacts,
    ServiceRequest,
    VendorCondition,
    Volume,
)
from msp_rmm_ninjaone import shapes
from msp_rmm_ninjaone.adapter import NinjaOne
from msp_rmm_ninjaone.alerts import severities, triggered
from msp_rmm_ninjaone.paging import device_filter
from msp_rmm_ninjaone.shapes import external_id, moment, text

Found = AsyncIterator[Observation | Missing | Quarantined]


async def connectivity(ctx: Context, adapter: NinjaOne, query: FactQuery) -> Found:
    """Read from the brief device list whether each agent is connected; one request per page."""
    del ctx
    source, wanted = _source(adapter, "connectivity"), _wanted(query)
    if not wanted:
        return
    async for page in adapter.pages.of_list("/v2/devices", _filter(query)):
        now = adapter.now()
        for row in page:
            if not isinstance(row, dict) or (number := external_id(row.get("id"))) is None:
                yield Quarantined("device", "the device has no usable id")
                continue
            device = wanted.pop(number, None)
            if device is not None:
                fact = ConnectivityFacts(
                    online=shapes.online(row), last_seen=moment(row.get("lastContact"))
                )
                yield Observation(device_id=device, fact=fact, source=source, observed_at=now)
    for lost in wanted.values():
        yield _missing(
            lost, ConnectivityFacts, source, "NinjaOne does not list this device (any more)."
        )


async def volumes(ctx: Context, adapter: NinjaOne, query: FactQuery) -> Found:
    """Read the last inventory of volumes; one request per page of rows."""
    del ctx
    source, wanted = _source(adapter, "volumes"), _wanted(query)
    if not wanted:
        return
    found: dict[str, list[Volume]] = {}
    times: dict[str, float] = {}
    broken: dict[str, str] = {}
    async for page in adapter.pages.of_report("/v2/queries/volumes", _filter(query)):
        for row in page:
            number = external_id(row.get("deviceId")) if isinstance(row, dict) else None
            if number is None:
                yield Quarantined("volume", "the volume names no device")
                continue
            device = wanted.get(number)
            if device is None:
                continue
            try:
                volume = shapes.volume(row)
            except ValueError as error:
                broken[device] = str(error)
                yield Quarantined("volume", str(error), number)
                continue
            kept = found.setdefault(device, [])
            if volume is not None and volume not in kept:
                kept.append(volume)
            _oldest(times, device, row.get("timestamp"))
    for device in wanted.values():
        if device in broken:
            # the other volumes alone could look well
            yield _missing(
                device, DiskFacts, source, f"NinjaOne's answer is broken: {broken[device]}."
            )
        elif found.get(device):
            yield Observation(
                device_id=device,
                fact=DiskFacts(volumes=tuple(found[device])),
                source=source,
                observed_at=moment(times.get(device)),
            )
        else:
            yield _missing(
                device, DiskFacts, source, "NinjaOne has no fixed volume of this device."
            )


async def services(ctx: Context, adapter: NinjaOne, query: FactQuery) -> Found:
    """Read the last inventory of Windows services.

    One report per distinct service name, spelt as it was asked for (the vendor may mind), all at the same time; one report of everything where a device is asked
    about without names.
    """
    del ctx
    source = _source(adapter, "services")
    wanted: dict[str, str] = {}
    for target in query.targets:
        if target.external_id is None:
            continue
        if target.device.os in (OsFamily.LINUX, OsFamily.MACOS):
            reason = "NinjaOne lists the services of Windows devices only."
            yield _missing(target.device.id, ServiceFacts, source, reason)
        else:
            wanted[target.external_id] = target.device.id
    asked = {device: _names(query, device) for device in wanted.values()}
    if not wanted:
        return
    complete = not all(asked.values())
    names: set[str | None] = {None} if complete else set().union(*asked.values())
    found: dict[str, dict[str, ServiceFact]] = {}
    times: dict[str, float] = {}
    broken: list[Quarantined] = []

    async def collect(name: str | None) -> None:
        path, params = "/v2/queries/windows-services", {**_filter(query), "name": name}
        async for page in adapter.pages.of_report(path, params):
            for row in page:
                number = external_id(row.get("deviceId")) if isinstance(row, dict) else None
                if number is None:
                    broken.append(Quarantined("service", "the service names no device"))
                    continue
                device = wanted.get(number)
                if device is None:
                    continue
                try:
                    service = shapes.service(row)
                except ValueError as error:
                    broken.append(Quarantined("service", str(error), number))
                    continue
                found.setdefault(device, {})[service.name.lower()] = service
                _oldest(times, device, row.get("timestamp"))

    await asyncio.gather(*(collect(name) for name in names))
    for bad in broken:
        yield bad
    for device, known in found.items():
        keep = {name.lower() for name in asked[device]}
        kept = [one for name, one in known.items() if not keep or name in keep]
        fact = ServiceFacts(services=tuple(kept), complete=complete)
        at = moment(times.get(device))
        yield Observation(device_id=device, fact=fact, source=source, observed_at=at)
    for device in wanted.values():
        if device not in found:
            reason = "NinjaOne lists none of these services for this device."
            yield _missing(device, ServiceFacts, source, reason)


async def conditions(ctx: Context, adapter: NinjaOne, query: FactQuery) -> Found:
    """Read the triggered conditions: one request, and where there are any those for their severities.

    A device without one is told about as well: whether that means anything is for `monitored` to say.
    """
    del ctx
    source, wanted = _source(adapter, "conditions"), _wanted(query)
    if not wanted:
        return
    rows = await triggered(adapter.pages, query.client_external_ids)
    now = adapter.now()
    known = await severities(adapter.http, rows)
    active: dict[str, list[VendorCondition]] = {}
    unreadable = False
    for row in rows:
        number = external_id(row.get("deviceId")) if isinstance(row, dict) else None
        if number is None:
            unreadable = True
            yield Quarantined("alert", "the alert names no device")
            continue
        device = wanted.get(number)
        if device is not None:
            active.setdefault(device, []).append(
                VendorCondition(
                    kind=shapes.condition_kind(text(row.get("sourceType"))),
                    message=text(row.get("message")) or text(row.get("sourceName")),
                    severity=known.get(text(row.get("uid"))),
                    since=moment(row.get("createTime")),
                )
            )
    # an alert that cannot be read may belong to any device, so silence proves nothing then
    monitored = frozenset(() if unreadable else adapter.settings.monitored_conditions)
    for device in wanted.values():
        fact = ConditionFacts(active=tuple(active.get(device, ())), monitored=monitored)
        yield Observation(device_id=device, fact=fact, source=source, observed_at=now)


def _names(query: FactQuery, device: str) -> frozenset[str]:
    return frozenset(
        name
        for request in query.requests.get(device, ())
        if isinstance(request, ServiceRequest)
        for name in request.names
    )


def _wanted(query: FactQuery) -> dict[str, str]:
    return {one.external_id: one.device.id for one in query.targets if one.external_id is not None}


def _filter(query: FactQuery) -> dict[str, Any]:
    return {"df": device_filter(query.client_external_ids)}


def _source(adapter: NinjaOne, name: str) -> str:
    return f"{adapter.instance}:ninjaone.{name}"


def _oldest(times: dict[str, float], device: str, stamp: Any) -> None:
    """Keep the oldest time: a fact is as old as its oldest part."""
    at: datetime | None = moment(stamp)
    if at is not None:
        times[device] = min(times.get(device, float("inf")), at.timestamp())


def _missing(device: str, fact: Any, source: str, reason: str) -> Missing:
    return Missing(device_id=device, fact_id=fact.fact_id, source=source, reason=reason)

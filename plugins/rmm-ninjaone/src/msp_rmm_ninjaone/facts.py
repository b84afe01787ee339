"""Facts by bulk query: what one read of the whole fleet says about the devices that were asked for.

Nothing is said about a device before all pages have been read where its rows may be spread over several: half of the
volumes of a device would be a wrong answer, and it could be a reassuring one.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from math import inf
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
    Target,
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
    source, wanted = _source(adapter, "connectivity"), Wanted(query.targets)
    if not wanted.devices:
        return
    listed: set[str] = set()
    async for page in adapter.pages.of_list("/v2/devices", _filter(query)):
        now = adapter.now()
        for row in page:
            device = wanted.of(row, "id")
            if device is None:
                yield Quarantined("device", "the device has no usable id")
            elif device:
                listed.add(device)
                fact = ConnectivityFacts(
                    online=shapes.online(row), last_seen=moment(row.get("lastContact"))
                )
                yield Observation(device_id=device, fact=fact, source=source, observed_at=now)
    for device in wanted.devices:
        if device not in listed:
            reason = "NinjaOne does not list this device (any more)."
            yield _missing(device, ConnectivityFacts, source, reason)


async def volumes(ctx: Context, adapter: NinjaOne, query: FactQuery) -> Found:
    """Read the last inventory of volumes; one request per page of rows."""
    del ctx
    source, wanted = _source(adapter, "volumes"), Wanted(query.targets)
    if not wanted.devices:
        return
    found: dict[str, list[Volume]] = {}
    ages: dict[str, float] = {}
    broken: dict[str, str] = {}
    async for page in adapter.pages.of_report("/v2/queries/volumes", _filter(query)):
        for row in page:
            device = wanted.of(row, "deviceId")
            if device is None:
                yield Quarantined("volume", "the volume names no device")
            elif device:
                try:
                    volume = shapes.volume(row)
                except ValueError as error:
                    broken[device] = str(error)
                    yield Quarantined("volume", str(error), external_id(row["deviceId"]))
                    continue
                kept = found.setdefault(device, [])
                if volume is not None and volume not in kept:
                    kept.append(volume)
                _note_age(ages, device, row)
    for device in wanted.devices:
        if device in broken:
            # the other volumes alone could look well
            reason = f"NinjaOne's answer is broken: {broken[device]}."
            yield _missing(device, DiskFacts, source, reason)
        elif kept := found.pop(device, []):
            fact = DiskFacts(volumes=tuple(kept))
            at = moment(ages.get(device))
            yield Observation(device_id=device, fact=fact, source=source, observed_at=at)
        else:
            reason = "NinjaOne has no fixed volume of this device."
            yield _missing(device, DiskFacts, source, reason)


async def services(ctx: Context, adapter: NinjaOne, query: FactQuery) -> Found:
    """Read the last inventory of Windows services.

    One report per distinct service name, spelt as it was asked for (the vendor may mind), all at the
    same time; one report of everything where a device is asked about without names.
    """
    del ctx
    source = _source(adapter, "services")
    others = (OsFamily.LINUX, OsFamily.MACOS)
    for target in query.targets:
        if target.external_id is not None and target.device.os in others:
            reason = "NinjaOne lists the services of Windows devices only."
            yield _missing(target.device.id, ServiceFacts, source, reason)
    wanted = Wanted([one for one in query.targets if one.device.os not in others])
    if not wanted.devices:
        return
    asked = {one: _names(query.requests.get(one, ())) for one in wanted.devices}
    complete = not all(asked.values())
    names: set[str | None] = {None} if complete else set().union(*asked.values())
    found: dict[str, dict[str, ServiceFact]] = {}
    ages: dict[str, float] = {}
    broken: list[Quarantined] = []

    async def collect(name: str | None) -> None:
        path, params = "/v2/queries/windows-services", {**_filter(query), "name": name}
        async for page in adapter.pages.of_report(path, params):
            for row in page:
                device = wanted.of(row, "deviceId")
                if device is None:
                    broken.append(Quarantined("service", "the service names no device"))
                elif device:
                    try:
                        service = shapes.service(row)
                    except ValueError as error:
                        number = external_id(row["deviceId"])
                        broken.append(Quarantined("service", str(error), number))
                        continue
                    known = found.get(device)
                    if known is None:
                        known = found[device] = {}
                    known[service.name.lower()] = service
                    _note_age(ages, device, row)

    await asyncio.gather(*(collect(name) for name in names))
    for bad in broken:
        yield bad
    for device in wanted.devices:
        known = found.pop(device, {})
        if known:
            keep = {name.lower() for name in asked[device]}
            kept = tuple([one for name, one in known.items() if not keep or name in keep])
            fact = ServiceFacts(services=kept, complete=complete)
            at = moment(ages.get(device))
            yield Observation(device_id=device, fact=fact, source=source, observed_at=at)
        else:
            reason = "NinjaOne lists none of these services for this device."
            yield _missing(device, ServiceFacts, source, reason)


async def conditions(ctx: Context, adapter: NinjaOne, query: FactQuery) -> Found:
    """Read the triggered conditions: one request, and where there are any those for their severities.

    A device without one is told about as well: whether that means anything is for `monitored` to say.
    """
    del ctx
    source, wanted = _source(adapter, "conditions"), Wanted(query.targets)
    if not wanted.devices:
        return
    rows = await triggered(adapter.pages, query.client_external_ids)
    now = adapter.now()
    known = await severities(adapter.http, rows)
    active: dict[str, list[VendorCondition]] = {}
    unreadable = False
    for row in rows:
        device = wanted.of(row, "deviceId")
        if device is None:
            unreadable = True
            yield Quarantined("alert", "the alert names no device")
        elif device:
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
    quiet = ConditionFacts(active=(), monitored=monitored)
    for device in wanted.devices:
        own = active.get(device)
        fact = ConditionFacts(active=tuple(own), monitored=monitored) if own else quiet
        yield Observation(device_id=device, fact=fact, source=source, observed_at=now)


class Wanted:
    """The devices a query asks about, found by the vendor's id in whatever JSON type it comes."""

    __slots__ = ("_by_id", "devices")

    def __init__(self, targets: Sequence[Target]) -> None:
        known = {one.external_id: one.device.id for one in targets if one.external_id is not None}
        self.devices = tuple(known.values())
        self._by_id: dict[int | str, str] = dict(known.items())
        self._by_id.update((int(id), device) for id, device in known.items() if id.isdecimal())

    def of(self, row: Any, key: str) -> str | None:
        """Return the device a row is about; empty for one nobody asked about, None for no device at all."""
        if type(row) is not dict:
            return None
        id = row.get(key)
        if type(id) is int:
            return self._by_id.get(id, "")
        text = external_id(id)
        return None if text is None else self._by_id.get(text, "")


@lru_cache(maxsize=1000)
def _names(requests: tuple[Any, ...]) -> frozenset[str]:
    """Return the services asked about; most devices of a client ask for the same."""
    return frozenset(
        name for one in requests if isinstance(one, ServiceRequest) for name in one.names
    )


def _filter(query: FactQuery) -> dict[str, Any]:
    return {"df": device_filter(query.client_external_ids)}


def _source(adapter: NinjaOne, name: str) -> str:
    return f"{adapter.instance}:ninjaone.{name}"


def _note_age(ages: dict[str, float], device: str, row: Any) -> None:
    """Keep the oldest time: a fact is as old as its oldest part."""
    stamp = row.get("timestamp")
    if type(stamp) is not float:
        at = moment(stamp)
        if at is None:
            return
        stamp = at.timestamp()
    if stamp < ages.get(device, inf):
        ages[device] = stamp


def _missing(device: str, fact: Any, source: str, reason: str) -> Missing:
    return Missing(device_id=device, fact_id=fact.fact_id, source=source, reason=reason)

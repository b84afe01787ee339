"""Collecting the facts of a fleet from two vendors, against aiohttp fetching the same addresses."""

import asyncio
import json
from collections.abc import Iterable
from functools import partial
from typing import Any
from unittest.mock import patch

import aiohttp

from benchmarks.fleet import FleetWorkspace, connected
from benchmarks.table import Row
from benchmarks.timing import Sample, clock, in_turn
from msp_clients.api import Clients
from msp_core.v1 import Toolkit
from msp_health.catalog import Catalog, CheckSpec, load_catalog, select
from msp_health.collector import Collector
from msp_health.facts import FactBook
from msp_health.lanes import lanes
from msp_health.limits import ClientLimits, LimitsBook
from msp_health.planner import Router, Subject, plan_rows
from msp_health.settings import HealthSettings
from msp_http.wire import Wire
from msp_inventory.api import Inventory

CLIENTS, DEVICES_EACH, LATENCY_MS, CONCURRENCY = 100, 50, 20.0, 200
CHECKS = ("cpu", "memory", "disk", "services")
"""What vendors are asked for; the network check looks from here."""

Request = tuple[str, dict[str, str]]


def measure(*, quick: bool) -> list[Row]:
    """Measure both sides in turn, over one lab."""
    clients = 20 if quick else CLIENTS
    with connected(
        clients=clients,
        devices=clients * DEVICES_EACH,
        latency_ms=LATENCY_MS,
        concurrency=CONCURRENCY // 2,
    ) as fleet:
        return asyncio.run(_measured(fleet, clients, rounds=2 if quick else 5))


async def _measured(fleet: FleetWorkspace, clients: int, rounds: int) -> list[Row]:
    async with Toolkit.open(fleet.folder / "msp-toolkit.toml") as toolkit:
        collecting = await Collecting.of(toolkit)
        requests: list[Request] = []
        await _recorded(collecting, requests)
        before = fleet.requests()
        await collecting.run()
        after = fleet.requests()
        loop = asyncio.get_running_loop()

        def wait(sample: Any) -> Sample:
            found: Sample = asyncio.run_coroutine_threadsafe(sample(), loop).result()
            return found

        ours, floor = await asyncio.to_thread(
            in_turn,
            rounds,
            partial(wait, collecting.timed),
            partial(wait, partial(_floor, requests)),
        )
    counts = ", ".join(f"{vendor} {after[vendor] - before[vendor]}" for vendor in sorted(after))
    return [
        Row(
            work=f"facts of {clients} clients x {DEVICES_EACH} devices",
            ours=ours,
            floor=floor,
            budget=2,
            by_wall=True,
            note=f"requests: {counts}; the floor fetches {len(requests)} addresses",
        )
    ]


async def _recorded(collecting: "Collecting", requests: list[Request]) -> None:
    """Collect once and note every address and its headers."""
    exchange = Wire.exchange

    async def noting(self: Wire, method: str, url: str, headers: Any, *rest: Any) -> Any:
        if method == "GET":
            requests.append((url, dict(headers)))
        return await exchange(self, method, url, headers, *rest)

    with patch.object(Wire, "exchange", noting):
        await collecting.run()


async def _floor(requests: Iterable[Request]) -> Sample:
    with clock() as taken:
        connector = aiohttp.TCPConnector(limit=CONCURRENCY)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def fetch(url: str, headers: dict[str, str]) -> None:
                async with session.get(url, headers=headers) as response:
                    assert response.status == 200, (url, response.status)
                    json.loads(await response.read())

            await asyncio.gather(*(fetch(url, headers) for url, headers in requests))
    return taken.sample


class Collecting:
    """The part of a sweep that asks the vendors: plan, collect, forget; nothing is judged or recorded."""

    def __init__(
        self,
        toolkit: Toolkit,
        catalog: Catalog,
        checks: tuple[CheckSpec, ...],
        subjects: list[Subject],
        limits: dict[str, ClientLimits],
        links: Any,
    ) -> None:
        self.ctx = toolkit.context()
        self.settings = toolkit.settings(HealthSettings)
        self.catalog = catalog
        self.checks = checks
        self.subjects = subjects
        self.limits = limits
        self.links = links

    @classmethod
    async def of(cls, toolkit: Toolkit) -> "Collecting":
        """Read devices and limits, which a sweep does before."""
        ctx = toolkit.context()
        catalog = load_catalog(toolkit)
        checks = select(catalog.checks, CHECKS)
        inventory = await toolkit.get(Inventory)
        clients = (await (await toolkit.get(Clients)).list(ctx)).items
        ids = [client.id for client in clients]
        subjects = [
            Subject(device=one.device, links=one.links)
            async for _, devices in inventory.targets(ctx, ids)
            for one in devices
        ]
        book = LimitsBook(checks, thresholds={}, tiers={}, call={})
        limits = {client.id: book.for_client(client, {}) for client in clients}
        links = await inventory.client_links(ctx, ids)
        return cls(toolkit, catalog, checks, subjects, limits, links)

    async def run(self) -> int:
        """Collect once and return how many observations there were; RuntimeError where a source failed."""
        router = Router(self.catalog)
        book = FactBook(self.ctx.now(), self.settings.max_age)
        collector = Collector(self.ctx, self.settings, router, book, self.links)
        collector.expect(router.fleet_reads(self.checks, self.subjects))

        async def lane(chunks: Iterable[list[Subject]]) -> None:
            for chunk in chunks:
                await collector.collect(plan_rows(self.checks, chunk, self.limits))
                book.forget([subject.device.id for subject in chunk])

        await asyncio.gather(*map(lane, lanes(self.subjects, self.settings.chunk_devices)))
        await collector.close()
        problems = [note.problem for note in collector.notes if note.problem]
        if problems:
            raise RuntimeError("; ".join(problems))
        return sum(note.observations for note in collector.notes)

    async def timed(self) -> Sample:
        """Collect once against the clock."""
        with clock() as taken:
            await self.run()
        return taken.sample

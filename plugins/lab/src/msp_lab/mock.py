"""The lab's fleet as an RMM of its own: no vendor, no HTTP, no credentials."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

from msp_core.v1 import (
    AdapterEnv,
    Command,
    CommandResult,
    ConditionFacts,
    ConditionKind,
    ConnectivityFacts,
    Context,
    CpuFacts,
    DeploymentResult,
    DeviceKind,
    DeviceNotFound,
    DiskFacts,
    Effect,
    FactQuery,
    MemoryFacts,
    Missing,
    NotFound,
    NotSupported,
    Observation,
    OsFamily,
    ServiceFact,
    ServiceFacts,
    ServiceStart,
    ServiceState,
    Severity,
    Target,
    VendorAlert,
    VendorClient,
    VendorCondition,
    VendorDevice,
    VendorSite,
    Volume,
    check_door,
)
from msp_lab import ninjaone_shapes, story
from msp_lab.clock import LabClock
from msp_lab.fleet import Client, Fleet
from msp_lab.mock_settings import MockSettings
from msp_lab.world import View, World

SOURCE = "mock.facts"
_FAMILIES = {"windows": OsFamily.WINDOWS, "linux": OsFamily.LINUX, "mac": OsFamily.MACOS}
_CONDITIONS = {
    story.CPU: ConditionKind.CPU,
    story.MEMORY: ConditionKind.MEMORY,
    story.DISK: ConditionKind.DISK,
    story.SERVICE: ConditionKind.SERVICE,
    story.OFFLINE: ConditionKind.CONNECTIVITY,
}
_SEVERITIES = {story.WARNING: Severity.WARNING, story.CRITICAL: Severity.CRITICAL}


class MockClock(LabClock):
    """Follows the toolkit's clock from the moment the story began."""

    def __init__(self, start: datetime, now: Callable[[], datetime]) -> None:
        super().__init__(start)
        self._now = now

    def now(self) -> datetime:
        """Return the toolkit's time, or the story's beginning while that lies ahead."""
        return max(self.start, self._now())


class MockRmm:
    """Every capability an RMM has, over the made-up fleet."""

    def __init__(self, instance: str, settings: MockSettings, now: Callable[[], datetime]) -> None:
        self._instance = instance
        fleet = Fleet(clients=settings.clients, devices=settings.devices, seed=settings.seed)
        start = settings.started or now()
        if start.tzinfo is None:
            start = start.replace(tzinfo=UTC)
        self.world = World(fleet, MockClock(start, now))

    async def probe(self, _: Context) -> str:
        """Return how large the fleet is."""
        fleet = self.world.fleet
        return f"made-up fleet of {len(fleet.clients)} clients and {fleet.device_count} devices"

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    async def list_clients(self, _: Context) -> AsyncIterator[VendorClient]:
        """Yield every client."""
        for client in self.world.fleet.clients:
            yield VendorClient(external_id=str(client.number), name=client.name)

    async def list_sites(self, _: Context) -> AsyncIterator[VendorSite]:
        """Yield every site."""
        for site in self.world.fleet.sites:
            yield VendorSite(
                external_id=str(site.number),
                client_external_id=str(site.client_number),
                name=site.name,
            )

    def _clients(self, ids: Sequence[str] | None) -> list[Client | None]:
        """Return the clients of these ids; None alone stands for the whole fleet."""
        if ids is None:
            return [None]
        found = (self.world.fleet.client(int(id)) for id in ids if id.isdigit())
        return [client for client in found if client is not None]

    def _views(self, ids: Sequence[str] | None) -> list[View]:
        return [view for client in self._clients(ids) for view in self.world.views(None, client)]

    async def list_devices(
        self, _: Context, client_external_ids: Sequence[str] | None = None
    ) -> AsyncIterator[VendorDevice]:
        """Yield the devices of these clients; vanished ones are not listed."""
        for view in self._views(client_external_ids):
            yield _vendor_device(view)

    async def read_alerts(
        self,
        _: Context,
        client_external_ids: Sequence[str] | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[VendorAlert]:
        """Yield the open alerts of these clients, opened at or after `since`."""
        for view in self._views(client_external_ids):
            for episode in view.alerts:
                opened = self.world.clock.at(episode.start)
                if since is None or opened >= since:
                    yield VendorAlert(
                        external_id=episode.uid,
                        device_external_id=str(view.device.number),
                        message=ninjaone_shapes.message(episode),
                        severity=_SEVERITIES[episode.severity],
                        kind=_CONDITIONS[episode.kind].value,
                        opened_at=opened,
                    )

    async def run_command(self, ctx: Context, target: Target, command: Command) -> CommandResult:
        """Run a command on a made-up device; an offline one never answers."""
        check_door(Effect.CHANGE, f"Running a command on {target.device.id}")
        view = self.view(target)
        if view is None:
            raise DeviceNotFound(
                f"The mock fleet no longer has {target.device.id}.",
                suggestion="Run: msp-toolkit client sync",
            )
        started = ctx.now()
        job = self.world.run(view, vendor="mock", title="command", text=command.line, extra={})
        finished = await self._wait(job.ready_at, command.timeout)
        return CommandResult(
            device_id=target.device.id,
            via=self._instance,
            command=command.line,
            exit_code=job.code if finished else None,
            stdout=job.output if finished else "",
            started_at=started,
            finished_at=ctx.now(),
            timed_out=not finished,
        )

    async def _wait(self, ready_at: float, timeout: timedelta) -> bool:
        left = ready_at - self.world.clock.elapsed()
        await asyncio.sleep(max(0.0, min(left, timeout.total_seconds())))
        return self.world.clock.elapsed() >= ready_at

    def view(self, target: Target) -> View | None:
        """Return the device a target names, or None when the fleet has it no longer."""
        number = target.external_id or ""
        return self.world.find(None, int(number)) if number.isdigit() else None

    async def deploy_agent(
        self,
        _: Context,
        *,
        client_external_id: str,
        site_external_id: str | None,  # noqa: ARG002 - one installer serves every site
        platform: str,
    ) -> DeploymentResult:
        """Give the address of a made-up installer."""
        check_door(Effect.CHANGE, f"Preparing an agent installer for client {client_external_id}")
        if platform not in ("windows", "linux", "macos"):
            raise NotSupported(
                f"There is no agent for {platform!r}.",
                suggestion="Use windows, linux or macos.",
            )
        if not self._clients([client_external_id]):
            raise NotFound(f"The mock fleet has no client {client_external_id!r}.")
        return DeploymentResult(
            target=client_external_id,
            status="installer-ready",
            message="A made-up installer: the address leads nowhere.",
            installer_url=f"https://lab.invalid/agent/{client_external_id}/{platform}",
        )


def _vendor_device(view: View) -> VendorDevice:
    device = view.device
    return VendorDevice(
        external_id=str(device.number),
        client_external_id=str(device.client.number),
        site_external_id=str(device.site.number),
        name=device.hostname,
        hostname=device.hostname,
        kind=DeviceKind.SERVER if device.server else DeviceKind.WORKSTATION,
        os=_FAMILIES[device.system.family],
        os_name=device.system.name,
        serial=device.serial,
        macs=(device.mac,),
        addresses=(device.ip,),
        online=view.online,
        last_seen=view.seen_at,
    )


def create(env: AdapterEnv) -> MockRmm:
    """Make the adapter."""
    return MockRmm(env.instance, env.settings, env.now)


async def read(
    ctx: Context, adapter: MockRmm, query: FactQuery
) -> AsyncIterator[Observation | Missing]:
    """Read facts of made-up devices; those of an offline one are as old as its last contact."""
    now = ctx.now()
    for target in query.targets:
        view = adapter.view(target)
        for kind in sorted(query.facts & _FACTS.keys(), key=lambda one: str(one.__name__)):
            if view is None:
                yield Missing(
                    device_id=target.device.id,
                    fact_id=str(getattr(kind, "fact_id", kind.__name__)),
                    source=SOURCE,
                    reason="the mock fleet no longer has this device",
                )
                continue
            current = kind in (ConnectivityFacts, ConditionFacts) or view.online
            yield Observation(
                device_id=target.device.id,
                fact=_FACTS[kind](view, adapter.world),
                source=SOURCE,
                observed_at=now if current else view.seen_at,
            )


def _cpu(view: View, _: World) -> CpuFacts:
    used = round(view.reading.cpu * 100, 1)
    return CpuFacts(used_percent=used, logical_cpus=view.device.cores)


def _memory(view: View, _: World) -> MemoryFacts:
    total = view.device.memory_bytes
    return MemoryFacts(total_bytes=total, available_bytes=int(total * (1 - view.reading.memory)))


def _disk(view: View, _: World) -> DiskFacts:
    return DiskFacts(
        volumes=tuple(
            Volume(
                mount=volume.name,
                total_bytes=volume.size_bytes,
                free_bytes=view.free_bytes(index),
                filesystem=volume.file_system,
                read_only=False,
            )
            for index, volume in enumerate(view.device.volumes)
        )
    )


def _services(view: View, _: World) -> ServiceFacts:
    return ServiceFacts(
        services=tuple(
            ServiceFact(
                name=service.name,
                state=ServiceState.RUNNING
                if service.automatic and service.name not in view.stopped
                else ServiceState.STOPPED,
                start=ServiceStart.AUTO if service.automatic else ServiceStart.MANUAL,
                display_name=service.title,
            )
            for service in view.device.services
        )
    )


def _connectivity(view: View, _: World) -> ConnectivityFacts:
    return ConnectivityFacts(online=view.online, last_seen=view.seen_at)


def _conditions(view: View, world: World) -> ConditionFacts:
    return ConditionFacts(
        active=tuple(
            VendorCondition(
                kind=_CONDITIONS[episode.kind],
                message=ninjaone_shapes.message(episode),
                severity=_SEVERITIES[episode.severity],
                since=world.clock.at(episode.start),
            )
            for episode in view.alerts
        ),
        monitored=frozenset(_CONDITIONS.values()),
    )


_FACTS: dict[type, Callable[[View, World], object]] = {
    CpuFacts: _cpu,
    MemoryFacts: _memory,
    DiskFacts: _disk,
    ServiceFacts: _services,
    ConnectivityFacts: _connectivity,
    ConditionFacts: _conditions,
}

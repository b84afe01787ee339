"""A fleet without consoles, for tests of whatever works with health: devices, adapters, sources and two checks.

```python
world = World.of(clients=2, devices=5, instances=("one",))
async with open_toolkit(tmp_path, world) as toolkit:
    run = await toolkit.call("health.check")
```
An instance answers for all its devices unless `world.behave[instance]` is given: an async generator function that takes
the FactQuery and yields whatever a broken vendor would.
"""

import types
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from attrs import define, field, frozen

from msp_core.testing import Registry, registry_of
from msp_core.v1 import (
    Adapter,
    Check,
    CpuFacts,
    Device,
    DeviceNotFound,
    DiskFacts,
    Doc,
    FactQuery,
    Granularity,
    Lack,
    MemoryFacts,
    Metric,
    Mode,
    Observation,
    Previous,
    Role,
    Service,
    Source,
    Status,
    Toolkit,
    Verdict,
    Volume,
    hookimpl,
)
from msp_inventory.api import DeviceLinks

Behaviour = Callable[[FactQuery], AsyncIterator[Any]]


@define(kw_only=True)
class World:
    """Devices by client, what is true of them, and how the instances behave."""

    devices: dict[str, list[DeviceLinks]] = field(factory=dict)
    used: dict[str, float] = field(factory=dict)
    """Processor use by device id; 10 % where nothing is said."""
    behave: dict[str, Behaviour] = field(factory=dict)
    reads: list[tuple[str, int]] = field(factory=list)
    """Every read: the instance, and how many devices it asked for."""
    observed_at: datetime | None = None

    @classmethod
    def of(cls, *, clients: int, devices: int, instances: Sequence[str] = ("one",)) -> "World":
        """Make clients `c1`, `c2` ... in turn on the instances, each with that many devices."""
        world = cls()
        for number in range(1, clients + 1):
            client_id, instance = f"c{number}", instances[(number - 1) % len(instances)]
            world.devices[client_id] = [
                DeviceLinks(
                    device=Device(
                        id=f"{client_id}/pc-{one}",
                        client_id=client_id,
                        name=f"pc-{one}",
                        online=True,
                    ),
                    links={instance: f"{number}-{one}"},
                )
                for one in range(1, devices + 1)
            ]
        return world


_world = World()


@frozen(kw_only=True)
class PercentLimits:
    """Limits of the checks of this fleet; a state ends `margin` below its limit."""

    warning_percent: float = 80.0
    critical_percent: float = 90.0
    margin: float = 5.0
    label: str = ""

    def __attrs_post_init__(self) -> None:
        """Refuse limits in the wrong order."""
        if self.warning_percent > self.critical_percent:
            message = (
                f"warning {self.warning_percent:g} is above critical {self.critical_percent:g}"
            )
            raise ValueError(message)


def judge_cpu(cpu: CpuFacts, *, limits: PercentLimits, previous: Previous | None) -> Verdict:
    """Judge processor use."""
    return _judge(cpu.used_percent or 0.0, limits, previous)


def judge_disk(disk: DiskFacts, *, limits: PercentLimits, previous: Previous | None) -> Verdict:
    """Judge the fullest volume."""
    used = max(100.0 * (1 - (v.free_bytes or 0) / (v.total_bytes or 1)) for v in disk.volumes)
    return _judge(used, limits, previous)


def _judge(used: float, limits: PercentLimits, previous: Previous | None) -> Verdict:
    before = previous.status if previous else Status.OK
    status = Status.OK
    if used >= limits.warning_percent - (limits.margin if before.is_problem else 0):
        status = Status.WARNING
    if used >= limits.critical_percent - (limits.margin if before is Status.CRITICAL else 0):
        status = Status.CRITICAL
    metric = Metric("used", used, "%", limits.warning_percent, limits.critical_percent)
    return Verdict(status, f"{used:.0f} % used", (metric,), {"used": used})


@frozen(kw_only=True)
class FleetSettings:
    """An instance of the fleet."""

    note: Annotated[str, Doc("Anything.")] = ""


@frozen
class FleetAdapter:
    """An instance; it only has a name."""

    instance: str

    async def probe(self, ctx: Any) -> str:
        """Say that it is there."""
        del ctx
        return f"{self.instance} answers"

    async def aclose(self) -> None:
        """Do nothing."""


def create_adapter(env: Any) -> FleetAdapter:
    """Make an instance."""
    return FleetAdapter(env.instance)


async def read(ctx: Any, adapter: FleetAdapter, query: FactQuery) -> AsyncIterator[Any]:
    """Answer as the world says."""
    del ctx
    _world.reads.append((adapter.instance, len(query.targets)))
    behaviour = _world.behave.get(adapter.instance, answer)
    async for item in behaviour(query):
        yield item


async def answer(query: FactQuery) -> AsyncIterator[Observation]:
    """Answer for every device asked about."""
    for target in query.targets:
        used = _world.used.get(target.device.id, 10.0)
        facts = {
            CpuFacts: CpuFacts(used_percent=used),
            DiskFacts: DiskFacts(
                volumes=(Volume(mount="/", total_bytes=1000, free_bytes=int(1000 - 10 * used)),)
            ),
        }
        for kind, fact in facts.items():
            if kind in query.facts:
                yield Observation(
                    device_id=target.device.id,
                    fact=fact,
                    source="fleet",
                    observed_at=_world.observed_at,
                )


class WorldInventory:
    """The inventory of the world, as far as a sweep asks."""

    async def targets(
        self, ctx: Any, client_ids: Sequence[str]
    ) -> AsyncIterator[tuple[str, Sequence[DeviceLinks]]]:
        """Yield the clients' devices."""
        del ctx
        for client_id in client_ids:
            yield client_id, _world.devices.get(client_id, ())

    async def missing(self, ctx: Any, client_ids: Sequence[str]) -> tuple[Device, ...]:
        """Return the clients' devices that are missing."""
        del ctx
        devices = [one.device for client in client_ids for one in _world.devices.get(client, ())]
        return tuple(device for device in devices if device.missing_since is not None)

    async def client_links(
        self, ctx: Any, client_ids: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Return the clients' own names as their ids everywhere."""
        del ctx
        return {
            client_id: {name: client_id for one in _world.devices[client_id] for name in one.links}
            for client_id in client_ids
        }

    async def device(self, ctx: Any, ref: str, *, client_id: str | None = None) -> Device:
        """Return a device by name or id."""
        del ctx
        for one in _world.devices.get(client_id or ref.partition("/")[0], ()):
            if ref in (one.device.id, one.device.name):
                return one.device
        raise DeviceNotFound(f"Device {ref!r} not found.")


def create_inventory(toolkit: Any) -> WorldInventory:
    """Make the inventory."""
    del toolkit
    return WorldInventory()


@hookimpl
def msp_checks() -> Iterable[Check]:
    """Offer two checks and one that needs what nobody offers."""
    here = "msp_health.testing"
    yield Check(
        id="cpu",
        title="CPU",
        needs=(CpuFacts,),
        limits=f"{here}:PercentLimits",
        evaluate=f"{here}:judge_cpu",
    )
    yield Check(
        id="disk",
        title="Disk",
        aliases=("disk-space",),
        needs=(DiskFacts,),
        limits=f"{here}:PercentLimits",
        evaluate=f"{here}:judge_disk",
    )


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer an adapter kind for each granularity."""
    for granularity in Granularity:
        yield Adapter(
            id=f"by-{granularity.value}",
            title=f"Fleet read by {granularity.value}",
            role=Role.RMM,
            factory="msp_health.testing:create_adapter",
            settings="msp_health.testing:FleetSettings",
            lacks=(Lack(MemoryFacts, "this vendor measures no memory"),),
        )


@hookimpl
def msp_sources() -> Iterable[Source]:
    """Offer a source for each adapter kind."""
    for granularity in Granularity:
        yield Source(
            id=f"by-{granularity.value}.facts",
            adapter=f"by-{granularity.value}",
            facts=(CpuFacts, DiskFacts),
            read="msp_health.testing:read",
            granularity=granularity,
            mode=Mode.LIVE,
        )


@hookimpl
def msp_services() -> Iterable[Service]:
    """Offer the world's inventory."""
    yield Service(type="msp_inventory.api:Inventory", factory="msp_health.testing:create_inventory")


def registry(*more: types.ModuleType | str) -> Registry:
    """Return a registry of the store, clients, health, this fleet and more plugins (modules or their names)."""
    names = ["msp_store.plugin", "msp_clients.plugin", "msp_health.plugin", __name__]
    names += [one if isinstance(one, str) else one.__name__ for one in more]
    return registry_of(
        {
            "fleet" if name == __name__ else name.split(".")[0].removeprefix("msp_"): name
            for name in names
        }
    )


def open_toolkit(
    folder: Path,
    world: World,
    *more: types.ModuleType | str,
    overrides: Mapping[str, Any] | None = None,
    kinds: Mapping[str, str] | None = None,
    **options: Any,
) -> Toolkit:
    """Open a toolkit in a folder over a world; `kinds` names the granularity of each instance (`client`)."""
    global _world
    _world = world
    instances = {
        name for devices in world.devices.values() for one in devices for name in one.links
    }
    lines = []
    for name in sorted(instances | set(kinds or {})):
        lines += [f"[adapters.{name}]", f'kind = "by-{(kinds or {}).get(name, "client")}"', ""]
    path = folder / "msp-toolkit.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return Toolkit.open(path, registry=registry(*more), overrides=overrides, **options)

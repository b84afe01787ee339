"""This machine as data: an adapter that every configuration has, and its facts."""

from collections.abc import Iterable

from msp_core.v1 import (
    Adapter,
    ConnectivityFacts,
    CpuFacts,
    DiskFacts,
    Granularity,
    ListsDevices,
    MemoryFacts,
    Mode,
    Role,
    RunsCommands,
    ServiceFacts,
    Source,
    hookimpl,
)


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer the adapter `local`."""
    yield Adapter(
        id="local",
        title="This machine",
        role=Role.HOST,
        factory="msp_host_local.adapter:create",
        settings="msp_host_local.settings:LocalSettings",
        offers=(ListsDevices, RunsCommands),
        implicit="local",
    )


@hookimpl
def msp_sources() -> Iterable[Source]:
    """Offer what this machine knows about itself."""
    yield Source(
        id="local.facts",
        adapter="local",
        facts=(CpuFacts, MemoryFacts, DiskFacts, ServiceFacts, ConnectivityFacts),
        read="msp_host_local.source:read",
        granularity=Granularity.FLEET,
        mode=Mode.LIVE,
    )

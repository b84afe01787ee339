"""The vendor lab: its commands, the references to its credentials, and a fleet with no vendor."""

from collections.abc import Iterable

from msp_core.v1 import (
    Adapter,
    ConditionFacts,
    ConnectivityFacts,
    CpuFacts,
    DeploysAgents,
    DiskFacts,
    Effect,
    Granularity,
    ListsClients,
    ListsDevices,
    MemoryFacts,
    Mode,
    ReadsAlerts,
    Role,
    RunsCommands,
    SecretProvider,
    ServiceFacts,
    Source,
    Surface,
    Tool,
    hookimpl,
)

_PEOPLE = frozenset({Surface.CLI, Surface.PYTHON})


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the commands; the lab is for people, so agents and schedules do not see it."""
    yield Tool(
        name="lab.up",
        run="msp_lab.tools:up",
        summary="Start a lab of simulated vendors",
        effect=Effect.CHANGE,
        surfaces=_PEOPLE,
        example="msp-toolkit lab up --clients 12 --devices 300 --detach",
    )
    yield Tool(
        name="lab.down",
        run="msp_lab.tools:down",
        summary="Stop the lab",
        effect=Effect.CHANGE,
        surfaces=_PEOPLE,
    )
    yield Tool(
        name="lab.status",
        run="msp_lab.tools:status",
        summary="Show the lab",
        effect=Effect.READ,
        surfaces=_PEOPLE,
    )
    yield Tool(
        name="lab.advance",
        run="msp_lab.tools:advance",
        summary="Let hours pass for the lab's fleet",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        example="msp-toolkit lab advance --hours 6",
    )
    yield Tool(
        name="lab.fault",
        run="msp_lab.tools:fault",
        summary="Switch faults of the lab on",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        example="msp-toolkit lab fault ninjaone:429,count=3",
    )


@hookimpl
def msp_secret_providers() -> Iterable[SecretProvider]:
    """Offer the made-up credentials as `lab:` references."""
    yield SecretProvider(
        scheme="lab",
        title="Made-up credentials of the vendor lab",
        factory="msp_lab.secrets:create",
        writable=False,
        order=90,
    )


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer the lab's fleet without any vendor or HTTP in between."""
    yield Adapter(
        id="mock",
        title="Mock RMM (made-up fleet)",
        role=Role.RMM,
        factory="msp_lab.mock:create",
        settings="msp_lab.mock_settings:MockSettings",
        offers=(ListsClients, ListsDevices, ReadsAlerts, RunsCommands, DeploysAgents),
    )


@hookimpl
def msp_sources() -> Iterable[Source]:
    """Offer every fact of the made-up fleet."""
    yield Source(
        id="mock.facts",
        adapter="mock",
        facts=(
            CpuFacts,
            MemoryFacts,
            DiskFacts,
            ServiceFacts,
            ConnectivityFacts,
            ConditionFacts,
        ),
        read="msp_lab.mock:read",
        granularity=Granularity.FLEET,
        mode=Mode.LIVE,
    )

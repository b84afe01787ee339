"""What this plugin offers: the adapter kind `connectwise-automate` and its sources of facts."""

from collections.abc import Iterable

from msp_core.v1 import (
    Adapter,
    ConditionFacts,
    ConnectivityFacts,
    CpuFacts,
    Credential,
    DeploysAgents,
    DiskFacts,
    Granularity,
    ListsClients,
    ListsDevices,
    MemoryFacts,
    Mode,
    ReadsAlerts,
    Role,
    RunsCommands,
    ServiceFacts,
    Source,
    hookimpl,
)

KIND = "connectwise-automate"


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer the adapter kind."""
    yield Adapter(
        id=KIND,
        title="ConnectWise Automate",
        role=Role.RMM,
        factory="msp_rmm_connectwise_automate.adapter:create",
        settings="msp_rmm_connectwise_automate.settings:AutomateSettings",
        offers=(ListsClients, ListsDevices, ReadsAlerts, RunsCommands, DeploysAgents),
        aliases=("connectwise", "automate", "labtech"),
        credentials=(
            Credential(
                name="username",
                summary="Name of the Automate user (may stand in the configuration)",
            ),
            Credential(name="password", summary="Password of the Automate user"),
            Credential(
                name="integration_id",
                summary="Client ID (GUID) from the ConnectWise developer portal",
            ),
            Credential(
                name="two_factor",
                summary="Seed of the authenticator app, or one passcode, where the user has a second factor",
                required=False,
            ),
        ),
    )


@hookimpl
def msp_sources() -> Iterable[Source]:
    """Offer what the bulk queries and the inventory of services know."""
    yield Source(
        id=f"{KIND}.computers",
        adapter=KIND,
        facts=(CpuFacts, MemoryFacts, ConnectivityFacts),
        read="msp_rmm_connectwise_automate.facts:computers",
        granularity=Granularity.FLEET,
        mode=Mode.STORED,
    )
    yield Source(
        id=f"{KIND}.drives",
        adapter=KIND,
        facts=(DiskFacts,),
        read="msp_rmm_connectwise_automate.facts:drives",
        granularity=Granularity.FLEET,
        mode=Mode.STORED,
    )
    yield Source(
        id=f"{KIND}.alerts",
        adapter=KIND,
        facts=(ConditionFacts,),
        read="msp_rmm_connectwise_automate.facts:conditions",
        granularity=Granularity.FLEET,
        mode=Mode.LIVE,
    )
    yield Source(
        id=f"{KIND}.services",
        adapter=KIND,
        facts=(ServiceFacts,),
        read="msp_rmm_connectwise_automate.services:services",
        granularity=Granularity.DEVICE,
        mode=Mode.STORED,
    )

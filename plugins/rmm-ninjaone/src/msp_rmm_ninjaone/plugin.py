"""What this plugin offers: the adapter kind `ninjaone` and its sources of facts."""

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
    Lack,
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

_NO_LIVE = (
    "NinjaOne has no live CPU and memory: name what your policies monitor in monitored_conditions, "
    "or allow probes"
)


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer NinjaOne."""
    yield Adapter(
        id="ninjaone",
        title="NinjaOne",
        role=Role.RMM,
        factory="msp_rmm_ninjaone.adapter:create",
        settings="msp_rmm_ninjaone.settings:NinjaOneSettings",
        offers=(ListsClients, ListsDevices, ReadsAlerts, RunsCommands, DeploysAgents),
        aliases=("ninjarmm", "ninja"),
        credentials=(
            Credential(
                name="client_id",
                summary="Client ID of an API application (machine-to-machine)",
                unless="api_key",
            ),
            Credential(
                name="client_secret",
                summary="Client secret of the same application",
                unless="api_key",
            ),
            Credential(
                name="api_key", summary="Both in one, as client_id:client_secret", required=False
            ),
        ),
        lacks=(Lack(CpuFacts, _NO_LIVE), Lack(MemoryFacts, _NO_LIVE)),
    )


@hookimpl
def msp_sources() -> Iterable[Source]:
    """Offer what NinjaOne can be asked in bulk, and the probe through a script."""
    for name, fact, mode in (
        ("volumes", DiskFacts, Mode.STORED),
        ("services", ServiceFacts, Mode.STORED),
        ("connectivity", ConnectivityFacts, Mode.LIVE),
        ("conditions", ConditionFacts, Mode.LIVE),
    ):
        yield Source(
            id=f"ninjaone.{name}",
            adapter="ninjaone",
            facts=(fact,),
            read=f"msp_rmm_ninjaone.facts:{name}",
            granularity=Granularity.FLEET,
            mode=mode,
        )
    yield Source(
        id="ninjaone.probe",
        adapter="ninjaone",
        facts=(CpuFacts, MemoryFacts),
        read="msp_rmm_ninjaone.probe:probe",
        granularity=Granularity.DEVICE,
        mode=Mode.PROBE,
    )

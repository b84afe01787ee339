"""SSH as data: a transport for commands, and facts of Linux and macOS machines."""

from collections.abc import Iterable

from msp_core.v1 import (
    Adapter,
    ConnectivityFacts,
    CpuFacts,
    Credential,
    DiskFacts,
    Granularity,
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
    """Offer the adapter kind `ssh`."""
    yield Adapter(
        id="ssh",
        title="SSH",
        role=Role.TRANSPORT,
        factory="msp_transport_ssh.adapter:create",
        settings="msp_transport_ssh.settings:SshSettings",
        offers=(RunsCommands,),
        credentials=(
            Credential(name="password", summary="Password of the user.", required=False),
            Credential(name="passphrase", summary="Passphrase of the key file.", required=False),
        ),
    )


@hookimpl
def msp_sources() -> Iterable[Source]:
    """Offer what a machine tells over SSH, for instances with `facts = true`."""
    yield Source(
        id="ssh.facts",
        adapter="ssh",
        facts=(CpuFacts, MemoryFacts, DiskFacts, ServiceFacts, ConnectivityFacts),
        read="msp_transport_ssh.source:read",
        granularity=Granularity.DEVICE,
        # `facts = true` in the instance is the opt-in: nobody links devices over SSH by accident
        mode=Mode.LIVE,
    )

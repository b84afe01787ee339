"""The network check and the probes it asks for, as data."""

from collections.abc import Iterable

from msp_core.v1 import (
    AnyOf,
    Check,
    ConnectivityFacts,
    Granularity,
    Mode,
    ProbeFacts,
    Source,
    hookimpl,
)


@hookimpl
def msp_checks() -> Iterable[Check]:
    """Offer the check `network`."""
    yield Check(
        id="network",
        title="Network",
        summary="Configured probes, or whether the console's agent answers.",
        needs=(AnyOf(ProbeFacts, ConnectivityFacts),),
        limits="msp_check_network.limits:NetworkLimits",
        evaluate="msp_check_network.check:evaluate",
        requests="msp_check_network.limits:requests",
    )


@hookimpl
def msp_sources() -> Iterable[Source]:
    """Offer network probes from where the toolkit runs."""
    yield Source(
        id="network.probes",
        facts=(ProbeFacts,),
        read="msp_check_network.source:read",
        # One read for all devices: a probe that several devices share runs once
        granularity=Granularity.FLEET,
        mode=Mode.LIVE,
    )

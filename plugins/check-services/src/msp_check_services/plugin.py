"""The services check as data."""

from collections.abc import Iterable

from msp_core.v1 import Check, ServiceFacts, hookimpl


@hookimpl
def msp_checks() -> Iterable[Check]:
    """Offer the check `services`."""
    yield Check(
        id="services",
        title="Services",
        summary="Expected services run, and no service has failed.",
        needs=(ServiceFacts,),
        limits="msp_check_services.check:ServiceLimits",
        evaluate="msp_check_services.check:evaluate",
        requests="msp_check_services.check:requests",
    )

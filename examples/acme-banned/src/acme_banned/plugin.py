"""What this plugin offers: one health check."""

from collections.abc import Iterable

from msp_core.v1 import Check, ServiceFacts, hookimpl


@hookimpl
def msp_checks() -> Iterable[Check]:
    """Offer the check."""
    yield Check(
        id="acme-banned",
        title="Banned services",
        needs=(ServiceFacts,),
        limits="acme_banned.check:Limits",
        evaluate="acme_banned.check:evaluate",
        summary="Remote control nobody ordered, and whatever else must not run.",
    )

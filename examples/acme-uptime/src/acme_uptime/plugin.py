"""What this plugin offers: a new kind of fact, its source, and a check that judges it."""

from collections.abc import Iterable

from msp_core.v1 import Check, Source, hookimpl


@hookimpl
def msp_sources() -> Iterable[Source]:
    """Offer the source; it belongs to no adapter, it reads where the toolkit runs."""
    yield Source(
        id="acme-uptime.clock",
        facts=("acme_uptime.facts:UptimeFacts",),
        read="acme_uptime.source:read",
    )


@hookimpl
def msp_checks() -> Iterable[Check]:
    """Offer the check."""
    yield Check(
        id="acme-uptime",
        title="Uptime",
        needs=("acme_uptime.facts:UptimeFacts",),
        limits="acme_uptime.facts:Limits",
        evaluate="acme_uptime.facts:evaluate",
    )

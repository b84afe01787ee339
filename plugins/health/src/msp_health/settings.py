"""The section `health_checks` of the configuration."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from attrs import field, frozen, validators

from msp_core.v1 import Doc, Tier, is_cron

_positive = validators.gt(timedelta(0))


@frozen(kw_only=True)
class Timeouts:
    """How long one read of facts may take before its devices are UNKNOWN with that reason."""

    fleet: Annotated[timedelta, Doc("One read of a whole console.")] = field(
        default=timedelta(minutes=5), validator=_positive
    )
    client: Annotated[timedelta, Doc("One read of one client.")] = field(
        default=timedelta(seconds=60), validator=_positive
    )
    device: Annotated[timedelta, Doc("One read of one device.")] = field(
        default=timedelta(seconds=30), validator=_positive
    )


@frozen(kw_only=True)
class HealthSettings:
    """Health checks of all clients."""

    enabled: Annotated[bool, Doc("Off: `health check` refuses to run.")] = True
    schedule: Annotated[str, Doc("When all clients are checked, as a cron expression.")] = field(
        default="0 */6 * * *", validator=is_cron
    )
    thresholds: Annotated[
        Mapping[str, Any],
        Doc(
            "Limits: `<check>_percent = N` (its warning level), or a table per check with its own limits."
        ),
    ] = field(factory=dict)
    tiers: Annotated[
        Mapping[Tier, Mapping[str, Any]],
        Doc("The same as `thresholds`, for the clients of one tier."),
    ] = field(factory=dict)
    attempts: Annotated[
        int, Doc("Sweeps in a row that must see a problem before anybody is told.")
    ] = field(default=1, validator=[validators.ge(1), validators.le(100)])
    max_age: Annotated[
        timedelta, Doc("Older facts give UNKNOWN, for checks that state no age of their own.")
    ] = field(default=timedelta(days=2), validator=_positive)
    chunk_devices: Annotated[int, Doc("Devices judged and recorded in one transaction.")] = field(
        default=2000, validator=[validators.ge(1), validators.le(50_000)]
    )
    concurrency: Annotated[int, Doc("Reads under way at once, for each adapter instance.")] = field(
        default=200, validator=[validators.ge(1), validators.le(10_000)]
    )
    timeouts: Annotated[Timeouts, Doc("Limits of waiting.")] = field(factory=Timeouts)

"""The section `access` of the configuration."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from attrs import field, frozen, validators

from msp_core.v1 import Data, Doc, Effect


class Level(StrEnum):
    """An effect, as a word in the configuration."""

    READ = "read"
    RECORD = "record"
    CHANGE = "change"
    DESTROY = "destroy"

    @property
    def effect(self) -> Effect:
        """The effect itself."""
        return Effect[self.name]


class Approval(StrEnum):
    """From which effect on a person has to approve."""

    NEVER = "never"
    CHANGE = "change"
    DESTROY = "destroy"

    def wants(self, effect: Effect) -> bool:
        """Tell whether this effect needs an approval."""
        return self is not Approval.NEVER and effect >= Effect[self.name]


class Role(StrEnum):
    """Ready-made limits: viewer reads, operator also changes, admin may do everything."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_at_least_one = validators.optional(validators.ge(1))


@frozen(kw_only=True, eq=False, repr=False)
class Limits(Data):
    """What an actor or a surface may do; what is left out does not limit."""

    role: Annotated[
        Role | None, Doc("viewer (reads), operator (changes too) or admin (destroys too).")
    ] = None
    read_only: Annotated[bool, Doc("Only read; checks run without being recorded.")] = False
    clients: Annotated[tuple[str, ...] | None, Doc("Ids of the only clients it may see.")] = None
    tools: Annotated[
        tuple[str, ...] | None, Doc('Names of the only tools it may use; "client.*" is a pattern.')
    ] = None
    max_effect: Annotated[Level | None, Doc("The most a call may do.")] = None
    approval: Annotated[
        Approval | None, Doc("From which effect on a person must approve: never, change, destroy.")
    ] = None
    max_clients_per_change: Annotated[
        int | None, Doc("Clients one call may change without an approval.")
    ] = field(default=None, validator=_at_least_one)
    max_devices_per_change: Annotated[
        int | None, Doc("Devices and other targets one call may change without an approval.")
    ] = field(default=None, validator=_at_least_one)


_rate = validators.ge(1)


@frozen(kw_only=True, eq=False, repr=False)
class RateLimits(Data):
    """Calls a minute that one caller may make, by what they may do."""

    read: Annotated[int, Doc("Calls that read.")] = field(default=600, validator=_rate)
    record: Annotated[int, Doc("Calls that record, such as sweeps.")] = field(
        default=60, validator=_rate
    )
    change: Annotated[int, Doc("Calls that change something.")] = field(default=30, validator=_rate)
    destroy: Annotated[int, Doc("Calls that destroy something.")] = field(
        default=10, validator=_rate
    )


@frozen(kw_only=True, eq=False, repr=False)
class AccessSettings(Data):
    """Who may do what."""

    read_only: Annotated[bool, Doc("Nobody may change anything; checks are not recorded.")] = False
    actors: Annotated[
        Mapping[str, Limits], Doc('Limits by actor, such as "local:alice" or "key:ci".')
    ] = field(factory=dict)
    surfaces: Annotated[
        Mapping[str, Limits], Doc("Limits by surface: cli, mcp, python, workflow, schedule.")
    ] = field(factory=dict)
    max_clients_per_change: Annotated[
        int | None, Doc("Clients one call may change without an approval, on every surface.")
    ] = field(default=None, validator=_at_least_one)
    max_devices_per_change: Annotated[
        int | None, Doc("Targets one call may change without an approval, on every surface.")
    ] = field(default=None, validator=_at_least_one)
    rate_limits: Annotated[
        RateLimits, Doc("Calls a minute of one agent or key; people are not limited.")
    ] = field(factory=RateLimits)
    plan_expires_after: Annotated[
        timedelta, Doc("How long a plan waits for approval, and an approval for its call.")
    ] = field(default=timedelta(minutes=15), validator=validators.gt(timedelta(0)))

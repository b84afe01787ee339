"""The options of the made-up fleet."""

from datetime import datetime
from typing import Annotated

from attrs import field, frozen, validators

from msp_core.v1 import Doc, SecretRef


@frozen(kw_only=True)
class MockSettings:
    """A fleet with no vendor at all: the same numbers give the same fleet.

    What every vendor's instance has is taken and means nothing here, so that an instance can become a made-up one by
    its kind alone.
    """

    clients: Annotated[int, Doc("Number of clients.")] = field(
        default=12, validator=[validators.ge(1), validators.le(10_000)]
    )
    devices: Annotated[int, Doc("Number of devices of all clients together.")] = field(
        default=300, validator=[validators.ge(0), validators.le(1_000_000)]
    )
    seed: Annotated[int, Doc("Another seed gives another fleet and another story.")] = field(
        default=1, validator=[validators.ge(0)]
    )
    started: Annotated[
        datetime | None,
        Doc(
            "When the story of the fleet began; without it, it begins whenever the toolkit starts."
        ),
    ] = None
    api_url: Annotated[str, Doc("Not used: there is no server.")] = ""
    api_key: Annotated[SecretRef | None, Doc("Not used: nobody logs in.")] = None
    timeout: Annotated[float, Doc("Not used: nothing is waited for.")] = field(
        default=30.0, validator=[validators.gt(0), validators.le(3600)]
    )

"""The options of the made-up fleet."""

from datetime import datetime
from typing import Annotated

from attrs import field, frozen, validators

from msp_core.v1 import Doc


@frozen(kw_only=True)
class MockSettings:
    """A fleet with no vendor at all: the same numbers give the same fleet."""

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

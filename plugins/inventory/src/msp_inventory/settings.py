"""The section `inventory` of the configuration."""

from typing import Annotated

from attrs import frozen

from msp_core.v1 import Doc


@frozen(kw_only=True)
class InventorySettings:
    """What the inventory cannot find out itself."""

    default_rmm: Annotated[
        str,
        Doc("The RMM whose ids are a client's rmm_id and a device's; of several without it: none."),
    ] = ""

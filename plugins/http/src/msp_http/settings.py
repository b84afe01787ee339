"""The section `http` of the configuration: how requests leave this machine."""

from pathlib import Path
from typing import Annotated

from attrs import frozen

from msp_core.v1 import Doc


@frozen(kw_only=True)
class HttpSettings:
    """How requests to vendors leave this machine. Proxy variables of the environment are not read."""

    proxy: Annotated[
        str,
        Doc("URL of the proxy for every request, such as http://proxy.example:3128."),
    ] = ""
    ca_bundle: Annotated[
        Path | None,
        Doc("PEM file of certificate authorities to trust besides the usual ones."),
    ] = None
    allow_plain_http: Annotated[
        bool,
        Doc("Permit http:// addresses beyond this machine; credentials then travel readable."),
    ] = False

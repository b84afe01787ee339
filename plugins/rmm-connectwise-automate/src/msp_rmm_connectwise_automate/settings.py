"""The options of one Automate server."""

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from attrs import field, frozen, validators

from msp_core.v1 import Doc, SecretRef

_API_PATH = re.compile(r"(/cwa(/api(/v\d+)?)?)?/?$", re.IGNORECASE)


def _is_address(_: object, attribute: Any, value: str) -> None:
    try:
        parts = urlsplit(server_root(value))
        usable = bool(parts.hostname) and parts.scheme in ("https", "http") and parts.port != 0
    except ValueError:
        usable = False
    if not usable or " " in value.strip():
        message = f"{value[:80]!r} is no address such as https://example.hostedrmm.com"
        raise ValueError(message, attribute)


def server_root(api_url: str) -> str:
    """Return the server's address without `/cwa/api/v1`: people paste it with and without."""
    text = api_url.strip()
    if "://" not in text:
        text = f"https://{text}"
    return _API_PATH.sub("", text)


@frozen(kw_only=True)
class AutomateSettings:
    """One ConnectWise Automate server and the API user the toolkit works as."""

    api_url: Annotated[
        str,
        Doc("Address of the server, such as https://example.hostedrmm.com; /cwa/api may follow."),
    ] = field(validator=_is_address)
    username: Annotated[str | None, Doc("Name of the Automate user.")] = None
    password: Annotated[SecretRef | None, Doc("Password of the Automate user.")] = None
    integration_id: Annotated[
        SecretRef | None,
        Doc("Client ID (GUID) of the integration, from the ConnectWise developer portal."),
    ] = None
    two_factor: Annotated[
        SecretRef | None,
        Doc("Second factor: the base32 seed of the authenticator app, or a single passcode."),
    ] = None
    timeout: Annotated[float, Doc("Seconds to wait for one answer; big lists are slow.")] = field(
        default=60.0, validator=[validators.ge(1), validators.le(3600)]
    )
    page_size: Annotated[int, Doc("Rows asked for at once; the server gives at most 1000.")] = (
        field(default=1000, validator=[validators.ge(1), validators.le(1000)])
    )
    concurrency: Annotated[int, Doc("Requests to this server at the same time.")] = field(
        default=10, validator=[validators.ge(1), validators.le(200)]
    )
    verify_tls: Annotated[bool, Doc("Check the server's certificate.")] = True
    network_devices: Annotated[
        bool, Doc("List switches, printers and the like (NetworkDevices) as devices too.")
    ] = False
    installer_types: Annotated[
        Mapping[str, int],
        Doc("InstallerType the server wants for each platform; 1 is the Windows agent."),
    ] = field(factory=lambda: {"windows": 1})

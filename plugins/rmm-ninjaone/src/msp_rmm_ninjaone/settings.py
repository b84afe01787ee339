"""Options of a NinjaOne instance."""

from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from attrs import field, frozen, validators

from msp_core.v1 import ConditionKind, Doc, SecretRef


class Region(StrEnum):
    """Where an account lives."""

    US = "us"
    US2 = "us2"
    CA = "ca"
    EU = "eu"
    OC = "oc"


def _is_address(_: object, attribute: Any, value: str) -> None:
    try:
        parts = urlsplit(_with_scheme(value))
        usable = bool(parts.hostname) and parts.scheme in ("https", "http") and parts.port != 0
    except ValueError:
        usable = False
    if value.strip() and not (usable and " " not in value.strip()):
        message = f"{value[:80]!r} is no address such as https://eu.ninjarmm.com"
        raise ValueError(message, attribute)


def _with_scheme(url: str) -> str:
    url = url.strip()
    return url if "://" in url else f"https://{url}"


@frozen(kw_only=True)
class NinjaOneSettings:
    """How to reach a NinjaOne account, and what it may be relied upon for."""

    region: Annotated[Region, Doc("Where the account lives.")] = Region.US
    api_url: Annotated[str, Doc("Address of the account, instead of a region.")] = field(
        default="", validator=_is_address
    )
    client_id: Annotated[SecretRef | None, Doc("Client ID of the API application.")] = None
    client_secret: Annotated[SecretRef | None, Doc("Client secret of the API application.")] = None
    api_key: Annotated[SecretRef | None, Doc("Both in one: client_id:client_secret.")] = None
    scope: Annotated[
        str, Doc("Scopes to ask for; monitoring is enough for all but commands and installers.")
    ] = "monitoring management control"
    timeout: Annotated[float, Doc("Seconds for one request.")] = field(
        default=30.0, validator=[validators.gt(0), validators.le(600)]
    )
    page_size: Annotated[int, Doc("Rows per request.")] = field(
        default=1000, validator=[validators.ge(1), validators.le(1000)]
    )
    concurrency: Annotated[int, Doc("Requests under way at the same time.")] = field(
        default=10, validator=[validators.ge(1), validators.le(100)]
    )
    command_scripts: Annotated[
        tuple[str, ...],
        Doc("Names or ids of your scripts that run their parameters as a command line."),
    ] = ()
    monitored_conditions: Annotated[
        tuple[ConditionKind, ...],
        Doc("What your policies monitor on every device: no alert then means it is well."),
    ] = ()

    @property
    def base_url(self) -> str:
        """The account's address without an API path."""
        url = _with_scheme(self.api_url).rstrip("/")
        if not self.api_url.strip():
            host = "app" if self.region is Region.US else self.region.value
            return f"https://{host}.ninjarmm.com"
        return url.removesuffix("/v2").removesuffix("/api").rstrip("/")

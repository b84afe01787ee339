"""Installers of the agent: a token for a location, and the address it opens."""

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from msp_core.v1 import (
    DeploymentResult,
    InvalidParameters,
    NotSupported,
    Quarantined,
    VendorError,
    VendorSite,
)
from msp_rmm_connectwise_automate import rows
from msp_rmm_connectwise_automate.lists import is_number

if TYPE_CHECKING:
    from msp_rmm_connectwise_automate.adapter import Automate

_GOOD_FOR = timedelta(hours=24)


async def make(
    adapter: "Automate", client_external_id: str, site_external_id: str | None, *, platform: str
) -> DeploymentResult:
    """Ask for an installer token; raise NotSupported for a platform whose installer type is not known."""
    kind = adapter.settings.installer_types.get(platform)
    if kind is None:
        known = ", ".join(sorted(adapter.settings.installer_types))
        raise NotSupported(
            f"{adapter.instance}: which InstallerType gives the {platform} agent is not known; known: {known}.",
            suggestion=f"If you know the number, set installer_types.{platform} of this instance.",
        )
    site = await _site(adapter, client_external_id, site_external_id)
    body = {"LocationId": int(site.external_id), "InstallerType": kind}
    made_at = adapter.env.now()
    answer = await adapter.http.request("POST", "/RemoteAgent/Installers", json=body)
    token = answer.json()
    if not isinstance(token, str) or not token.strip():
        raise VendorError(
            f"{adapter.instance}: the server answered something that is not an installer token.",
            suggestion="Make the installer in the Automate web console.",
        )
    return DeploymentResult(
        target=site.name,
        status="installer-ready",
        message=f"Run the {platform} installer on each new machine of {site.name}; the link works for 24 hours.",
        installer_url=f"{adapter.root}/LabTech/Deployment.aspx?InstallerToken={quote(token.strip(), safe='')}",
        expires_at=made_at + _GOOD_FOR,
    )


async def _site(
    adapter: "Automate", client_external_id: str, site_external_id: str | None
) -> VendorSite:
    """Return the location to install for; it must be one of the client's, whatever the caller says."""
    if not is_number(client_external_id):
        raise InvalidParameters(f"{client_external_id!r} is not the id of an Automate client.")
    found = []
    async for page in adapter.lists.pages(
        "/Locations",
        key="Id",
        fields="Id,Name,Client",
        condition=f"Client.Id = {client_external_id}",
    ):
        for row in page:
            one = rows.site(row)
            if not isinstance(one, Quarantined) and one.client_external_id == client_external_id:
                found.append(one)
    if site_external_id is not None:
        found = [one for one in found if one.external_id == site_external_id]
    if len(found) == 1 and is_number(found[0].external_id):
        return found[0]
    if not found:
        what = "this location" if site_external_id is not None else "no location"
        raise InvalidParameters(
            f"{adapter.instance}: client {client_external_id} has {what}"
            + (" not among its own." if site_external_id is not None else "."),
            suggestion="See which sites there are: msp-toolkit client sync, then client show.",
        )
    names = ", ".join(sorted(one.name for one in found)[:10])
    raise InvalidParameters(
        f"{adapter.instance}: client {client_external_id} has {len(found)} locations: {names}.",
        suggestion="Name the site the new machines belong to.",
    )

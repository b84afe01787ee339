"""NinjaOne's public API 2.0 as an adapter: what it lists, and what it does on devices."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msp_core.v1 import (
    AdapterEnv,
    Command,
    CommandResult,
    Context,
    DeploymentResult,
    InvalidParameters,
    NotSupported,
    Quarantined,
    Target,
    VendorAlert,
    VendorClient,
    VendorDevice,
    VendorError,
    VendorSite,
)
from msp_http.api import HttpClient, HttpClients
from msp_rmm_ninjaone import shapes
from msp_rmm_ninjaone.alerts import severities, triggered
from msp_rmm_ninjaone.commands import Scripts
from msp_rmm_ninjaone.login import Login
from msp_rmm_ninjaone.paging import Pages, device_filter
from msp_rmm_ninjaone.settings import NinjaOneSettings

T = TypeVar("T")

_INSTALLERS = {
    "windows": "WINDOWS_MSI",
    "macos": "MAC_PKG",
    "linux": "LINUX_DEB",
    "linux-rpm": "LINUX_RPM",
}


async def create(env: AdapterEnv) -> "NinjaOne":
    """Build the adapter of an instance; nothing is sent yet."""
    settings: NinjaOneSettings = env.settings
    clients = await env.get(HttpClients)
    http = clients.client(
        instance=env.instance,
        base_url=settings.base_url,
        auth=Login(env, settings.scope),
        timeout_s=settings.timeout,
        concurrency=settings.concurrency,
    )
    return NinjaOne(env, settings, http)


class NinjaOne:
    """One NinjaOne account."""

    def __init__(self, env: AdapterEnv, settings: NinjaOneSettings, http: HttpClient) -> None:
        self.instance = env.instance
        self.settings = settings
        self.http = http
        self.now: Callable[[], datetime] = env.now
        self.pages = Pages(http, settings.page_size)
        self.scripts = Scripts(http, env.instance, settings.command_scripts)

    async def probe(self, ctx: Context) -> str:
        """Ask for one organisation."""
        del ctx
        rows = await self.http.get_json("/v2/organizations", params={"pageSize": 1})
        if not isinstance(rows, list):
            message = f"{self.instance}: the address answers, but not as NinjaOne's API does."
            raise VendorError(message, suggestion="Check region or api_url.")
        seen = "sees organizations" if rows else "sees no organization yet"
        return f"NinjaOne at {self.settings.base_url} takes the credentials and {seen}"

    async def aclose(self) -> None:
        """Close connections."""
        await self.http.aclose()

    async def list_clients(self, ctx: Context) -> AsyncIterator[VendorClient | Quarantined]:
        """Yield the organisations; one request per page."""
        del ctx
        async for page in self.pages.of_list("/v2/organizations"):
            for item in page:
                yield _read(shapes.client, item, "organization")

    async def list_sites(self, ctx: Context) -> AsyncIterator[VendorSite | Quarantined]:
        """Yield the locations; one request per page."""
        del ctx
        async for page in self.pages.of_list("/v2/locations"):
            for item in page:
                yield _read(shapes.site, item, "location")

    async def list_devices(
        self, ctx: Context, client_external_ids: Sequence[str] | None = None
    ) -> AsyncIterator[VendorDevice | Quarantined]:
        """Yield the devices with all their details; one request per page."""
        del ctx
        if client_external_ids is not None and not client_external_ids:
            return
        wanted = None if client_external_ids is None else frozenset(client_external_ids)
        params = {"df": device_filter(client_external_ids)}
        async for page in self.pages.of_list("/v2/devices-detailed", params):
            for item in page:
                found = _read(shapes.device, item, "device")
                if (
                    isinstance(found, Quarantined)
                    or wanted is None
                    or found.client_external_id in wanted
                ):
                    yield found

    async def read_alerts(
        self,
        ctx: Context,
        client_external_ids: Sequence[str] | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[VendorAlert | Quarantined]:
        """Yield the triggered conditions.

        One request, those for severities (see `alerts`), and where clients are given those for their devices: an alert
        does not name its client, and the vendor's filter is not trusted with that.
        """
        del ctx
        if client_external_ids is not None and not client_external_ids:
            return
        rows = await triggered(self.pages, client_external_ids)
        devices = None
        if client_external_ids is not None and rows:
            devices = await self._devices_of(client_external_ids)
        known = await severities(self.http, rows)
        for item in rows:
            try:
                row = shapes.row_of(item, "alert")
                found = shapes.alert(row, known.get(shapes.text(row.get("uid"))))
            except ValueError as error:
                yield Quarantined("alert", str(error))
                continue
            if devices is not None and found.device_external_id not in devices:
                continue
            if since is None or found.opened_at is None or found.opened_at >= since:
                yield found

    async def run_command(self, ctx: Context, target: Target, command: Command) -> CommandResult:
        """Run a command line through the configured script and wait for its activity to complete."""
        started = ctx.now()
        outcome = await self.scripts.run_command(target, command)
        return CommandResult(
            device_id=target.device.id,
            via=self.instance,
            command=command.line,
            exit_code=outcome.exit_code,
            stdout=outcome.output,
            started_at=started,
            finished_at=ctx.now(),
            timed_out=outcome.timed_out,
        )

    async def deploy_agent(
        self, ctx: Context, *, client_external_id: str, site_external_id: str | None, platform: str
    ) -> DeploymentResult:
        """Give the address of an installer that enrols machines in a client's site."""
        del ctx
        kind = _INSTALLERS.get(platform.lower())
        if kind is None:
            message = f"NinjaOne has no agent for {platform!r}."
            raise NotSupported(message, suggestion=f"Choose one of {', '.join(_INSTALLERS)}.")
        client = path_id(client_external_id, "client")
        site = await self._site(client, site_external_id)
        path = f"/v2/organization/{client}/location/{site}/installer/{kind}"
        said = await self.http.get_json(path)
        url = said.get("url") if isinstance(said, dict) else None
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            message = f"{self.instance}: NinjaOne gave no address of an installer."
            raise VendorError(message, suggestion="Make the installer in NinjaOne's console.")
        return DeploymentResult(
            target=f"organization {client}, location {site}",
            status="installer-ready",
            message=f"Run this {platform} installer on each new machine.",
            installer_url=url,
        )

    async def _site(self, client: str, site: str | None) -> str:
        if site is not None:
            return path_id(site, "site")
        path = f"/v2/organization/{client}/locations"
        rows = await self.pages.whole(path)
        sites = [row for row in rows if isinstance(row, dict) and shapes.external_id(row.get("id"))]
        if len(sites) == 1:
            return path_id(str(shapes.external_id(sites[0]["id"])), "site")
        names = ", ".join(f"{shapes.text(row.get('name'))} ({row['id']})" for row in sites[:10])
        message = f"The client has {len(sites)} sites; an installer belongs to one."
        raise InvalidParameters(message, suggestion=f"Name one of: {names or 'make one first'}.")

    async def _devices_of(self, clients: Sequence[str]) -> frozenset[str]:
        wanted = frozenset(clients)
        found: set[str] = set()
        async for page in self.pages.of_list("/v2/devices", {"df": device_filter(clients)}):
            for row in page:
                if (
                    isinstance(row, dict)
                    and shapes.external_id(row.get("organizationId")) in wanted
                ):
                    found.add(str(shapes.external_id(row.get("id"))))
        return frozenset(found)


def path_id(value: str, what: str) -> str:
    """Return an id that may stand in a path; NinjaOne's are numbers."""
    if not (value.isascii() and value.isdigit()):
        message = f"This {what} has no id of NinjaOne's kind (a number)."
        raise InvalidParameters(message, suggestion="Sync the instance and try again.")
    return value


def _read(shape: Callable[[Any], T], item: Any, what: str) -> T | Quarantined:
    try:
        return shape(item)
    except ValueError as error:
        found = shapes.external_id(item.get("id")) if isinstance(item, dict) else None
        return Quarantined(what, str(error), found)

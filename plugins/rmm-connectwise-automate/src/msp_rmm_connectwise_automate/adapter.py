"""One Automate server: clients, sites, devices, alerts, commands, installers."""

# ruff: noqa: ARG002 - the contract hands a Context to everybody

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

from msp_core.v1 import (
    AdapterEnv,
    Command,
    CommandResult,
    Context,
    DeploymentResult,
    Quarantined,
    Target,
    VendorAlert,
    VendorClient,
    VendorDevice,
    VendorError,
    VendorSite,
)
from msp_http.api import HttpClient, HttpClients
from msp_rmm_connectwise_automate import commands, installers, rows
from msp_rmm_connectwise_automate.lists import Lists, is_number
from msp_rmm_connectwise_automate.login import Login
from msp_rmm_connectwise_automate.settings import AutomateSettings, server_root

_CLIENTS_LISTED = 40
"""Up to so many clients are asked for by id; more are cheaper as the whole list."""
_ZONE_LEEWAY = timedelta(days=1)
"""The server compares dates in a zone nobody states, so it is asked for a day more and the rest is left out here."""


async def create(env: AdapterEnv) -> "Automate":
    """Build the adapter of one configured instance; no request is sent yet."""
    settings: AutomateSettings = env.settings
    integration = (await env.secret("integration_id")).reveal()
    root = server_root(settings.api_url)
    http = (await env.get(HttpClients)).client(
        instance=env.instance,
        base_url=f"{root}/cwa/api/v1",
        auth=Login(env),
        timeout_s=settings.timeout,
        concurrency=settings.concurrency,
        headers={"clientId": integration, "Accept": "application/json"},
        verify_tls=settings.verify_tls,
    )
    return Automate(env, settings, http, root)


class Automate:
    """Implements Probes, ListsClients, ListsDevices, ReadsAlerts, RunsCommands and DeploysAgents."""

    def __init__(
        self, env: AdapterEnv, settings: AutomateSettings, http: HttpClient, root: str
    ) -> None:
        self.instance = env.instance
        self.settings = settings
        self.http = http
        self.root = root
        self.env = env
        self.lists = Lists(http, env, settings.page_size)

    async def probe(self, ctx: Context) -> str:
        """Ask for the server's version with the credentials."""
        answer = await self.http.get_json("/PatchInformation")
        version = answer.get("WebServerPatchVersion") if isinstance(answer, dict) else None
        if not isinstance(version, str):
            raise VendorError(
                f"{self.instance}: the server does not say which version it is.",
                suggestion="Check the instance's api_url.",
            )
        return f"ConnectWise Automate {version} at {self.root} answers."

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def list_clients(self, ctx: Context) -> AsyncIterator[VendorClient | Quarantined]:
        """Yield every client."""
        async for page in self.lists.pages("/Clients", key="Id", fields="Id,Name"):
            for row in page:
                yield rows.client(row)

    async def list_sites(self, ctx: Context) -> AsyncIterator[VendorSite | Quarantined]:
        """Yield every location; its script password is not asked for."""
        async for page in self.lists.pages("/Locations", key="Id", fields="Id,Name,Client"):
            for row in page:
                yield rows.site(row)

    async def list_devices(
        self, ctx: Context, client_external_ids: Sequence[str] | None = None
    ) -> AsyncIterator[VendorDevice | Quarantined]:
        """Yield the computers of these clients (None: all), and network devices where the settings say so."""
        wanted = None if client_external_ids is None else frozenset(client_external_ids)
        condition = _clients_condition(wanted)
        if wanted is not None and not wanted:
            return
        async for page in self.lists.pages(
            "/Computers", key="Id", fields=rows.DEVICE_FIELDS, condition=condition
        ):
            zone = await self.lists.zone(page, "RemoteAgentLastContact", "LastHeartbeat")
            for row in page:
                if _belongs(one := rows.device(row, zone), wanted):
                    yield one
        if not self.settings.network_devices:
            return
        async for page in self.lists.pages(
            "/NetworkDevices", key="Id", fields=rows.NETWORK_FIELDS, condition=condition
        ):
            zone = await self.lists.zone(page, "LastContact")
            for row in page:
                if _belongs(one := rows.network_device(row, zone), wanted):
                    yield one

    async def read_alerts(
        self,
        ctx: Context,
        client_external_ids: Sequence[str] | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[VendorAlert | Quarantined]:
        """Yield the alerts the server lists."""
        wanted = None if client_external_ids is None else frozenset(client_external_ids)
        if wanted is not None and not wanted:
            return
        conditions = [_clients_condition(wanted)]
        if since is not None:
            earliest = (since - _ZONE_LEEWAY).astimezone(UTC)
            # Without quotes: the server fails on quoted dates
            conditions.append(f"AlertDate >= {earliest:%Y-%m-%dT%H:%M:%SZ}")
        async for page in self.lists.pages(
            "/Alerts",
            key="AlertId",
            fields=rows.ALERT_FIELDS,
            condition=" and ".join(part for part in conditions if part),
        ):
            zone = await self.lists.zone(page, "AlertDate")
            for row in page:
                if (
                    wanted is not None
                    and row is not None
                    and rows.inner_id(row, "Client") not in wanted
                ):
                    continue
                one = rows.alert(row, zone)
                opened = one.opened_at if isinstance(one, VendorAlert) else None
                if since is None or opened is None or opened >= since:
                    yield one

    async def run_command(self, ctx: Context, target: Target, command: Command) -> CommandResult:
        """Run one command line on a computer and wait for what it prints."""
        return await commands.run(self.http, self.env, target, command)

    async def deploy_agent(
        self, ctx: Context, *, client_external_id: str, site_external_id: str | None, platform: str
    ) -> DeploymentResult:
        """Make an installer of the agent for a location of the client."""
        return await installers.make(self, client_external_id, site_external_id, platform=platform)


def _clients_condition(wanted: frozenset[str] | None) -> str:
    if wanted is None or not 0 < len(wanted) <= _CLIENTS_LISTED or not all(map(is_number, wanted)):
        return ""
    if len(wanted) == 1:
        return f"Client.Id = {next(iter(wanted))}"
    return f"Client.Id in ({','.join(sorted(wanted, key=int))})"


def _belongs(one: VendorDevice | Quarantined, wanted: frozenset[str] | None) -> bool:
    """Tell whether a row is asked for: the server's filter is not trusted to keep clients apart."""
    return wanted is None or isinstance(one, Quarantined) or one.client_external_id in wanted

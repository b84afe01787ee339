"""The simulators as backends of the conformance cases: what is really there, and where it stands in the answers."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from msp_core.testing import Reply, Request
from msp_core.testing.conformance.backend import DeviceTruth, FieldNames, RmmTruth
from msp_core.testing.vendor import forward
from msp_lab.credentials import credentials
from msp_lab.fleet import Fleet
from msp_lab.ninjaone_login import TOKEN_PATHS
from msp_lab.server import Lab
from msp_lab.world import View

CLIENTS, DEVICES, SEED = 5, 50, 3


def _truth(fleet: Fleet, vendor: str | None, views: list[View], *, dated: bool) -> RmmTruth:
    clients = fleet.clients_of(vendor) if vendor else fleet.clients
    return RmmTruth(
        clients=frozenset(one.name for one in clients),
        sites=frozenset(site.name for one in clients for site in one.sites),
        devices={
            view.device.hostname: DeviceTruth(
                client=view.device.client.name,
                online=view.online,
                last_seen=view.seen_at.replace(microsecond=0) if dated else None,
            )
            for view in views
        },
        alerts=Counter(view.device.hostname for view in views for _ in view.alerts),
    )


class _Simulated:
    """A simulator of the lab, asked in this process."""

    url_field = "api_url"
    vendor: ClassVar[str]

    def __init__(self) -> None:
        start = datetime.fromisoformat("2026-01-15T09:00:00+00:00")
        self.lab = Lab(clients=CLIENTS, devices=DEVICES, seed=SEED, start=start)
        self.lab.control.advance(hours=30)

    async def start(self) -> None:
        await self.lab.start()

    async def stop(self) -> None:
        await self.lab.stop()

    async def answer(self, request: Request) -> Reply:
        # Lab time stands still, but a command needs some to finish
        self.lab.control.advance(seconds=0.1 if "job" in request.path.lower() else 0)
        return await forward(self.lab.control.urls[self.vendor], request)

    def truth(self) -> RmmTruth:
        world = self.lab.world
        return _truth(world.fleet, self.vendor, world.views(self.vendor), dated=True)


class NinjaOne(_Simulated):
    """NinjaOne as the lab simulates it."""

    vendor = "ninjaone"
    config: Mapping[str, Any] = {"page_size": 8, "timeout": 2, "command_scripts": ["41", "42"]}
    fields = FieldNames(
        ids=("id", "organizationId", "locationId"),
        name="displayName",
        words=("nodeClass", "approvalStatus"),
        times=("lastContact",),
    )

    @property
    def secrets(self) -> Mapping[str, str]:
        known = credentials(SEED)
        return {name: known[f"ninjaone/{name}"] for name in ("client_id", "client_secret")}

    def expire(self) -> None:
        self.lab.ninjaone.revoke_tokens()

    def is_login(self, request: Request) -> bool:
        return request.path in TOKEN_PATHS

    def devices_in(self, request: Request, body: Any) -> list[Any] | None:
        listed = request.path.endswith("/v2/devices-detailed")
        return body if listed and isinstance(body, list) else None


class Automate(_Simulated):
    """ConnectWise Automate as the lab simulates it."""

    vendor = "automate"
    config: Mapping[str, Any] = {"page_size": 8, "timeout": 2, "username": "lab-api"}
    fields = FieldNames(
        ids=("Id", "Client"),
        name="ComputerName",
        words=("Type", "Status"),
        times=("RemoteAgentLastContact", "LastHeartbeat"),
    )

    @property
    def secrets(self) -> Mapping[str, str]:
        known = credentials(SEED)
        return {
            "password": known["automate/password"],
            "integration_id": known["automate/client_id"],
        }

    def expire(self) -> None:
        self.lab.automate.revoke_tokens()

    def is_login(self, request: Request) -> bool:
        return "/apitoken" in request.path.lower()

    def devices_in(self, request: Request, body: Any) -> list[Any] | None:
        listed = request.path.lower().endswith("/computers")
        return body if listed and isinstance(body, list) else None


class Mock:
    """The made-up fleet: no wire, so no trouble on it."""

    url_field = ""
    config: Mapping[str, Any] = {"clients": CLIENTS, "devices": DEVICES, "seed": SEED}
    secrets: Mapping[str, str] = {}
    fields = FieldNames(ids=("external_id",), name="name")

    async def start(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""

    async def answer(self, _: Request) -> Reply:
        return Reply(status=404)

    def truth(self) -> RmmTruth:
        from msp_core.testing import FixedClock
        from msp_lab.clock import LabClock
        from msp_lab.world import World

        fleet = Fleet(clients=CLIENTS, devices=DEVICES, seed=SEED)
        world = World(fleet, LabClock(FixedClock().now))
        return _truth(fleet, None, world.views(None), dated=True)

    def expire(self) -> None:
        """Do nothing: there is no login."""

    def is_login(self, _: Request) -> bool:
        return False

    def devices_in(self, _: Request, body: Any) -> list[Any] | None:
        del body
        return None

"""The NinjaOne simulator: tokens, lists, device resources and changes."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from msp_lab import ninjaone_filter
from msp_lab import ninjaone_shapes as shapes
from msp_lab.chance import uid
from msp_lab.fleet import NINJAONE, Client
from msp_lab.ninjaone_activities import ActivityLog
from msp_lab.ninjaone_login import TOKEN_PATHS, Login
from msp_lab.ninjaone_reports import Reports
from msp_lab.ninjaone_scripts import Scripts
from msp_lab.web import (
    Call,
    Handler,
    Refusal,
    Reply,
    Router,
    encode,
    joined,
    reply,
    whole,
)
from msp_lab.world import Maintenance, View, World

T = TypeVar("T")

DEFAULT_PAGE, MAX_PAGE = 100, 1000
INSTALLERS = (
    "WINDOWS_MSI", "MAC_DMG", "MAC_PKG", "LINUX_DEB", "LINUX_RPM", "LINUX_ARM64_DEB",
    "LINUX_ARMV7A_DEB", "LINUX_ARM64_RPM", "LINUX_ARMV7A_RPM",
)  # fmt: skip


class NinjaOne:
    """Answers calls as NinjaOne's public API 2.0 does, `/api/v2` and `/v2` alike."""

    name = NINJAONE

    def __init__(self, world: World, *, token_seconds: float = 3600) -> None:
        self.world = world
        self.login = Login(world, token_seconds)
        self._refused = 0
        self.router = Router()
        self.activities = ActivityLog(world)
        self._kept: dict[tuple[str, int], bytes] = {}
        self._kept_of: tuple[int, int] = (-1, -1)
        self._routes()
        Scripts(self).add_routes()
        Reports(self).add_routes()

    def _routes(self) -> None:
        add = self.add
        for path in TOKEN_PATHS:
            self.router.add("POST", path, self.login.token)
        self.router.add("GET", "/agent/installer/{token}/{file}", self._download)
        add("GET", "/v2/organizations", self._organizations)
        add("GET", "/v2/organizations-detailed", self._organizations_detailed)
        add("GET", "/v2/organization/{id}", self._organization)
        add("GET", "/v2/organization/{id}/locations", self._organization_locations)
        add("GET", "/v2/organization/{id}/devices", self._organization_devices)
        add("GET", "/v2/locations", self._locations)
        add("GET", "/v2/devices", self._devices)
        add("GET", "/v2/devices-detailed", self._devices_detailed)
        add("GET", "/v2/devices/search", self._search)
        add("GET", "/v2/device/{id}", self._device)
        add("GET", "/v2/device/{id}/volumes", self._device_volumes)
        add("GET", "/v2/device/{id}/windows-services", self._device_services)
        add("GET", "/v2/device/{id}/alerts", self._device_alerts)
        add("GET", "/v2/alerts", self._alerts)
        add("DELETE", "/v2/alert/{uid}", self._reset_alert, scope="management")
        add("POST", "/v2/alert/{uid}/reset", self._reset_alert, scope="management")
        add("PUT", "/v2/device/{id}/maintenance", self._maintain, scope="management")
        add(
            "DELETE",
            "/v2/device/{id}/maintenance",
            self._end_maintenance,
            scope="management",
        )
        add(
            "POST",
            "/v2/device/{id}/windows-service/{service}/control",
            self._control_service,
            scope="control",
        )
        add(
            "GET",
            "/v2/organization/{id}/location/{location}/installer/{type}",
            self._installer,
            scope="management",
        )
        add(
            "POST",
            "/v2/organization/generate-installer",
            self._generate_installer,
            scope="management",
        )

    def add(
        self, method: str, pattern: str, handler: Handler, *, scope: str = "monitoring"
    ) -> None:
        """Route a path to a handler that needs a token with this scope."""

        def guarded(call: Call) -> Reply:
            self.login.authorise(call, scope)
            return handler(call)

        self.router.add(method, pattern, guarded)

    def prepare(self, call: Call) -> None:
        if call.path.startswith("/api/v2"):
            call.path = call.path.removeprefix("/api")

    def revoke_tokens(self) -> None:
        self.login.revoke()

    def is_login(self, path: str) -> bool:
        return path in TOKEN_PATHS

    def error(self, refusal: Refusal) -> Reply:
        if refusal.code:
            body: object = {"error": refusal.code, "error_description": refusal.text}
        else:
            self._refused += 1
            body = {
                "resultCode": "FAILURE",
                "errorMessage": refusal.text,
                "incidentId": uid(self.world.seed, self._refused, refusal.status),
            }
        return Reply(status=refusal.status, body=encode(body))

    # Finding things

    def kept(self, shape: str, key: int, make: Callable[[], object]) -> bytes:
        """Return encoded JSON, kept as long as the state of the world stays the same."""
        if self._kept_of != self.world.moment():
            self._kept, self._kept_of = {}, self.world.moment()
        found = self._kept.get((shape, key))
        if found is None:
            found = self._kept[(shape, key)] = encode(make())
        return found

    def view(self, call: Call) -> View:
        found = self.world.find(NINJAONE, self._number(call, "id") - shapes.DEVICE_OFFSET)
        if found is None:
            raise Refusal(404, "Device not found")
        return found

    @staticmethod
    def _number(call: Call, name: str) -> int:
        text = call.params[name]
        if not text.isdigit():
            raise Refusal(400, f"not a valid {name}: {text}")
        return int(text)

    def filtered(self, call: Call) -> list[View]:
        """Return the devices that the call's `df` selects, in order of their ids."""
        text = call.query.get("df", "").strip()
        if not text:
            return self.world.views(NINJAONE)
        test, organisations = ninjaone_filter.parse(text)
        if organisations is None:
            return [view for view in self.world.views(NINJAONE) if test(view)]
        clients = filter(None, (self.world.fleet.client(n) for n in sorted(organisations)))
        return [v for c in clients for v in self.world.views(NINJAONE, c) if test(v)]

    def now(self) -> float:
        return shapes.epoch(self.world.clock.now())

    def _page(
        self,
        call: Call,
        items: Sequence[T],
        shape: str,
        key: Callable[[T], int],
        make: Callable[[T], object],
    ) -> Reply:
        """Answer with the items behind `after`; they come in the order of their ids."""
        size = whole(call.query.get("pageSize"), DEFAULT_PAGE, low=1, high=MAX_PAGE)
        first = bisect_right(items, whole(call.query.get("after"), 0), key=key)
        page = items[first : first + size]
        return joined([self.kept(shape, key(item), partial(make, item)) for item in page])

    # Organisations and devices

    def _clients(self, call: Call, shape: str, make: Callable[[Client], object]) -> Reply:
        clients = self.world.fleet.clients_of(NINJAONE)
        return self._page(call, clients, shape, lambda c: c.number + shapes.ORG_OFFSET, make)

    def _organizations(self, call: Call) -> Reply:
        return self._clients(call, "organization", shapes.organization)

    def _organizations_detailed(self, call: Call) -> Reply:
        return self._clients(call, "organization-detailed", shapes.organization_detailed)

    def _client_number(self, call: Call) -> int:
        number = self._number(call, "id") - shapes.ORG_OFFSET
        client = self.world.fleet.client(number)
        if client is None or NINJAONE not in client.vendors():
            raise Refusal(404, "Organization not found")
        return number

    def _organization(self, call: Call) -> Reply:
        client = self.world.fleet.clients[self._client_number(call) - 1]
        return reply(shapes.organization_detailed(client))

    def _organization_locations(self, call: Call) -> Reply:
        client = self.world.fleet.clients[self._client_number(call) - 1]
        return reply([shapes.location(site, with_organization=False) for site in client.sites])

    def _organization_devices(self, call: Call) -> Reply:
        client = self.world.fleet.clients[self._client_number(call) - 1]
        return self._device_page(call, self.world.views(NINJAONE, client), "brief")

    def _locations(self, call: Call) -> Reply:
        sites = [s for client in self.world.fleet.clients_of(NINJAONE) for s in client.sites]
        make = partial(shapes.location, with_organization=True)
        return self._page(call, sites, "location", lambda s: s.number + shapes.SITE_OFFSET, make)

    def _device_page(self, call: Call, views: list[View], shape: str) -> Reply:
        make = shapes.device_brief if shape == "brief" else shapes.device_detailed
        now = self.now()
        return self._page(
            call,
            views,
            shape,
            lambda view: view.device.number + shapes.DEVICE_OFFSET,
            lambda view: make(view, now),
        )

    def _devices(self, call: Call) -> Reply:
        return self._device_page(call, self.filtered(call), "brief")

    def _devices_detailed(self, call: Call) -> Reply:
        return self._device_page(call, self.filtered(call), "detailed")

    def _search(self, call: Call) -> Reply:
        query = call.query.get("q", "")
        limit = whole(call.query.get("limit"), 10, low=1, high=MAX_PAGE)
        if not query:
            raise Refusal(400, "q is required")
        found = [
            {
                **shapes.device_brief(view, self.now()),
                "matchAttr": "systemName",
                "matchAttrValue": view.device.hostname,
            }
            for view in self.world.views(NINJAONE)
            if query.lower() in view.device.hostname.lower()
        ]
        return reply({"query": query, "devices": found[:limit]})

    def _device(self, call: Call) -> Reply:
        return reply(shapes.device_detailed(self.view(call), self.now()))

    def _device_volumes(self, call: Call) -> Reply:
        return reply(list(shapes.volumes(self.view(call))))

    def _device_services(self, call: Call) -> Reply:
        name, state = call.query.get("name"), call.query.get("state")
        return reply(
            [
                row
                for row in shapes.windows_services(self.view(call))
                if name in (None, row["name"]) and state in (None, row["state"])
            ]
        )

    # Alerts

    def _alert_rows(self, views: list[View], source: str | None = None) -> list[dict[str, object]]:
        return [
            shapes.alert(view, episode, self.world.clock.at(episode.start))
            for view in views
            for episode in view.alerts
            if source in (None, shapes.source_type(view.device, episode))
        ]

    def _alerts(self, call: Call) -> Reply:
        return reply(self._alert_rows(self.filtered(call), call.query.get("sourceType")))

    def _device_alerts(self, call: Call) -> Reply:
        return reply(self._alert_rows([self.view(call)]))

    def _reset_alert(self, call: Call) -> Reply:
        wanted = call.params["uid"]
        for view in self.world.views(NINJAONE):
            for episode in view.alerts:
                if episode.uid == wanted:
                    self.activities.rows()
                    self.world.reset_alert(wanted)
                    return Reply(status=204)
        raise Refusal(404, "Alert not found")

    # Changes

    def _maintain(self, call: Call) -> Reply:
        view, wanted = self.view(call), call.json_object()
        features = wanted.get("disabledFeatures", [])
        start, end = wanted.get("start", self.now()), wanted.get("end")
        if not isinstance(features, list) or not isinstance(start, int | float):
            raise Refusal(400, "disabledFeatures must be a list and start a number")
        if end is not None and (not isinstance(end, int | float) or end <= start):
            raise Refusal(400, "end must be after start")
        planned = Maintenance(
            start=float(start),
            end=None if end is None else float(end),
            features=tuple(str(feature) for feature in features),
        )
        self.world.set_maintenance(view.device, planned)
        return Reply(status=204)

    def _end_maintenance(self, call: Call) -> Reply:
        self.world.set_maintenance(self.view(call).device, None)
        return Reply(status=204)

    def _control_service(self, call: Call) -> Reply:
        view, action = self.view(call), call.json_object().get("action")
        names = [str(row["name"]) for row in shapes.windows_services(view)]
        if call.params["service"] not in names:
            raise Refusal(404, "Service not found")
        if action not in ("START", "PAUSE", "STOP", "RESTART"):
            raise Refusal(400, f"unknown action: {action}")
        running = action in ("START", "RESTART")
        self.world.set_service(view.device, call.params["service"], running=running)
        return Reply(status=204)

    # Installers

    def _link(self, call: Call, organisation: int, location: int, kind: object) -> Reply:
        site = self.world.fleet.site(location - shapes.SITE_OFFSET)
        if site is None or site.client_number != organisation - shapes.ORG_OFFSET:
            raise Refusal(404, "Location not found")
        if kind not in INSTALLERS:
            raise Refusal(400, f"unknown installer type: {kind}")
        mark = uid(self.world.seed, location, INSTALLERS.index(str(kind)))
        ending = str(kind).split("_")[-1].lower()
        host = call.headers.get("Host", "lab.invalid")
        return reply({"url": f"http://{host}/agent/installer/{mark}/ninjaone-agent.{ending}"})

    def _installer(self, call: Call) -> Reply:
        organisation = self._client_number(call) + shapes.ORG_OFFSET
        return self._link(call, organisation, self._number(call, "location"), call.params["type"])

    def _generate_installer(self, call: Call) -> Reply:
        wanted = call.json_object()
        organisation, location = wanted.get("organizationId"), wanted.get("locationId")
        if not isinstance(organisation, int) or not isinstance(location, int):
            raise Refusal(400, "organizationId and locationId are required")
        return self._link(call, organisation, location, wanted.get("installerType"))

    def _download(self, call: Call) -> Reply:
        text = f"This is a pretended installer of the lab: {call.params['file']}\n"
        return Reply(body=text.encode(), content_type="application/octet-stream")

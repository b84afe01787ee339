"""The ConnectWise Automate simulator: tokens, lists, commands and installers."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from msp_lab import automate_shapes as shapes
from msp_lab.automate_computers import COMPUTERS, SYSTEMS
from msp_lab.automate_lists import Kept, Listing, plain
from msp_lab.automate_login import Login
from msp_lab.chance import token
from msp_lab.fleet import AUTOMATE, Client
from msp_lab.web import Call, Handler, Refusal, Reply, Router, encode, reply
from msp_lab.world import Job, View, World

T = TypeVar("T")

BASE = "/cwa/api/v1"
CONSOLE_COMMAND = 2
INSTALLER_HOURS = 24


class Automate:
    """Answers calls as an Automate server does; the case of paths does not matter."""

    name = AUTOMATE

    def __init__(self, world: World, *, token_seconds: float = 3600) -> None:
        self.world = world
        self.login = Login(world, token_seconds)
        self.router = Router(ignore_case=True)
        self._installers: dict[str, float] = {}
        self._answers: dict[str, Kept] = {}
        self._routes()

    def _routes(self) -> None:
        open_, add = self._add_open, self._add
        open_("GET", "/apitoken", self.login.info)
        open_("POST", "/apitoken", self.login.login)
        add("POST", "/apitoken/refresh", self.login.refresh)
        add("GET", "/PatchInformation", self._patch_information)
        add("GET", "/DatabaseServerTime", self._server_time)
        add("GET", "/Clients", self._clients)
        add("GET", "/Clients/{client}", self._client)
        add("GET", "/Locations", self._locations)
        add("GET", "/Locations/{location}", self._location)
        add("GET", "/Computers", self._computers)
        add("GET", "/Computers/Drives", self._drives)
        add("GET", "/Computers/MaintenanceModes", lambda _: reply([]))
        add("GET", "/Computers/{computer}", self._computer)
        add("GET", "/Computers/{computer}/Services", self._services)
        add("GET", "/Computers/{computer}/OperatingSystem", self._operating_system)
        add("GET", "/Computers/{computer}/Alerts", self._computer_alerts)
        add("GET", "/Computers/{computer}/CommandExecute", self._commands)
        add("POST", "/Computers/{computer}/CommandExecute", self._execute)
        add("GET", "/Computers/{computer}/CommandHistory", self._history)
        add("GET", "/Alerts", self._alerts)
        add("GET", "/Alerts/{alert}", self._alert)
        add("GET", "/Commands", self._catalogue)
        add("GET", "/NetworkDevices", self._network_devices)
        add("GET", "/NetworkDevices/{device}", self._network_device)
        add("POST", "/RemoteAgent/Installers", self._create_installer)
        self.router.add("GET", "/LabTech/Deployment.aspx", self._download)

    def _add_open(self, method: str, path: str, handler: Handler) -> None:
        def guarded(call: Call) -> Reply:
            self.login.check_integration(call)
            return handler(call)

        self.router.add(method, BASE + path, guarded)

    def _add(self, method: str, path: str, handler: Handler) -> None:
        def guarded(call: Call) -> Reply:
            self.login.check_integration(call)
            self.login.authorise(call)
            return handler(call)

        self.router.add(method, BASE + path, guarded)

    def prepare(self, call: Call) -> None:
        """Leave the call as it is: this vendor has one form of each path."""

    def revoke_tokens(self) -> None:
        self.login.revoke()

    def is_login(self, path: str) -> bool:
        return path.lower().startswith(f"{BASE}/apitoken")

    def error(self, refusal: Refusal) -> Reply:
        code = refusal.code or {
            400: "BadRequest",
            401: "Unauthorized",
            403: "Forbidden",
            404: "NotFound",
            405: "MethodNotAllowed",
            409: "Conflict",
            429: "TooManyRequests",
        }.get(refusal.status, "InternalServerError")
        body = {
            "code": code,
            "message": refusal.text,
            "errors": [{"message": refusal.text}],
        }
        return Reply(status=refusal.status, body=encode(body))

    # Server

    def _patch_information(self, _: Call) -> Reply:
        return reply(
            {
                "WebServerPatchVersion": "23.0.9.392",
                "DBAgentServerPatchVersion": "23.0.9.392",
                "ControlCenterPatchVersion": "23.0.9.392",
                "RemoteAgentPatchVersion": "230.309",
                "LinuxAgentPatchVersion": "230.309",
                "MacAgentPatchVersion": "230.309",
                "LastPatchedDate": plain(shapes.ENROLLED),
            }
        )

    def _server_time(self, _: Call) -> Reply:
        return reply(self.world.clock.now().isoformat(timespec="seconds"))

    # Clients and locations

    def _kept(self, name: str) -> Kept:
        """Return the kept answers of a list, empty again whenever the world has changed."""
        moment = self.world.moment()
        found = self._answers.get(name)
        if found is None or found.moment != moment:
            found = self._answers[name] = Kept(moment)
        return found

    def _known_clients(self) -> tuple[Client, ...]:
        return self.world.fleet.clients_of(AUTOMATE)

    def _clients(self, call: Call) -> Reply:
        return shapes.CLIENTS.answer(call, self._known_clients)

    def _client(self, call: Call) -> Reply:
        return _single(shapes.CLIENTS, self._known_clients(), call.params["client"])

    def _places(self) -> Iterator[shapes.Place]:
        for client in self._known_clients():
            for site in client.sites:
                yield shapes.Place(site=site, client=client)

    def _locations(self, call: Call) -> Reply:
        return shapes.LOCATIONS.answer(call, self._places)

    def _location(self, call: Call) -> Reply:
        return _single(shapes.LOCATIONS, self._places(), call.params["location"])

    # Computers

    def _views(self) -> list[View]:
        return self.world.views(AUTOMATE)

    def _view(self, call: Call) -> View:
        text = call.params["computer"]
        if not text.isdigit():
            raise Refusal(400, f"The value '{text}' is not valid for ComputerId")
        found = self.world.find(AUTOMATE, int(text))
        if found is None:
            raise Refusal(404, "Computer not found")
        return found

    def _computers(self, call: Call) -> Reply:
        return COMPUTERS.answer(
            call,
            self._views,
            kept=self._kept("computers"),
            key=lambda v: v.device.number,
        )

    def _computer(self, call: Call) -> Reply:
        return reply(COMPUTERS.row(self._view(call)))

    def _all_drives(self) -> Iterator[shapes.Drive]:
        for view in self._views():
            for index in range(len(view.device.volumes)):
                yield shapes.Drive(view=view, index=index)

    def _drives(self, call: Call) -> Reply:
        return shapes.DRIVES.answer(
            call,
            self._all_drives,
            kept=self._kept("drives"),
            key=lambda d: (d.view.device.number, d.index),
        )

    def _services(self, call: Call) -> Reply:
        view = self._view(call)

        def rows() -> Iterator[shapes.RunningService]:
            for index, service in enumerate(view.device.services):
                yield shapes.RunningService(view=view, service=service, index=index)

        kept = self._kept(f"services of {view.device.number}")
        return shapes.SERVICES.answer(call, rows, kept=kept, key=lambda s: s.index)

    def _operating_system(self, call: Call) -> Reply:
        return reply(SYSTEMS.row(self._view(call)))

    # Alerts

    def _alert_rows(self, views: list[View]) -> list[shapes.Alert]:
        clock = self.world.clock
        return [
            shapes.Alert(
                view=view,
                episode=episode,
                raised=clock.at(episode.start),
                now=clock.now(),
            )
            for view in views
            for episode in view.alerts
        ]

    def _alerts(self, call: Call) -> Reply:
        return shapes.ALERTS.answer(call, lambda: self._alert_rows(self._views()))

    def _computer_alerts(self, call: Call) -> Reply:
        view = self._view(call)
        return shapes.ALERTS.answer(call, lambda: self._alert_rows([view]))

    def _alert(self, call: Call) -> Reply:
        return _single(shapes.ALERTS, self._alert_rows(self._views()), call.params["alert"])

    # Commands

    def _catalogue(self, call: Call) -> Reply:
        return shapes.COMMANDS.answer(call, lambda: shapes.COMMAND_KINDS)

    def _command(self, job: Job) -> shapes.Command:
        kind = next(k for k in shapes.COMMAND_KINDS if k.id == job.extra["command"])
        done = self.world.finished(job)
        status = ("Success" if job.succeeded else "Failed") if done else "Executing"
        return shapes.Command(job=job, kind=kind, status=status, done=done)

    def _jobs(self, view: View) -> list[shapes.Command]:
        return [
            self._command(job)
            for job in self.world.jobs
            if job.vendor == AUTOMATE and job.device.number == view.device.number
        ]

    def _commands(self, call: Call) -> Reply:
        view = self._view(call)
        return shapes.EXECUTED.answer(call, lambda: self._jobs(view))

    def _history(self, call: Call) -> Reply:
        view = self._view(call)
        return shapes.HISTORY.answer(call, lambda: [c for c in self._jobs(view) if c.done])

    def _execute(self, call: Call) -> Reply:
        view = self._view(call)
        body = _object(call)
        command = body.get("Command")
        number = str(command.get("Id")) if isinstance(command, dict) else ""
        kind = next((k for k in shapes.COMMAND_KINDS if str(k.id) == number), None)
        if kind is None:
            raise Refusal(400, f"Unknown command: {number}")
        if str(body.get("ComputerId", view.device.number)) != str(view.device.number):
            raise Refusal(400, "ComputerId differs from the path")
        parameters = body.get("Parameters", [])
        if not isinstance(parameters, list):
            raise Refusal(400, "Parameters must be a list")
        if kind.id == CONSOLE_COMMAND and not parameters:
            raise Refusal(400, "The command needs a parameter")
        text = str(parameters[0]) if kind.id == CONSOLE_COMMAND else "echo inventory requested"
        job = self.world.run(
            view,
            vendor=AUTOMATE,
            title=kind.name,
            text=text,
            extra={
                "command": kind.id,
                "parameters": [str(item) for item in parameters],
            },
        )
        return reply(shapes.EXECUTED.row(self._command(job)))

    # Network devices

    def _things(self) -> Iterator[shapes.NetworkThing]:
        at = self.world.clock.at(self.world.clock.tick())
        for place in self._places():
            for index in range(len(shapes.NETWORK_KINDS)):
                yield shapes.NetworkThing(site=place.site, client=place.client, index=index, at=at)

    def _network_devices(self, call: Call) -> Reply:
        return shapes.NETWORK_DEVICES.answer(call, self._things)

    def _network_device(self, call: Call) -> Reply:
        return _single(shapes.NETWORK_DEVICES, self._things(), call.params["device"])

    # Installers

    def _create_installer(self, call: Call) -> Reply:
        body = _object(call)
        location, kind = body.get("LocationId"), body.get("InstallerType")
        if not isinstance(location, int) or not isinstance(kind, int):
            raise Refusal(400, "LocationId and InstallerType are required numbers")
        if all(place.site.number != location for place in self._places()):
            raise Refusal(404, "Location not found")
        value = token("lab-installer", self.world.seed, location, kind, len(self._installers))
        self._installers[value] = self.world.clock.elapsed() + INSTALLER_HOURS * 3600
        return reply(value)

    def _download(self, call: Call) -> Reply:
        expires = self._installers.get(call.query.get("InstallerToken", ""), 0.0)
        if expires <= self.world.clock.elapsed():
            raise Refusal(404, "The installer token is unknown or has expired")
        return Reply(
            body=b"This is a pretended agent installer of the lab.\n",
            content_type="application/octet-stream",
        )


def _single(listing: Listing[T], items: Iterable[T], wanted: str) -> Reply:
    for item in items:
        if str(listing.value(item, listing.id_field)) == wanted:
            return reply(listing.row(item))
    raise Refusal(404)


def _object(call: Call) -> dict[str, object]:
    try:
        value = call.json()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, "A JSON object is required")
    return value

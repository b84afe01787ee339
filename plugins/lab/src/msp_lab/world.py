"""The state of the lab: the fleet and its story, and everything callers changed since the start."""

from datetime import datetime

import attrs

from msp_lab import shell
from msp_lab.chance import uid
from msp_lab.clock import LabClock
from msp_lab.fleet import Client, Device, Fleet
from msp_lab.story import SERVICE, Episode, Reading, Story

COMMAND_SECONDS = 0.3


@attrs.define(kw_only=True)
class Job:
    """A command or script that runs on a device; finished once `ready_at` has passed."""

    number: int
    uid: str
    device: Device
    title: str
    text: str
    queued_at: datetime
    ready_at: float
    succeeded: bool
    code: int
    output: str
    vendor: str
    extra: dict[str, object] = attrs.Factory(dict)


@attrs.define(kw_only=True)
class Maintenance:
    """An announced maintenance time of a device, epoch seconds."""

    start: float
    end: float | None
    features: tuple[str, ...]


@attrs.frozen(kw_only=True)
class View:
    """A device as it is now: the story with the callers' changes on top."""

    device: Device
    at: datetime
    seen_at: datetime
    reading: Reading
    stopped: frozenset[str]
    alerts: tuple[Episode, ...]
    maintenance: Maintenance | None

    @property
    def online(self) -> bool:
        return self.reading.online

    def free_bytes(self, index: int) -> int:
        volume = self.device.volumes[index]
        return int(volume.size_bytes * (1 - self.reading.used[index]))


class World:
    """Everything both simulators share; its answers change only with the clock and with changes."""

    def __init__(self, fleet: Fleet, clock: LabClock) -> None:
        self.fleet = fleet
        self.clock = clock
        self.story = Story(fleet.seed)
        self.jobs: list[Job] = []
        self.version = 0
        """Grows with every change by a caller; together with the tick it says what is current."""
        self._services: dict[tuple[int, str], bool] = {}
        self._reset: set[str] = set()
        self._maintenance: dict[int, Maintenance] = {}
        self._views: dict[int, View] = {}
        self._listed: dict[tuple[str | None, int], list[View]] = {}
        self._views_of: tuple[int, int] = (-1, -1)

    @property
    def seed(self) -> int:
        return self.fleet.seed

    def moment(self) -> tuple[int, int]:
        """Name the current state: answers kept under it stay right while it is the same."""
        return self.clock.tick(), self.version

    def _current(self) -> tuple[int, int]:
        """Forget what was looked up at another moment, and return this one."""
        moment = self.moment()
        if moment != self._views_of:
            self._views, self._listed, self._views_of = {}, {}, moment
        return moment

    def view(self, device: Device) -> View:
        """Return the device as it is now."""
        tick, _ = self._current()
        found = self._views.get(device.number)
        if found is None:
            found = self._views[device.number] = self._look(device, tick)
        return found

    def _look(self, device: Device, tick: int) -> View:
        reading = self.story.read(device, tick)
        stopped = set(reading.stopped)
        for service in device.services:
            running = self._services.get((device.number, service.name))
            if running is True:
                stopped.discard(service.name)
            elif running is False:
                stopped.add(service.name)
        alerts = tuple(
            episode
            for episode in reading.episodes
            if episode.uid not in self._reset
            and (episode.kind != SERVICE or episode.subject in stopped)
        )
        return View(
            device=device,
            at=self.clock.at(tick),
            seen_at=self.clock.at(reading.last_contact),
            reading=reading,
            stopped=frozenset(stopped),
            alerts=alerts,
            maintenance=self._maintenance.get(device.number),
        )

    def views(self, vendor: str | None, client: Client | None = None) -> list[View]:
        """Return the devices a vendor (None: any) knows now, vanished ones left out."""
        self._current()
        mark = (vendor, client.number if client else 0)
        found = self._listed.get(mark)
        if found is None:
            devices = self.fleet.client_devices(client) if client else self.fleet.devices()
            known = (device for device in devices if vendor in (None, *device.vendors))
            views = (self.view(device) for device in known)
            found = self._listed[mark] = [view for view in views if view.reading.present]
        return found

    def find(self, vendor: str | None, number: int) -> View | None:
        """Return a device by its number in the lab if this vendor (None: any) knows it now."""
        device = self.fleet.device(number)
        if device is None or vendor not in (None, *device.vendors):
            return None
        view = self.view(device)
        return view if view.reading.present else None

    def set_service(self, device: Device, name: str, *, running: bool) -> None:
        self._services[(device.number, name)] = running
        self.version += 1

    def reset_alert(self, alert_uid: str) -> None:
        self._reset.add(alert_uid)
        self.version += 1

    def set_maintenance(self, device: Device, maintenance: Maintenance | None) -> None:
        if maintenance is None:
            self._maintenance.pop(device.number, None)
        else:
            self._maintenance[device.number] = maintenance
        self.version += 1

    def run(
        self,
        view: View,
        *,
        vendor: str,
        title: str,
        text: str,
        extra: dict[str, object],
    ) -> Job:
        """Start a command on a device. An offline device never finishes it."""
        result = shell.run(view, text)
        number = 5000 + len(self.jobs) * 10
        job = Job(
            number=number,
            uid=uid(self.seed, number, 77),
            device=view.device,
            title=title,
            text=text,
            queued_at=self.clock.now(),
            ready_at=self.clock.elapsed() + COMMAND_SECONDS if view.online else float("inf"),
            succeeded=result.succeeded,
            code=result.code,
            output=result.output,
            vendor=vendor,
            extra=extra,
        )
        self.jobs.append(job)
        if result.service is not None:
            self.set_service(view.device, result.service[0], running=result.service[1])
        return job

    def finished(self, job: Job) -> bool:
        return self.clock.elapsed() >= job.ready_at

    def summary(self) -> dict[str, object]:
        """Return a plain description of the state, for the control endpoint."""
        views = [self.view(device) for device in self.fleet.devices()]
        kinds: dict[str, int] = {}
        for view in views:
            for episode in view.alerts if view.reading.present else ():
                name = f"{episode.kind} {episode.severity}"
                kinds[name] = kinds.get(name, 0) + 1
        return {
            "seed": self.seed,
            "clients": len(self.fleet.clients),
            "devices": sum(view.reading.present for view in views),
            "vanished": sum(not view.reading.present for view in views),
            "offline": sum(not view.online for view in views if view.reading.present),
            "started": self.clock.start.isoformat(),
            "now": self.clock.now().isoformat(),
            "troubles": dict(sorted(kinds.items())),
            "jobs": len(self.jobs),
        }

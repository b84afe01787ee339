"""What happens to the fleet: a pure function of (device, report number), nothing is remembered."""

import attrs

from msp_lab.chance import between, even, mix, uid, unit
from msp_lab.fleet import Device

TICKS_PER_HOUR = 12

DISK, SERVICE, CPU, MEMORY, OFFLINE = "disk", "service", "cpu", "memory", "offline"
WARNING, CRITICAL = "warning", "critical"

# Limits of the vendors' own monitors: they open alerts. Checks have limits of their own.
DISK_WARNING, DISK_CRITICAL = 0.85, 0.95
CPU_CRITICAL, MEMORY_CRITICAL = 0.95, 0.95


@attrs.frozen(kw_only=True)
class Episode:
    """Something wrong with a device from one report on until another one (None: for ever)."""

    kind: str
    severity: str
    subject: str
    start: int
    end: int | None
    value: float = 0.0
    uid: str

    def active(self, tick: int) -> bool:
        return self.start <= tick and (self.end is None or tick < self.end)


@attrs.frozen(kw_only=True)
class Plot:
    """The fixed fate of one device; times are report numbers, fractions are 0..1."""

    used: tuple[float, ...]
    growth_per_hour: tuple[float, ...]
    stopped: tuple[Episode, ...]
    busy: tuple[Episode, ...]
    offline: tuple[Episode, ...]
    vanishes: int | None
    memory: float
    boot_hours_before: int


@attrs.frozen(kw_only=True)
class Reading:
    """What a device is like at one report."""

    present: bool
    online: bool
    last_contact: int
    cpu: float
    memory: float
    used: tuple[float, ...]
    boot_hours: float
    stopped: frozenset[str]
    episodes: tuple[Episode, ...]


def _hours(count: float) -> int:
    return round(count * TICKS_PER_HOUR)


class Story:
    """The default story: mostly quiet, with some of every kind of trouble at every moment."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._plots: dict[int, Plot] = {}

    def plot(self, device: Device) -> Plot:
        found = self._plots.get(device.number)
        if found is None:
            found = self._plots[device.number] = self._make_plot(device)
        return found

    def _make_plot(self, device: Device) -> Plot:
        seed, number = self.seed, device.number
        used, growth = [], []
        troubled = int(unit(seed, number, 40) * len(device.volumes))
        for index in range(len(device.volumes)):
            fate = even(seed, number, 41) if index == troubled else 1.0
            level, slope = self._disk_fate(fate, unit(seed, number, index, 42))
            used.append(level)
            growth.append(slope)
        vanishing = even(seed, number, 43)
        return Plot(
            used=tuple(used),
            growth_per_hour=tuple(growth),
            stopped=self._stops(device),
            busy=self._busy(device),
            offline=self._offline(device),
            vanishes=_hours(4 + 44 * unit(seed, number, 44)) if vanishing < 0.015 else None,
            memory=0.35 + 0.4 * unit(seed, number, 45),
            boot_hours_before=between(20, 900, seed, number, 46),
        )

    @staticmethod
    def _disk_fate(fate: float, spread: float) -> tuple[float, float]:
        """Return the use at the start and its growth per hour, both as fractions."""
        if fate < 0.015:
            return 0.955 + 0.03 * spread, 0.0005
        if fate < 0.035:
            return 0.87 + 0.04 * spread, 0.002
        if fate < 0.055:
            return 0.60 + 0.2 * spread, 0.012
        return 0.15 + 0.55 * spread, 0.00002

    def _episode(
        self,
        device: Device,
        kind: str,
        severity: str,
        subject: str,
        start: int,
        end: int | None,
        value: float = 0.0,
    ) -> Episode:
        # Volumes and services share letters, so the subject takes part in the id of the alert.
        label = sum(ord(c) << (i % 8 * 7) for i, c in enumerate(kind + subject))
        return Episode(
            kind=kind,
            severity=severity,
            subject=subject,
            start=start,
            end=end,
            value=value,
            uid=uid(self.seed, device.number, start & 0xFFFFFFFF, label),
        )

    def _stops(self, device: Device) -> tuple[Episode, ...]:
        seed, number = self.seed, device.number
        fate = even(seed, number, 50)
        if fate >= 0.06:
            return ()
        automatic = [s for s in device.services if s.automatic]
        service = automatic[mix(seed, number, 51) % len(automatic)].name
        if fate < 0.025:
            start, end = -_hours(1 + 5 * unit(seed, number, 52)), None
        else:
            start = _hours(1 + 40 * unit(seed, number, 52))
            end = start + _hours(2 + 8 * unit(seed, number, 53))
        return (self._episode(device, SERVICE, CRITICAL, service, start, end),)

    def _busy(self, device: Device) -> tuple[Episode, ...]:
        seed, number = self.seed, device.number
        found = []
        for kind, salt in ((CPU, 60), (MEMORY, 72)):
            fate = even(seed, number, salt)
            if fate >= 0.06:
                continue
            early = fate < 0.03
            start = -_hours(2) if early else _hours(1 + 30 * unit(seed, number, salt + 1))
            end = start + _hours(5 + 8 * unit(seed, number, salt + 2))
            hard = fate < 0.015 or fate > 0.045
            value = 0.96 + 0.03 * unit(seed, number, salt + 4) if hard else 0.915
            severity = CRITICAL if hard else WARNING
            found.append(self._episode(device, kind, severity, kind, start, end, value))
        return tuple(found)

    def _offline(self, device: Device) -> tuple[Episode, ...]:
        seed, number = self.seed, device.number
        fate = even(seed, number, 80)
        if fate >= 0.05:
            return ()
        if fate < 0.02:
            start = -_hours(1 + 70 * unit(seed, number, 81))
            end = None if fate < 0.01 else _hours(6 + 10 * unit(seed, number, 82))
        else:
            start = _hours(1 + 46 * unit(seed, number, 81))
            end = start + _hours(1 + 12 * unit(seed, number, 82))
        severity = CRITICAL if device.server else WARNING
        return (self._episode(device, OFFLINE, severity, "agent", start, end),)

    def read(self, device: Device, tick: int) -> Reading:
        """Return what the device is like at one report; an offline one shows its last report."""
        plot = self.plot(device)
        away = next((e for e in plot.offline if e.active(tick)), None)
        seen = tick if away is None else away.start
        used = tuple(
            # a last report from long before the start must not show a disk with less than nothing on it
            max(0.01, min(0.99, level + slope * seen / TICKS_PER_HOUR))
            for level, slope in zip(plot.used, plot.growth_per_hour, strict=True)
        )
        noise = unit(self.seed, device.number, seen & 0xFFFFFFFF, 90)
        busy = {
            e.kind: e for e in (self._today(device, b, seen) for b in plot.busy) if e.active(seen)
        }
        stopped = tuple(e for e in plot.stopped if e.active(seen))
        episodes = [*stopped, *busy.values(), *self._full_disks(device, plot, used)]
        if away is not None:
            episodes.append(away)
        return Reading(
            present=plot.vanishes is None or tick < plot.vanishes,
            online=away is None,
            last_contact=seen,
            cpu=busy[CPU].value if CPU in busy else 0.02 + 0.5 * noise * noise,
            memory=busy[MEMORY].value if MEMORY in busy else plot.memory + 0.05 * noise,
            used=used,
            boot_hours=plot.boot_hours_before + seen / TICKS_PER_HOUR,
            stopped=frozenset(e.subject for e in stopped),
            episodes=tuple(episodes),
        )

    def _today(self, device: Device, first: Episode, tick: int) -> Episode:
        """Repeat a busy time every day: each day's is an alert of its own."""
        assert first.end is not None
        day = (tick - first.start) // _hours(24)
        if day <= 0:
            return first
        shift = _hours(24) * day
        return self._episode(
            device,
            first.kind,
            first.severity,
            first.subject,
            first.start + shift,
            first.end + shift,
            first.value,
        )

    def _full_disks(self, device: Device, plot: Plot, used: tuple[float, ...]) -> list[Episode]:
        found = []
        for volume, now, level, slope in zip(
            device.volumes, used, plot.used, plot.growth_per_hour, strict=True
        ):
            if now < DISK_WARNING:
                continue
            severity, limit = (
                (CRITICAL, DISK_CRITICAL) if now >= DISK_CRITICAL else (WARNING, DISK_WARNING)
            )
            start = max(-_hours(48), int((limit - level) / slope * TICKS_PER_HOUR))
            found.append(self._episode(device, DISK, severity, volume.name, start, None, now))
        return found

"""The story: trouble of every kind at every time, and nothing remembered."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_lab.fleet import Fleet
from msp_lab.story import CRITICAL, WARNING, Story

FLEET = Fleet()


@pytest.mark.parametrize("seed", [1, 2, 5, 7])
def test_some_trouble_of_each_kind_at_the_start(seed: int) -> None:
    """Among 300 devices every kind of trouble is there at time 0, and nine in ten are well."""
    fleet, story = Fleet(seed=seed), Story(seed)
    readings = [story.read(device, 0) for device in fleet.devices()]
    kinds = Counter(e.kind for reading in readings for e in reading.episodes)
    severities = Counter(e.severity for reading in readings for e in reading.episodes)
    assert {"disk", "service", "cpu", "memory", "offline"} <= set(kinds)
    assert min(severities[WARNING], severities[CRITICAL]) >= 3
    assert sum(1 for reading in readings if reading.episodes) < 60
    assert all(reading.present for reading in readings)


def test_seed_one_shows_warnings_and_criticals_of_each_level() -> None:
    """The default lab has disks, processors and memory at both levels."""
    story = Story(1)
    seen = {(e.kind, e.severity) for d in FLEET.devices() for e in story.read(d, 0).episodes}
    assert {(k, s) for k in ("disk", "cpu", "memory") for s in (WARNING, CRITICAL)} <= seen


@given(number=st.integers(1, 300), tick=st.integers(0, 5000))
def test_reading_depends_on_nothing_else(number: int, tick: int) -> None:
    """A fresh story tells the same of any moment as one that was read before."""
    device = FLEET.device(number)
    assert device is not None
    used = Story(1)
    used.read(device, 3)
    reading = used.read(device, tick)
    assert reading == Story(1).read(device, tick)
    assert all(0 < share < 1 for share in (*reading.used, reading.cpu, reading.memory))
    assert len({e.uid for e in reading.episodes}) == len(reading.episodes)


def test_time_brings_trouble_and_ends_it() -> None:
    """Over two days disks cross limits, services stop and start, devices vanish."""
    story = Story(1)
    days = [
        {d.number: story.read(d, tick) for d in FLEET.devices()} for tick in (0, 6 * 12, 48 * 12)
    ]
    uids = [{e.uid for r in day.values() for e in r.episodes} for day in days]
    assert uids[1] - uids[0]
    assert uids[0] - uids[1]
    assert any(not r.present for r in days[2].values())
    first = sum(e.kind == "disk" for r in days[0].values() for e in r.episodes)
    last = sum(e.kind == "disk" for r in days[2].values() for e in r.episodes)
    assert last > first


def test_an_offline_device_shows_its_last_report() -> None:
    """What is known of an offline device stays as it was at its last contact."""
    story = Story(1)
    device = next(d for d in FLEET.devices() if story.read(d, 0).last_contact < 0)
    now, later = story.read(device, 0), story.read(device, 5)
    assert not now.online
    assert (now.used, now.cpu) == (later.used, later.cpu)

"""The fleet is a pure function of its numbers."""

import time

from hypothesis import given
from hypothesis import strategies as st

from msp_lab.fleet import AUTOMATE, NINJAONE, Fleet


def test_same_numbers_same_fleet() -> None:
    """Two fleets of the same seed are equal, one of another seed is not."""
    one, two, other = Fleet(seed=3), Fleet(seed=3), Fleet(seed=4)
    assert list(one.devices()) == list(two.devices())
    assert list(one.devices()) != list(other.devices())


@given(
    clients=st.integers(1, 60),
    devices=st.integers(0, 400),
    seed=st.integers(0, 2**40),
    data=st.data(),
)
def test_any_device_alone_equals_the_walk(
    clients: int, devices: int, seed: int, data: st.DataObject
) -> None:
    """A device asked for by number is the one the walk over all clients finds."""
    fleet = Fleet(clients=clients, devices=devices, seed=seed)
    assert sum(client.device_count for client in fleet.clients) == devices
    if devices:
        number = data.draw(st.integers(1, devices))
        alone = Fleet(clients=clients, devices=devices, seed=seed).device(number)
        assert alone == next(d for d in fleet.devices() if d.number == number)
        assert alone is not None
        assert alone.site in alone.client.sites
    assert fleet.device(devices + 1) is None
    assert fleet.device(0) is None


def test_acme_comes_first_and_names_are_unique() -> None:
    """`acme-corp` always exists and no two clients share a name or slug."""
    fleet = Fleet(clients=1200, devices=0)
    assert fleet.clients[0].id == "acme-corp"
    assert len({client.id for client in fleet.clients}) == 1200


def test_half_of_the_clients_per_vendor_and_one_in_both() -> None:
    """The vendors share the clients; the migrating one's first machines are in both."""
    fleet = Fleet()
    both = [device for device in fleet.devices() if len(device.vendors) == 2]
    assert [d.hostname for d in both] == [
        f"CASCADE-{code}01" for code in ("DC", "FS", "WEB", "SQL", "DB")
    ]
    assert len(fleet.clients_of(AUTOMATE)) == 6
    assert len(fleet.clients_of(NINJAONE)) == 7
    assert len(list(fleet.devices(AUTOMATE))) + len(list(fleet.devices(NINJAONE))) == 305


def test_identities_are_unique() -> None:
    """Serial numbers, MAC addresses and host names per client tell machines apart."""
    devices = list(Fleet(clients=20, devices=2000).devices())
    assert len({d.serial for d in devices}) == 2000
    assert len({d.mac for d in devices}) == 2000
    assert len({(d.client.id, d.hostname) for d in devices}) == 2000
    windows = [d for d in devices if d.system.family == "windows"]
    assert max(len(d.hostname) for d in windows) <= 15


def test_five_thousand_devices_in_a_second() -> None:
    """A fleet for benchmarks is there at once."""
    began = time.process_time()
    assert len(list(Fleet(clients=100, devices=5000).devices())) == 5000
    assert time.process_time() - began < 3.0  # 0.1 s, without coverage

"""One machine seen by two consoles is one device; two machines never become one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_core.v1 import OsFamily, VendorDevice
from msp_inventory.matching import Known, Match, clean_host, clean_macs, clean_serial, match

MAC_A, MAC_B, MAC_C = "00:1A:2B:00:00:01", "00-1a-2b-00-00-02", "001a2b000003"


def listed(
    id: str,
    *,
    serial: str = "",
    macs: tuple[str, ...] = (),
    host: str = "",
    os: OsFamily = OsFamily.OTHER,
) -> VendorDevice:
    return VendorDevice(
        external_id=id,
        client_external_id="1",
        name=host or id,
        hostname=host,
        serial=serial,
        macs=macs,
        os=os,
    )


def known(
    id: str,
    *,
    serial: str = "",
    macs: tuple[str, ...] = (),
    host: str = "",
    os: OsFamily = OsFamily.OTHER,
    taken: bool = False,
) -> Known:
    return Known(
        id=id,
        serial=clean_serial(serial),
        macs=clean_macs(macs),
        host=clean_host(host),
        os=os,
        taken=taken,
    )


def one(item: VendorDevice, *devices: Known) -> Match:
    return match([item], devices, {item.external_id})[item.external_id]


@pytest.mark.parametrize(
    "junk",
    ["", "0", "00000000", "To be filled by O.E.M.", "Default string", "System Serial Number", "None",
     "N/A", "Not Specified", "123456789", "xxxxxxx", "INVALID", "VMware", "  ", "1234", "........"],
)  # fmt: skip
def test_placeholder_serials_identify_nothing(junk: str) -> None:
    """Two machines that share a placeholder are not the same."""
    assert clean_serial(junk) == ""
    assert one(listed("x", serial=junk, host="a"), known("c/b", serial=junk, host="b")) == Match(
        None
    )


def test_serials_match_whatever_their_spelling() -> None:
    """Case, blanks and hyphens do not matter, nor does a new host name."""
    item = listed("x", serial="PF-1ab2 C", host="new-name")
    assert one(item, known("c/old", serial="pf1AB2c", host="old")) == Match("c/old")


@pytest.mark.parametrize(
    "mac",
    [
        "02:00:00:00:00:01",
        "01:00:5e:00:00:01",
        "00:00:00:00:00:00",
        "ff:ff:ff:ff:ff:ff",
        "00:11:22",
    ],
)
def test_random_and_multicast_macs_identify_nothing(mac: str) -> None:
    """Locally administered, multicast, null and cut addresses are ignored."""
    assert clean_macs([mac]) == frozenset()


def test_mac_matches_across_spellings() -> None:
    """One shared real address is enough where nothing speaks against it."""
    assert one(
        listed("x", macs=("00-1A-2B-00-00-01",), host="n"), known("c/d", macs=(MAC_A,), host="m")
    ) == Match("c/d")


def test_docking_stations_join_nobody() -> None:
    """An address that several machines of a listing have, or several known ones, identifies none."""
    items = [listed("x", macs=(MAC_A,), host="x1"), listed("y", macs=(MAC_A,), host="y1")]
    found = match(items, [known("c/d", macs=(MAC_A,), host="d")], {"x", "y"})
    assert found == {"x": Match(None), "y": Match(None)}
    devices = [known("c/d", macs=(MAC_A,), host="d"), known("c/e", macs=(MAC_A,), host="e")]
    assert one(items[0], *devices) == Match(None)


def test_two_real_serials_are_two_machines() -> None:
    """Neither an address nor a host name outweighs serials that differ."""
    device = known("c/d", serial="SER-0001", macs=(MAC_A,), host="pc1")
    assert one(listed("x", serial="SER-0002", macs=(MAC_A,), host="pc1"), device) == Match(None)


def test_host_names_match_last() -> None:
    """A host name matches where no serial or address says anything, domain and case aside."""
    device = known("c/d", host="SRV-01.corp.example")
    assert one(listed("x", host="srv-01"), device) == Match("c/d")
    assert one(listed("x", host="localhost"), known("c/l", host="localhost")) == Match(None)
    assert one(listed("x", host="10.0.0.7"), known("c/l", host="10.0.0.7")) == Match(None)
    other = known("c/d", host="srv-01", os=OsFamily.LINUX)
    assert one(listed("x", host="srv-01", os=OsFamily.WINDOWS), other) == Match(None)


def test_more_than_one_candidate_is_a_doubt() -> None:
    """Nothing is merged where two devices fit, or two machines fit one device."""
    devices = [known("c/a", host="pc1"), known("c/b", host="pc1")]
    assert one(listed("x", host="pc1"), *devices) == Match(None, ("c/a", "c/b"))
    items = [listed("x", host="pc1"), listed("y", host="pc1")]
    found = match(items, [known("c/a", host="pc1")], {"x", "y"})
    assert found == {"x": Match(None, ("c/a",)), "y": Match(None, ("c/a",))}


def test_a_taken_device_is_no_candidate() -> None:
    """One console never lists one machine twice."""
    assert one(
        listed("x", serial="SER-0001"), known("c/d", serial="SER-0001", taken=True)
    ) == Match(None)


_serials = st.sampled_from(["", "0", "SER-0001", "SER-0002", "SER-0003", "To be filled by O.E.M."])
_macs = st.lists(st.sampled_from([MAC_A, MAC_B, MAC_C, "02:00:00:00:00:01"]), max_size=2).map(tuple)
_hosts = st.sampled_from(["", "pc1", "pc2", "PC1.corp", "localhost"])


@given(
    st.lists(st.builds(lambda s, m, h: (s, m, h), _serials, _macs, _hosts), max_size=6),
    st.lists(st.tuples(_serials, _macs, _hosts, st.booleans()), max_size=6),
)
def test_never_two_machines_on_one_device(items: list[tuple], devices: list[tuple]) -> None:
    """Whatever fleets look like: no device is given twice, none that is taken, none with another serial."""
    theirs = [listed(f"x{n}", serial=s, macs=m, host=h) for n, (s, m, h) in enumerate(items)]
    ours = [
        known(f"c/d{n}", serial=s, macs=m, host=h, taken=t)
        for n, (s, m, h, t) in enumerate(devices)
    ]
    found = match(theirs, ours, {item.external_id for item in theirs})
    assert set(found) == {item.external_id for item in theirs}
    given_ids = [one.device_id for one in found.values() if one.device_id]
    assert len(given_ids) == len(set(given_ids))
    by_id = {device.id: device for device in ours}
    for item in theirs:
        device_id = found[item.external_id].device_id
        if device_id:
            assert not by_id[device_id].taken
            serial = clean_serial(item.serial)
            assert not (serial and by_id[device_id].serial and serial != by_id[device_id].serial)

"""Sync: what consoles list is what we know, written once."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msp_clients.api import Clients, KnowsDevices
from msp_core.v1 import (
    Conflict,
    DeviceNotFound,
    InvalidParameters,
    NotSupported,
    Quarantined,
    Scope,
    Toolkit,
    UnknownPlugin,
    VendorDevice,
    VendorUnavailable,
)
from msp_inventory.api import Inventory, SyncReport
from msp_inventory.tables import DeviceRow, LinkRow, SiteRow
from msp_store.api import Store
from msp_store.testing import assert_tables_match

pytestmark = pytest.mark.anyio


async def sync(toolkit: Toolkit, *instances: str, **options: Any) -> SyncReport:
    """Sync with clients made as needed."""
    inventory = await toolkit.get(Inventory)
    options = {"create_clients": True, **options}
    return await inventory.sync(toolkit.context(), instances, **options)


async def device_ids(toolkit: Toolkit, **options: Any) -> list[str]:
    """Return the ids of all devices."""
    inventory = await toolkit.get(Inventory)
    return [one.id for one in (await inventory.devices(toolkit.context(), None, **options)).items]


@pytest.fixture
def fleet(
    console: Callable, vendor_client: Callable, vendor_site: Callable, vendor_device: Callable
) -> Any:
    """Fill `rmm` with two clients, a site and three devices."""
    rmm = console("rmm")
    rmm.clients = [vendor_client("1", "Acme Corp"), vendor_client("2", "Globex")]
    rmm.sites = [vendor_site("s1", "1", "Main Office")]
    rmm.devices = [
        vendor_device("11", "1", "SRV-01", serial="SER-0011", site_external_id="s1", online=True),
        vendor_device("12", "1", "PC-02", macs=("00:1a:2b:00:00:12",)),
        vendor_device("21", "2", "SRV-01"),
    ]
    return rmm


async def test_tables_are_as_migrated(each_toolkit: Toolkit) -> None:
    """Models and migrations agree."""
    await assert_tables_match(await each_toolkit.get(Store), SiteRow, DeviceRow, LinkRow)


async def test_first_sync_then_nothing(each_toolkit: Toolkit, fleet: Any) -> None:
    """The first sync records everything, the second writes no row at all."""
    report = await sync(each_toolkit)
    rmm = next(one for one in report.instances if one.instance == "rmm")
    assert (rmm.clients_created, rmm.devices_created, rmm.sites, rmm.error) == (2, 3, 1, "")
    assert rmm.rows_written == 2 + 2 + 1 + 1 + 3 + 3  # clients, sites, devices, and a link each
    assert await device_ids(each_toolkit) == [
        "acme-corp/pc-02",
        "acme-corp/srv-01",
        "globex/srv-01",
    ]
    inventory = await each_toolkit.get(Inventory)
    ctx = each_toolkit.context()
    server = await inventory.device(ctx, "acme-corp/srv-01")
    assert (server.rmm_device_id, server.site_id, server.online) == (
        "11",
        "acme-corp/main-office",
        True,
    )
    assert (await inventory.sites(ctx, "acme-corp")).items[0].name == "Main Office"
    before = await _everything(each_toolkit)
    again = await sync(each_toolkit)
    assert [one.rows_written for one in again.instances] == [0, 0]
    assert await _everything(each_toolkit) == before


async def _everything(toolkit: Toolkit) -> list[Any]:
    store = await toolkit.get(Store)
    tables = (SiteRow, DeviceRow, LinkRow)
    return await store.read(
        lambda _tx: [sorted(map(repr, table.select().tuples())) for table in tables]
    )


async def test_changes_vanishing_and_returning(each_toolkit: Toolkit, fleet: Any) -> None:
    """A renamed device keeps its id; a vanished one is missing, hidden, and comes back."""
    await sync(each_toolkit)
    gone = fleet.devices.pop(1)
    fleet.devices[0] = evolve(fleet.devices[0], name="SRV-NEW", hostname="SRV-NEW")
    fleet.sites[0] = evolve(fleet.sites[0], name="Head Office")
    rmm = (await sync(each_toolkit, "rmm")).instances[0]
    assert (rmm.devices_updated, rmm.devices_missing, rmm.devices_created) == (1, 1, 0)
    inventory, ctx = await each_toolkit.get(Inventory), each_toolkit.context()
    assert (await inventory.device(ctx, "acme-corp/srv-01")).name == "SRV-NEW"
    assert (await inventory.device(ctx, "acme-corp/pc-02")).status == "missing"
    assert (await inventory.sites(ctx, "acme-corp")).items[0].name == "Head Office"
    assert "acme-corp/pc-02" not in await device_ids(each_toolkit)
    assert "acme-corp/pc-02" in await device_ids(each_toolkit, include_missing=True)
    assert (await sync(each_toolkit, "rmm")).instances[0].rows_written == 0
    fleet.devices.append(gone)
    rmm = (await sync(each_toolkit, "rmm")).instances[0]
    assert (rmm.devices_returned, rmm.devices_created) == (1, 0)
    assert (await inventory.device(ctx, "acme-corp/pc-02")).missing_since is None


async def test_a_listing_that_breaks_marks_nothing(
    each_toolkit: Toolkit,
    fleet: Any,
    console: Callable,
    vendor_client: Callable,
    vendor_device: Callable,
) -> None:
    """An error half way leaves that console's devices as they were; the others are done; exit code 1."""
    await sync(each_toolkit)
    fleet.fail_after, fleet.error = 1, VendorUnavailable("rmm is down", suggestion="Wait.")
    ninja = console("ninja")
    ninja.clients = [vendor_client("n1", "Acme Corp")]
    ninja.devices = [vendor_device("n9", "n1", "NEW-09")]
    report = await sync(each_toolkit)
    by_name = {one.instance: one for one in report.instances}
    assert by_name["rmm"].error == "rmm is down"
    assert by_name["rmm"].error_code == "VENDOR_UNAVAILABLE"
    assert by_name["rmm"].suggestion == "Wait."
    assert "rmm: Wait." in report.say().splitlines()
    assert not by_name["rmm"].complete
    assert by_name["ninja"].complete
    assert report.exit_code == 1
    assert len(await device_ids(each_toolkit)) == 4
    fleet.error = None  # a bug in an adapter is contained as well
    report = await sync(each_toolkit, "rmm")
    assert report.instances[0].error_code == "SYSTEM_ERROR"


async def test_one_machine_in_two_consoles(
    each_toolkit: Toolkit,
    fleet: Any,
    console: Callable,
    vendor_client: Callable,
    vendor_device: Callable,
) -> None:
    """Serial, MAC and host name join machines of two consoles, in either order, and stay joined."""
    ninja = console("ninja")
    ninja.clients = [vendor_client("n1", "ACME corp"), vendor_client("n2", "Globex")]
    ninja.devices = [
        vendor_device("n11", "n1", "dc", serial="ser0011", os_name="Windows Server 2022"),
        vendor_device("n12", "n1", "laptop", macs=("00-1A-2B-00-00-12",)),
        vendor_device("n21", "n2", "srv-01.globex.example"),
    ]
    report = await sync(each_toolkit)
    assert sum(one.devices_created for one in report.instances) == 3
    assert sum(one.clients_created for one in report.instances) == 2
    inventory, ctx = await each_toolkit.get(Inventory), each_toolkit.context()
    links = {}
    async for _client, found in inventory.targets(ctx, ["acme-corp", "globex"]):
        links.update({one.device.id: dict(one.links) for one in found})
    assert sorted(tuple(sorted(one.items())) for one in links.values()) == [
        (("ninja", "n11"), ("rmm", "11")),
        (("ninja", "n12"), ("rmm", "12")),
        (("ninja", "n21"), ("rmm", "21")),
    ]
    server = await inventory.device_by_link(ctx, "ninja", "n11")
    device = await inventory.device(ctx, server or "")
    assert (device.name, device.os_name, device.rmm_device_id) == (
        "SRV-01",
        "Windows Server 2022",
        "11",
    )
    assert [one.rows_written for one in (await sync(each_toolkit)).instances] == [0, 0]
    fleet.devices.clear()
    await sync(each_toolkit)
    device = await inventory.device(ctx, server or "")
    assert device.missing_since is None  # ninja still lists it
    assert device.name == "dc"
    ninja.devices.clear()
    await sync(each_toolkit)
    assert (await inventory.device(ctx, server or "")).status == "missing"


async def test_a_new_agent_on_the_same_machine(toolkit: Toolkit, fleet: Any) -> None:
    """An agent installed again gives a new id; the device stays the same."""
    await sync(toolkit)
    fleet.devices[0] = evolve(fleet.devices[0], external_id="99")
    rmm = (await sync(toolkit, "rmm")).instances[0]
    assert (rmm.devices_created, rmm.devices_missing) == (0, 0)
    inventory = await toolkit.get(Inventory)
    assert (await inventory.device(toolkit.context(), "acme-corp/srv-01")).rmm_device_id == "99"
    assert (await sync(toolkit, "rmm")).instances[0].rows_written == 0


async def test_doubts_wait_for_a_person(
    each_toolkit: Toolkit,
    fleet: Any,
    console: Callable,
    vendor_client: Callable,
    vendor_device: Callable,
) -> None:
    """Two devices that fit: kept apart, reported each time, settled by `device link`."""
    fleet.devices = [vendor_device("11", "1", "PC"), vendor_device("12", "1", "PC")]
    ninja = console("ninja")
    ninja.clients = [vendor_client("n1", "Acme Corp")]
    ninja.devices = [vendor_device("n1", "n1", "PC")]
    await sync(each_toolkit, "rmm")
    report = await sync(each_toolkit, "ninja")
    assert report.instances[0].devices_created == 1
    assert [(one.device_id, one.maybe) for one in report.doubts] == [
        ("acme-corp/pc-3", ("acme-corp/pc", "acme-corp/pc-2"))
    ]
    again = await sync(each_toolkit, "ninja")
    assert again.doubts == report.doubts
    assert again.instances[0].rows_written == 0
    await each_toolkit.call(
        "device.link", {"device": "acme-corp/pc-2", "instance": "ninja", "external_id": "n1"}
    )
    assert await device_ids(each_toolkit) == ["acme-corp/pc", "acme-corp/pc-2"]
    settled = await sync(each_toolkit)
    assert settled.doubts == ()
    assert [one.rows_written for one in settled.instances] == [0, 0]


async def test_a_console_that_moves_a_device_to_another_client(
    each_toolkit: Toolkit, fleet: Any
) -> None:
    """The old client keeps its device and history as missing; the new one gets a new device."""
    await sync(each_toolkit)
    fleet.devices[0] = evolve(fleet.devices[0], client_external_id="2", site_external_id=None)
    await sync(each_toolkit)
    inventory, ctx = await each_toolkit.get(Inventory), each_toolkit.context()
    assert (await inventory.device(ctx, "acme-corp/srv-01")).status == "missing"
    assert (await inventory.device(ctx, "globex/srv-01-2")).rmm_device_id == "11"


async def test_unknown_clients_wait(each_toolkit: Toolkit, fleet: Any) -> None:
    """Without --create a console's clients are listed as unmatched, and one can be linked by hand."""
    report = await sync(each_toolkit, create_clients=False)
    assert [(one.external_id, one.name, one.devices) for one in report.unmatched] == [
        ("1", "Acme Corp", 2),
        ("2", "Globex", 1),
    ]
    assert await device_ids(each_toolkit) == []
    assert "client link" in report.say()
    clients = await each_toolkit.get(Clients)
    await clients.create(each_toolkit.context(), name="Another Name", id="acme")
    await each_toolkit.call(
        "client.link", {"client": "acme", "instance": "rmm", "external_id": "1"}
    )
    report = await sync(each_toolkit, create_clients=False)
    assert [one.name for one in report.unmatched] == ["Globex"]
    assert await device_ids(each_toolkit) == ["acme/pc-02", "acme/srv-01"]


async def test_two_toolkits_sync_at_once(
    open_toolkit: Callable,
    fleet: Any,
    console: Callable,
    vendor_client: Callable,
    vendor_device: Callable,
) -> None:
    """Two programs that sync the same consoles at the same time make every client and device once."""
    ninja = console("ninja")
    ninja.clients = [vendor_client("n1", "Acme Corp")]
    ninja.devices = [vendor_device("n11", "n1", "SRV-01", serial="SER-0011")]
    first, second = await open_toolkit(), await open_toolkit()
    await asyncio.gather(
        sync(first, "rmm"), sync(second, "ninja"), sync(second, "rmm"), sync(first, "ninja")
    )
    await sync(first)
    assert await device_ids(second) == ["acme-corp/pc-02", "acme-corp/srv-01", "globex/srv-01"]
    clients = await first.get(Clients)
    assert (await clients.list(first.context())).total == 2


async def test_only_one_client(toolkit: Toolkit, fleet: Any) -> None:
    """`--client` touches that client alone, also when others have vanished."""
    await sync(toolkit)
    fleet.devices = fleet.devices[:1]
    report = await sync(toolkit, client_id="acme-corp")
    assert sum(one.devices_missing for one in report.instances) == 1
    assert await device_ids(toolkit) == ["acme-corp/srv-01", "globex/srv-01"]


async def test_clients_of_a_console_that_lists_devices_alone(
    open_toolkit: Callable, fleet: Any, console: Callable
) -> None:
    """Those its devices name are counted as listed: no table tells of new clients among none."""
    report = await sync(await open_toolkit(kind="test-devices"))
    rmm = next(one for one in report.instances if one.instance == "rmm")
    assert (rmm.listed_clients, rmm.clients_created, rmm.listed_devices) == (2, 2, 3)


async def test_one_client_of_a_console_without_clients(
    open_toolkit: Callable, fleet: Any, console: Callable
) -> None:
    """A console that lists devices alone is asked for all of them; the client's own are not lost."""
    toolkit = await open_toolkit(kind="test-devices")
    await sync(toolkit)
    assert await device_ids(toolkit) == ["1/pc-02", "1/srv-01", "2/srv-01"]
    report = await sync(toolkit, client_id="1")
    assert [one.rows_written for one in report.instances] == [0, 0]
    fleet.devices.pop()
    fleet.devices.pop()
    report = await sync(toolkit, client_id="1")
    assert sum(one.devices_missing for one in report.instances) == 1
    assert await device_ids(toolkit) == ["1/srv-01", "2/srv-01"]


async def test_a_deleted_client_is_left_alone(toolkit: Toolkit, fleet: Any) -> None:
    """Sync neither brings a deleted client back nor makes a second one."""
    await sync(toolkit)
    clients = await toolkit.get(Clients)
    await clients.delete(toolkit.context(), "globex")
    report = await sync(toolkit)
    assert [one.rows_written for one in report.instances] == [0, 0]
    assert "globex/srv-01" not in await device_ids(toolkit)
    await clients.restore(toolkit.context(), "globex")
    assert "globex/srv-01" in await device_ids(toolkit)


async def test_bad_items_are_reported(
    toolkit: Toolkit, fleet: Any, vendor_device: Callable
) -> None:
    """Quarantined items, doubled ids and ids that are no text are named; the rest is recorded."""
    fleet.devices += [
        Quarantined("device", "no id", "x"),
        vendor_device("11", "1", "AGAIN"),
        vendor_device("", "1", "NONE"),
        evolve(vendor_device("77", "1", "NUMBER"), external_id=77),
        vendor_device("13", "1", "bad\x1b[31m\nname" + "x" * 500),
    ]
    rmm = (await sync(toolkit, "rmm")).instances[0]
    assert rmm.devices_created == 4
    assert [item.reason for item in rmm.quarantined] == [
        "no id",
        "listed twice",
        "it has no id",
        "it has no id",
    ]
    inventory = await toolkit.get(Inventory)
    names = [one.name for one in (await inventory.devices(toolkit.context(), "acme-corp")).items]
    assert all(name.isprintable() and len(name) <= 255 for name in names)


@pytest.mark.parametrize(("external_id", "missing"), [("12", 1), (None, 0)])
async def test_what_could_not_be_read_is_not_missing(
    toolkit: Toolkit, fleet: Any, external_id: str | None, missing: int
) -> None:
    """An unreadable row is there; one without an id may be any of those that seem to be gone."""
    await sync(toolkit)
    assert [one.external_id for one in fleet.devices[1:3]] == ["12", "21"]
    fleet.devices[1:3] = [Quarantined("device", "no name", external_id)]
    rmm = (await sync(toolkit, "rmm")).instances[0]
    assert rmm.devices_missing == missing
    assert "acme-corp/pc-02" in await device_ids(toolkit)


async def test_dry_run_records_nothing(each_toolkit: Toolkit, fleet: Any) -> None:
    """The report says what a sync would do; nothing is there afterwards."""
    inventory = await each_toolkit.get(Inventory)
    report = await inventory.sync(each_toolkit.context(dry_run=True), create_clients=True)
    rmm = next(one for one in report.instances if one.instance == "rmm")
    assert (rmm.clients_created, rmm.devices_created, report.recorded) == (2, 3, False)
    assert await device_ids(each_toolkit) == []
    assert (await (await each_toolkit.get(Clients)).list(each_toolkit.context())).total == 0


async def test_instances_that_cannot_be_synced(toolkit: Toolkit) -> None:
    """An unknown name and a transport are refused before anything is asked."""
    with pytest.raises(UnknownPlugin):
        await sync(toolkit, "rmn")
    with pytest.raises(NotSupported):
        await sync(toolkit, "ssh")


async def test_no_method_shows_another_client(each_toolkit: Toolkit, fleet: Any) -> None:
    """Each method, called in another client's scope, behaves as if the rest did not exist."""
    await sync(each_toolkit)
    inventory = await each_toolkit.get(Inventory)
    ctx = each_toolkit.context(scope=Scope(clients=frozenset({"globex"})))
    assert [one.id for one in (await inventory.devices(ctx, None, search="srv")).items] == [
        "globex/srv-01"
    ]
    assert await inventory.client_by_link(ctx, "rmm", "1") is None
    assert await inventory.device_by_link(ctx, "rmm", "11") is None
    assert await inventory.client_by_link(ctx, "rmm", "2") == "globex"
    figures = await each_toolkit.get(KnowsDevices)
    for call in (
        inventory.devices(ctx, "acme-corp"),
        inventory.device(ctx, "acme-corp/srv-01"),
        inventory.device(ctx, "SRV-01", client_id="acme-corp"),
        inventory.device_links(ctx, "acme-corp/srv-01"),
        inventory.sites(ctx, "acme-corp"),
        inventory.site_link(ctx, "acme-corp/main-office", "rmm"),
        inventory.client_links(ctx, ["acme-corp"]),
        (await each_toolkit.get(Store)).read(
            lambda tx: figures.client_devices(tx, ctx, ["globex", "acme-corp"])
        ),
        inventory.link_client(ctx, "acme-corp", "rmm", "1"),
        inventory.link_client(ctx, "globex", "rmm", "1"),
        inventory.link_device(ctx, "acme-corp/srv-01", "rmm", "11"),
        inventory.add_device(ctx, "acme-corp", "x", instance="ssh", external_id="x"),
        inventory.sync(ctx, client_id="acme-corp"),
        anext(inventory.targets(ctx, ["globex", "acme-corp"])),
    ):
        with pytest.raises((DeviceNotFound, LookupError, Exception)) as caught:
            await call
        assert caught.value.code in ("DEVICE_NOT_FOUND", "CLIENT_NOT_FOUND"), caught.value
        assert "srv-01" not in caught.value.suggestion
    with pytest.raises(Conflict):  # a link of another client's device cannot be taken over
        await inventory.link_device(ctx, "globex/srv-01", "rmm", "11")
    with pytest.raises(Conflict) as conflict:
        await inventory.add_device(ctx, "globex", "x", instance="rmm", external_id="11")
    assert "acme" not in conflict.value.message
    fleet.devices.pop(0)
    fleet.clients.append(evolve(fleet.clients[0], external_id="3", name="Secret Client"))
    fleet.sites.append(Quarantined("site", "Secret Client's site is odd"))
    report = await inventory.sync(ctx)
    rmm = next(one for one in report.instances if one.instance == "rmm")
    assert (rmm.listed_clients, rmm.listed_devices, rmm.quarantined) == (1, 1, ())
    assert report.unmatched == ()
    assert sum(one.devices_missing for one in report.instances) == 0
    with pytest.raises(InvalidParameters):
        await inventory.sync(ctx, create_clients=True)


async def test_targets_ask_few_questions(
    toolkit: Toolkit,
    fleet: Any,
    vendor_client: Callable,
    vendor_device: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Devices and links of 60 clients take three queries, of 60 clients with 3,000 devices five."""
    fleet.clients = [vendor_client(str(n), f"Client {n:02}") for n in range(60)]
    fleet.devices = [vendor_device(f"{n}", str(n % 60), f"pc-{n}") for n in range(600)]
    await sync(toolkit)
    inventory, ctx = await toolkit.get(Inventory), toolkit.context()
    ids = [f"client-{n:02}" for n in range(60)]
    import peewee

    asked: list[str] = []
    real = peewee.Database.execute_sql
    monkeypatch.setattr(
        peewee.Database,
        "execute_sql",
        lambda self, sql, *rest, **more: (asked.append(sql), real(self, sql, *rest, **more))[1],
    )
    found = {
        client: devices async for client, devices in inventory.targets(ctx, [*ids[::-1], ids[0]])
    }
    assert list(found) == ids[::-1]
    assert sum(map(len, found.values())) == 600
    assert len([sql for sql in asked if sql.startswith("SELECT")]) == 3
    fleet.devices = [vendor_device(f"{n}", str(n % 60), f"pc-{n}") for n in range(3_000)]
    await sync(toolkit)
    asked.clear()
    assert sum([len(devices) async for _, devices in inventory.targets(ctx, ids)]) == 3_000
    assert len([sql for sql in asked if sql.startswith("SELECT")]) == 5


_NAMES = ["pc", "srv", "laptop", "PC", "localhost", "", "srv.corp"]
_SERIALS = ["", "0", "SER-0001", "SER-0002", "SER-0003"]
_MACS = [(), ("00:1a:2b:00:00:01",), ("00:1a:2b:00:00:02",), ("02:00:00:00:00:01",)]


def _random_fleet(chance: random.Random, prefix: str) -> list[VendorDevice]:
    return [
        VendorDevice(
            external_id=f"{prefix}{number}",
            client_external_id=chance.choice(["1", "2"]),
            name=chance.choice(_NAMES),
            hostname=chance.choice(_NAMES),
            serial=chance.choice(_SERIALS),
            macs=chance.choice(_MACS),
            online=chance.choice([True, False, None]),
        )
        for number in chance.sample(range(12), chance.randint(0, 8))
    ]


@pytest.fixture
async def emptied(toolkit: Toolkit) -> Callable[[], Any]:
    """Give a function that empties the inventory between examples."""
    store = await toolkit.get(Store)

    async def empty() -> None:
        await store.write(
            lambda _tx: [table.delete().execute() for table in (DeviceRow, LinkRow, SiteRow)]
        )

    return empty


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9))
async def test_random_fleets(
    toolkit: Toolkit, console: Callable, vendor_client: Callable, emptied: Callable, seed: int
) -> None:
    """Fleets that change at random: a second sync writes nothing, every listed machine has one device of its own."""
    await emptied()
    chance = random.Random(seed)
    consoles = {"rmm": console("rmm"), "ninja": console("ninja")}
    for one in consoles.values():
        one.clients = [vendor_client("1", "Acme Corp"), vendor_client("2", "Globex")]
    inventory, ctx = await toolkit.get(Inventory), toolkit.context()
    kept: set[str] = set()
    for _round in range(3):
        for name, one in consoles.items():
            one.devices = _random_fleet(chance, name)
        first = await sync(toolkit)
        assert first.exit_code == 0
        state = await _everything(toolkit)
        again = await sync(toolkit)
        assert [one.rows_written for one in again.instances] == [0, 0], seed
        assert await _everything(toolkit) == state
        for name, one in consoles.items():
            ours = [
                await inventory.device_by_link(ctx, name, item.external_id) for item in one.devices
            ]
            assert None not in ours
            assert len(set(ours)) == len(ours), seed
            for item, device_id in zip(one.devices, ours, strict=True):
                wanted = {"1": "acme-corp", "2": "globex"}[item.client_external_id]
                assert str(device_id).startswith(wanted + "/")
        present = set(await device_ids(toolkit))
        every = set(await device_ids(toolkit, include_missing=True))
        assert kept <= every  # nothing is ever deleted
        kept = every
        listed = {
            await inventory.device_by_link(ctx, name, item.external_id)
            for name, one in consoles.items()
            for item in one.devices
        }
        assert present == listed, seed

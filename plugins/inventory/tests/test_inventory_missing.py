"""Devices no console lists any more: still there to be checked, until a person is done with them."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msp_core.v1 import Conflict, DeviceNotFound, Scope, Toolkit
from msp_inventory.api import FORGOTTEN, Inventory
from msp_inventory.tables import DeviceRow, LinkRow
from msp_store.api import Store
from msp_store.tables import OutboxEvent

pytestmark = pytest.mark.anyio


@pytest.fixture
def rmm(console: Callable, vendor_client: Callable, vendor_device: Callable) -> Any:
    """Fill `rmm` with a client of two devices."""
    made = console("rmm")
    made.clients = [vendor_client("1", "Acme Corp")]
    made.devices = [vendor_device("11", "1", "SRV-01"), vendor_device("12", "1", "PC-02")]
    return made


async def sync(toolkit: Toolkit, *instances: str) -> Any:
    """Sync, making clients."""
    arguments = {"instances": list(instances), "create": True}
    return await toolkit.call("client.sync", arguments)


async def told(toolkit: Toolkit) -> list[Any]:
    """Return what the outbox was given."""
    store = await toolkit.get(Store)
    return await store.read(
        lambda _: [row.payload for row in OutboxEvent.select() if row.name == FORGOTTEN]
    )


async def rows(toolkit: Toolkit) -> list[Any]:
    """Return every device and link as stored."""
    store = await toolkit.get(Store)
    return await store.read(
        lambda _: [sorted(map(repr, table.select().tuples())) for table in (DeviceRow, LinkRow)]
    )


async def test_missing_devices_are_targets_without_links(each_toolkit: Toolkit, rmm: Any) -> None:
    """A vanished device is still a target, with nobody to ask; lists of devices leave it out."""
    await sync(each_toolkit)
    rmm.devices.pop()
    await sync(each_toolkit)
    inventory, ctx = await each_toolkit.get(Inventory), each_toolkit.context()
    [(client, found)] = [one async for one in inventory.targets(ctx, ["acme-corp"])]
    assert client == "acme-corp"
    links = {one.device.id: dict(one.links) for one in found}
    assert links == {"acme-corp/srv-01": {"rmm": "11"}, "acme-corp/pc-02": {}}
    [gone] = await inventory.missing(ctx, ["acme-corp"])
    assert (gone.id, gone.status) == ("acme-corp/pc-02", "missing")
    shown = await each_toolkit.call("device.show", {"device": "acme-corp/pc-02"})
    assert "Missing since" in shown.say()
    assert "device forget acme-corp/pc-02" in shown.say()
    ids = [
        one.id for one in (await each_toolkit.call("device.list", {"client": "acme-corp"})).items
    ]
    assert ids == ["acme-corp/srv-01"]


async def test_forgets_a_missing_device(each_toolkit: Toolkit, rmm: Any) -> None:
    """Device and links go, once, with one event; a console that lists it again brings it back under its id."""
    await sync(each_toolkit)
    gone = rmm.devices.pop()
    await sync(each_toolkit)
    done = await each_toolkit.call("device.forget", {"device": "acme-corp/pc-02"})
    assert done.say().startswith("Forgot acme-corp/pc-02.")
    assert await told(each_toolkit) == [{"client_id": "acme-corp", "device_id": "acme-corp/pc-02"}]
    for tool in ("device.show", "device.forget"):
        with pytest.raises(DeviceNotFound):
            await each_toolkit.call(tool, {"device": "acme-corp/pc-02"})
    inventory, ctx = await each_toolkit.get(Inventory), each_toolkit.context()
    assert await inventory.device_by_link(ctx, "rmm", "12") is None
    assert [one.rows_written for one in (await sync(each_toolkit)).instances] == [0, 0]
    rmm.devices.append(gone)
    report = await sync(each_toolkit, "rmm")
    assert report.instances[0].devices_created == 1
    assert (await inventory.device(ctx, "acme-corp/pc-02")).missing_since is None


async def test_refuses_while_a_console_lists_it(each_toolkit: Toolkit, rmm: Any) -> None:
    """A listed device would come back with the next sync: the refusal says where to remove it, nothing changes."""
    await sync(each_toolkit)
    before = await rows(each_toolkit)
    with pytest.raises(Conflict, match="rmm lists acme-corp/pc-02") as refused:
        await each_toolkit.call("device.forget", {"device": "acme-corp/pc-02"})
    assert "client sync rmm" in refused.value.suggestion
    assert (await rows(each_toolkit), await told(each_toolkit)) == (before, [])


async def test_forgets_a_device_added_by_hand(each_toolkit: Toolkit, rmm: Any) -> None:
    """A device that only a transport reaches is nobody else's to list; `device add` is the way back."""
    await sync(each_toolkit)
    added = {"client": "acme-corp", "name": "web-01", "via": "ssh", "address": "web.example"}
    await each_toolkit.call("device.add", added)
    await each_toolkit.call("device.forget", {"device": "acme-corp/web-01"})
    again = await each_toolkit.call("device.add", added)
    assert again.device.id == "acme-corp/web-01"
    linked = {"device": "acme-corp/pc-02", "instance": "ssh", "external_id": "pc.example"}
    await each_toolkit.call("device.link", linked)
    with pytest.raises(Conflict):  # reached by hand as well, but rmm lists it
        await each_toolkit.call("device.forget", {"device": "acme-corp/pc-02"})


@pytest.mark.parametrize("mode", ["dry_run", "read_only"])
async def test_a_rehearsal_keeps_everything(toolkit: Toolkit, rmm: Any, mode: str) -> None:
    """A dry run says what would be forgotten, refuses what would be refused, and changes nothing."""
    await sync(toolkit)
    rmm.devices.pop()
    await sync(toolkit)
    before = await rows(toolkit)
    ctx = toolkit.context(**{mode: True})
    done = await toolkit.call("device.forget", {"device": "acme-corp/pc-02"}, ctx=ctx)
    assert done.say().startswith("Not recorded: would have forgotten acme-corp/pc-02.")
    with pytest.raises(Conflict):
        await toolkit.call("device.forget", {"device": "acme-corp/srv-01"}, ctx=ctx)
    assert (await rows(toolkit), await told(toolkit)) == (before, [])


async def test_another_clients_device_is_not_found(toolkit: Toolkit, rmm: Any) -> None:
    """Outside its scope a caller can neither see nor forget."""
    await sync(toolkit)
    rmm.devices.pop()
    await sync(toolkit)
    inventory = await toolkit.get(Inventory)
    ctx = toolkit.context(scope=Scope(clients=frozenset({"globex"})))
    with pytest.raises(DeviceNotFound):
        await inventory.forget_device(ctx, "acme-corp/pc-02")
    with pytest.raises(Exception, match="acme-corp") as refused:
        await inventory.missing(ctx, ["acme-corp"])
    assert refused.value.code == "CLIENT_NOT_FOUND"


async def test_doubts_about_a_forgotten_device_are_settled(
    each_toolkit: Toolkit,
    rmm: Any,
    console: Callable,
    vendor_client: Callable,
    vendor_device: Callable,
) -> None:
    """What may be the same as a device that is gone may be it no longer."""
    rmm.devices = [vendor_device("11", "1", "PC"), vendor_device("12", "1", "PC")]
    ninja = console("ninja")
    ninja.clients = [vendor_client("n1", "Acme Corp")]
    ninja.devices = [vendor_device("n1", "n1", "PC")]
    await sync(each_toolkit, "rmm")
    assert [one.maybe for one in (await sync(each_toolkit, "ninja")).doubts] == [
        ("acme-corp/pc", "acme-corp/pc-2")
    ]
    rmm.devices.pop()
    await sync(each_toolkit, "rmm")
    await each_toolkit.call("device.forget", {"device": "acme-corp/pc-2"})
    assert [one.maybe for one in (await sync(each_toolkit)).doubts] == [("acme-corp/pc",)]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["list", "drop", "forget", "sync"]), st.integers(0, 3)),
        max_size=25,
    )
)
async def test_any_history_of_one_client(
    toolkit: Toolkit, rmm: Any, vendor_device: Callable, steps: list[tuple[str, int]]
) -> None:
    """Whatever vanishes, returns and is forgotten: what is known is what is listed and what was not forgotten since."""
    inventory, ctx = await toolkit.get(Inventory), toolkit.context()
    store = await toolkit.get(Store)
    await store.write(lambda _: [table.delete().execute() for table in (DeviceRow, LinkRow)])
    listed: set[int] = set()
    present: set[int] = set()  # as the last sync saw it
    known: set[int] = set()
    for action, number in steps:
        name = f"acme-corp/pc-{number}"
        if action == "list":
            listed.add(number)
        elif action == "drop":
            listed.discard(number)
        elif action == "sync":
            rmm.devices = [vendor_device(str(n), "1", f"pc-{n}") for n in sorted(listed)]
            await sync(toolkit, "rmm")
            present, known = set(listed), known | listed
        elif number not in known:
            with pytest.raises(DeviceNotFound):
                await inventory.forget_device(ctx, name)
        elif number in present:
            with pytest.raises(Conflict):
                await inventory.forget_device(ctx, name)
        else:
            await inventory.forget_device(ctx, name)
            known.discard(number)
        found = await inventory.devices(ctx, None, include_missing=True) if known else None
        ids = {one.id for one in found.items} if found else set()
        assert ids == {f"acme-corp/pc-{n}" for n in known}
        if known:
            gone = {one.id for one in await inventory.missing(ctx, ["acme-corp"])}
            assert gone == {f"acme-corp/pc-{n}" for n in known - present}

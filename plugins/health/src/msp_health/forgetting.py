"""Hears that a person is done with a device: its latest status goes, its history stays."""

from functools import partial

from msp_core.v1 import Actor, Context, DeviceNotFound, Event, InvalidParameters
from msp_health.api import FORGOTTEN
from msp_health.runs import note_forgotten
from msp_health.tables import LatestStatus
from msp_inventory.api import Inventory
from msp_store.api import Store, Tx


async def hear(ctx: Context, event: Event) -> None:
    """Remove the latest status of a forgotten device; heard again, or late when the device is back, it does nothing."""
    client_id, device_id = event.payload["client_id"], event.payload["device_id"]
    everybody = ctx.toolkit.context(actor=Actor(id="plugin:health", kind="plugin"))
    if await _is_known(everybody, device_id):
        return
    store = await everybody.get(Store)
    await store.write(partial(_forget, client_id=client_id, device_id=device_id))


async def _is_known(ctx: Context, device_id: str) -> bool:
    try:
        found = await (await ctx.get(Inventory)).device(ctx, device_id)
    except (DeviceNotFound, InvalidParameters):  # several others may be called so
        return False
    return found.id == device_id


def _forget(tx: Tx, client_id: str, device_id: str) -> None:
    mine = (LatestStatus.client_id == client_id) & (LatestStatus.device_id == device_id)
    standing = list(LatestStatus.select().where(mine))
    LatestStatus.delete().where(mine).execute()
    note_forgotten(client_id, device_id)
    if not standing:
        return
    ended = [
        {"client_id": client_id, "device_id": device_id, "check": row.check_type, "seq": row.seq}
        for row in standing
    ]
    tx.emit(FORGOTTEN, {"client_ids": [client_id], "ended": ended})

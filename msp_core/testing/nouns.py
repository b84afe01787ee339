"""A client and a device to test with."""

from typing import Any

from msp_core.model import Client, Device, DeviceKind, OsFamily
from msp_core.testing.clock import START


def fake_client(id: str = "acme-corp", **fields: Any) -> Client:
    """Return a client; its name follows from the id unless it is given."""
    given = {"name": id.replace("-", " ").title(), "created_at": START, "updated_at": START}
    return Client(id=id, **{**given, **fields})


def fake_device(name: str = "DC01", *, client: Client | None = None, **fields: Any) -> Device:
    """Return a Windows server of a client."""
    owner = (client or fake_client()).id
    given = {"id": f"{owner}/{name.lower()}", "client_id": owner, "name": name}
    return Device(**{**given, "kind": DeviceKind.SERVER, "os": OsFamily.WINDOWS, **fields})

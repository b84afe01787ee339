"""A sheet whose truth is known, for the cases every adapter must pass."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msp_core.testing import Reply, Request
from msp_core.testing.conformance import DeviceTruth, FieldNames, RmmTruth

DEVICES = {f"PC-{n}": DeviceTruth(client=f"Client {n % 3}", online=n % 4 > 0) for n in range(20)}


class Sample:
    """The backend of `RmmAdapterConformance`; there is no wire, so it answers no requests."""

    url_field = ""
    secrets: Mapping[str, str] = {}
    fields = FieldNames(ids=("device",), name="device")

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / "sheet.csv"
        rows = [
            f"{one.client},{name},linux,{'yes' if one.online else 'no'}"
            for name, one in DEVICES.items()
        ]
        file.write_text("\n".join(["client,device,system,online", *rows]), encoding="utf-8")
        self.config = {"file": str(file)}

    def truth(self) -> RmmTruth:
        clients = frozenset(one.client for one in DEVICES.values())
        return RmmTruth(clients=clients, sites=frozenset(), devices=DEVICES)

    async def start(self) -> None: ...
    async def stop(self) -> None:
        self.folder.cleanup()

    async def answer(self, request: Request) -> Reply:
        return Reply(status=404)

    def expire(self) -> None: ...
    def is_login(self, request: Request) -> bool:
        return False

    def devices_in(self, request: Request, body: Any) -> None: ...

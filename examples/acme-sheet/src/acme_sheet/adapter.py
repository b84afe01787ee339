"""The adapter: rows of a CSV file (client, device, system, online) as objects of `msp_core.v1`."""

import asyncio
import csv
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated

from attrs import frozen

from msp_core.v1 import (
    AdapterEnv,
    Context,
    Doc,
    OsFamily,
    Quarantined,
    VendorClient,
    VendorDevice,
    VendorSite,
    VendorUnavailable,
)


@frozen(kw_only=True)
class Settings:
    """Where the spreadsheet is."""

    file: Annotated[Path, Doc("The spreadsheet, saved as CSV.")]


class Sheet:
    def __init__(self, env: AdapterEnv) -> None:
        self.file: Path = env.settings.file

    async def probe(self, ctx: Context) -> str:
        return f"{self.file.name} has {len(await self._rows())} rows"

    async def aclose(self) -> None: ...

    async def list_clients(self, ctx: Context) -> AsyncIterator[VendorClient | Quarantined]:
        for name in sorted({row.get("client", "") for row in await self._rows()} - {""}):
            yield VendorClient(external_id=name, name=name)

    async def list_sites(self, ctx: Context) -> AsyncIterator[VendorSite | Quarantined]:
        nothing: tuple[VendorSite, ...] = ()  # the sheet knows no sites
        for site in nothing:
            yield site

    async def list_devices(
        self, ctx: Context, client_external_ids: Sequence[str] | None = None
    ) -> AsyncIterator[VendorDevice | Quarantined]:
        known: set[tuple[str, str]] = set()
        for row in await self._rows():
            owner, name = row.get("client", ""), row.get("device", "")
            if not owner or not name or (owner, name) in known:
                yield Quarantined("device", f"a row without client or name, or a second one: {row}")
            elif client_external_ids is None or owner in client_external_ids:
                known.add((owner, name))
                yield _device(owner, name, row)

    async def _rows(self) -> list[dict[str, str]]:
        """Return the rows; a file that cannot be read is an error, never an empty list."""
        try:
            text = await asyncio.to_thread(self.file.read_text, encoding="utf-8-sig")
        except (OSError, UnicodeError) as error:
            message = f"{self.file} cannot be read: {type(error).__name__}."
            raise VendorUnavailable(message, suggestion="Save the sheet there as CSV.") from None
        return list(csv.DictReader(text.splitlines(), restval="", restkey="more"))


def _device(owner: str, name: str, row: dict[str, str]) -> VendorDevice:
    system = row.get("system", "").lower()
    return VendorDevice(
        external_id=f"{owner}/{name}",
        client_external_id=owner,
        name=name,
        os=OsFamily(system) if system in set(OsFamily) else OsFamily.OTHER,
        online={"yes": True, "no": False}.get(row.get("online", "").lower()),
    )

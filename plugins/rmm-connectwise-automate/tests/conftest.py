"""A toolkit whose one instance is the simulated Automate server of a lab."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from msp_core.v1 import Command, Context, Device, FactQuery, OsFamily, Target, Toolkit
from msp_lab.server import Lab
from msp_lab.testing import lab as lab
from msp_lab.testing import vendor_specs as vendor_specs
from msp_rmm_connectwise_automate.adapter import Automate

CONFIG = """
[plugins]
allow = ["msp-http", "msp-lab", "msp-rmm-connectwise-automate"]

[adapters.rmm]
kind = "connectwise-automate"
api_url = "{url}"
password = "lab:automate/password"
integration_id = "lab:automate/client_id"
{more}
"""


@frozen(kw_only=True)
class Desk:
    """An adapter and what it is called with."""

    lab: Lab
    toolkit: Toolkit
    ctx: Context
    adapter: Automate

    async def devices(self) -> list[Any]:
        return [one async for one in self.adapter.list_devices(self.ctx)]

    def targets(self) -> list[Target]:
        """Return every computer the lab has in Automate now, as our devices."""
        families = {"windows": OsFamily.WINDOWS, "linux": OsFamily.LINUX, "mac": OsFamily.MACOS}
        return [
            target(view.device.number, families[view.device.system.family])
            for view in self.lab.world.views("automate")
        ]

    async def read(
        self, source: Callable[..., Any], *facts: type, targets: Any = None
    ) -> list[Any]:
        query = FactQuery(facts=frozenset(facts), targets=targets or self.targets())
        return [one async for one in source(self.ctx, self.adapter, query)]

    async def run(self, target: Target, command: Command) -> Any:
        async def apply() -> Any:
            return await self.adapter.run_command(self.ctx, target, command)

        return await self.ctx.change("device.exec", target.device.id, apply, key=command.line)

    def requests(self) -> dict[str, int]:
        """Return the requests so far without the login, by the last part of the path."""
        counts = self.lab.control.counts("automate")
        return {
            name.replace("/cwa/api/v1/", ""): count
            for name, count in counts.items()
            if "apitoken" not in name.lower()
        }

    def logins(self) -> int:
        return self.lab.control.counts("automate").get("POST /cwa/api/v1/apitoken", 0)


def target(number: int | str, os: OsFamily = OsFamily.WINDOWS) -> Target:
    return Target(
        Device(id=f"acme/{number}", client_id="acme", name=str(number), os=os), str(number)
    )


@pytest.fixture
def desk_of(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Desk]]:
    @asynccontextmanager
    async def opened(lab: Lab, *, url: str = "", **settings: object) -> AsyncIterator[Desk]:
        settings.setdefault("username", "lab-api")
        more = "\n".join(
            f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
            for name, value in settings.items()
        )
        path = tmp_path / "msp-toolkit.toml"
        path.write_text(CONFIG.format(url=url or lab.automate_url, more=more))
        async with Toolkit.open(path) as toolkit:
            yield Desk(
                lab=lab,
                toolkit=toolkit,
                ctx=toolkit.context(),
                adapter=await toolkit.adapter("rmm"),
            )

    return opened


@pytest.fixture
async def desk(
    lab: Lab, desk_of: Callable[..., AbstractAsyncContextManager[Desk]]
) -> AsyncIterator[Desk]:
    async with desk_of(lab) as opened:
        yield opened


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little between tries; how long it really is has tests of its own."""
    monkeypatch.setattr("msp_http.retry.FIRST_DELAY_S", 0.02)

"""A workspace with a fleet and an outside plugin, and agents that speak to it."""

import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from msp_core.discovery import discover
from msp_core.registry import Registry
from msp_core.testing import isolated
from msp_core.v1 import Toolkit
from msp_mcp_server.desk import Desk
from msp_mcp_server.server import build

OUTSIDE = Path(__file__).parent / "outside"
CANARY = "canary-5f0c2e91d7"
CONFIG = """\
[rmm]
provider = "mock"
clients = 4
devices = 32
seed = 11

[access.rate_limits]
read = 5000
record = 5000
change = 5000
destroy = 5000
"""


@pytest.fixture(scope="session")
def installed() -> Iterator[str]:
    """Make the outside plugin importable, as an installation would."""
    sys.path.insert(0, str(OUTSIDE))
    yield "acme_door.plugin"
    sys.path.remove(str(OUTSIDE))


@pytest.fixture(scope="session")
def outside_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the outside plugin into a folder of its own, for processes that have it on their path."""
    folder = tmp_path_factory.mktemp("outside")
    install(folder, "acme-door")
    return folder


def install(folder: Path, id: str) -> None:
    """Put a plugin of this folder's into another, as an installation would."""
    package = id.replace("-", "_")
    shutil.copytree(OUTSIDE / package, folder / package)
    info = folder / f"msp_{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: msp-{id}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[msp_toolkit.plugins]\n{id} = {package}.plugin\n")


@pytest.fixture(scope="session")
def fixtures_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install what the conformance suite asks for by name."""
    folder = tmp_path_factory.mktemp("fixtures")
    install(folder, "checker-fixtures")
    return folder


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a workspace with clients, devices, a sweep and alerts; tests work on copies of it."""
    import asyncio

    folder = tmp_path_factory.mktemp("fleet")
    (folder / "msp-toolkit.toml").write_text(
        CONFIG + "\n[health_checks.thresholds]\ndisk_percent = 40\n"
    )

    async def fill() -> None:
        async with Toolkit.open(folder / "msp-toolkit.toml") as toolkit:
            await toolkit.call("client.sync", {"instances": ["rmm"], "create": True})
            await toolkit.call("health.check")

    with isolated(folder):
        asyncio.run(fill())
    return folder


@pytest.fixture
def workspace(fleet: Path, tmp_path: Path) -> Iterator[Path]:
    """Return a copy of the workspace, as the current folder."""
    folder = tmp_path / "work"
    shutil.copytree(fleet, folder)
    with isolated(folder, {"RMM_API_KEY": CANARY}):
        yield folder


@pytest.fixture
async def open_desk(workspace: Path, installed: str) -> AsyncIterator[Callable[..., Any]]:
    """Open desks on the workspace, with the outside plugin; arguments are sections of the configuration."""
    import acme_door.tools

    acme_door.tools.DONE.clear()
    async with AsyncExitStack() as stack:

        async def make(
            *, without: tuple[str, ...] = (), rogue: bool = False, **sections: Any
        ) -> Desk:
            found, _failures = discover()
            registry = Registry([one for one in found if one.id not in without])
            registry.add(installed, id="acme-door")
            if rogue:
                registry.add("acme_rogue.plugin", id="acme-rogue")
            toolkit = Toolkit.open(
                workspace / "msp-toolkit.toml", registry=registry, overrides=sections
            )
            return Desk(await stack.enter_async_context(toolkit))

        yield make


@pytest.fixture
async def desk(open_desk: Callable[..., Any]) -> Desk:
    """Return a desk with the settings as they come."""
    made: Desk = await open_desk()
    return made


@pytest.fixture(params=["legacy", "auto"])
def era(request: pytest.FixtureRequest) -> str:
    """Both eras of the protocol: the handshake, and 2026-07-28."""
    return str(request.param)


@pytest.fixture
def agent(era: str) -> Callable[..., Client]:
    """Make agents that speak to a desk within this process."""

    def connect(desk: Desk, **more: Any) -> Client:
        return Client(build(desk), mode=era, **more)

    return connect


@pytest.fixture
def arguments_for() -> Callable[[Desk, str, str], Any]:
    """Return what gives arguments that name a client wherever a tool takes one, or something of it that is there."""

    async def make(desk: Desk, tool: str, client: str) -> dict[str, Any]:
        whole = {"client_id": client}
        toolkit = desk.toolkit
        alert = (await toolkit.call("alert.list", {"client": client, "all": True})).items[0].alert
        device = (await toolkit.call("device.list", {"client": client})).items[0].id
        return {  # a tool that is not here has to be added
            "alert_ack": {"alert": alert.id},
            "alert_list": whole,
            "alert_resolve": {"alert": alert.id},
            "alert_show": {"alert": alert.id},
            "client_add": {"name": f"New {client}"},
            "client_list": {"search": client},
            "client_show": whole,
            "client_update": {**whole, "notes": "x"},
            "device_deploy_agent": whole,
            "device_exec": {"device": device, "command": ["hostname"]},
            "device_list": whole,
            "device_show": {"device": device},
            "health_check": {**whole, "check_types": ["disk"]},
            "health_checks": whole,
            "health_history": whole,
            "health_status": whole,
            "door_choose": {},
            "door_crash": {},
            "door_demolish": {"door_id": f"{client}/a"},
            "door_look": {},
            "door_note": {"text": "x"},
            "door_open": {"doors": [f"{client}/a"]},
            "door_repaint": {},
            "door_secret": {},
            "door_wait": {"seconds": 0.001},
        }[tool]

    return make


@pytest.fixture
def done() -> list[str]:
    """Return what the outside plugin changed."""
    import acme_door.tools

    return acme_door.tools.DONE

"""`device add|show|exec|deploy-agent`."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from msp_core.v1 import (
    Conflict,
    InvalidParameters,
    MspError,
    NotFound,
    NotSupported,
    Planned,
    Toolkit,
    UnknownPlugin,
)
from msp_inventory.api import Inventory

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ready(
    toolkit: Toolkit,
    console: Callable,
    vendor_client: Callable,
    vendor_site: Callable,
    vendor_device: Callable,
) -> Toolkit:
    """Sync one client with one device from two consoles."""
    for name, client, device in (("rmm", "1", "11"), ("ninja", "n1", "n11")):
        one = console(name)
        one.clients = [vendor_client(client, "Acme Corp")]
        one.sites = [vendor_site(f"s-{name}", client, "Main Office")]
        one.devices = [vendor_device(device, client, "SRV-01", serial="SER-0011")]
    inventory = await toolkit.get(Inventory)
    await inventory.sync(toolkit.context(), create_clients=True)
    return toolkit


async def test_command_line_is_passed_as_given(ready: Toolkit, console: Callable) -> None:
    """One argument is the whole line; several are joined by blanks; the RMM named rmm is used."""
    done = await ready.call("device.exec", {"device": "acme-corp/srv-01", "command": ["df", "-h"]})
    assert (done.exit_code, done.via, done.result.stdout) == (0, "rmm", "out\n")
    line = "echo \"it's $HOME\" | grep 'x  y'"
    await ready.call(
        "device.exec", {"device": "acme-corp/SRV-01", "command": [line], "via": "ninja"}
    )
    assert console("rmm").commands == [("11", "df -h")]
    assert console("ninja").commands == [("n11", line)]
    failed = await ready.call("device.exec", {"device": "acme-corp/srv-01", "command": ["fail"]})
    assert failed.exit_code == 1
    assert "Exit code 3" in failed.say()


async def test_dry_run_runs_nothing(ready: Toolkit, console: Callable) -> None:
    """The change is listed with the command line, and no console hears of it."""
    ctx = ready.context(dry_run=True)
    done = await ready.call(
        "device.exec", {"device": "acme-corp/srv-01", "command": ["reboot"]}, ctx=ctx
    )
    assert isinstance(done, Planned)
    assert "reboot" in ctx.planned[0].preview
    assert console("rmm").commands == []
    long = "echo " + "x" * 600 + "; reboot"
    await ready.call("device.exec", {"device": "acme-corp/srv-01", "command": [long]}, ctx=ctx)
    assert ctx.planned[1].preview.endswith("... (113 characters more)")


async def test_a_transport_set_up_for_a_device_comes_first(
    ready: Toolkit, console: Callable
) -> None:
    """SSH is used where somebody linked the device to it; otherwise it is refused with the command to link it."""
    arguments: dict[str, Any] = {"device": "acme-corp/srv-01", "command": ["id"], "via": "ssh"}
    with pytest.raises(NotFound) as caught:
        await ready.call("device.exec", arguments)
    assert "device link acme-corp/srv-01 ssh" in caught.value.suggestion
    await ready.call(
        "device.link", {"device": "acme-corp/srv-01", "instance": "ssh", "external_id": "10.0.0.7"}
    )
    del arguments["via"]
    assert (await ready.call("device.exec", arguments)).via == "ssh"
    assert console("ssh").commands == [("10.0.0.7", "id")]
    inventory = await ready.get(Inventory)
    report = await inventory.sync(ready.context())
    assert [one.rows_written for one in report.instances] == [0, 0]


async def test_devices_no_console_lists(ready: Toolkit) -> None:
    """A device added by hand is listed, shown, reached, and never goes missing by a sync."""
    made = await ready.call(
        "device.add",
        {
            "client": "Acme Corp",
            "name": "Web 01",
            "via": "ssh",
            "address": "root@web",
            "os": "linux",
        },
    )
    assert made.device.id == "acme-corp/web-01"
    done = await ready.call("device.exec", {"device": made.device.id, "command": ["uptime"]})
    assert done.via == "ssh"
    inventory = await ready.get(Inventory)
    report = await inventory.sync(ready.context())
    assert [one.rows_written for one in report.instances] == [0, 0]
    shown = await ready.call("device.show", {"device": "acme-corp/Web 01"})
    assert "root@web" in shown.say()
    with pytest.raises(Conflict):
        await ready.call(
            "device.add",
            {"client": "acme-corp", "name": "w2", "via": "ssh", "address": "root@web"},
        )
    with pytest.raises(UnknownPlugin):
        await ready.call(
            "device.add", {"client": "acme-corp", "name": "w3", "via": "shh", "address": "a"}
        )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"device": "srv-01", "command": ["x"]}, InvalidParameters),
        ({"device": "acme-corp/srv-01", "command": [" "]}, InvalidParameters),
        ({"device": "acme-corp/srv-01", "command": ["x"], "timeout": "0s"}, InvalidParameters),
        ({"device": "acme-corp/srv-99", "command": ["x"]}, NotFound),
        ({"device": "nobody/srv-01", "command": ["x"]}, NotFound),
        ({"device": "acme-corp/srv-01", "command": ["x"], "via": "nope"}, UnknownPlugin),
    ],
)
async def test_bad_calls(ready: Toolkit, arguments: dict[str, Any], error: type[MspError]) -> None:
    """Each mistake has its error and a next step."""
    with pytest.raises(error) as caught:
        await ready.call("device.exec", arguments)
    assert caught.value.suggestion


async def test_agent_deployment(ready: Toolkit) -> None:
    """The console's ids of client and site are passed on; two possible consoles need a choice."""
    with pytest.raises(InvalidParameters) as caught:
        await ready.call("device.deploy-agent", {"client": "acme-corp"})
    assert "--instance rmm" in caught.value.suggestion
    done = await ready.call(
        "device.deploy-agent",
        {"client": "acme-corp", "instance": "ninja", "platform": "linux", "site": "Main Office"},
    )
    assert done.result.message == "n1 s-ninja linux"
    with pytest.raises(NotSupported):
        await ready.call("device.deploy-agent", {"client": "acme-corp", "instance": "ssh"})
    with pytest.raises(NotFound):
        await ready.call(
            "device.deploy-agent", {"client": "acme-corp", "instance": "rmm", "site": "Nowhere"}
        )


async def test_list_of_clients_shows_devices(ready: Toolkit) -> None:
    """`client list` and `client show` say how many devices, without knowing the inventory."""
    rows = (await ready.call("client.list")).items
    assert [(row.id, row.devices) for row in rows] == [("acme-corp", 1)]
    shown = await ready.call("client.show", {"client": "acme-corp"})
    assert (shown.devices, shown.rmm_id) == (1, "1")
    devices = await ready.call("device.list", {"client": "acme-corp"})
    assert [one.rmm_device_id for one in devices.items] == ["11"]


def test_a_list_of_clients_loads_little() -> None:
    """The figures for `client list` bring neither sync nor matching, and peewee without a driver for PostgreSQL."""
    code = (
        "import sys, msp_clients.tools, msp_clients.service, msp_inventory.figures;"
        "print(sorted(m for m in sys.modules if m in ('psycopg', 'httpx', 'rich', 'msp_inventory.syncing',"
        " 'msp_inventory.reconcile', 'msp_inventory.api', 'msp_inventory.service')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

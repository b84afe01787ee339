"""The synchronous Python API: the promised signatures, and the promised programs, on a fleet without a vendor."""

import asyncio
import inspect
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from msp_core.testing import isolated
from msp_core.v1 import (
    ClientNotFound,
    CommandResult,
    ConfigError,
    InvalidParameters,
    MspError,
    Status,
    UnknownPlugin,
)
from msp_toolkit import MSPToolkit
from msp_toolkit.core import ClientManager, CredentialManager, HealthMonitor
from msp_toolkit.core.plugin import CheckResult, Plugin
from msp_toolkit.integrations.rmm import ConnectWiseRMM, NinjaOneRMM, RMMAdapter

CONFIG = """
general:
  company_name: "Your MSP Name"
rmm:
  provider: "mock"
health_checks:
  thresholds:
    cpu_percent: 85
"""

SIGNATURES = {
    (MSPToolkit, "from_config"): ["config_path"],
    (MSPToolkit, "get_client_manager"): ["self"],
    (MSPToolkit, "get_health_monitor"): ["self"],
    (MSPToolkit, "get_rmm_adapter"): ["self", "name=None"],
    (MSPToolkit, "register_plugin"): ["self", "plugin"],
    (ClientManager, "create"): ["self", "name", "**kwargs"],
    (ClientManager, "get_client"): ["self", "client_id"],
    (ClientManager, "list_clients"): ["self", "filters=None"],
    (ClientManager, "update"): ["self", "client_id", "**kwargs"],
    (ClientManager, "delete"): ["self", "client_id"],
    (HealthMonitor, "run_checks"): ["self", "client_id", "check_types=None"],
    (HealthMonitor, "get_history"): ["self", "client_id", "days=7"],
    (HealthMonitor, "configure"): ["self", "client_id", "config"],
    (HealthMonitor, "get_status_summary"): ["self", "client_id"],
    (RMMAdapter, "get_devices"): ["self", "client_id"],
    (RMMAdapter, "deploy_agent"): ["self", "device"],
    (RMMAdapter, "execute_command"): ["self", "device_id", "command"],
    (RMMAdapter, "get_alerts"): ["self", "client_id", "since"],
    (CredentialManager, "__init__"): ["self", "use_keyring=True", "toolkit=None"],
    (CredentialManager, "get_credential"): ["self", "service", "key"],
    (CredentialManager, "set_credential"): ["self", "service", "key", "value"],
    (Plugin, "execute"): ["self", "context"],
}


@pytest.mark.parametrize(("owner", "name"), SIGNATURES)
def test_the_signatures_are_frozen(owner: type, name: str) -> None:
    """What programs are written against does not change."""
    found = []
    for one in inspect.signature(getattr(owner, name)).parameters.values():
        star = "**" if one.kind is one.VAR_KEYWORD else ""
        default = "" if one.default is one.empty else f"={one.default!r}"
        found.append(f"{star}{one.name}{default}")
    assert found == SIGNATURES[owner, name]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """A workspace with the simulated RMM as its provider."""
    file = tmp_path / "config" / "msp-toolkit.yaml"
    file.parent.mkdir()
    file.write_text(CONFIG)
    with isolated(tmp_path):
        yield file


@pytest.fixture
def toolkit(workspace: Path) -> Iterator[MSPToolkit]:
    """An open toolkit whose inventory has been brought up to date."""
    with MSPToolkit.from_config(str(workspace)) as made:
        made.call("client.sync", instances=["rmm"], create=True)
        yield made


def test_the_promised_program(toolkit: MSPToolkit) -> None:
    """Clients, health and RMM as the documentation prints them."""
    client_mgr = toolkit.get_client_manager()
    client = client_mgr.get_client("acme-corp")
    assert f"Client: {client.name}, Tier: {client.tier}" == "Client: Acme Corp, Tier: bronze"
    health_monitor = toolkit.get_health_monitor()
    results = health_monitor.run_checks(client.id)
    assert results
    for check in results:
        assert f"{check.name}: {check.status} - {check.message}"
        assert check.client_id == "acme-corp"
    rmm = toolkit.get_rmm_adapter()
    devices = rmm.get_devices(client_id=client.rmm_id or "")
    assert devices
    assert {device.status for device in devices} <= {"online", "offline", "unknown"}
    history = health_monitor.get_history(client.id, days=7)
    assert len(history) == len(results)
    summary = health_monitor.get_status_summary(client.id)
    assert summary.counts.total == len(results)
    day_ago = datetime.now(UTC) - timedelta(days=1)
    without_zone = day_ago.astimezone().replace(tzinfo=None)
    alerts = rmm.get_alerts(client.rmm_id or "", day_ago)
    assert rmm.get_alerts(client.rmm_id or "", since=without_zone) == alerts
    result = rmm.execute_command(devices[0].id, "hostname")
    assert isinstance(result, CommandResult)
    assert (result.via, result.exit_code) == ("rmm", 0)
    assert rmm.deploy_agent(devices[0]).success


def test_client_life(toolkit: MSPToolkit) -> None:
    """Create, change, delete, restore; errors have codes."""
    clients = toolkit.get_client_manager()
    made = clients.create("Süd & Co", contact_email="it@sued.example", tier="premium")
    assert clients.update(made.id, tier="gold").tier == "gold"
    assert [one.id for one in clients.list_clients({"tier": "gold"})] == [made.id]
    assert clients.delete(made.id) is True
    with pytest.raises(ClientNotFound):
        clients.get_client(made.id)
    assert clients.restore(made.id).id == made.id
    with pytest.raises(InvalidParameters):
        clients.list_clients({"teir": "gold"})
    with pytest.raises(InvalidParameters):
        clients.list_clients({"tier": "golden"})
    with pytest.raises(InvalidParameters):
        clients.create("X", tier="golden")


def test_health_errors(toolkit: MSPToolkit) -> None:
    """Wrong input is an MspError, never a traceback of ours."""
    health = toolkit.get_health_monitor()
    with pytest.raises(MspError) as caught:
        health.run_checks("acme-corp", ["dsik"])
    assert "disk" in caught.value.suggestion
    with pytest.raises(InvalidParameters):
        health.get_history("acme-corp", days=0)
    with pytest.raises(ClientNotFound):
        health.get_status_summary("nobody")


class CustomHealthCheck(Plugin):
    """Custom health check plugin example"""

    name = "custom_disk_check"
    version = "1.0.0"

    def execute(self, context: dict[str, Any]) -> CheckResult:
        return CheckResult(status="healthy", message="Disk check passed", data={"usage": 45.2})


class RaisingCheck(Plugin):
    """A check of somebody's that breaks."""

    name = "raising_check"

    def execute(self, context: dict[str, Any]) -> CheckResult:
        raise RuntimeError("out of cheese")


def test_a_class_becomes_a_check(toolkit: MSPToolkit) -> None:
    """It is listed, selectable by its own name, recorded, and part of a full sweep."""
    toolkit.register_plugin(CustomHealthCheck)
    health = toolkit.get_health_monitor()
    results = health.run_checks("acme-corp", ["custom_disk_check"])
    assert results
    assert {one.status for one in results} == {Status.OK}
    assert {one.message for one in results} == {"Disk check passed"}
    assert results[0].data["usage"] == 45.2
    assert "custom-disk-check" in {one.check for one in health.run_checks("acme-corp")}
    with pytest.raises(InvalidParameters):
        toolkit.register_plugin(CustomHealthCheck)


def test_a_class_that_raises_is_unknown_and_named(toolkit: MSPToolkit) -> None:
    """It is isolated, and never looks healthy."""
    toolkit.register_plugin(RaisingCheck)
    results = toolkit.get_health_monitor().run_checks("acme-corp", ["raising_check"])
    assert {one.status for one in results} == {Status.UNKNOWN}
    assert "RaisingCheck raised RuntimeError: out of cheese" in results[0].message


@pytest.mark.parametrize(
    "wrong", [object, "text", type("NoName", (Plugin,), {"execute": lambda *_: None})]
)
def test_what_is_no_plugin_is_refused(toolkit: MSPToolkit, wrong: Any) -> None:
    """The error says how a plugin looks."""
    with pytest.raises(InvalidParameters):
        toolkit.register_plugin(wrong)


def test_inside_a_running_loop(workspace: Path) -> None:
    """A program with an event loop of its own can use it too."""

    async def program() -> int:
        with MSPToolkit.from_config(workspace) as toolkit:
            toolkit.call("client.sync", instances=["rmm"], create=True)
            return len(toolkit.get_client_manager().list_clients())

    assert asyncio.run(program()) > 0


def test_from_many_threads_and_twice_in_one_process(workspace: Path, tmp_path: Path) -> None:
    """Two toolkits do not mix, and threads may share one."""
    other = tmp_path / "other" / "msp-toolkit.toml"
    other.parent.mkdir()
    other.write_text('[rmm]\nprovider = "mock"\n')
    with MSPToolkit.from_config(workspace) as one, MSPToolkit.from_config(other) as two:
        threads = [
            threading.Thread(target=lambda n=n: one.get_client_manager().create(f"Client {n}"))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(one.get_client_manager().list_clients()) == 8
        assert two.get_client_manager().list_clients() == []


def test_the_rmm_by_class_and_name(toolkit: MSPToolkit) -> None:
    """A class of a vendor that is not configured says so."""
    with pytest.raises(UnknownPlugin):
        ConnectWiseRMM(toolkit)
    with pytest.raises(UnknownPlugin):
        NinjaOneRMM(toolkit)
    with pytest.raises(UnknownPlugin):
        toolkit.get_rmm_adapter("nowhere")
    with pytest.raises(InvalidParameters):
        toolkit.get_rmm_adapter().get_devices("")


def test_the_default_of_several_rmms(tmp_path: Path) -> None:
    """Of several the one called `rmm` is meant, or the one the configuration names; else the error names them."""
    file = tmp_path / "msp-toolkit.toml"
    several = '[adapters.east]\nkind = "mock"\n[adapters.west]\nkind = "mock"\nseed = 2\n'
    file.write_text(several)
    with MSPToolkit.from_config(file) as toolkit:
        toolkit.call("client.sync", instances=["east", "west"], create=True)
        assert {one.rmm_id for one in toolkit.get_client_manager().list_clients()} == {None}
        with pytest.raises(InvalidParameters, match="east, west") as caught:
            toolkit.get_rmm_adapter()
        assert 'default_rmm = "east"' in caught.value.suggestion
    file.write_text(several + '[inventory]\ndefault_rmm = "west"\n')
    with MSPToolkit.from_config(file) as toolkit:
        linked = [one for one in toolkit.get_client_manager().list_clients() if one.rmm_id]
        assert toolkit.get_rmm_adapter().get_devices(linked[0].rmm_id or "")
        assert toolkit.call("client.show", client=linked[0].id).rmm_id == linked[0].rmm_id
        assert toolkit.get_rmm_adapter("east") is not None
    file.write_text(several + '[inventory]\ndefault_rmm = "wset"\n')
    with pytest.raises(ConfigError, match=r"no RMM 'wset' is configured .did you mean 'west'"):
        MSPToolkit.from_config(file)
    file.write_text(several + '[rmm]\nprovider = "mock"\n')
    with MSPToolkit.from_config(file) as toolkit:
        assert toolkit.get_rmm_adapter().name == "rmm"  # type: ignore[attr-defined]


def test_a_default_rmm_that_is_not_in_use(tmp_path: Path) -> None:
    """Nothing else is taken for it, and all that can go on without it does."""
    file = tmp_path / "msp-toolkit.toml"
    file.write_text(
        '[inventory]\ndefault_rmm = "kaseya"\n[adapters.kaseya]\nkind = "kaseya"\n'
        '[adapters.east]\nkind = "mock"\n'
    )
    with MSPToolkit.from_config(file) as toolkit:
        synced = toolkit.call("client.sync", create=True)
        assert synced.exit_code == 0
        listed = toolkit.call("client.list")
        assert listed.items[0].devices > 0
        assert not [note for note in listed.notes if "RMM" in note]
        assert {one.rmm_id for one in toolkit.get_client_manager().list_clients()} == {None}
        with pytest.raises(InvalidParameters, match="none of these is the default: east"):
            toolkit.get_rmm_adapter()


def test_a_wrong_configuration_starts_nothing(tmp_path: Path) -> None:
    """The error names the file."""
    file = tmp_path / "msp-toolkit.toml"
    file.write_text("[general]\ncompany = 1\n")
    with isolated(tmp_path), pytest.raises(ConfigError, match=r"msp-toolkit\.toml"):
        MSPToolkit.from_config(file)
    with isolated(tmp_path), pytest.raises(ConfigError):
        MSPToolkit.from_config(tmp_path / "none.toml")


def test_the_credential_manager_asks_the_environment_first(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SERVICE_KEY in capitals; without a keyring nothing else is asked."""
    del workspace
    monkeypatch.setenv("RMM_API_KEY", "from-the-environment")
    manager = CredentialManager(use_keyring=False)
    assert manager.get_credential("rmm", "api_key") == "from-the-environment"
    assert manager.get_credential("rmm", "other") is None
    with pytest.raises(MspError):
        manager.set_credential("rmm", "api_key", "x")


def test_wrong_arguments_of_the_health_monitor(toolkit: MSPToolkit) -> None:
    """No client is not all clients, a word is one check, and a table is no HealthCheckConfig."""
    toolkit.call("client.sync", create=True)
    health = toolkit.get_health_monitor()
    nobody: Any = None
    for none in (nobody, ""):
        with pytest.raises(InvalidParameters, match="No client is named"):
            health.run_checks(none)
    assert {one.check for one in health.run_checks("acme-corp", "disk-space")} == {"disk"}
    table: Any = {"thresholds": {"disk_percent": 80}}
    with pytest.raises(InvalidParameters, match="a HealthCheckConfig is needed"):
        health.configure("acme-corp", table)


@pytest.mark.parametrize(
    ("provider", "kind"), [("connectwise", ConnectWiseRMM), ("ninjarmm", NinjaOneRMM)]
)
def test_the_provider_picks_the_class_of_the_adapter(
    tmp_path: Path, provider: str, kind: type[RMMAdapter]
) -> None:
    """What the configuration names decides."""
    file = tmp_path / "msp-toolkit.yaml"
    file.write_text(f"rmm:\n  provider: {provider}\n  api_url: https://rmm.example.com\n")
    with MSPToolkit.from_config(file) as toolkit:
        assert isinstance(toolkit.get_rmm_adapter(), kind)

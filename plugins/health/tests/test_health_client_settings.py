"""What `client config --set` takes, warns of and refuses, with the checks installed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msp_clients.api import Clients
from msp_health.testing import World

Msp = Callable[..., tuple[str, str]]


@pytest.fixture
def msp(msp_workspace: Path, msp: Msp) -> Msp:
    """Run command lines where there is one client and one check less."""
    (msp_workspace / "msp-toolkit.toml").write_text(
        '[plugins]\ndisabled = ["check-cpu"]\n[health_checks.thresholds]\ndisk_percent = 80\n'
    )
    msp("client", "add", "--name", "Acme")
    return msp


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("health.disk.critcal_percent=95", "'health.disk.critical_percent'"),
        ("health.disk_percnt=95", "'health.disk_percent'"),
        ("health.dsik.critical_percent=95", "'health.disk.critical_percent'"),
        ("health.devices.srv-1.disk.critcal_percent=9", "'health.devices.srv-1.disk.critical_perc"),
        ("health.disk.critical_percent=lots", "number"),
        ("health.disk.critical_percent=50", "do not fit"),
        ("helth.disk.critical_percent=95", "'health.disk.critical_percent'"),
        ("probes.alowed=true", "'probes.allowed'"),
        ("probes.allowed=perhaps", "true or false"),
        ('health.checks=["dsik"]', "'disk'"),
        ("health.checks=disk", "list of checks"),
        ("health.checks=[]", "list of checks"),
        ('health.checks=["disk", 5]', "No check of type '5'"),
        ("health.disk_percent=abc", "disk_percent: expected a number, got 'abc'"),
        ("health.devices.srv-1.disk_percent=abc", "acme/srv-1: disk_percent: expected a number"),
        ("health=80", "'health.disk_percent'"),
    ],
)
def test_a_wrong_setting_is_refused(msp: Msp, given: str, says: str) -> None:
    """A misspelt key or a value that is none changes nothing, and the nearest right one is named."""
    _, err = msp("client", "config", "acme", "--set", given, code=64)
    assert says in err
    assert json.loads(msp("client", "config", "acme", "--json")[0])["values"] == {}


def test_every_device_named_is_judged(msp: Msp) -> None:
    """A right limit of the same check elsewhere does not cover a wrong one of a device."""
    words = (
        *("--set", "health.devices.srv-1.disk_percent=abc"),
        *("--set", "health.disk_percent=70", "--set", "health.devices.srv-2.disk_percent=60"),
    )
    assert (
        "acme/srv-1: disk_percent: expected a number"
        in msp("client", "config", "acme", *words, code=64)[1]
    )
    assert json.loads(msp("client", "config", "acme", "--json")[0])["values"] == {}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("health.cpu.warning_percent=70", "pip install msp-check-cpu"),
        ("billing.rate=3", "no plugin in use is known to read it"),
    ],
)
def test_what_nothing_reads_is_kept_with_a_warning(msp: Msp, given: str, says: str) -> None:
    """Settings of plugins that are not in use are taken, and named."""
    _, err = msp("client", "config", "acme", "--set", given)
    assert says in err
    assert len(json.loads(msp("client", "config", "acme", "--json")[0])["values"]) == 1


def test_right_settings_say_nothing(msp: Msp) -> None:
    """Limits in both forms, of a device, a list of checks and the leave to probe are taken silently."""
    words = (
        *("--set", "health.disk.critical_percent=97", "--set", "health.disk_percent=70"),
        *("--set", "health.devices.srv-1.disk.warning_percent=60"),
        *("--set", 'health.checks=["disk-space"]', "--set", "probes.allowed=true"),
    )
    assert msp("client", "config", "acme", *words)[1] == ""
    msp("client", "config", "acme", "--unset", "health.disk_percent")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("listed", "made", "says"),
    [
        (["Disk"], 1, ""),
        (["disk", "gone"], 2, "No check of type 'gone' is installed. All checks were made."),
        ("disk", 2, "'disk' is no list of checks. All checks were made."),
        ([], 2, "[] is no list of checks. All checks were made."),
    ],
)
async def test_a_list_of_checks_is_followed_or_all_are_made(
    open_world: Callable[..., Any], listed: Any, made: int, says: str
) -> None:
    """Also where it was right once, and a check it names is gone since; the sweep says so."""
    toolkit = await open_world(World.of(clients=1, devices=1))
    clients = await toolkit.get(Clients)
    await clients.set_config(toolkit.context(), "c1", {"health.checks": listed})
    done = await toolkit.call("health.check", {"client": "c1"})
    assert done.planned == made
    assert [note for note in done.notes if "health.checks" in note] == (
        [f"c1: health.checks: {says}"] if says else []
    )


def test_an_import_judges_settings_too(msp: Msp, tmp_path: Path) -> None:
    """A wrong limit in a file is a bad row with its line, and nothing is recorded."""
    rows = [
        {"name": "One", "settings": {"health.cpu.warning_percent": 70}},
        {"name": "Two", "settings": {"health.disk.critcal_percent": 95}},
    ]
    (tmp_path / "in.json").write_text(json.dumps(rows))
    _, err = msp("client", "import", "in.json", code=64)
    assert "line 2" in err
    assert "'health.disk.critical_percent'" in err
    assert json.loads(msp("client", "list", "--json")[0])["total"] == 1
    wrong = {"health.devices.srv.disk_percent": "abc", "health.disk_percent": 70}
    (tmp_path / "in.json").write_text(json.dumps([{"name": "Three", "settings": wrong}]))
    assert "expected a number, got 'abc'" in msp("client", "import", "in.json", code=64)[1]
    (tmp_path / "in.json").write_text(json.dumps(rows[:1]))
    assert "pip install msp-check-cpu" in msp("client", "import", "in.json")[1]


def test_an_import_judges_settings_by_the_tier_the_client_will_have(
    msp: Msp, tmp_path: Path
) -> None:
    """That of the row, else the one it has: a limit may fit with those of one tier alone."""
    own = {"settings": {"health.disk.critical_percent": 50}}
    config = "[health_checks.tiers.gold]\ndisk_percent = 40\n"
    (tmp_path / "msp-toolkit.toml").write_text(config)
    (tmp_path / "in.json").write_text(json.dumps([{"id": "acme", **own}]))
    assert "do not fit" in msp("client", "import", "in.json", code=64)[1]
    msp("client", "update", "acme", "--tier", "gold")
    assert "1 updated" in msp("client", "import", "in.json")[0]
    (tmp_path / "in.json").write_text(json.dumps([{"name": "Acme", "tier": "bronze", **own}]))
    assert "do not fit" in msp("client", "import", "in.json", code=64)[1]
    (tmp_path / "in.json").write_text(json.dumps([{"name": "Acme", "tier": "gold", **own}]))
    assert "1 unchanged" in msp("client", "import", "in.json")[0]

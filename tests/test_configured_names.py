"""Names and addresses in a configuration that types alone cannot judge, with the real plugins."""

from collections.abc import Callable
from pathlib import Path

import pytest

from msp_core.cli import run

Check = Callable[[str, int], str]
NINJA = '[adapters.ninja]\nkind = "ninjaone"\n'
AUTOMATE = '[adapters.auto]\nkind = "connectwise-automate"\n'


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Check:
    """Check a configuration, expect an exit code, and return what was said."""
    monkeypatch.chdir(tmp_path)

    def call(text: str, code: int) -> str:
        (tmp_path / "msp-toolkit.toml").write_text(text)
        ended = run(("config", "check"))
        out, err = capsys.readouterr()
        assert ended == code, (out, err)
        return out + err

    return call


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ('[inventory]\ndefault_rmm = "ninj"\n' + NINJA, "inventory.default_rmm", "mean 'ninja'?"),
        ('[inventory]\ndefault_rmm = "x"\n', "inventory.default_rmm", "RMMs: none"),
        ('[inventory]\ndefault_rmm = "s"\n[adapters.s]\nkind = "ssh"\n', "default_rmm", "no RMM"),
        (NINJA + 'api_url = "ftp://x"\n', "adapters.ninja.api_url", "such as https://"),
        (NINJA + 'api_url = "https://"\n', "adapters.ninja.api_url", "such as https://"),
        (NINJA + 'api_url = "https://a b"\n', "adapters.ninja.api_url", "such as https://"),
        (NINJA + 'api_url = "https://a:999999"\n', "adapters.ninja.api_url", "such as https://"),
        (AUTOMATE + 'api_url = "ftp://x"\n', "adapters.auto.api_url", "such as https://"),
        (AUTOMATE + 'api_url = "https:///cwa"\n', "adapters.auto.api_url", "such as https://"),
        (AUTOMATE + 'api_url = "https://a:999999"\n', "adapters.auto.api_url", "such as https://"),
        ('[[backup.providers]]\nname = "ninjaone"\n', "providers[0].name", "no backup adapter"),
        ('[[backup.providers]]\nname = "datto"\n', "providers[0].name", "known: veeam"),
        ('[[backup.providers]]\nname = "disk"\n', "providers[0].name", "known: veeam"),
        ('[[backup.providers]]\nname = "local"\n', "providers[0].name", "[adapters.NAME]"),
        ('[rmm]\nprovider = "ssh"\n', "rmm.provider", "no rmm adapter"),
        ('[rmm]\nprovider = "veeam"\n', "rmm.provider", "no rmm adapter"),
        ('[reporting]\nschedule = "every day"\n', "reporting.schedule", "is '0 1 * * *'"),
        ('[reporting]\nschedule = "0 x * * *"\n', "reporting.schedule", "field 2: 'x' is no"),
        ('[reporting]\nschedule = "5-1 * * * *"\n', "reporting.schedule", "the lower one first"),
        ('[reporting]\nschedule = "0 0 30 2 *"\n', "reporting.schedule", "no month of field 4"),
    ],
)
def test_what_cannot_be_meant_is_wrong(check: Check, text: str, path: str, says: str) -> None:
    """File, path, reason and what there is instead are named."""
    said = check(text, 1)
    assert "msp-toolkit.toml: " in said
    assert path in said
    assert says in said


@pytest.mark.parametrize(
    "text",
    [
        '[inventory]\ndefault_rmm = "ninja"\n' + NINJA,
        '[inventory]\ndefault_rmm = "rmm"\n[rmm]\nprovider = "mock"\n',
        NINJA + 'api_url = "eu.ninjarmm.com"\n',
        NINJA + 'api_url = "http://127.0.0.1:8000/"\n',
        AUTOMATE + 'api_url = "example.hostedrmm.com/cwa/api/v1"\n',
        '[reporting]\nschedule = "0 1 1 * *"\n',
        '[reporting]\nschedule = "30 6 * jan-mar mon,wed"\n',
    ],
)
def test_what_can_be_meant_is_right(check: Check, text: str) -> None:
    """Nothing is said against it."""
    assert "correct." in check(text, 0)


def test_what_is_not_installed_may_be_meant(check: Check) -> None:
    """An RMM and a backup whose plugins are not there are named with the line that installs them."""
    said = check(
        '[inventory]\ndefault_rmm = "kaseya"\n[adapters.kaseya]\nkind = "kaseya"\n'
        '[[backup.providers]]\nname = "veeam"\napi_url = "https://veeam.example.com/api"\n',
        0,
    )
    assert "pip install msp-rmm-kaseya-vsa" in said
    assert "pip install msp-backup-veeam" in said

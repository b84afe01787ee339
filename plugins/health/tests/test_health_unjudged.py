"""What keeps a check from starting is UNKNOWN: nobody may take exit code 1 for a WARNING."""

import json
from pathlib import Path

import pytest

from msp_core.cli import run

WRONG = {
    "a misspelt key": "[health_checks]\nattemps = 2\n",
    "a file that cannot be read": "[health_checks\n",
}


@pytest.fixture(params=WRONG)
def wrong(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace whose configuration is wrong."""
    (tmp_path / "msp-toolkit.toml").write_text(WRONG[request.param])
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("words", [("check", "--all"), ("check",), ("status",), ("status", "acme")])
def test_a_wrong_configuration_is_unknown(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Commands whose exit code is a status end with 3, and the reason stands on stderr."""
    assert run(("health", *words)) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "CONFIG_INVALID" in err


@pytest.mark.usefixtures("wrong")
def test_programs_get_the_reason_in_their_format(capsys: pytest.CaptureFixture[str]) -> None:
    """The monitoring line and the JSON stand on stdout, as for any other failure of the command."""
    assert run(("health", "status", "--as", "nagios")) == 3
    assert capsys.readouterr().out.startswith("UNKNOWN: ")
    assert run(("health", "status", "--json")) == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "CONFIG_INVALID"


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("words", [("client", "list"), ("health", "history", "acme")])
def test_other_commands_just_fail(words: tuple[str, ...]) -> None:
    """Where 1 is no status it stays 1."""
    assert run(words) == 1


def test_a_wrong_usage_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the words themselves are wrong the exit code is 64, whatever the command."""
    (tmp_path / "msp-toolkit.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert run(("health", "chekc")) == 64
    assert run(("health", "check", "--wrong")) == 64


def test_a_configuration_that_is_not_there_is_unknown() -> None:
    """So is a file that is named and does not exist."""
    assert run(("--config", "nope.toml", "health", "status")) == 3

"""What a sync says where no console is configured."""

import json
import tomllib
from pathlib import Path

import pytest

from msp_core.cli import run
from msp_core.configfile import read_file


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with nothing but this machine and a transport."""
    file = tmp_path / "msp-toolkit.toml"
    file.write_text('[adapters.jump]\nkind = "ssh"\n')
    monkeypatch.chdir(tmp_path)
    return file


def test_what_to_configure_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file, lines that can be pasted into it, the kinds there are, and what goes without."""
    assert run(("client", "sync", "--all")) == 0
    out, _ = capsys.readouterr()
    assert f"Write yours into {config}" in out
    pasted = "\n".join(line for line in out.splitlines() if line.startswith("  "))
    kind = tomllib.loads(pasted)["adapters"]["rmm"]["kind"]
    kinds = out.partition("Kinds that are installed: ")[2].partition(".")[0].split(", ")
    assert kind in kinds
    assert "ninjaone" in kinds
    assert "ssh" not in kinds
    assert "device add CLIENT NAME --via ADAPTER --address WHERE" in out


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_it_is_said_as_the_file_is_written(
    config: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    """What is to be pasted into a file of another kind fits in there."""
    config.unlink()
    file = config.with_suffix(suffix)
    file.write_text("{}")
    assert run(("client", "sync", "--all")) == 0
    out, _ = capsys.readouterr()
    (pasted,) = [line for line in out.splitlines() if line.startswith("  ")]
    file.write_text(f"{{{pasted}}}" if suffix == ".json" else pasted.strip() + "\n")
    kind = read_file(file)["adapters"]["rmm"]["kind"]
    assert kind in out.partition("Kinds that are installed: ")[2]


def test_programs_are_told_as_well(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The notes are part of the answer, and gone where a console is configured."""
    assert run(("client", "sync", "--all", "--json")) == 0
    assert str(config) in json.loads(capsys.readouterr().out)["notes"][0]
    config.write_text('[adapters.rmm]\nkind = "mock"\nclients = 1\ndevices = 1\n')
    assert run(("client", "sync", "--all", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []


def test_without_any_console_plugin_the_line_that_installs_one_is_said(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no kind is there, none is offered."""
    out_of_use = '["lab", "rmm-ninjaone", "rmm-connectwise-automate"]'
    assert run(("--set", f"plugins.disabled={out_of_use}", "client", "sync", "--all")) == 0
    out, _ = capsys.readouterr()
    assert "pip install msp-rmm-ninjaone" in out
    assert "lab up" not in out
    assert config.exists()

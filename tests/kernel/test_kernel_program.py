"""Hints name the command that runs: `msp` where that is all there is."""

import os
import subprocess
import sys
from datetime import UTC
from pathlib import Path

import pytest
from attrs import frozen

from msp_core import terminal
from msp_core.display import Column, Display, Listing
from msp_core.errors import NotFound
from msp_core.output import Format, render
from msp_core.program import program_name, typed


@frozen
class Row:
    """A row with something to do about it."""

    fix: str

    DISPLAY = Display(columns=(Column("fix"),), empty="Run: msp-toolkit doctor")


@pytest.mark.parametrize(
    ("started", "name"),
    [
        ("/venv/bin/msp", "msp"),
        ("msp.exe", "msp"),
        ("/venv/bin/msp-toolkit", "msp-toolkit"),
        ("/lib/msp_core/__main__.py", "msp-toolkit"),
        ("", "msp-toolkit"),
    ],
)
def test_the_program_knows_its_name(
    started: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who types `msp` is told to type it."""
    monkeypatch.setattr(sys, "argv", [started])
    assert program_name() == name
    assert typed("Run 'msp-toolkit init' here, or: msp-toolkit db status") == (
        f"Run '{name} init' here, or: {name} db status"
    )
    assert typed("pip install msp-toolkit (see /opt/msp-toolkit x)") == (
        "pip install msp-toolkit (see /opt/msp-toolkit x)"
    )


def test_hints_of_all_kinds_are_spelt_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors on every surface, warnings, talk, notes and the words for nothing; what is in a cell is data."""
    monkeypatch.setattr(sys, "argv", ["/venv/bin/msp"])
    hint = "Run: msp-toolkit doctor"
    error = NotFound(hint, suggestion=hint)
    terminal.say_error(error, sys.stderr)
    terminal.warn(hint)
    terminal.say(hint)
    said = capsys.readouterr().err + str(error.as_dict())
    for items in ((), (Row(hint),)):
        listed = Listing(items=items, total=len(items), notes=(hint,))
        said += render(listed, Format.TABLE, zone=UTC, row_type=Row)
        said += render(items, Format.TABLE, zone=UTC, row_type=Row)
    assert said.count("Run: msp doctor") == 9
    assert said.count("Run: msp-toolkit doctor") == 2


def test_msp_alone_names_itself(tmp_path: Path) -> None:
    """Started as `msp`, the program's errors and help say `msp`."""
    program = tmp_path / "msp"
    program.write_text("from msp_core.__main__ import main\nmain()\n", encoding="utf-8")

    def run(*words: str, config: str = "") -> str:
        done = subprocess.run(
            [sys.executable, str(program), "--safe-mode", *words],
            cwd=tmp_path,
            env={**os.environ, "MSP_CONFIG": config},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    assert "'msp init'" in run("doctor", config="nowhere.toml")
    assert "'msp init'" in run("doctor")
    assert "Example: msp credential set" in run("credential", "set", "--help")

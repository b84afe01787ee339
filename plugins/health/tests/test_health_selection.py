"""Which clients a sweep takes, and what is said when there is none."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

Msp = Callable[..., tuple[str, str]]


@pytest.fixture
def msp(msp_workspace: Path, msp: Msp) -> Msp:
    """Run command lines where there are two clients, of other tiers and tags."""
    (msp_workspace / "msp-toolkit.toml").write_text("")
    msp("client", "add", "--name", "Acme", "--tier", "gold", "--tag", "hipaa")
    msp("client", "add", "--name", "Bolt", "--tag", "pci")
    return msp


def runs(folder: Path) -> int:
    """Count the runs that are recorded."""
    (file,) = folder.rglob("*.db")
    with sqlite3.connect(file) as db:
        return int(db.execute("SELECT count(*) FROM health_runs").fetchone()[0])


@pytest.mark.parametrize("command", ["check", "status"])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--tag", "hipa"), "with the tag 'hipa'. [NOT_FOUND]\n  Did you mean 'hipaa'? Tags of"),
        (("--tag", "zzz"), "Tags of clients: hipaa, pci."),
        (("--tier", "premium"), "of tier premium. [NOT_FOUND]\n  Tiers of clients: bronze, gold."),
        (("--tier", "bronze", "--tag", "hipaa"), "of tier bronze with the tag 'hipaa'"),
    ],
)
def test_a_selection_of_nobody_is_said_and_not_recorded(
    msp: Msp, tmp_path: Path, command: str, words: tuple[str, ...], says: str
) -> None:
    """It is UNKNOWN, names what there is, and leaves no empty run behind."""
    out, err = msp("health", command, *words, code=3)
    assert out == ""
    assert says in err
    assert runs(tmp_path) == 0


def test_a_selection_of_somebody_is_a_run(msp: Msp, tmp_path: Path) -> None:
    """A tag in any case that some client has selects that one."""
    out, _ = msp("health", "check", "--tag", "HIPAA", "--json", code=3)
    assert json.loads(out)["clients"] == 1
    assert runs(tmp_path) == 1


def test_of_many_names_none_is_left_out_unsaid(msp: Msp) -> None:
    """Who was never checked, or is left out, is named or counted."""
    for number in range(7):
        msp("client", "add", "--name", f"Idle {number}")
        msp("client", "update", f"idle-{number}", "--status", "inactive")
    out, _ = msp("health", "status", code=3)
    assert "inactive: idle-0, idle-1, idle-2, idle-3, idle-4 and 2 more." in out
    told = json.loads(msp("health", "check", "--all", "--json", code=3)[0])["notes"]
    assert "Not checked, because inactive: idle-0, idle-1, idle-2, idle-3, idle-4 and 2 more." in (
        told
    )
    for number in range(7):
        msp("client", "update", f"idle-{number}", "--status", "active")
    out, _ = msp("health", "status", code=3)
    assert "Never checked: acme, bolt, idle-0, idle-1, idle-2 and 4 more." in out

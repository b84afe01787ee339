"""A plugin out of use takes nothing with it: its sections and adapters are set aside, and it can be taken out."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msp_core.testing import Done, run_cli

sys.path.insert(0, str(Path(__file__).parent))
from fakes import GOOD_TOOL, install, on_path

GUARD = """
from msp_core.v1 import Service, StoreError, hookimpl

@hookimpl
def msp_services():
    yield Service(type="msp_core.protocols:Guard", factory="{package}.plugin:create")

async def create(toolkit):
    raise StoreError("The tables of {id} are not there.", suggestion="Mend them.")
"""
BROKEN = "raise ImportError('no luck')"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed distributions, the only ones there are."""
    folder = tmp_path / "site"
    install(folder, "good", GOOD_TOOL)
    monkeypatch.setattr("msp_core.discovery.search_path", lambda: [str(folder)])
    with on_path(folder):
        yield folder


@pytest.fixture
def cli(site: Path, tmp_path: Path) -> Callable[..., Done]:
    """Command lines in a workspace."""
    work = tmp_path / "work"
    work.mkdir()
    assert run_cli("init", cwd=work).code == 0
    return lambda *words: run_cli(*words, cwd=work)


def own(tmp_path: Path, text: str) -> None:
    """Add something to the configuration."""
    more = tmp_path / "work" / "config" / "conf.d" / "more.toml"
    more.parent.mkdir(exist_ok=True)
    more.write_text(text)


OURS = '[acme_notes]\nfolder = "notes"\n[adapters.ours]\nkind = "acme-notes"\n'


def test_safe_mode_calls_no_section_wrong(cli: Callable[..., Done], tmp_path: Path) -> None:
    """Without plugins nobody knows their sections and kinds; doctor says so once, and finds no mistake."""
    own(tmp_path, OURS + "[mcp]\nport = 1\n")
    done = cli("--safe-mode", "doctor", "--json")
    assert done.code == 1
    assert "critical" not in done.out
    assert "no plugin is loaded, so these are not checked: acme_notes, " in done.out
    assert "there is no adapter 'acme-notes'" in done.out


@pytest.mark.parametrize("out", ["broken", "disabled", "not allowed"])
def test_what_a_plugin_out_of_use_owns_stops_nobody(
    cli: Callable[..., Done], site: Path, tmp_path: Path, out: str
) -> None:
    """Its section and its adapters are named in warnings, and other commands work."""
    install(site, "acme-notes", BROKEN, distribution="acme-notes")
    words = {
        "broken": (),
        "disabled": ("--set", 'plugins.disabled=["acme-notes"]'),
        "not allowed": ("--set", 'plugins.allow=["msp-good"]'),
    }[out]
    own(tmp_path, OURS)
    done = cli(*words, "good", "hello")
    assert done.code == 0, done.err
    assert "acme_notes: unknown section" in done.err
    assert "there is no adapter 'acme-notes'" in done.err
    assert "disabled or failed: acme-notes" in done.err


def test_a_misspelt_section_is_wrong_all_the_same(
    cli: Callable[..., Done], site: Path, tmp_path: Path
) -> None:
    """That some plugin is out of use does not excuse a mistake."""
    install(site, "sad", BROKEN)
    own(tmp_path, '[generl]\ncompany_name = "x"\n')
    done = cli("good", "hello")
    assert done.code == 1
    assert "did you mean 'general'?" in done.err


def test_a_section_nobody_could_own_is_wrong(cli: Callable[..., Done], tmp_path: Path) -> None:
    """Where every plugin is in use, an unknown section stops every start."""
    own(tmp_path, "[acme_notes]\n")
    assert "acme_notes: unknown section" in cli("good", "hello").err


def test_a_plugin_that_breaks_every_change_can_be_taken_out(
    cli: Callable[..., Done], site: Path
) -> None:
    """Access control whose tables are gone stops changes, but not `plugin disable`, nor the way back."""
    install(site, "access", GUARD, distribution="access")
    assert "The tables of access are not there." in cli("credential", "set", "a", "b").err
    done = cli("plugin", "disable", "access")
    assert (done.code, done.out) == (0, "access is disabled.\n")
    assert "in no audit trail: The tables of access are not there." in done.err
    assert cli("plugin", "enable", "access").out == "access is enabled.\n"


def test_access_control_that_cannot_be_loaded_can_be_taken_out(
    cli: Callable[..., Done], site: Path
) -> None:
    """It stops changes so that nobody is free by breaking it; the local user may still take it out."""
    install(site, "access", BROKEN, distribution="access")
    assert "failed to load" in cli("credential", "set", "a", "b").err
    assert cli("plugin", "disable", "access").out == "access is disabled.\n"


def test_a_mistake_is_answered_as_ever(cli: Callable[..., Done], site: Path) -> None:
    """An unknown id is not blamed on the audit trail."""
    install(site, "access", GUARD, distribution="access")
    done = cli("plugin", "disable", "god")
    assert done.code == 1
    assert "audit" not in done.err

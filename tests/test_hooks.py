"""Every hook is used by a first-party plugin, gives what it says, and stops nobody when one plugin breaks it."""

import inspect
import re
import sys
from pathlib import Path

import pytest

from msp_core import hookspecs
from msp_core.catalog import COMMANDS
from msp_core.discovery import discover
from msp_core.hookspecs import HOOKS, SINCE, record_of
from msp_core.records import Tool
from msp_core.registry import Registry
from msp_core.schema import cli_path
from scripts.hookspecs import users_of

sys.path.insert(0, str(Path(__file__).parent / "kernel"))
from fakes import install, on_path

RAISES = (
    "from msp_core.v1 import hookimpl\n@hookimpl\ndef {hook}():\n    raise RuntimeError('boom')\n"
)
FOREIGN = "from msp_core.v1 import hookimpl\n@hookimpl\ndef {hook}():\n    return [object()]\n"


@pytest.fixture(scope="module")
def installed() -> Registry:
    """The plugins of this environment."""
    candidates, failures = discover()
    return Registry(candidates, failures=failures)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_a_first_party_user(hook: str, installed: Registry) -> None:
    """No hook ships that nobody uses: each is implemented here, and yields records of its kind."""
    assert users_of(hook)
    records: tuple[object, ...] = installed.records(record_of(hook))
    assert records
    assert all(type(one) is record_of(hook) for one in records)
    assert {installed.plugin_of(one) for one in records} >= {
        "builtin" if user == "kernel" else user for user in users_of(hook)
    }


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize(("source", "stage"), [(RAISES, "hook"), (FOREIGN, "record")])
def test_a_hook_that_breaks_stops_nobody(
    hook: str, source: str, stage: str, tmp_path: Path
) -> None:
    """Whichever hook raises or returns something else: its plugin is set aside, the others' records stay."""
    site = tmp_path / "site"
    install(site, "breaks", source.replace("{hook}", hook))
    with on_path(site):
        candidates, failures = discover(path=[str(site), *sys.path])
        registry = Registry(candidates, failures=failures)
        records: tuple[object, ...] = registry.records(record_of(hook))
        assert (registry.failures["breaks"].stage, bool(records)) == (stage, True)
        assert hook in registry.failures["breaks"].reason


def test_every_hook_says_since_when() -> None:
    """The document names a version for each hook."""
    assert set(SINCE) == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_when_and_what_an_exception_does(hook: str) -> None:
    """A hook's text tells its author when it is called, and what becomes of an exception in what its records name."""
    text = inspect.getdoc(getattr(hookspecs, hook)) or ""
    prose = text.partition("```")[0]
    assert "Called " in prose
    assert re.search(r"exception|refuses|raises", prose)


def test_the_catalog_knows_every_command_of_ours(installed: Registry) -> None:
    """Whoever asks for a command of a plugin that is not installed is told which it is."""
    tools = {one for one in installed.records(Tool) if installed.plugin_of(one) != "builtin"}
    words = {cli_path(one).split()[0] for one in tools} | {one.name.split(".")[0] for one in tools}
    kernels = {cli_path(one).split()[0] for one in set(installed.records(Tool)) - tools}
    assert words - kernels <= set(COMMANDS)
    for word, distribution in COMMANDS.items():
        owner = distribution.removeprefix("msp-")
        brought = {cli_path(one).split()[0] for one in tools if installed.plugin_of(one) == owner}
        assert word in brought, f"{distribution} brings no command {word!r}"


def test_summaries_of_commands_are_written_alike(installed: Registry) -> None:
    """In a list they stand below each other: none ends with a full stop."""
    assert [one.name for one in installed.records(Tool) if one.summary.endswith(".")] == []

"""The other conformance classes catch what they are for: each broken plugin fails the case named for it."""

# ruff: noqa: E501 - the table of breakages has one line each

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msp_core.testing import toolkit_for
from msp_core.testing.conformance import (
    CheckConformance,
    McpConformance,
    PluginConformance,
    SecretProviderConformance,
    SourceConformance,
    ToolConformance,
)
from msp_core.testing.conformance.adapter import Asked
from msp_core.testing.conformance.secret import Surroundings
from msp_core.testing.nouns import fake_device
from msp_core.testing.subject import _installed, _needs
from msp_core.v1 import Target

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
from catching import fails
from fakes import install, on_path

CHECK = """
from msp_core.v1 import *
from msp_core.v1 import Check, CpuFacts, hookimpl

@hookimpl
def msp_checks():
    yield Check(id="{id}", title="T", needs=(CpuFacts,), limits="{package}.work:Limits", evaluate="{package}.work:evaluate")
"""
CHECK_WORK = """
import random
from typing import Annotated
from attrs import frozen
from msp_core.v1 import CpuFacts, Doc, Metric, Status, Verdict

@frozen(kw_only=True)
class Limits:
    critical_percent: Annotated[float, Doc("From here on critical.")] = 90.0

def evaluate(cpu, *, limits, previous=None):
    used = cpu.used_percent
    if used is None:
        return Verdict(Status.UNKNOWN, "not known")
    bad = used >= limits.critical_percent
    return Verdict(Status.CRITICAL if bad else Status.OK, f"{used:.0f} % busy", (Metric("used", used, "%"),), {"used": used})
"""
TOOL = """
from msp_core.v1 import Effect, Tool, hookimpl

@hookimpl
def msp_tools():
    yield Tool(name="{id}.greet", run="{package}.work:greet", summary="Greet.", effect=Effect.READ)
"""
TOOL_WORK = """
from typing import Annotated
from msp_core.v1 import Context, Doc

async def greet(ctx: Context, name: Annotated[str, Doc("Who.")]) -> str:
    '''Greet somebody.'''
    return f"Hello {name}"
"""
SOURCE = """
from msp_core.v1 import CpuFacts, Source, hookimpl

@hookimpl
def msp_sources():
    yield Source(id="{id}", facts=(CpuFacts,), read="{package}.work:read")
"""
SOURCE_WORK = """
from datetime import datetime, UTC
from msp_core.v1 import CpuFacts, MemoryFacts, Missing, Observation

async def read(ctx, adapter, query):
    for target in query.targets:
        yield Observation(device_id=target.device.id, fact=CpuFacts(used_percent=1.0), source="s", observed_at=ctx.now())
"""
SECRETS = """
from msp_core.v1 import SecretProvider, hookimpl

@hookimpl
def msp_secret_providers():
    yield SecretProvider(scheme="{id}", title="T", factory="{package}.work:create")
"""
SECRETS_WORK = """
import base64, json, os

def create(env):
    return Store(env.state_dir / "secrets.json")

class Store:
    def __init__(self, path): self.path = path
    def _load(self): return json.loads(self.path.read_text()) if self.path.exists() else {}
    def _save(self, held):
        self.path.touch(0o600)
        self.path.write_text(json.dumps(held))
    def get(self, name):
        value = self._load().get(name)
        return None if value is None else base64.b64decode(value).decode()
    def set(self, name, value):
        self._save({**self._load(), name: base64.b64encode(value.encode()).decode()})
    def delete(self, name):
        held = self._load()
        there = held.pop(name, None) is not None
        self._save(held)
        return there
    def names(self): return tuple(self._load())
"""
MCP = """
from msp_core.v1 import McpPrompt, McpResource, hookimpl

@hookimpl
def msp_mcp_resources():
    yield McpResource(name="note", title="N", uri="acme://notes/{" + "id}", run="{package}.work:note", summary="S",
                      complete="{package}.work:complete")
    yield McpResource(name="all", title="N", uri="acme://notes", run="{package}.work:notes", summary="S")

@hookimpl
def msp_mcp_prompts():
    yield McpPrompt(name="tidy", title="T", run="{package}.work:tidy", summary="S")
"""
MCP_WORK = """
from typing import Annotated
from msp_core.v1 import Context, Doc, NotFound

NOTES = {"a": "milk"}

async def note(ctx: Context, id: str) -> dict[str, str]:
    '''Read a note.'''
    if id not in NOTES:
        raise NotFound("There is no such note.", suggestion="Read acme://notes.")
    return {"text": NOTES[id]}

async def notes(ctx: Context) -> dict[str, str]:
    '''Read all notes.'''
    return NOTES

async def complete(ctx: Context, argument: str, value: str) -> list[str]:
    '''Complete an id.'''
    return [one for one in NOTES if one.startswith(value)]

async def tidy(ctx: Context, *, how: Annotated[str, Doc("How.")] = "well") -> str:
    '''Tidy up.'''
    return f"Tidy up the notes {how}."
"""
KINDS: dict[type[PluginConformance], tuple[str, str]] = {
    CheckConformance: (CHECK.replace("from msp_core.v1 import *\n", ""), CHECK_WORK),
    ToolConformance: (TOOL, TOOL_WORK),
    SourceConformance: (SOURCE, SOURCE_WORK),
    SecretProviderConformance: (SECRETS, SECRETS_WORK),
    PluginConformance: (TOOL, TOOL_WORK),
    McpConformance: (MCP, MCP_WORK),
}
P, C, T, S, K, M = (
    PluginConformance, CheckConformance, ToolConformance, SourceConformance, SecretProviderConformance, McpConformance,
)  # fmt: skip
BROKEN: list[tuple[type[PluginConformance], str, str, str]] = [
    (P, "it_loads", "yield Tool(", "raise ValueError('no'); yield Tool("),
    (P, "it_loads", "@hookimpl", ""),
    (P, "it_offers_something", "    yield Tool(", "    return\n    yield Tool("),
    (P, "its_ids_are_its_own", 'name="{id}.greet"', 'name="health.check"'),
    (P, "plugin_module_imports_the_contract_alone", "@hookimpl", "import attrs\n@hookimpl"),
    (P, "hooks_say_the_same_twice", "yield Tool(", "import random\n    yield Tool(example=str(random.random()),"),
    (P, "every_reference_leads_somewhere", "work:greet", "work:nowhere"),
    (P, "it_uses_the_contract_of_the_kernel", "from typing import", "from msp_core.toolkit import Toolkit\nfrom typing import"),
    (P, "it_declares_what_it_imports", "from typing import", "from msp_http.api import HttpClients\nfrom typing import"),
    (P, "tools_name_their_effect_and_say_what_they_do", "'''Greet somebody.'''", ""),
    (P, "records_are_described", 'summary="Greet."', 'summary="Greet.\\nTwice."'),
    (C, "limits_have_defaults_and_texts", " = 90.0", ""),
    (C, "limits_have_defaults_and_texts", 'Annotated[float, Doc("From here on critical.")]', "float"),
    (C, "evaluate_takes_its_needs", "(cpu, *,", "(cpu, memory, *,"),
    (C, "evaluate_takes_its_needs", "def evaluate", "async def evaluate"),
    (C, "nothing_known_is_never_ok", "Status.UNKNOWN", "Status.OK"),
    (C, "any_facts_give_a_verdict", "if used is None:", "if False:"),
    (C, "any_facts_give_a_verdict", "% busy", "%\\nbusy"),
    (C, "any_facts_give_a_verdict", 'Metric("used", used, "%")', 'Metric("used", float("nan"), "%")'),
    (C, "the_same_facts_give_the_same_verdict", "used = cpu.used_percent", "used = random.random()"),
    (C, "rubbish_from_before_is_survived", "used = cpu.used_percent", 'used = cpu.used_percent\n    previous and previous.data["used"]'),
    (T, "signatures_can_be_read", 'Annotated[str, Doc("Who.")]', "str"),
    (T, "docstrings_are_for_people", "Greet somebody.", "greets"),
    (T, "the_calls_work", "return f", "raise RuntimeError('no')\n    return f"),
    (T, "reading_leaves_nothing", "return f", "(ctx.toolkit.root / 'trace').touch()\n    return f"),
    (T, "a_dry_run_leaves_nothing", "return f", "(ctx.toolkit.root / 'trace').touch()\n    return f"),
    (S, "it_gives_the_kinds_it_declares", "CpuFacts(used_percent=1.0)", "MemoryFacts(total_bytes=1, available_bytes=1)"),
    (S, "it_answers_about_the_devices_asked_for", "device_id=target.device.id", "device_id='acme/else'"),
    (S, "times_are_aware", "observed_at=ctx.now()", "observed_at=datetime.now()"),
    (S, "each_fact_comes_once", "query.targets:", "(*query.targets, *query.targets):"),
    (S, "it_yields_what_a_source_yields", "yield Observation", "yield 3\n        yield Observation"),
    (S, "something_is_observed", "query.targets:", "():"),
    (S, "asked_about_nobody_it_says_nothing", "for target in", "yield Missing(device_id='x', fact_id='cpu', source='s', reason='r')\n    for target in"),
    (K, "what_is_not_there_is_none", "return None if value is None else", "return 'x' if value is None else"),
    (K, "what_is_stored_is_found", "value.encode()", "value.encode('ascii', 'replace')"),
    (K, "it_is_deleted", "return there", "return True"),
    (K, "it_is_replaced", "{**self._load(), name: base64.b64encode(value.encode()).decode()}", "{name: base64.b64encode(value.encode()).decode(), **self._load()}"),
    (K, "names_are_names", "tuple(self._load())", "tuple(map(self.get, self._load()))"),
    (K, "files_are_private", "0o600", "0o644"),
    (K, "building_it_does_nothing", "self.path = path", "self.path = path; self._save({})"),
    (K, "it_shows_no_value", "def names", "def __repr__(self): return str({n: self.get(n) for n in self._load()})\n    def names"),
    (K, "it_is_durable", "self.path = path", "self.path = path.with_name(str(id(self)))"),
    (M, "there_is_a_resource_or_a_prompt", "@hookimpl", ""),
    (M, "variables_are_parameters", "note(ctx: Context, id: str", "note(ctx: Context, number: str"),
    (M, "variables_are_parameters", "id: str", "id: int"),
    (M, "a_uri_is_of_one_resource", 'uri="acme://notes",', 'uri="acme://notes/{" + "word}",'),
    (M, "arguments_are_described", 'Annotated[str, Doc("How.")]', "str"),
    (M, "resources_can_be_read", "return NOTES\n", "return 'no JSON'\n"),
    (M, "prompts_say_something", 'return f"Tidy up the notes {how}."', 'return ""'),
    (M, "prompts_say_something", 'return f"Tidy up the notes {how}."', 'return [{"role": "boss", "content": "x"}]'),
    (M, "rubbish_is_refused_or_answered", "if id not in NOTES:", "if False:"),
    (M, "unknown_arguments_are_refused", "tidy(ctx: Context, *, how", "tidy(ctx: Context, *, no_such_argument: str = '', how"),
    (M, "completions_are_texts", "return [one for", "return [1 for"),
    (M, "completions_are_texts", "return [one for one in NOTES if one.startswith(value)]", "return [value[0]]"),
    (M, "completions_are_texts", "return [one for one in NOTES if one.startswith(value)]", "return ['x'] * 500"),
    (K, "values_do_not_lie_about_in_the_clear", "self.path.write_text(json.dumps(held))", "self.path.write_text(json.dumps(held)); (self.path.parent / 'log').write_text(str({k: base64.b64decode(v) for k, v in held.items()}))"),
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder of installed distributions, forgotten afterwards."""
    folder = tmp_path / "site"
    with on_path(folder):
        yield folder
    _installed.cache_clear()
    _needs.cache_clear()


def put(site: Path, class_: type[PluginConformance], old: str, new: str) -> None:
    """Install a plugin of the kind a class is about, with one thing replaced."""
    plugin, work = KINDS[class_]
    assert old in plugin + work
    package = install(site, "odd", plugin.replace(old, new))
    source = work.replace(old, new)
    (site / package / "work.py").write_text(source)
    _installed.cache_clear()
    _needs.cache_clear()


def run(class_: type[PluginConformance], case: str, folder: Path) -> None:
    """Run one case of a class as pytest would."""
    made: Any = type("Cases", (class_,), {"plugin": "odd", "calls": {"odd.greet": {"name": "A"}}})()
    method = getattr(made, f"test_{case}")
    wants = method.__code__.co_varnames[: method.__code__.co_argcount]
    folder.mkdir()
    if "asked" in wants:
        asyncio.run(_asked(method, folder))
    elif "place" in wants:
        method(Surroundings(state_dir=folder))
    elif "tmp_path" in wants:
        method(folder)
    else:
        method()


async def _asked(method: Any, folder: Path) -> None:
    async with toolkit_for("odd", folder) as toolkit:
        targets = (Target(fake_device(), None), Target(fake_device("OTHER"), None))
        await method(Asked(toolkit=toolkit, ctx=toolkit.context(), adapter=None, targets=targets))


@pytest.mark.parametrize(
    ("class_", "case", "old", "new"),
    BROKEN,
    ids=[f"{class_.__name__}-{case}-{n}" for n, (class_, case, _, _) in enumerate(BROKEN)],
)
def test_a_broken_plugin_is_caught(
    site: Path, tmp_path: Path, class_: type[PluginConformance], case: str, old: str, new: str
) -> None:
    """The case fails with the broken plugin."""
    put(site, class_, old, new)
    with fails():
        run(class_, case, tmp_path / "state")


REFERENCES = [(C, "work:evaluate"), (C, "work:Limits"), (T, "work:greet"), (S, "work:read"), (K, "work:create"), (M, 'work:note"')]  # fmt: skip


@pytest.mark.parametrize(("class_", "reference"), REFERENCES, ids=str)
def test_a_wrong_reference_fails_one_case(
    site: Path, tmp_path: Path, class_: type[PluginConformance], reference: str
) -> None:
    """The others that would need it are skipped: one mistake is one failure to read."""
    put(site, class_, reference, reference.replace("work:", "work:no_"))
    module = tmp_path / "test_cases.py"
    module.write_text(
        f"from msp_core.testing.conformance import {class_.__name__}\n"
        f"class TestOdd({class_.__name__}):\n    plugin = 'odd'\n    calls = {{'odd.greet': {{'name': 'A'}}}}\n"
    )
    (tmp_path / "none.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider",
         "-c", "none.ini", "--deselect", "test_cases.py::TestOdd::test_the_package_is_typed",
         "--deselect", "test_cases.py::TestOdd::test_the_distribution_describes_itself", module.name],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert [line.split("::")[2].split()[0] for line in failed] == [
        "test_every_reference_leads_somewhere"
    ]
    assert " skipped" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("class_", "case"), sorted({(one[0], one[1]) for one in BROKEN}, key=lambda one: (one[0].__name__, one[1])),
)  # fmt: skip
def test_a_sound_plugin_passes(
    site: Path, tmp_path: Path, class_: type[PluginConformance], case: str
) -> None:
    """The same case passes with the plugin as it was, so it is the breakage that is caught."""
    put(site, class_, "import", "import")
    run(class_, case, tmp_path / "state")


def test_a_requirement_that_is_not_met_is_caught(site: Path, tmp_path: Path) -> None:
    """What is not installed is named with the command that installs it; with none to meet the case passes."""
    put(site, P, "import", "import")
    run(P, "its_requirements_are_met", tmp_path / "good")
    with (site / "msp_odd-1.0.dist-info" / "METADATA").open("a") as file:
        file.write("Requires-Dist: no-such-thing>=1\n")
    with pytest.raises(AssertionError, match="pip install 'no-such-thing>=1'"):
        run(P, "its_requirements_are_met", tmp_path / "broken")

"""`plugin verify`: hold an installed plugin against the cases of its kinds."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar
from xml.etree import ElementTree as ET

import attrs

from msp_core.hookspecs import HOOKS, record_of
from msp_core.testing.authoring import require_kit
from msp_core.v1 import (
    Adapter,
    Check,
    Column,
    Context,
    Display,
    Doc,
    McpPrompt,
    McpResource,
    Mode,
    NotSupported,
    Param,
    PluginError,
    Role,
    SecretProvider,
    Source,
    Status,
    Tool,
    worst,
)

_VERIFY_SECONDS = 600
_PREFIX = re.compile(r"(AssertionError|msp_core\.errors\.\w+): ")


@attrs.frozen(kw_only=True)
class Case:
    """One case and how it went."""

    case: str
    outcome: Status
    reason: str = ""


@attrs.frozen(kw_only=True)
class Verdicts:
    """What the cases say about a plugin. Rows are those that did not pass."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("case"), Column("outcome"), Column("reason")),
        rows="rows",
        summary=lambda verdicts: verdicts.text(),
        empty="Every case passed.",
    )

    plugin: str
    classes: tuple[str, ...]
    passed: int
    skipped: int
    rows: tuple[Case, ...]

    @property
    def exit_code(self) -> int:
        """0 when every case passed, 2 for failures, 3 where something could not be tried."""
        return worst(row.outcome for row in self.rows).exit_code if self.rows else 0

    def text(self) -> str:
        """Say in one line how it went."""
        failed = sum(row.outcome is Status.CRITICAL for row in self.rows)
        word = f"{failed} FAILED, " if failed else "conforms: " if not self.rows else ""
        skipped = f", {self.skipped} do not apply" if self.skipped else ""
        return (
            f"{self.plugin} {word}{self.passed} cases passed{skipped} ({', '.join(self.classes)})"
        )


async def verify(ctx: Context, id: Annotated[str, Doc("Plugin id."), Param(arg=True)]) -> Verdicts:
    """Hold an installed plugin against the cases of its kinds."""
    import asyncio

    del ctx
    require_kit()
    source, classes, untried = _cases(id)
    ran = await asyncio.to_thread(_run, source)
    passed = sum(outcome is None for _, outcome, _ in ran)
    skipped = sum(outcome is Status.UNKNOWN for _, outcome, _ in ran)
    # A plugin of several kinds meets the cases of all plugins with each of them: once is enough to read
    failed = dict.fromkeys(
        Case(case=name, outcome=outcome, reason=reason)
        for name, outcome, reason in ran
        if outcome is Status.CRITICAL
    )
    return Verdicts(
        plugin=id, classes=classes, passed=passed, skipped=skipped, rows=(*failed, *untried)
    )


def _cases(id: str) -> tuple[str, tuple[str, ...], list[Case]]:
    """Return a test module for a plugin, the classes in it, and what cannot be tried."""
    from msp_core.testing.subject import registry_for

    registry = registry_for(id)
    if registry.is_kernels(id):
        message = (
            f"{id!r} comes with the kernel, and the cases are for plugins that come by themselves."
        )
        raise NotSupported(message, suggestion="Name another; see: msp-toolkit plugin list")
    registry.load_all()
    offered: dict[type[Any], list[Any]] = {}
    for kind in map(record_of, HOOKS):
        records: tuple[Any, ...] = registry.records(kind)
        offered[kind] = [one for one in records if registry.plugin_of(one) == id]
    untried: list[Case] = []
    parts = list(_parts(offered, untried))
    classes = tuple(dict.fromkeys(class_ for class_, _ in parts))
    lines = [f"from msp_core.testing.conformance import {', '.join(sorted(classes))}"]
    for number, (class_, body) in enumerate(parts):
        lines += [f"class Test{number}({class_}):", f"    plugin = {id!r}"]
        lines += [f"    {line}" for line in body]
    return "\n".join(lines), classes, untried


def _parts(
    offered: dict[type[Any], list[Any]], untried: list[Case]
) -> Iterator[tuple[str, list[str]]]:
    found = False
    for kind, class_ in (
        (Check, "CheckConformance"),
        (Tool, "ToolConformance"),
        (SecretProvider, "SecretProviderConformance"),
    ):
        if offered[kind]:
            found = True
            yield class_, []
    if offered[McpResource] or offered[McpPrompt]:
        found = True
        yield "McpConformance", []
    for class_ in _sources(offered[Source], None):
        found = True
        yield class_, []
    for adapter in offered[Adapter]:
        cases = _ADAPTERS.get(adapter.role)
        if cases is None:
            continue  # there are no cases for this role yet
        body = _backend(adapter.id)
        if body is None:
            reason = "no backend: declare one as entry point msp_toolkit.backends"
            untried.append(
                Case(case=f"adapter {adapter.id}", outcome=Status.UNKNOWN, reason=reason)
            )
            continue
        found = True
        for class_ in (cases, *_sources(offered[Source], adapter.id)):
            yield class_, [f"kind = {adapter.id!r}", *body]
    if not found:
        yield "PluginConformance", []


_ADAPTERS = {
    Role.RMM: "RmmAdapterConformance",
    Role.HOST: "MachineConformance",
    Role.TRANSPORT: "MachineConformance",
}


def _sources(offered: Sequence[Source], adapter: str | None) -> Iterator[str]:
    """Yield the classes for the sources of an adapter kind, or of none."""
    modes = {one.mode for one in offered if one.adapter == adapter}
    if modes - {Mode.PROBE}:
        yield "SourceConformance"
    if Mode.PROBE in modes:
        yield "ProbeSourceConformance"


def _backend(kind: str) -> list[str] | None:
    from importlib_metadata import entry_points

    for point in entry_points(group="msp_toolkit.backends", name=kind):
        module, _, name = point.value.partition(":")
        return [f"from {module} import {name} as backend"]
    return None


def _run(source: str) -> list[tuple[str, Status | None, str]]:
    """Run a test module in a process of its own; return each case with None (passed), CRITICAL or UNKNOWN (skipped)."""
    with tempfile.TemporaryDirectory() as folder:
        path, report = Path(folder) / "test_verify.py", Path(folder) / "report.xml"
        path.write_text(source, encoding="utf-8")
        words = [
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            folder,
            "-c",
            "none.ini",
        ]
        (Path(folder) / "none.ini").write_text("[pytest]\n", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, *words, f"--junitxml={report}", str(path)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_VERIFY_SECONDS,
            check=False,
        )
        if not report.exists():
            message = f"The cases could not be run: {(done.stderr or done.stdout)[-400:].strip()}"
            raise PluginError(message, suggestion="Run 'msp-toolkit plugin list' for the reason.")
        # Written by our own pytest a moment ago, so not somebody else's XML
        tree = ET.parse(report)  # noqa: S314
    return [_outcome(case) for case in tree.iter("testcase")]


def _outcome(case: ET.Element) -> tuple[str, Status | None, str]:
    name = case.get("name", "").removeprefix("test_").replace("_", " ")
    bad = case.find("failure")
    if bad is None:
        bad = case.find("error")
    if bad is not None:
        reason = _PREFIX.sub("", (bad.get("message") or "").splitlines()[0])
        return name, Status.CRITICAL, reason[:300]
    skipped = case.find("skipped")
    if skipped is not None:
        return name, Status.UNKNOWN, skipped.get("message", "")
    return name, None, ""

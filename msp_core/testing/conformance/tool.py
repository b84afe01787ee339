"""Cases of tools: a signature every surface can offer, refusals that explain, no traces of calls that only read."""

import asyncio
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from msp_core.errors import InvalidParameters, MspError
from msp_core.records import Effect, Surface, Tool
from msp_core.schema import cli_path, json_schema, parameters
from msp_core.structure import plain
from msp_core.testing.commandline import run_cli
from msp_core.testing.conformance.plugin import PluginConformance
from msp_core.testing.subject import toolkit_for


class ToolConformance(PluginConformance):
    """What every tool must do. `calls` are arguments to try, by tool name: `{"acme.hello": {"name": "World"}}`."""

    calls: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    config: ClassVar[Mapping[str, Any]] = {}

    def _tools(self) -> list[Tool]:
        return [one for one in self._records() if isinstance(one, Tool)]

    def test_there_is_a_tool(self) -> None:
        """The plugin offers a tool, and `calls` names tools it has."""
        known = {one.name for one in self._tools()}
        assert known, "the plugin offers no tool"
        assert set(self.calls) <= known, f"no such tool: {sorted(set(self.calls) - known)}"

    def test_signatures_can_be_read(self) -> None:
        """Every parameter has a type and a text, and becomes a JSON Schema."""
        registry = self._loaded()
        for tool in self._tools():
            for one in parameters(registry.load(tool.run)):
                assert one.doc, f"{tool.name}: parameter {one.name} has no Doc"
                json.dumps(json_schema(one.type))

    def test_help_says_what_the_summary_says(self) -> None:
        """`--help` works for every tool of the command line, and begins with its summary."""
        for tool in self._tools():
            if Surface.CLI in tool.surfaces:
                done = run_cli(*cli_path(tool).split(), "--help")
                assert done.code == 0, done.err
                said = "".join(done.out.split())  # lines are broken between words, and at hyphens
                summary = "".join(tool.summary.split()).rstrip(".")
                assert summary in said, f"{tool.name}: --help does not say {tool.summary!r}"

    def test_docstrings_are_for_people(self) -> None:
        """The first line of the docstring is a sentence."""
        registry = self._loaded()
        for tool in self._tools():
            first = (inspect.getdoc(registry.load(tool.run)) or "").splitlines()[0]
            assert first.endswith((".", "?")), f"{tool.run}: {first!r} is no sentence"

    def test_unknown_arguments_are_refused(self, tmp_path: Path) -> None:
        """An argument nobody declared is refused with the known ones, before anything runs."""
        for tool in self._tools():
            with pytest.raises(InvalidParameters) as caught:
                self._call(tmp_path, tool.name, {"no_such_argument": 1})
            assert "no_such_argument" in caught.value.message

    def test_missing_arguments_are_refused(self, tmp_path: Path) -> None:
        """A missing argument is named."""
        registry = self._loaded()
        for tool in self._tools():
            required = [one.name for one in parameters(registry.load(tool.run)) if one.required]
            if required:
                with pytest.raises(InvalidParameters) as caught:
                    self._call(tmp_path, tool.name, {})
                assert required[0] in caught.value.message

    def test_the_calls_work(self, tmp_path: Path) -> None:
        """Each call of `calls` gives a result that can be written as JSON."""
        for name, arguments in self.calls.items():
            json.dumps(plain(self._call(tmp_path, name, arguments)))

    def test_reading_leaves_nothing(self, tmp_path: Path) -> None:
        """A tool with effect READ writes no file."""
        effects = {one.name: one.effect for one in self._tools()}
        for name, arguments in self.calls.items():
            if effects[name] is Effect.READ:
                self._call(tmp_path, name, arguments)
        assert list(tmp_path.iterdir()) == []

    def test_a_dry_run_leaves_nothing(self, tmp_path: Path) -> None:
        """With `--dry-run` no tool writes a file; it may refuse."""
        for name, arguments in self.calls.items():
            try:
                self._call(tmp_path, name, arguments, dry_run=True)
            except MspError as error:
                assert error.suggestion, f"{name} refuses a dry run and does not say what to do"
        assert list(tmp_path.iterdir()) == []

    def _call(
        self, folder: Path, tool: str, arguments: Mapping[str, Any], *, dry_run: bool = False
    ) -> Any:
        async def call() -> Any:
            async with toolkit_for(self.plugin, folder, config=self.config) as toolkit:
                return await toolkit.call(tool, arguments, ctx=toolkit.context(dry_run=dry_run))

        return asyncio.run(call())

"""Cases of what only agents see: resources that can be read, prompts that say something, rubbish that is refused."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from msp_core.errors import MspError, SystemFailure
from msp_core.invoke import invoke
from msp_core.mcp import McpPrompt, McpResource, completion
from msp_core.records import Tool
from msp_core.schema import parameters
from msp_core.structure import plain
from msp_core.testing.conformance.plugin import PluginConformance
from msp_core.testing.subject import toolkit_for

HOSTILE = ("no-such-thing-4711", "..", "%2e%2e", "'; DROP TABLE x; --", "{id}", "\x00", "é" * 200)
_MOST_COMPLETIONS = 100


class McpConformance(PluginConformance):
    """What every resource and prompt must do.

    `reads` are variables to read a resource with, by its name: `{"notes": {"id": "acme-corp"}}`; a resource without
    variables is read anyway. `asks` are arguments of prompts, by name; those that need none are asked anyway.
    """

    reads: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    asks: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    config: ClassVar[Mapping[str, Any]] = {}

    def _resources(self) -> list[McpResource]:
        return [one for one in self._records() if isinstance(one, McpResource)]

    def _prompts(self) -> list[McpPrompt]:
        return [one for one in self._records() if isinstance(one, McpPrompt)]

    def test_there_is_a_resource_or_a_prompt(self) -> None:
        """The plugin offers something for agents, and `reads` and `asks` name what there is."""
        resources = {one.name for one in self._resources()}
        prompts = {one.name for one in self._prompts()}
        assert resources or prompts, "the plugin offers neither resources nor prompts"
        assert set(self.reads) <= resources, f"no such resource: {set(self.reads) - resources}"
        assert set(self.asks) <= prompts, f"no such prompt: {set(self.asks) - prompts}"

    def test_variables_are_parameters(self) -> None:
        """Each `{name}` of a URI is a parameter that takes text, and there is no other."""
        registry = self._loaded()
        for one in self._resources():
            taken = parameters(registry.load(one.run))
            names = sorted(each.name for each in taken)
            assert names == sorted(one.variables), f"{one.run} takes {names}, {one.uri} has others"
            for each in taken:
                assert each.item is str, f"{one.run}: {each.name} takes no text"

    def test_a_uri_is_of_one_resource(self) -> None:
        """An address means one document: no two URIs of the plugin match the same one."""
        for one in self._resources():
            address = _address(one, dict.fromkeys(one.variables, "x"))
            found = [other.name for other in self._resources() if other.match(address) is not None]
            assert found == [one.name], f"{address} is of {found}"

    def test_arguments_are_described(self) -> None:
        """Each argument of a prompt has a text; people are shown it before they fill it in."""
        registry = self._loaded()
        for one in self._prompts():
            for each in parameters(registry.load(one.run)):
                assert each.doc, f"{one.name}: argument {each.name} has no Doc"

    def test_resources_can_be_read(self, tmp_path: Path) -> None:
        """What is read can be sent: text, bytes, or data that becomes JSON where the type says JSON."""
        for one in self._resources():
            if one.variables and one.name not in self.reads:
                continue
            result = self._call(tmp_path, one.tool, self.reads.get(one.name, {}))
            if one.mime_type == "application/json" and isinstance(result, str):
                json.loads(result)
            elif not isinstance(result, str | bytes):
                json.dumps(plain(result))

    def test_prompts_say_something(self, tmp_path: Path) -> None:
        """A prompt gives text, or messages with a role and content."""
        registry = self._loaded()
        for one in self._prompts():
            needed = [each for each in parameters(registry.load(one.run)) if each.required]
            if needed and one.name not in self.asks:
                continue
            said = self._call(tmp_path, one.tool, self.asks.get(one.name, {}))
            if isinstance(said, str):
                assert said.strip(), f"{one.name} says nothing"
                continue
            assert isinstance(said, Sequence), f"{one.name} gave {type(said).__name__}"
            assert said, f"{one.name} says nothing"
            for message in said:
                assert message["role"] in ("user", "assistant"), f"{one.name}: {message}"
                assert message["content"], f"{one.name}: {message}"

    def test_rubbish_is_refused_or_answered(self, tmp_path: Path) -> None:
        """A value nobody has is an error that says what to do, or an answer; never a failure of the plugin."""
        for one in self._resources():
            for hostile in HOSTILE if one.variables else ():
                self._survives(tmp_path, one.tool, dict.fromkeys(one.variables, hostile))

    def test_unknown_arguments_are_refused(self, tmp_path: Path) -> None:
        """An argument nobody declared is refused before anything runs."""
        for one in self._prompts():
            with pytest.raises(MspError) as caught:
                self._call(tmp_path, one.tool, {"no_such_argument": "x"})
            assert "no_such_argument" in caught.value.message

    def test_completions_are_texts(self, tmp_path: Path) -> None:
        """What completes an argument gives texts, few enough to show, whatever was typed."""
        offers: list[McpResource | McpPrompt] = [*self._resources(), *self._prompts()]
        for one in offers:
            tool = completion(one)
            names = one.variables if isinstance(one, McpResource) else self._arguments(one)
            for argument in names if tool is not None else ():
                for value in ("", "a", *HOSTILE):
                    found = self._survives(tmp_path, tool, {"argument": argument, "value": value})
                    assert all(isinstance(word, str) for word in found or ()), f"{found}"
                    assert len(found or ()) <= _MOST_COMPLETIONS, f"{one.name} offers too many"

    def _arguments(self, one: McpPrompt) -> tuple[str, ...]:
        return tuple(each.name for each in parameters(self._loaded().load(one.run)))

    def _survives(self, folder: Path, tool: Any, arguments: Mapping[str, Any]) -> Any:
        try:
            return self._call(folder, tool, arguments)
        except SystemFailure as error:
            message = f"{tool.run} broke at {arguments}: {error.message}"
            raise AssertionError(message) from error
        except MspError as error:
            assert error.message.strip(), f"{tool.run} refuses {arguments} without a word"
            return None

    def _call(self, folder: Path, tool: Tool, arguments: Mapping[str, Any]) -> Any:
        async def call() -> Any:
            async with toolkit_for(self.plugin, folder, config=self.config) as toolkit:
                return await invoke(tool, arguments, toolkit.context(read_only=True))

        return asyncio.run(call())


def _address(one: McpResource, values: Mapping[str, str]) -> str:
    address = one.uri
    for name, value in values.items():
        address = address.replace("{" + name + "}", value)
    return address

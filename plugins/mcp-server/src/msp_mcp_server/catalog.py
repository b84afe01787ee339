"""The installed tools as agents see them: names, schemas, annotations; those not fit to be shown are left out."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import frozen

from msp_core.v1 import (
    Data,
    Effect,
    McpPrompt,
    McpResource,
    McpResult,
    MspError,
    Parameter,
    Principal,
    Surface,
    Tool,
    Toolkit,
    input_schema,
    json_schema,
    mask_data,
    mcp_name,
    parameters,
    result_type,
    row_type,
)
from msp_mcp_server.hygiene import clean

LONGEST_NAME = 46
"""Models take 64 characters, and agents put `mcp__msp-toolkit__` in front."""
LONGEST_TEXT = 300
LARGEST_PAGE = 500
SHORT_LIST = 20
"""Entries of a list inside a whole, where the agent names no limit."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_STEERING = re.compile(
    r"(?i)\b(ignore|disregard|forget|override)\b.{0,40}\b(previous|prior|above|earlier|all|other|system)\b"
    r"|\bsystem prompt\b|\byou (must|are now|should always)\b|\bdo not (tell|mention|inform|reveal)\b"
    r"|\b(before|after) (using|calling) (any|another|other|this) tools?\b|\bsecretly\b"
    r"|\b(exfiltrat|jailbreak)|https?://"
)
_TEXTS = ("description", "default", "enum", "const")
"""Keys of a schema whose texts a model reads."""
_LOOSE = (
    "required", "additionalProperties", "default", "description", "format", "pattern", "minimum", "maximum",
)  # fmt: skip
_PLAN: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "expires_at": {"type": "string"},
        "changes": {"type": "array", "items": {"type": "string"}},
    },
}


@frozen(kw_only=True, eq=False, repr=False)
class Offered(Data):
    """A tool as agents see it. `rows` tells whether it returns a list, which is then given in pages."""

    name: str
    tool: Tool
    declared: tuple[Parameter, ...]
    rows: bool
    input: Mapping[str, Any]
    output: Mapping[str, Any]

    @property
    def description(self) -> str:
        """What it does."""
        return self.tool.summary

    @property
    def planned(self) -> bool:
        """Tell whether it is planned before it is done."""
        return self.tool.effect >= Effect.CHANGE

    def has(self, name: str) -> bool:
        """Tell whether the function itself has this parameter."""
        return any(one.name == name for one in self.declared)

    def annotations(self, *, read_only: bool) -> dict[str, bool]:
        """Return the hints that follow from the effect."""
        if self.tool.effect <= Effect.PROBE or (read_only and self.tool.effect <= Effect.RECORD):
            return {"readOnlyHint": True}
        return {"readOnlyHint": False, "destructiveHint": self.tool.effect is Effect.DESTROY}


@frozen(kw_only=True, eq=False, repr=False)
class LeftOut(Data):
    """A tool that agents do not see, and why."""

    tool: str
    """Its name; of a resource or prompt, that."""
    plugin: str
    reason: str


class Catalog:
    """Read once when the server starts; plugins do not change while it runs."""

    def __init__(self, toolkit: Toolkit, page: int) -> None:
        self.left_out: list[LeftOut] = []
        self._by_name: dict[str, Offered] = {}
        self._aliases: dict[str, Offered] = {}
        registry = toolkit.registry
        # First what has a hook of its own: a plugin that fails there is out of use, and so are its tools
        resources, prompts = registry.records(McpResource), registry.records(McpPrompt)
        # A name that is given comes after one that follows from the tool's own
        for tool in sorted(registry.records(Tool), key=lambda one: bool(one.mcp)):
            if Surface.MCP not in tool.surfaces:
                continue
            try:
                one = offered(tool, registry.load(tool.run), toolkit, page)
                problem = _problem(one)
            except MspError as error:
                one, problem = None, error.message
            if one is not None and one.name in self._by_name:
                problem = f"the name {one.name} is taken by {self._by_name[one.name].tool.name}"
            if problem or one is None:
                plugin = registry.plugin_of(tool)
                self.left_out.append(LeftOut(tool=tool.name, plugin=plugin, reason=problem))
                continue
            self._by_name[one.name] = one
            for alias in tool.aliases:
                self._aliases.setdefault(re.sub(r"[^a-z0-9]+", "_", alias), one)
        self.resources = tuple(one for one in resources if self._is_fit(toolkit, one))
        self.prompts = tuple(one for one in prompts if self._is_fit(toolkit, one))

    def _is_fit(self, toolkit: Toolkit, one: McpResource | McpPrompt) -> bool:
        """Tell whether a resource or prompt is shown; note it where not."""
        registry = toolkit.registry
        texts = [one.title, one.summary]
        try:
            if isinstance(one, McpPrompt):
                texts += [each.doc for each in parameters(registry.load(one.run))]
            problem = _unfit(texts)
        except MspError as error:
            problem = error.message
        if problem:
            plugin = registry.plugin_of(one)
            self.left_out.append(LeftOut(tool=one.name, plugin=plugin, reason=problem))
        return not problem

    def all(self) -> tuple[Offered, ...]:
        """Return every tool, sorted by name."""
        return tuple(one for _, one in sorted(self._by_name.items()))

    def of(self, caller: Principal) -> tuple[Offered, ...]:
        """Return the tools a caller may use."""
        return tuple(one for one in self.all() if may_use(caller, one.tool))

    def find(self, name: str) -> Offered | None:
        """Return the tool of a name or an old name."""
        return self._by_name.get(name) or self._aliases.get(name)


def may_use(caller: Principal, tool: Tool) -> bool:
    """Tell whether a caller may use a tool; where not, it does not learn of it either."""
    most = min(caller.scope.max_effect, Effect.RECORD if caller.read_only else Effect.DESTROY)
    return tool.effect <= most and (caller.scope.tools is None or tool.name in caller.scope.tools)


def offered(tool: Tool, function: Callable[..., Any], toolkit: Toolkit, page: int) -> Offered:
    """Describe a tool from its signature, with what lists and changes take and give in addition."""
    schema = input_schema(function, toolkit.registry, Surface.MCP)
    rows = row_type(function)
    if rows is not None:
        _page_input(schema["properties"], page)
    output = _output(function, rows)
    if rows is None and tool.effect < Effect.CHANGE and _holds_lists(output):
        schema["properties"].setdefault("limit", _limit(SHORT_LIST, "Most entries of each list"))
    if tool.effect >= Effect.CHANGE:
        schema["properties"]["plan"] = {
            "type": "string",
            "description": "Id of the plan that a first call without it returned",
        }
    if output and tool.effect >= Effect.CHANGE:
        output["properties"] = {**output.get("properties", {}), "plan": _PLAN}
    return Offered(
        name=mcp_name(tool),
        tool=tool,
        declared=parameters(function),
        rows=rows is not None,
        input=schema,
        output=output,
    )


def _output(function: Callable[..., Any], rows: Any) -> dict[str, Any]:
    """Return the schema of the structured result; nothing for a tool that makes content of its own."""
    if rows is not None:
        return _listing(rows)
    made = result_type(function)
    return {} if made is McpResult else _whole(made)


def _page_input(properties: dict[str, Any], page: int) -> None:
    properties.pop("offset", None)
    properties["limit"] = _limit(page)
    properties["cursor"] = {"type": "string", "description": "next_cursor of the page before"}
    properties["fields"] = {
        "type": "array",
        "items": {"type": "string"},
        "description": "Only these fields of each row",
    }


def _limit(default: int, description: str = "") -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": default}
    return {**limit, "description": description} if description else limit


def _holds_lists(output: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in output.get("properties", {}).values())


def _listing(rows: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": _loose(json_schema(rows))},
            "total": {"type": "integer"},
            "has_more": {"type": "boolean"},
            "next_cursor": {"type": "string"},
        },
        "required": ["items", "total", "has_more"],
    }


def _whole(type_: Any) -> dict[str, Any]:
    schema: dict[str, Any] = _loose(json_schema(type_))
    if schema.get("type") == "object":
        return schema
    return {"type": "object", "properties": {"result": schema}}


def _loose(schema: Any, *, names: bool = False) -> Any:
    """Return a schema without what costs much and tells an agent little; empty fields are left out of results."""
    if isinstance(schema, list):
        return [_loose(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        # What stands under the name of a secret is text once it is masked, whatever it was
        key: {}
        if names and mask_data({key: 1}) != {key: 1}
        else _loose(value, names=key == "properties" and not names)
        for key, value in schema.items()
        if names or key not in _LOOSE
    }


def _problem(one: Offered) -> str:
    """Say why a tool is not shown to agents; empty for one that is. Its texts reach a model as they are."""
    if not _NAME.fullmatch(one.name) or len(one.name) > LONGEST_NAME:
        return f"its name {one.name!r} is not at most {LONGEST_NAME} of a-z, 0-9 and _"
    return _unfit([one.description, *_texts(one.input), *_texts(one.output)])


def _unfit(texts: Iterable[str]) -> str:
    """Say why texts of a plugin are not shown to a model; empty where they are."""
    for text in texts:
        if len(text) > LONGEST_TEXT:
            return f"a description has {len(text)} characters; {LONGEST_TEXT} are the most"
        if clean(text) != text:
            return f"a description holds markup or invisible characters: {clean(text)[:60]!r}"
        found = _STEERING.search(text)
        if found:
            return f"a description reads like an instruction to the model: {found[0][:60]!r}"
    return ""


def _texts(schema: Any, *, told: bool = False) -> list[str]:
    """Return the texts of a schema that a model reads; `told` is for what stands under such a key."""
    if isinstance(schema, str):
        return [schema] if told else []
    if isinstance(schema, dict):
        return [
            text
            for key, value in schema.items()
            for text in _texts(value, told=told or key in _TEXTS)
        ]
    if isinstance(schema, list):
        return [text for value in schema for text in _texts(value, told=told)]
    return []


def definition(one: Offered, *, read_only: bool, output: bool = True) -> dict[str, Any]:
    """Return a tool as the protocol lists it."""
    made = {
        "name": one.name,
        "description": one.description,
        "inputSchema": one.input,
        "annotations": one.annotations(read_only=read_only),
    }
    return {**made, "outputSchema": one.output} if output and one.output else made


def tokens(value: Any) -> int:
    """Estimate how many tokens JSON data costs a model, on the high side.

    One for every six letters begun, one for every three digits begun, and one for every two signs begun in a row:
    above what the common tokenizers make of schemas.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    sizes = {"letters": 6, "digits": 3, "signs": 2, "others": 1}
    parts = re.finditer(
        r"(?P<letters>[A-Za-z]+)|(?P<digits>\d+)|(?P<signs>[!-~]+?(?=[A-Za-z\d\s]|[^!-~]|$))|(?P<others>\S)",
        text,
    )
    return sum(-(-len(part[0]) // sizes[str(part.lastgroup)]) for part in parts)

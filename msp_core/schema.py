"""One source for every surface: a function's signature as parameters, JSON Schema and strict structuring."""

import collections.abc
import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NewType, get_args, get_origin, get_type_hints

import attrs

from msp_core.data import Data
from msp_core.display import Listing
from msp_core.errors import InvalidParameters, PluginError, UnknownPlugin
from msp_core.hookspecs import record_of
from msp_core.records import Doc, Param, Surface, Tool
from msp_core.registry import known_ids
from msp_core.secrets import SecretRef
from msp_core.structure import LARGEST, Unstructurable, is_union, plain, said, structure

if TYPE_CHECKING:
    from msp_core.registry import Registry

REQUIRED: Any = inspect.Parameter.empty


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Parameter(Data):
    """One parameter of a tool: its bare type, whether None and many are allowed, its text and spelling."""

    name: str
    type: Any
    """The annotation without `Annotated`."""
    item: Any
    """The type of one value: without `| None`, and without the list around it."""
    many: bool
    optional: bool
    default: Any
    doc: str
    param: Param

    @property
    def required(self) -> bool:
        """Tell whether Python demands it."""
        return self.default is REQUIRED

    def name_on(self, surface: Surface) -> str:
        """Return the parameter's name on a surface."""
        return (self.param.mcp or self.name) if surface is Surface.MCP else self.name


@lru_cache(maxsize=512)
def parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Read the parameters of a tool function, without its first, the context; raise PluginError if it cannot be."""
    try:
        hints = get_type_hints(function, include_extras=True)
        declared = list(inspect.signature(function).parameters.values())
    except (NameError, TypeError, ValueError) as error:
        message = f"The signature of {function.__module__}.{function.__qualname__} cannot be read: {error}"
        raise PluginError(
            message,
            suggestion="Import the names used in its annotations at run time, not under TYPE_CHECKING.",
        ) from None
    _require_shape(function, declared, hints)
    found = []
    for one in declared[1:]:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) or one.name not in hints:
            message = f"{function.__module__}.{function.__qualname__}: parameter {one.name!r} needs a type of its own"
            raise PluginError(
                message,
                suggestion="Give every parameter an annotation; *args and **kwargs are not offered.",
            )
        found.append(_parameter(one.name, hints[one.name], one.default))
    return tuple(found)


def _require_shape(
    function: Callable[..., Any], declared: Sequence[inspect.Parameter], hints: Mapping[str, Any]
) -> None:
    """Refuse a function that is not async, or does not take the context first: its arguments would be lost."""
    name, where = function.__name__, f"{function.__module__}.{function.__qualname__}"
    plain_one = inspect.isfunction(function) and not hasattr(function, "__wrapped__")
    if plain_one and not inspect.iscoroutinefunction(function):
        raise PluginError(
            f"{where} is an ordinary function; it is called with await.",
            suggestion=f"Write 'async def {name}(...)'.",
        )
    first = declared[0].name if declared else ""
    if first not in ("ctx", "_ctx") and getattr(hints.get(first), "__name__", "") != "Context":
        raise PluginError(
            f"{where} does not take the context first.",
            suggestion=f"Write 'async def {name}(ctx: Context, ...)', with Context from msp_core.v1.",
        )


def row_type(function: Callable[..., Any]) -> Any:
    """Return what a tool that returns a list lists, None for any other."""
    returned = get_type_hints(function).get("return")
    origin, arguments = get_origin(returned), get_args(returned)
    return arguments[0] if arguments and origin in (Listing, tuple, list) else None


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    type_, extras = _bare(annotation)
    item, optional = _without_none(type_)
    item = _supertype(item)
    many = get_origin(item) in (collections.abc.Sequence, list, tuple, frozenset)
    return Parameter(
        name=name,
        type=type_,
        item=_supertype(_bare(get_args(item)[0])[0]) if many else item,
        many=many,
        optional=optional,
        default=default,
        doc=next((one.text for one in extras if isinstance(one, Doc)), ""),
        param=next((one for one in extras if isinstance(one, Param)), Param()),
    )


def _bare(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(annotation) is Annotated:
        inner, *extras = get_args(annotation)
        return inner, tuple(extras)
    return annotation, ()


def _without_none(type_: Any) -> tuple[Any, bool]:
    if not is_union(type_):
        return type_, False
    members = [_bare(member)[0] for member in get_args(type_) if member is not types.NoneType]
    return (members[0] if len(members) == 1 else type_), len(members) < len(get_args(type_))


def _supertype(type_: Any) -> Any:
    while isinstance(type_, NewType):
        type_ = type_.__supertype__
    return type_


def structured(
    tool: Tool,
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    registry: "Registry",
    surface: Surface = Surface.PYTHON,
) -> dict[str, Any]:
    """Return the arguments as the function's types say; raise InvalidParameters naming every problem.

    On MCP the names are those of the published schema, and null is no value: it is left out there.
    """
    declared = {one.name_on(surface): one for one in parameters(function)}
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, value in arguments.items():
        one = declared.get(name)
        if one is None:
            problems.append(f"{name}: unknown parameter (known: {', '.join(declared) or 'none'})")
            continue
        if value is None and surface is Surface.MCP:
            problems.append(f"{name}: null is no value; leave it out")
            continue
        try:
            values[one.name] = structure(value, one.type, name)
        except Unstructurable as error:
            problems.extend(map(str, error.problems))
            continue
        _check_choice(one, values[one.name], registry)
        problems.extend(f"{name}: {wrong}" for wrong in _beyond(one.param, values[one.name]))
    problems.extend(
        f"{name}: missing"
        for name, one in declared.items()
        if name not in arguments and (one.required or surface in one.param.required_on)
    )
    if problems:
        where = (
            f"Look at the input schema of {mcp_name(tool)}."
            if surface is Surface.MCP
            else f"See: msp-toolkit {cli_path(tool)} --help"
        )
        raise InvalidParameters(
            f"{tool.name}: {'; '.join(problems)}", suggestion=where, problems=problems
        )
    return values


def _check_choice(one: Parameter, value: Any, registry: "Registry") -> None:
    if one.param.choices is None or value is None:
        return
    known = choices(one, registry)
    for item in value if one.many else (value,):
        if str(item) not in known:
            raise unknown_id(one.param.choices, str(item), registry)


def _beyond(param: Param, value: Any) -> Iterable[str]:
    """Say what is wrong with a number outside its bounds."""
    if value is None:
        return
    if param.least is not None and value < param.least:
        yield f"expected at least {param.least}, got {value}"
    if param.most is not None and value > param.most:
        yield f"expected at most {param.most}, got {value}"


def choices(one: Parameter, registry: "Registry") -> tuple[str, ...]:
    """Return the values a parameter may have: its list, the ids and aliases of a registry, or an enum's values."""
    if isinstance(one.param.choices, tuple):
        return one.param.choices
    if one.param.choices in _REGISTRIES:
        return tuple(known_ids(registry.records(record_of(_REGISTRIES[one.param.choices]))))
    if isinstance(one.item, type) and issubclass(one.item, Enum):
        return tuple(str(said(member)) for member in one.item)
    return ()


_REGISTRIES = {"checks": "msp_checks", "adapters": "msp_adapters", "tools": "msp_tools"}


def unknown_id(kind: "str | tuple[str, ...]", name: str, registry: "Registry") -> Exception:
    """Return the error for an id nobody offers: what is installed, the nearest, what failed, what to install."""
    if isinstance(kind, tuple):
        from difflib import get_close_matches

        near = get_close_matches(name, kind, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        return InvalidParameters(
            f"{name!r} is not one of {', '.join(kind)}.", suggestion=hint.strip(), value=name
        )
    from msp_core.catalog import COMMANDS, install_line
    from msp_core.unknown import instead

    line = install_line(name)
    if kind == "tools" and name.split(".")[0] in COMMANDS:
        line = f"pip install {COMMANDS[name.split('.')[0]]}"
    known = known_ids(registry.records(record_of(_REGISTRIES[kind])))
    singular = kind.removesuffix("s")
    return UnknownPlugin(
        f"There is no {singular} {name!r}.",
        suggestion=instead(name, known, registry, line),
        value=name,
    )


def cli_path(tool: Tool) -> str:
    """Return the words of a tool on the command line."""
    return tool.cli or tool.name.replace(".", " ")


def mcp_name(tool: Tool) -> str:
    """Return the name of a tool for agents."""
    return tool.mcp or re.sub(r"[^a-z0-9]+", "_", tool.name)


def input_schema(
    function: Callable[..., Any], registry: "Registry", surface: Surface
) -> dict[str, Any]:
    """Return the JSON Schema of a tool's arguments on a surface, as `structured` enforces it there."""
    properties: dict[str, Any] = {}
    required = []
    for one in parameters(function):
        name = one.name_on(surface)
        schema = json_schema(one.type)
        known = choices(one, registry) if one.param.choices else ()
        if known:
            (schema["items"] if one.many else schema)["enum"] = list(known)
        if one.param.least is not None:
            schema["minimum"] = one.param.least
        if one.param.most is not None:
            schema["maximum"] = one.param.most
        if one.doc:
            schema["description"] = one.doc
        if one.required or surface in one.param.required_on:
            required.append(name)
        elif one.default is not None and plain(one.default) not in ("", [], {}):
            schema["default"] = plain(one.default)
        properties[name] = schema
    made: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        made["required"] = required
    return {**made, "additionalProperties": False}


def result_type(function: Callable[..., Any]) -> Any:
    """Return the annotated type of a tool's result."""
    return get_type_hints(function).get("return", Any)


def judges(function: Callable[..., Any]) -> bool:
    """Tell whether a tool's exit code is a status: 1 is a WARNING then, and a failure has judged nothing, UNKNOWN."""
    display = getattr(result_type(function), "DISPLAY", None)
    return getattr(display, "nagios", None) is not None


def json_schema(type_: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type, as `structure` enforces it."""
    type_, extras = _bare(type_)
    doc = next((one.text for one in extras if isinstance(one, Doc)), None)
    schema = _schema(_supertype(type_))
    return {**schema, "description": doc} if doc else schema


def _schema(type_: Any) -> dict[str, Any]:
    if type_ is int:
        return {"type": "integer", "minimum": -LARGEST, "maximum": LARGEST}
    simple = {str: "string", float: "number", bool: "boolean"}.get(type_)
    if simple:
        return {"type": simple}
    if is_union(type_):
        options = [
            json_schema(member) for member in get_args(type_) if member is not types.NoneType
        ]
        return options[0] if len(options) == 1 else {"anyOf": options}
    if isinstance(type_, type):
        if issubclass(type_, Enum):
            return {"type": "string", "enum": [said(member) for member in type_]}
        if issubclass(type_, datetime):
            return {"type": "string", "format": "date-time"}
        if issubclass(type_, timedelta):
            return {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|[smhdw]))+$"}
        if issubclass(type_, SecretRef):
            return {"type": "string", "pattern": "^[a-z][a-z0-9]*:"}
        if issubclass(type_, Path):
            return {"type": "string"}
        if attrs.has(type_):
            return object_schema(type_)
    origin, arguments = get_origin(type_), get_args(type_)
    if origin in (collections.abc.Sequence, list, tuple, frozenset) and arguments:
        return {"type": "array", "items": json_schema(arguments[0])}
    if (
        origin in (dict, collections.abc.Mapping)
        and arguments
        and arguments[1] not in (Any, object)
    ):
        return {"type": "object", "additionalProperties": json_schema(arguments[1])}
    if origin in (dict, collections.abc.Mapping):
        return {"type": "object"}
    return {}


def object_schema(class_: type) -> dict[str, Any]:
    """Return the JSON Schema of an attrs class: closed, with defaults and the fields' texts."""
    hints = get_type_hints(class_, include_extras=True)
    properties: dict[str, Any] = {}
    required = []
    for one in attrs.fields(class_):
        properties[one.alias] = json_schema(hints.get(one.name, Any))
        if one.default is attrs.NOTHING:
            required.append(one.alias)
        elif one.default is not None and not hasattr(one.default, "factory"):
            properties[one.alias]["default"] = plain(one.default)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return {**schema, "required": required} if required else schema

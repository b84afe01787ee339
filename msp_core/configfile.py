"""Read one configuration file: TOML, JSON or YAML, by its suffix."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msp_core.errors import ConfigError

_BIGGEST_BYTES = 4 * 1024 * 1024
_DEEPEST = 100


def read_file(path: Path) -> dict[str, Any]:
    """Return the tables of a file; raise ConfigError with line and column where the file can say so."""
    try:
        if path.stat().st_size > _BIGGEST_BYTES:
            message = f"{path} is larger than {_BIGGEST_BYTES} bytes."
            raise ConfigError(message, suggestion="That is no configuration file; check the path.")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise ConfigError(message, suggestion="Check the path and its permissions.") from None
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 text (byte {error.start})."
        raise ConfigError(message, suggestion="Save it as UTF-8.") from None
    reader = {".json": _json, ".yaml": _yaml, ".yml": _yaml}.get(path.suffix.lower(), _toml)
    try:
        data = reader(text)
    except (ValueError, RecursionError) as error:
        message = f"{path} cannot be read: {_one_line(error)}"
        raise ConfigError(message, suggestion="Correct the syntax there.") from None
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        message = f"{path} does not hold tables with names."
        raise ConfigError(message, suggestion="See 'msp-toolkit init' for how one looks.")
    return data


def _toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_once) if text.strip() else {}


def _once(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a table; of two values for one name, one would be lost without a word."""
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            message = f"{key!r} stands twice in one table"
            raise ValueError(message)
        found[key] = value
    return found


def _yaml(text: str) -> Any:
    """Read YAML as version 1.2 means it: `no` is text, `12:30` is no number."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[Any] = set()
            for key, _ in node.value:
                name = key.value if isinstance(key, yaml.ScalarNode) else id(key)
                if name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{name!r} stands twice in one table", key.start_mark
                    )
                seen.add(name)
            return super().construct_mapping(node, deep=deep)

    Loader.yaml_implicit_resolvers = {}
    for tag, pattern, first in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
        (
            "float",
            r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
            "-+.0123456789",
        ),
        ("merge", r"<<", "<"),
    ):
        Loader.add_implicit_resolver(
            f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first)
        )
    Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: _integer(node.value))
    try:
        # The C loader recurses: very deep nesting would end the process instead of raising.
        _require_shallow(yaml.parse(text, Loader=base))
        return yaml.load(text, Loader=Loader) or {}  # noqa: S506, a subclass of the safe loader
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _require_shallow(events: Iterable[Any]) -> None:
    depth = 0
    for event in events:
        name = type(event).__name__
        depth += name.endswith("StartEvent") - name.endswith("EndEvent")
        if depth > _DEEPEST:
            message = f"it nests more than {_DEEPEST} levels deep"
            raise ValueError(message)


def _integer(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text, 10)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

"""Questions a call puts to the person behind it, and how they are put at a terminal."""

import sys
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import attrs

from msp_core.errors import PluginError
from msp_core.schema import object_schema
from msp_core.structure import Unstructurable, structure

_FLAT = ("string", "integer", "number", "boolean")
_WORDS = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}


@attrs.define(kw_only=True)
class Question:
    """What is asked: a text, and an attrs class whose fields are to be filled in. `key` names it within its call."""

    key: str
    text: str
    form: type

    @cached_property
    def fields(self) -> Mapping[str, Mapping[str, Any]]:
        """The JSON Schema of each field: text, a number, yes or no, one of a list, or several of a list."""
        found: dict[str, Any] = self._schema["properties"]
        for name, one in found.items():
            several = one.get("type") == "array" and "enum" in one.get("items", {})
            if one.get("type") not in _FLAT and not several:
                message = f"{self.form.__name__}.{name} cannot be asked for."
                raise PluginError(
                    message,
                    suggestion="A form holds texts, numbers, yes or no, and choices (an enum, or a list of them).",
                )
        return found

    @property
    def required(self) -> tuple[str, ...]:
        """The fields without a default."""
        return tuple(self._schema.get("required", ()))

    @cached_property
    def _schema(self) -> dict[str, Any]:
        if not attrs.has(self.form):
            message = f"{self.form!r} is no form."
            raise PluginError(message, suggestion="Make it an attrs class.")
        return object_schema(self.form)


def answer_at_terminal(question: Question) -> dict[str, Any] | None:
    """Ask for the fields one by one; None where the person ends the input instead (Ctrl-D)."""
    from msp_core.output import clean

    sys.stderr.write(f"{clean(question.text, keep_lines=True)}\n")
    given: dict[str, Any] = {}
    for name, schema in question.fields.items():
        try:
            value = _answer(name, schema, required=name in question.required)
        except EOFError:
            sys.stderr.write("\n")
            return None
        if value is not None:
            given[name] = value
    return given


def _answer(name: str, schema: Mapping[str, Any], *, required: bool) -> Any:
    """Ask until the answer fits; an empty one takes the default."""
    known = schema.get("enum") or schema.get("items", {}).get("enum") or ()
    default = schema.get("default")
    shown = f" ({', '.join(map(str, known))})" if known else ""
    shown += f" [{default}]" if default not in (None, "", []) else ""
    while True:
        sys.stderr.write(f"  {schema.get('description') or name.replace('_', ' ')}{shown}: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        text = line.strip()
        if not text and not required:
            return None
        try:
            return _parsed(text, schema, known)
        except ValueError as problem:
            sys.stderr.write(f"  {problem}\n")


def _parsed(text: str, schema: Mapping[str, Any], known: tuple[Any, ...]) -> Any:
    kind = schema["type"]
    if kind == "boolean":
        if text.lower() not in _WORDS:
            message = "Answer yes or no."
            raise ValueError(message)
        return _WORDS[text.lower()]
    if kind in ("integer", "number"):
        try:
            return structure(
                int(text) if kind == "integer" else float(text), int if kind == "integer" else float
            )
        except (ValueError, Unstructurable):
            message = (
                "Answer with a whole number." if kind == "integer" else "Answer with a number."
            )
            raise ValueError(message) from None
    words = [one.strip() for one in text.split(",")] if kind == "array" else [text]
    strange = [one for one in words if known and one not in known] or ([""] if not text else [])
    if strange:
        message = f"Choose from {', '.join(map(str, known))}." if known else "An answer is needed."
        raise ValueError(message)
    return words if kind == "array" else text

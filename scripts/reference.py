"""Write the lists of docs/configuration.md, commands.md and the reference from the code; with --check, compare them.

What stands between `<!-- made by scripts/reference.py -->` and `<!-- end -->` is replaced.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msp_core import testing, v1
from msp_core.testing import conformance
from msp_core.v1 import Tool, Toolkit

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"(<!-- made by scripts/reference.py: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def options(section: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, type, default and meaning of each option under a JSON Schema object."""
    known = section.get("properties", {})
    for name, one in known.items():
        if name.removesuffix("_env") != name and name.removesuffix("_env") in known:
            continue  # the second form of each secret, told once in the text
        path = f"{prefix}{name}"
        inner = one.get("additionalProperties")
        if one.get("properties"):
            yield from options(one, f"{path}.")
        elif isinstance(inner, Mapping) and inner.get("properties"):
            yield path, "tables by name", "", one.get("description", "")
            yield from options(inner, f"{path}.NAME.")
        else:
            yield path, kind(one), default(one), one.get("description", "")


def kind(one: Mapping[str, Any]) -> str:
    """Say in a word what a value is."""
    pattern = one.get("pattern", "")
    if "enum" in one:
        return ", ".join(f"`{word}`" for word in one["enum"])
    if pattern.startswith("^(\\d"):
        return "duration"
    if pattern:
        return "secret reference"
    if one.get("type") == "array":
        return f"list of {kind(one['items'])}s" if "enum" not in one["items"] else "list"
    words = {"string": "text", "integer": "number", "boolean": "true, false", "object": "table"}
    return words.get(one.get("type", ""), str(one.get("type", "any")))


def default(one: Mapping[str, Any]) -> str:
    """Write a default as the configuration file would."""
    value = one.get("default")
    if value is None or value == "":
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, list):
        text = "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f"`{text}`"


def table(rows: Iterator[tuple[str, str, str, str]], prefix: str) -> str:
    """Write one table of options, their names without what the heading says."""
    lines = ["| option | value | default | meaning |", "|---|---|---|---|"]
    for name, what, given, text in rows:
        text = text.replace("|", "\\|")
        lines.append(f"| `{name.removeprefix(prefix)}` | {what} | {given} | {text} |")
    return "\n".join(lines)


def sections(schema: Mapping[str, Any]) -> str:
    """Write every section and every kind of adapter."""
    parts = []
    for name, one in schema["properties"].items():
        if name != "adapters":
            head = one["description"].splitlines()[0]
            parts.append(f"### `[{name}]`\n\n{head}\n\n{table(options(one, ''), '')}\n")
    for one in schema["properties"]["adapters"]["additionalProperties"]["anyOf"]:
        ids = one["properties"]["kind"]["enum"]
        also = f", also {', '.join(f'`{word}`' for word in ids[1:])}" if ids[1:] else ""
        shown = {k: v for k, v in one["properties"].items() if k != "kind"}
        rows = table(options({"properties": shown}, ""), "")
        parts.append(f'### Adapter `kind = "{ids[0]}"`\n\n{one["title"]}{also}\n\n{rows}\n')
    return "\n".join(parts)


def commands(tools: tuple[Tool, ...]) -> str:
    """Write every command with its effect."""
    lines = ["| command | effect | does |", "|---|---|---|"]
    lines += [
        f"| `{path_of(tool)}` | {tool.effect.name} | {tool.summary.rstrip('.').replace('|', '/')} |"
        for tool in sorted(tools, key=path_of)
    ]
    return "\n".join(lines) + "\n"


def path_of(tool: Tool) -> str:
    """Return the words of a tool's command."""
    return tool.cli or tool.name.replace(".", " ")


HEADINGS = {
    "records": "What a plugin offers",
    "context": "The call",
    "toolkit": "The toolkit",
    "facts": "Facts",
    "status": "Statuses",
    "results": "Results",
    "model": "Nouns",
    "vendor": "What adapters speak in",
    "protocols": "What adapters and services can do",
    "display": "How results print",
    "errors": "Errors",
}


def api() -> str:
    """Write an entry of the reference for each module whose names `msp_core.v1` offers."""
    homes: dict[str, list[str]] = {}
    for name in v1.__all__:
        home = getattr(getattr(v1, name), "__module__", "")  # a constant has none
        homes.setdefault(home, []).append(name)
    order = {f"msp_core.{home}": number for number, home in enumerate(HEADINGS)}
    parts = []
    for home in sorted(homes, key=lambda one: (order.get(one, 99), one)):
        if home.startswith("msp_core."):
            head = HEADINGS.get(home.partition(".")[2], home.rpartition(".")[2].capitalize())
            members = ", ".join(sorted(homes[home]))
            parts.append(entry(head, home, members))
    return "\n".join(parts)


KIT_HEADINGS = {
    "commandline": "Run a plugin as people do",
    "subject": "A toolkit with one plugin under test",
    "workspace": "A toolkit with exactly these plugins",
    "nouns": "Nouns to test with",
    "clock": "A clock that stands still",
    "door": "The door for changes",
    "vendor": "A vendor to answer requests",
    "sink": "Results that were looked at",
}


def kit() -> str:
    """Write an entry of the reference for each module of the kit for authors, and for the conformance classes."""
    homes: dict[str, list[str]] = {}
    for name in testing.__all__:
        homes.setdefault(getattr(testing, name).__module__, []).append(name)
    parts = []
    order = [f"msp_core.testing.{home}" for home in KIT_HEADINGS]
    ours = (home for home in homes if home.startswith("msp_core.testing."))
    for home in sorted(ours, key=lambda one: (order.index(one) if one in order else 99, one)):
        last = home.rpartition(".")[2]
        members = ", ".join(sorted(homes[home]))
        parts.append(entry(KIT_HEADINGS.get(last, last.capitalize()), home, members))
    members = ", ".join(sorted(conformance.__all__))
    parts.append(entry("Conformance classes", "msp_core.testing.conformance", members))
    return "\n".join(parts)


def entry(head: str, home: str, members: str) -> str:
    """Write the lines that mkdocstrings turns into the texts of a module's names."""
    return f"## {head}\n\n::: {home}\n    options:\n      members: [{members}]\n"


async def collect() -> tuple[dict[str, Any], tuple[Tool, ...]]:
    """Return the schema of the configuration, and every tool that is a command."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "msp-toolkit.toml"
        file.write_text("[general]\n", encoding="utf-8")
        async with Toolkit.open(file) as toolkit:
            schema = await toolkit.call("config.schema")
            tools = tuple(one for one in toolkit.registry.records(Tool) if one.cli != "")
            return schema, tools


def main() -> int:
    """Write or check."""
    schema, tools = asyncio.run(collect())
    made = {"options": sections(schema), "commands": commands(tools), "api": api(), "kit": kit()}
    stale = []
    for name in ("configuration.md", "commands.md", "reference.md", "reference-testing.md"):
        file = DOCS / name
        before = file.read_text(encoding="utf-8")
        after = BLOCK.sub(lambda match: f"{match[1]}\n{made[match[2]]}\n{match[3]}", before)
        if after != before:
            stale.append(file.name)
            if "--check" not in sys.argv:
                file.write_text(after, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(f"out of date: {', '.join(stale)}; run: python scripts/reference.py")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

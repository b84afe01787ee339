"""Read the blocks of a document: what a reader is told to type, to paste, or to write into a configuration.

A block that the tests cannot run says so in the line above it: `<!-- not run: the reason -->`, or
`<!-- run by: make ways -->` where another command follows it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(\s*)```(\w*)\s*$")
MARK = re.compile(r"^\s*<!-- (not run|run by): (.+) -->$")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block, with the heading it stands under and the line it starts in."""

    kind: str
    text: str
    heading: str
    line: int
    not_run: str = ""
    run_by: str = ""

    @property
    def commands(self) -> list[str]:
        """The `$ ` lines of a console block."""
        lines = self.text.splitlines() if self.kind == "console" else []
        return [line[2:] for line in lines if line.startswith("$ ")]


def blocks(document: Path) -> list[Block]:
    """Collect all fenced blocks in order."""
    found: list[Block] = []
    heading, mark = "", ("", "")
    inside: list[str] | None = None
    kind, start, indent = "", 0, 0
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        if match := FENCE.match(line):
            if inside is None:
                inside, kind, start, indent = [], match[2] or "text", number, len(match[1])
                continue
            how = {"not_run": mark[1] if mark[0] == "not run" else ""}
            how["run_by"] = mark[1] if mark[0] == "run by" else ""
            text = "\n".join(inside) + "\n"
            found.append(Block(kind=kind, text=text, heading=heading, line=start, **how))
            inside, mark = None, ("", "")
        elif inside is not None:
            inside.append(line[indent:])
        elif match := MARK.match(line):
            mark = (match[1], match[2])
        elif line.strip():
            mark = ("", "")
            if line.startswith("#"):
                heading = line.lstrip("# ")
    return found


def commands(document: Path) -> dict[str, list[str]]:
    """Collect the `$ ` lines of all console blocks, by the heading they stand under."""
    found: dict[str, list[str]] = {}
    for block in blocks(document):
        if block.commands:
            found.setdefault(block.heading, []).extend(block.commands)
    return found

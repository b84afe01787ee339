"""Read the commands that a document tells its reader to run."""

import re
from pathlib import Path

FENCE = re.compile(r"^```(\w*)\s*$")


def commands(document: Path) -> dict[str, list[str]]:
    """Collect the `$ ` lines of all console blocks, by the heading they stand under."""
    found: dict[str, list[str]] = {}
    heading, fence = "", ""
    for line in document.read_text(encoding="utf-8").splitlines():
        if match := FENCE.match(line):
            fence = "" if fence else match[1] or "text"
        elif not fence and line.startswith("#"):
            heading = line.lstrip("# ")
        elif fence == "console" and line.startswith("$ "):
            found.setdefault(heading, []).append(line[2:])
    return found

"""Write hookspecs.md from msp_core/hookspecs.py; with --check, say whether it is up to date."""

import inspect
import sys
from pathlib import Path

from msp_core import hookspecs

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "hookspecs.md"


def document() -> str:
    """Return the whole document."""
    intro = inspect.getdoc(hookspecs) or ""
    parts = [
        "# Hooks\n",
        "Made from `msp_core/hookspecs.py` by `python scripts/hookspecs.py`; edit that file, not this one.\n",
        intro.partition("\n")[2].strip() + "\n",
        "| Hook | Returns | For |\n| --- | --- | --- |",
    ]
    for name, record in hookspecs.HOOKS.items():
        first = (inspect.getdoc(getattr(hookspecs, name)) or "").splitlines()[0]
        parts.append(f"| [`{name}`](#{name}) | `{record}` | {first} |")
    for name, record in hookspecs.HOOKS.items():
        parts.append(f"\n## {name}\n")
        parts.append(f"```python\ndef {name}() -> Iterable[{record}]\n```\n")
        parts.append(inspect.getdoc(getattr(hookspecs, name)) or "")
        users = ", ".join(f"`{user}`" for user in users_of(name))
        parts.append(
            "\nThe hook itself is called at most once per process; an exception there sets the plugin aside."
        )
        parts.append(f"\nSince {hookspecs.SINCE[name]}. First-party users: {users}.\n")
        parts.append("Fields of the record:\n")
        parts.append(f"> {' '.join((inspect.getdoc(hookspecs.record_of(name)) or '').split())}")
    return "\n".join(parts) + "\n"


def users_of(hook: str) -> list[str]:
    """Return the plugins of this repository that implement a hook; the kernel's own is `kernel`."""
    line = f"\ndef {hook}("
    found = ["kernel"] if line in (ROOT / "msp_core/builtin/plugin.py").read_text() else []
    files = sorted(ROOT.glob("plugins/*/src/*/plugin.py"))
    return found + [one.parents[2].name for one in files if line in one.read_text(encoding="utf-8")]


def main() -> int:
    """Write or check."""
    text = document()
    if "--check" in sys.argv:
        if TARGET.read_text(encoding="utf-8") == text:
            return 0
        print("hookspecs.md is out of date; run: python scripts/hookspecs.py")
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""How long lists of names are said to people."""

from collections.abc import Sequence

_SHOWN = 5


def some(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")

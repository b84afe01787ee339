"""Numbers out of text that a machine made up."""

import re

from msp_transport_ssh.script import Unreadable

_WHOLE = re.compile(r"\d{1,20}")
_DECIMAL = re.compile(r"\d{1,15}(?:\.\d{1,9})?")


def whole(text: str, what: str) -> int:
    """Return a whole number of at most 20 digits; raise Unreadable naming `what`."""
    if not text.isascii() or not _WHOLE.fullmatch(text):
        raise Unreadable(f"{what} is not a number")
    return int(text)


def decimal(text: str, what: str) -> float:
    """Return a decimal number; raise Unreadable naming `what`."""
    if not text.isascii() or not _DECIMAL.fullmatch(text):
        raise Unreadable(f"{what} is not a number")
    return float(text)

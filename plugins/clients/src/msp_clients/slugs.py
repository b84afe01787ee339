"""Ids made from names."""

import re
import unicodedata
from collections.abc import Callable

_LENGTH = 58  # with a number behind it still a DNS label, so that an id can stand in host names, paths and addresses


def slug(name: str, *, fallback: str = "client") -> str:
    """Make an id of a name: ASCII lower case, digits and hyphens; `<fallback>-<hash>` where nothing of it is left."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    words = re.sub(r"['`]", "", plain)
    made = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:_LENGTH].strip("-")
    if made:
        return made
    import hashlib  # OpenSSL, for the rare name that needs it

    return f"{fallback}-" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]


def free_id(wanted: str, is_taken: Callable[[str], bool]) -> str:
    """Return the id, or the first of `-2`, `-3` ... that is free."""
    if not is_taken(wanted):
        return wanted
    number = 2
    while is_taken(f"{wanted}-{number}"):
        number += 1
    return f"{wanted}-{number}"

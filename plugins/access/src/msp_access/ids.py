"""Ids of keys and plans, which people read out and type."""

import secrets

_LETTERS = "23456789abcdefghjkmnpqrstvwxyz"  # none that are mistaken for another
_LENGTH = 8


def new_id() -> str:
    """Return a new id."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))

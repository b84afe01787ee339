"""What may be a client's id, name, contact, tags and notes."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from msp_clients.api import NewClient
from msp_core.v1 import InvalidParameters

NAME_LENGTH = 500
NOTES_LENGTH = 20_000
TAG_LENGTH = 50

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(
    r"[^\s@<>\"',;:()\[\]\\]+@[^\s@<>\"',;:()\[\]\\.]+(?:\.[^\s@<>\"',;:()\[\]\\.]+)*"
)
_TAG = re.compile(r"[^\W_](?:[\w.:-]*\w)?")
_KEY = re.compile(r"[a-z0-9_-]+(?:\.[A-Za-z0-9_*:/-]+)*")


def _has_control(text: str, *, allowed: str = "") -> bool:
    return any(unicodedata.category(char) in ("Cc", "Cs") and char not in allowed for char in text)


def checked_id(client_id: str) -> str:
    """Return the id, or raise InvalidParameters saying what an id may be."""
    if not _ID.fullmatch(client_id):
        raise InvalidParameters(
            f"{client_id[:80]!r} cannot be a client id",
            suggestion="Use up to 63 of a-z, 0-9 and '-', such as acme-corp.",
            parameter="id",
        )
    return client_id


def checked_name(name: str) -> str:
    """Return the name without outer blanks, or raise InvalidParameters."""
    name = name.strip()
    if not name or len(name) > NAME_LENGTH or _has_control(name):
        problem = (
            "is empty"
            if not name
            else "holds control characters"
            if _has_control(name)
            else f"is longer than {NAME_LENGTH} characters"
        )
        raise InvalidParameters(
            f"the client's name {problem}",
            suggestion='Give a name in one line, such as --name "Acme Corp".',
            parameter="name",
        )
    return name


def checked_email(email: str) -> str:
    """Return the address without outer blanks; it may be empty. A light check: one @, no blanks or brackets."""
    email = email.strip()
    if email and (len(email) > 254 or _has_control(email) or not _EMAIL.fullmatch(email)):
        raise InvalidParameters(
            f"{email[:80]!r} is not an e-mail address",
            suggestion="Give an address such as john@acmecorp.com, or leave it empty.",
            parameter="contact_email",
        )
    return email


def checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the tags in lower case, sorted, each once."""
    cleaned = sorted({tag.strip().lower() for tag in tags if tag.strip()})
    for tag in cleaned:
        if len(tag) > TAG_LENGTH or not _TAG.fullmatch(tag):
            raise InvalidParameters(
                f"{tag[:80]!r} cannot be a tag",
                suggestion="A tag is one word of letters, digits and . : - _ inside, such as hipaa.",
                parameter="tags",
            )
    return tuple(cleaned)


def checked_notes(notes: str) -> str:
    """Return the notes, lines and tabs kept."""
    notes = notes.replace("\r\n", "\n").strip()
    if len(notes) > NOTES_LENGTH or _has_control(notes, allowed="\n\t"):
        raise InvalidParameters(
            f"the notes hold control characters or more than {NOTES_LENGTH} characters",
            suggestion="Keep longer texts in a file and put its place into the notes.",
            parameter="notes",
        )
    return notes


def checked_key(key: str) -> str:
    """Return the key of a client's own setting, or raise InvalidParameters."""
    if len(key) > 200 or not _KEY.fullmatch(key):
        raise InvalidParameters(
            f"{key[:80]!r} cannot be the key of a setting",
            suggestion="Use words joined by dots, such as health.disk.critical_percent.",
            parameter="key",
        )
    return key


def checked(new: NewClient) -> NewClient:
    """Return the client with every field checked and cleaned."""
    return NewClient(
        name=checked_name(new.name),
        contact_email=checked_email(new.contact_email),
        tier=new.tier,
        status=new.status,
        tags=checked_tags(new.tags),
        notes=checked_notes(new.notes),
        id=None if new.id is None else checked_id(new.id),
    )


def bad_rows(problems: Sequence[Mapping[str, Any]]) -> InvalidParameters:
    """Report the bad rows of an import, the first ones in words."""
    shown = "; ".join(f"line {one['line']}: {one['problem']}" for one in problems[:10])
    more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
    return InvalidParameters(
        f"nothing was imported, {len(problems)} rows are bad: {shown}{more}",
        suggestion="Mend these rows and import the file again.",
        rows=list(problems),
    )

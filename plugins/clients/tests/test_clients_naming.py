"""What may be a client's id, name, contact and tags."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_clients.api import NewClient, free_id, slug
from msp_clients.naming import checked, checked_email, checked_id, checked_key, checked_tags
from msp_core.v1 import InvalidParameters

ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@given(st.text(max_size=400))
def test_every_name_gives_a_safe_slug(name: str) -> None:
    """A slug is a valid id whatever the name, and the same each time."""
    made = slug(name)
    assert ID.fullmatch(made)
    assert made == slug(name)
    assert checked_id(made) == made
    assert checked_id(free_id(made, {made, f"{made}-2"}.__contains__)) == f"{made}-3"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Acme Corp", "acme-corp"),
        ("Müller & Söhne GmbH", "muller-sohne-gmbh"),
        ("Straße 7", "strasse-7"),
        ("O'Brien’s Café", "obriens-cafe"),
        ('../../x"; DROP TABLE', "x-drop-table"),
        ("a" * 300, "a" * 58),
    ],
)
def test_slugs_read_like_the_name(name: str, expected: str) -> None:
    """Latin names keep their letters without accents."""
    assert slug(name) == expected


@pytest.mark.parametrize("name", ["شركة النور", "🦊🦊", "株式会社", "!!!"])
def test_names_without_latin_letters_get_a_hash(name: str) -> None:
    """A name of which nothing is left gives `client-` and eight hexadecimal digits."""
    assert re.fullmatch(r"client-[0-9a-f]{8}", slug(name))
    assert slug(name) != slug(name + "x")


@pytest.mark.parametrize("bad", ["", "-a", "a-", "A", "a b", "a/b", "é", "a" * 64, "a\n", "../x"])
def test_bad_ids_are_refused(bad: str) -> None:
    """An explicit id has to be a slug."""
    with pytest.raises(InvalidParameters):
        checked_id(bad)


@pytest.mark.parametrize(
    "bad", ["john", "a@", "@b", "a b@c.de", "a@b@c", "<a@b.de>", "a@b..de", "a@b\n"]
)
def test_bad_addresses_are_refused(bad: str) -> None:
    """A contact needs the shape of an address."""
    if bad == "a@b\n":
        assert checked_email(bad) == "a@b"
        return
    with pytest.raises(InvalidParameters):
        checked_email(bad)


def test_good_addresses_pass() -> None:
    """Plus signs, subdomains and an empty contact are fine."""
    for good in ("john@acmecorp.com", "a.b+c@sub.example.co.uk", "root@localhost", ""):
        assert checked_email(good) == good


@pytest.mark.parametrize("bad", ["", "   ", "x" * 501, "a\nb", "a\x00b", "\ud800", "a\x1b[31m"])
def test_bad_names_are_refused(bad: str) -> None:
    """A name is one printable line of bounded length."""
    with pytest.raises(InvalidParameters):
        checked(NewClient(name=bad))


def test_tags_are_normalised() -> None:
    """Tags are lower case, sorted and unique; blanks inside are refused."""
    assert checked_tags(["HIPAA", " pci ", "hipaa", ""]) == ("hipaa", "pci")
    with pytest.raises(InvalidParameters):
        checked_tags(["two words"])


@pytest.mark.parametrize("bad", ["", ".", "a..b", "a b", "Ä", "a.", "x" * 201])
def test_bad_keys_are_refused(bad: str) -> None:
    """The key of a setting is words joined by dots."""
    assert checked_key("health.disk.critical_percent") == "health.disk.critical_percent"
    with pytest.raises(InvalidParameters):
        checked_key(bad)

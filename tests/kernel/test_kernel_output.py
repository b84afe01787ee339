"""Results in every format, secrets masked, terminals unharmed."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
import yaml
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from msp_core.model import Client, Tier
from msp_core.output import Format, clean, render
from msp_core.secrets import Secret, mask, mask_data
from msp_core.status import Status
from msp_core.v1 import CheckResult, Column, Display, Listing

BERLIN = ZoneInfo("Europe/Berlin")
CLIENT = Client(
    id="acme-corp", name="Acme | Corp", tier=Tier.GOLD, tags=("a", "b"),
    created_at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC),
)  # fmt: skip


@frozen
class Row:
    """A row of anything."""

    DISPLAY: ClassVar[Display] = Display(columns=(Column("name"), Column("when"), Column("status")))

    name: str
    when: datetime | None = None
    status: Status | None = None
    more: Any = field(default=None)


def listing(*items: Any) -> Listing[Any]:
    """Return a listing of these."""
    return Listing(items=items, total=len(items))


@pytest.mark.parametrize("format", Format)
def test_every_format_renders_a_listing_an_object_and_nothing(format: Format) -> None:
    """No result type makes a format fail."""
    for result in (listing(CLIENT), listing(), CLIENT, None, "text", {"a": 1}, (CLIENT,), 5):
        assert isinstance(render(result, format, zone=BERLIN), str)


def test_json_has_a_schema_version_and_utc_times() -> None:
    """Machine formats keep values as they are."""
    data = json.loads(render(CLIENT, Format.JSON, zone=BERLIN))
    assert data["schema_version"] == 1
    assert data["created_at"] == "2026-01-31T23:30:00+00:00"
    assert data["tier"] == "gold"


def test_jsonl_and_yaml_and_csv_say_the_same() -> None:
    """One row each, the same values."""
    rows = listing(CLIENT)
    assert json.loads(render(rows, Format.JSONL, zone=BERLIN))["id"] == "acme-corp"
    assert yaml.safe_load(render(rows, Format.YAML, zone=BERLIN))["items"][0]["id"] == "acme-corp"
    [row] = csv.DictReader(io.StringIO(render(rows, Format.CSV, zone=BERLIN)))
    assert (row["id"], row["tags"]) == ("acme-corp", "a; b")


def test_a_table_shows_times_in_the_zone_of_people() -> None:
    """23:30 UTC is half past midnight in Berlin."""
    text = render(listing(Row("x", CLIENT.created_at)), Format.TABLE, zone=BERLIN)
    assert "2026-02-01 00:30" in text
    assert "STATUS" not in text  # a column without any value is left out


def test_markdown_escapes_what_would_be_markup() -> None:
    """A name with pipes, stars or HTML stays a name."""
    text = render(listing(Row("a|b <script> *x*")), Format.MARKDOWN, zone=BERLIN)
    assert r"a\|b \<script\> \*x\*" in text


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@x", "=cmd|' /C calc'!A0"])
def test_csv_disarms_formulas(formula: str) -> None:
    """A spreadsheet will not run what a device is called."""
    [row] = csv.DictReader(io.StringIO(render(listing(Row(formula)), Format.CSV, zone=BERLIN)))
    assert row["name"] == f"'{formula}"


@given(st.text())
def test_no_control_character_reaches_a_terminal(text: str) -> None:
    """Escape codes and direction marks in names come out harmless."""
    shown = render(listing(Row(text)), Format.TABLE, zone=BERLIN)
    assert not any(ord(c) < 32 and c != "\n" for c in shown)
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_name_cannot_start_a_line_of_its_own() -> None:
    """A line break in a name does not make another row."""
    assert len(render(listing(Row("a\nOK all fine")), Format.TABLE, zone=BERLIN).splitlines()) == 2


def test_nagios_counts_statuses() -> None:
    """The worst first, as the Monitoring Plugins want it."""
    rows = listing(CheckResult(status="ok", message=""), CheckResult(status="critical", message=""))
    assert render(rows, Format.NAGIOS, zone=BERLIN) == "CRITICAL: 1 ok, 1 critical"


def test_colour_only_when_asked() -> None:
    """Colour is for terminals."""
    rows = listing(Row("x", status=Status.CRITICAL))
    assert "\x1b" not in render(rows, Format.TABLE, zone=BERLIN)
    assert "\x1b[1;31mcritical" in render(rows, Format.TABLE, zone=BERLIN, colour=True)


def test_a_revealed_secret_is_masked_wherever_it_turns_up() -> None:
    """By value: plain, URL-quoted, JSON-escaped; by key; in URLs; by type."""
    secret = Secret('canary/"value"+1', "test")
    assert secret.reveal() not in mask(f"got {secret.reveal()} back")
    assert "canary" not in mask("https://x/?k=canary%2F%22value%22%2B1")
    assert "canary" not in mask(json.dumps({"k": secret.reveal()}))
    assert "s3cr3t" not in mask("password=s3cr3t&x=1")
    assert "s3cr3t" not in mask("Authorization: Bearer s3cr3t")
    assert "s3cr3t" not in mask("postgresql://user:s3cr3t@host/db")
    assert "s3cr3t" not in str(mask_data({"api_key": "s3cr3t", "inner": [{"password": "s3cr3t"}]}))
    assert "canary" not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError):
        __import__("pickle").dumps(secret)


def test_clean_keeps_ordinary_text() -> None:
    """Accents, Arabic and emoji pass."""
    assert (
        clean("Café \N{ARABIC LETTER MEEM} \N{GRINNING FACE}")
        == "Café \N{ARABIC LETTER MEEM} \N{GRINNING FACE}"
    )

"""Results in every format, secrets masked, terminals unharmed."""

import csv
import io
import json
import unicodedata
from datetime import UTC, datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
import yaml
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from msp_core.layout import table
from msp_core.model import Client, Tier
from msp_core.output import Format, clean, render
from msp_core.secrets import MASK, Secret, SecretRef, mask, mask_data
from msp_core.status import Status
from msp_core.structure import Unstructurable, structure
from msp_core.v1 import CheckResult, Column, Display, Effect, Listing, moment

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
    status: Status | str | None = None
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


@pytest.mark.parametrize("state", ["warning (new)", "acknowledged, stale", "suspended"])
def test_a_state_with_more_to_say_has_its_colour_too(state: str) -> None:
    """What is new, stale or muted is no less of a warning."""
    shown = render(listing(Row("x", status=state)), Format.TABLE, zone=BERLIN, colour=True)
    assert f"\x1b[33m{state}" in shown


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


def test_a_secret_in_a_message_is_masked_however_it_is_quoted() -> None:
    """As Python quotes it, and in small letters, as searches compare."""
    secret = Secret("Canary\\with'back\\slash", "test").reveal()
    assert "slash" not in mask(f"Client {secret!r} not found")
    assert "slash" not in mask(f"LIKE %{secret.casefold()}%")


def test_a_secret_in_the_wrong_place_is_masked_before_it_is_cut() -> None:
    """What does not fit is shown with its beginning alone, which nobody would recognise."""
    Secret("canary-in-the-wrong-place-entirely", "test")
    with pytest.raises(Unstructurable) as caught:
        structure("canary-in-the-wrong-place-entirely", int)
    assert "canary" not in str(caught.value.__dict__) + str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "password: there goes it",
        "token=unknown 5",
        "secret: expected it",
        "api_key: unknownkey",
        "password: missing-link",
        "passphrase: expected a-reference such as none",
    ],
)
def test_a_secret_may_begin_like_a_problem(text: str) -> None:
    """A word that also stands in what is said of a configuration hides no secret."""
    assert MASK in mask(text)


@frozen
class Login:
    """Options whose names are those of secrets."""

    api_key: SecretRef
    password: str = ""


@pytest.mark.parametrize(
    "given", [{"api_key": "s3cr3t"}, {"api_key": 5}, {"password": 5}, {}, {"token": "x"}]
)
def test_a_problem_of_a_secret_option_is_readable(given: dict[str, Any]) -> None:
    """What is wrong with it is no secret."""
    with pytest.raises(Unstructurable) as caught:
        structure(given, Login, "adapters.rmm")
    assert mask(str(caught.value)) == str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_clean_keeps_ordinary_text() -> None:
    """Accents, Arabic and emoji pass."""
    assert (
        clean("Café \N{ARABIC LETTER MEEM} \N{GRINNING FACE}")
        == "Café \N{ARABIC LETTER MEEM} \N{GRINNING FACE}"
    )


LONG = "C: 96.6 % used, 18.6 GB free of 550 GB (critical at 95 %)"


@frozen
class Trouble:
    """A row with much to say in its last column."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("client"), Column("device_name"), Column("why"))
    )

    client: str
    device_name: str
    why: str


@given(
    st.lists(
        st.builds(
            Trouble,
            client=st.from_regex(r"[a-z]{1,20}(-[a-z]{1,10})?", fullmatch=True),
            device_name=st.sampled_from(["srv-01", "東京-サーバー", ""]),
            why=st.lists(st.sampled_from(["disk", "is", "ディスク", "full,", "95 %"])).map(
                " ".join
            ),
        ),
        min_size=1,
    ),
    st.integers(60, 200),
)
def test_a_table_fits_the_terminal_and_loses_no_word(rows: list[Trouble], width: int) -> None:
    """No line is wider than the terminal, ids stay whole, and every word is still there."""
    text = render(rows, Format.TABLE, zone=BERLIN, width=width)
    assert max(map(_columns, text.splitlines())) <= width
    for row in rows:
        assert row.client in text
    said = [word for row in rows for word in row.why.split()]
    assert sum(text.split().count(word) for word in set(said)) >= len(said)


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def test_a_narrow_terminal_gets_the_last_column_below() -> None:
    """At 60 columns the reason goes under its row instead of into a ladder of words."""
    row = Trouble("granite-construction-partners", "granite-server-01", LONG)
    quiet = Trouble("acme-corp", "acme-01", "")
    lines = render([row, quiet], Format.TABLE, zone=BERLIN, width=60).splitlines()
    assert lines[0].split() == ["CLIENT", "DEVICE", "NAME"]
    assert lines[1] == "    WHY"
    assert [line for line in lines if not line.strip()] == []  # nothing to say, no line
    assert " ".join(lines[3:5]).split() == LONG.split()
    assert lines[5].split() == ["acme-corp", "acme-01"]


@frozen
class Opened:
    """A row of many short columns, as a list of alerts has."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("client"),
            Column("device"),
            Column("state"),
            Column("since"),
            Column("what"),
        )
    )

    client: str
    device: str
    state: str
    since: datetime
    what: str


@pytest.mark.parametrize("width", range(30, 130))
def test_what_does_not_fit_goes_below_with_its_heading_and_a_moment_stays_whole(width: int) -> None:
    """However narrow: no line is wider than the terminal or its longest word, no column is left out."""
    at = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    rows = [Opened(f"granite-{n}-partners", f"granite-ws{n:03}", "open", at, LONG) for n in (1, 99)]
    text = render(rows, Format.TABLE, zone=BERLIN, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("2026-02-01 00:30") == 2
    heading = text[: text.index("granite")]
    assert heading.split() == ["CLIENT", "DEVICE", "STATE", "SINCE", "WHAT"]
    lines = text.splitlines()
    assert len([line for line in lines if line.startswith("granite")]) == 2
    assert all(line.startswith("    ") for line in heading.splitlines()[1:])


@frozen
class Said:
    """A result that is said in words."""

    DISPLAY: ClassVar[Display] = Display(summary=lambda one: one.text)

    text: str


@frozen
class Printed(Said):
    """What somebody else's program printed."""

    DISPLAY: ClassVar[Display] = Display(summary=lambda one: one.text, verbatim=True)


@frozen
class Entry:
    """A result that is a row of a list, and words where it is alone."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("name"),), summary=lambda one: f"all of {one.name}"
    )

    name: str


def test_a_thing_alone_is_said_in_its_words_and_many_are_a_table() -> None:
    """Not twice, once as a table of one row."""
    assert render(Entry("one"), Format.TABLE, zone=BERLIN) == "all of one"
    assert render([Entry("one")], Format.TABLE, zone=BERLIN).split() == ["NAME", "one"]


PROSE = "Client 'acme' holds 21 critical, 13 warning, 330 unknown results. " * 3
COMMAND = (
    "  msp-toolkit device link acme-corp/acme-dc01 lab-automate 17   # and no other of them all"
)


def test_prose_is_broken_between_words_and_what_is_copied_is_not() -> None:
    """A number cut in two misleads; a command cut in two does not run."""
    text = f"{PROSE}\n{COMMAND}"
    lines = render(Said(text), Format.TABLE, zone=BERLIN, width=60).splitlines()
    assert lines[-1] == COMMAND
    assert all(len(line) <= 60 for line in lines[:-1])
    assert " ".join(lines[:-1]).split() == PROSE.split()
    assert render(Printed(text), Format.TABLE, zone=BERLIN, width=60) == text
    assert render(Said(text), Format.TABLE, zone=BERLIN) == text
    assert render(Said(text), Format.MARKDOWN, zone=BERLIN, width=60) == text


def test_without_a_terminal_no_line_is_broken() -> None:
    """A pipe gets one line for each row, however long."""
    row = Trouble("acme", "srv", LONG * 5)
    assert len(render([row], Format.TABLE, zone=BERLIN).splitlines()) == 2


def test_in_a_pipe_a_long_cell_pushes_nothing_away() -> None:
    """What comes after it moves in its own row; the other rows stay as wide as they are."""
    rows = [
        Trouble("acme", "srv", "it is full"),
        Trouble("acme", "x " * 100, "as well"),
        Trouble("acme", "a\n  b", "not"),
    ]
    assert render(rows, Format.TABLE, zone=BERLIN).splitlines() == [
        "CLIENT  DEVICE NAME  WHY",
        "acme    srv          it is full",
        f"acme    {'x ' * 100}  as well",
        "acme    a b          not",
    ]


def test_a_schema_is_printed_whole() -> None:
    """An option called password is a name in a schema, no secret; known secrets are masked there too."""
    secret = Secret("a-secret-in-a-default")
    schema = {
        "$schema": "x",
        "properties": {"password": {"type": "string", "default": secret.reveal()}},
    }
    for format in (Format.JSON, Format.TABLE):
        shown = json.loads(render(schema, format, zone=BERLIN))
        assert shown["properties"]["password"] == {"type": "string", "default": "********"}


def test_a_terminal_shows_all_of_a_long_cell_and_a_pipe_one_line_a_row() -> None:
    """Between words on a terminal; elsewhere the row is as long as it has to be. Nothing is cut."""
    long = " ".join(f"word{number}" for number in range(30))
    rows = listing(Row(long, CLIENT.created_at, Status.OK))
    piped = render(rows, Format.TABLE, zone=BERLIN).splitlines()
    assert len(piped) == 2
    assert piped[1].startswith(f"{long}  ")
    shown = render(rows, Format.TABLE, zone=BERLIN, width=80)
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert set(long.split()) <= set(shown.split())


@frozen
class Since:
    """A result that says a moment in its text."""

    DISPLAY: ClassVar[Display] = Display(summary=lambda one: f"since {moment(one.at)}")

    at: datetime


def test_a_moment_in_a_text_is_in_the_zone_of_the_tables() -> None:
    """Not in that of the machine: people would read two zones in one answer."""
    at = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    assert render(Since(at), Format.TABLE, zone=BERLIN) == "since 2026-02-01 00:30"
    assert moment(at) == "2026-01-31 23:30"


@frozen
class Ended:
    """A result with an exit code of its own."""

    exit_code: int | None


@pytest.mark.parametrize(
    ("code", "word"), [(0, "OK"), (None, "OK"), (1, "WARNING"), (2, "CRITICAL"), (3, "UNKNOWN")]
)
def test_the_status_line_of_any_result_says_what_the_exit_code_says(
    code: int | None, word: str
) -> None:
    """What ends with 1 is not called OK."""
    assert render(Ended(code), Format.NAGIOS, zone=BERLIN) == f"{word}: 1 row"


@pytest.mark.parametrize("format", list(Format))
def test_an_ordered_enum_is_said_by_its_name_in_every_format(format: Format) -> None:
    """An effect is an order inside and a word outside: a number says nothing, and YAML refused it."""
    text = render([Row("one", more=Effect.CHANGE)], format, zone=BERLIN)
    assert "3" not in text
    if format in {Format.JSON, Format.JSONL, Format.YAML, Format.CSV}:
        assert "change" in text


def test_a_column_that_is_long_throughout_is_shown() -> None:
    """In a pipe it sticks out, its heading as well."""
    shown = table(["t" * 70], [["x" * 80]], colour=False, width=None)
    assert shown.splitlines() == ["T" * 70, "x" * 80]

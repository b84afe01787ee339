"""What people see on a terminal: the bar, warnings, errors, questions."""

import io
import sys

import pytest

from msp_core import terminal
from msp_core.errors import ConfigError, ConfirmationRequired, NotFound


class Tty(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic time the bar sees; move it by setting the first item."""
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def test_the_bar_shows_count_rate_and_time_left(clock: list[float]) -> None:
    """After 10 s with 50 of 200 done: 5 a second, 30 s left, a quarter of the bar."""
    stream = Tty()
    bar = terminal.ProgressBar(stream)
    clock[0] += 10
    bar.update(50, 200, "Sweep")
    assert "Sweep" in stream.getvalue()
    assert "50/200  5/s  0:30 left" in stream.getvalue()
    assert stream.getvalue().count("█") == 6
    assert stream.getvalue().count("·") == 18


def test_the_bar_is_drawn_ten_times_a_second_and_at_the_end(clock: list[float]) -> None:
    """A thousand updates in no time draw once; the last one always does."""
    stream = Tty()
    bar = terminal.ProgressBar(stream)
    for done in range(1, 1000):
        bar.update(done, 1000)
    assert stream.getvalue().count("\r") == 1
    bar.update(1000, 1000)
    assert stream.getvalue().count("\r") == 2
    assert "1000/1000" in stream.getvalue()
    clock[0] += 0.2
    bar.update(1001, None)
    assert stream.getvalue().endswith("Working  1001")


def test_a_bar_without_progress_knows_no_time_left(clock: list[float]) -> None:
    """Nothing done yet is not infinitely long."""
    stream = Tty()
    terminal.ProgressBar(stream).update(0, 10)
    assert "0/10  0/s  --:-- left" in stream.getvalue()


def test_the_bar_goes_away_before_other_text(clock: list[float]) -> None:
    """`clear` erases what was drawn, once."""
    stream = Tty()
    bar = terminal.ProgressBar(stream)
    bar.clear()
    assert stream.getvalue() == ""
    bar.update(1, 2, "evil\x1b[2Jname")
    assert "\x1b[2J" not in stream.getvalue()
    bar.clear()
    bar.clear()
    assert stream.getvalue().endswith("\r\x1b[K")
    assert stream.getvalue().count("\r") == 2


def test_no_bar_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither into a file nor on a dumb terminal."""
    file = io.StringIO()
    terminal.ProgressBar(file).update(1, 1)
    monkeypatch.setenv("TERM", "dumb")
    dumb = Tty()
    terminal.ProgressBar(dumb).update(1, 1)
    assert file.getvalue() == dumb.getvalue() == ""


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and pipes get plain text."""
    error = NotFound("No such thing.", suggestion="Look again.", plan="p-1")
    coloured, piped, refused = Tty(), io.StringIO(), Tty()
    terminal.say_error(error, coloured)
    terminal.say_error(error, piped)
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.say_error(error, refused)
    assert "\x1b[1;31mError" in coloured.getvalue()
    assert piped.getvalue() == refused.getvalue()
    assert piped.getvalue() == "Error: No such thing. [NOT_FOUND]\n  Look again.\n  Plan: p-1\n"


def test_an_error_is_broken_between_words_and_its_next_step_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody reads half an error code; a command to copy stays in one line."""
    monkeypatch.setenv("COLUMNS", "60")
    problem = (
        "  msp.toml: health_checks.intervall: unknown key (known: attempts, chunk_devices, tiers)"
    )
    step = "Run: msp-toolkit config schema, and look at the section that is named above."
    stream = Tty()
    terminal.say_error(
        ConfigError(f"The configuration is wrong:\n{problem}", suggestion=step), stream
    )
    *said, last = stream.getvalue().splitlines()
    assert last == f"  {step}"
    assert said[0] == "\x1b[1;31mError\x1b[0m: The configuration is wrong:"
    assert all(line.startswith("  ") and len(line) <= 60 for line in said[1:])
    assert " ".join(said[1:]).split() == [*problem.split(), "[CONFIG_INVALID]"]


def test_lines_are_only_broken_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe has no width."""
    monkeypatch.setenv("COLUMNS", "77")
    assert terminal.width(Tty()) == 77
    assert terminal.width(io.StringIO()) is None


def test_a_warning_shows_no_secret_and_no_escape(capsys: pytest.CaptureFixture[str]) -> None:
    """Vendor text goes through the same cleaning as everything else."""
    terminal.warn("password=abcdefgh\x1b[31m")
    assert capsys.readouterr().err == "Warning: password=********\n"


@pytest.mark.parametrize("answer", ["", "acme", "ACME-CORP", "y"])
def test_only_the_name_itself_confirms(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything but the target, retyped, leaves everything as it was."""
    monkeypatch.setattr(sys, "stdin", Tty(f"{answer}\n"))
    with pytest.raises(ConfirmationRequired, match="nothing was done"):
        terminal.confirm("Delete", "acme-corp", yes=False, no_input=False)


def test_the_retyped_name_confirms(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the question says what will happen."""
    monkeypatch.setattr(sys, "stdin", Tty("acme-corp\n"))
    terminal.confirm("Delete", "acme-corp", yes=False, no_input=False)
    assert "Delete acme-corp: this cannot be taken back." in capsys.readouterr().err


def test_nobody_there_is_no_confirmation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe with the right answer, or --no-input, is not a person; --yes is."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("acme-corp\n"))
    with pytest.raises(ConfirmationRequired, match="nobody is here"):
        terminal.confirm("Delete", "acme-corp", yes=False, no_input=False)
    monkeypatch.setattr(sys, "stdin", Tty("acme-corp\n"))
    with pytest.raises(ConfirmationRequired, match="nobody is here"):
        terminal.confirm("Delete", "acme-corp", yes=False, no_input=True)
    terminal.confirm("Delete", "acme-corp", yes=True, no_input=True)


def test_a_question_has_a_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Enter takes it, an answer replaces it, and where nobody is there it is not even asked."""
    monkeypatch.setattr(sys, "stdin", Tty("\nNord\n"))
    assert terminal.ask("Name", "Acme", no_input=False) == "Acme"
    assert terminal.ask("Name", "Acme", no_input=False) == "Nord"
    assert capsys.readouterr().err == "Name [Acme]: Name [Acme]: "
    assert terminal.ask("Name", "Acme", no_input=True) == "Acme"
    monkeypatch.setattr(sys, "stdin", io.StringIO("Nord\n"))
    assert terminal.ask("Name", "Acme", no_input=False) == "Acme"
    assert capsys.readouterr().err == ""


def test_a_hidden_answer_is_read_without_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """By getpass, and the default is not shown."""
    asked: list[str] = []

    def getpass(prompt: str, stream: object) -> str:
        asked.append(prompt)
        return "hidden"

    monkeypatch.setattr("getpass.getpass", getpass)
    monkeypatch.setattr(sys, "stdin", Tty())
    assert terminal.ask("Secret", "old", no_input=False, hide=True) == "hidden"
    assert asked == ["Secret: "]

"""What is put into a command's parameter: one line stays one line, in every shell, whatever quotes it holds."""

import re
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_core.v1 import InvalidParameters, NotSupported
from msp_rmm_connectwise_automate.commands import _Mark, parameter

SPECIAL = "'\"\u2018\u2019\u201a\u201b\\`$%^&|<>()[]{};!#*~ \t"
LINES = st.text(
    st.sampled_from(SPECIAL) | st.characters(exclude_categories=["Cc", "Cs"]),
    min_size=1,
    max_size=60,
).filter(lambda line: line.strip() and "!!!" not in line)
MARK = "msp-exit-0123456789ab:"


def windows_arguments(text: str) -> list[str]:
    """Split a command line as CommandLineToArgvW does."""
    arguments, place = [], 0
    while place < len(text):
        while place < len(text) and text[place] in " \t":
            place += 1
        if place == len(text):
            break
        word, quoted = "", False
        while place < len(text) and (quoted or text[place] not in " \t"):
            slashes = 0
            while place < len(text) and text[place] == "\\":
                slashes, place = slashes + 1, place + 1
            if place < len(text) and text[place] == '"':
                word += "\\" * (slashes // 2)
                if slashes % 2:
                    word += '"'
                else:
                    quoted = not quoted
                place += 1
            else:
                word += "\\" * slashes
                if place < len(text) and (quoted or text[place] not in " \t"):
                    word, place = word + text[place], place + 1
        arguments.append(word)
    return arguments


@given(LINES)
def test_sh_gets_the_line_as_one_word(line: str) -> None:
    """A POSIX reader of the arguments sees the fixed script, and the line as its one argument."""
    program, _, arguments = parameter(line, "sh", MARK).partition("!!!")
    assert program == "/bin/sh"
    assert shlex.split(arguments) == ["-c", f'(eval "$0"); echo "{MARK}$?"', line]


@pytest.mark.parametrize(
    ("line", "output", "code"),
    [
        ("echo hello", "hello", 0),
        ("exit 3", "", 3),
        ("echo a; false", "a", 1),
        ("echo 'one  two' \"three\" # four", "one  two three", 0),
        ("printf '%s' '$HOME `x` \\'", "$HOME `x` \\", 0),
        ("echo $((6*7))", "42", 0),
        ("no-such-program-anywhere 2>/dev/null", "", 127),
        ("echo unbalanced '", "", 2),
        ("echo ); echo out", "", 2),
    ],
)
def test_a_real_sh_runs_it(line: str, output: str, code: int) -> None:
    """The real shell of this machine gives output and exit code; a line that is broken breaks nothing around it."""
    program, _, arguments = parameter(line, "sh", MARK).partition("!!!")
    done = subprocess.run(
        [program, *shlex.split(arguments)], capture_output=True, text=True, check=False
    )
    text, found = _Mark(MARK).split(done.stdout)
    assert text.strip() == output
    assert found == code


@given(LINES)
def test_powershell_gets_the_line_as_one_text(line: str) -> None:
    """Windows hands PowerShell one script, in which the line is one quoted text."""
    program, _, arguments = parameter(line, "powershell", MARK).partition("!!!")
    assert program == "powershell.exe"
    *options, script = windows_arguments(arguments)
    assert options == ["-NoProfile", "-NonInteractive", "-Command"]
    quotes = "'\u2018\u2019\u201a\u201b"
    found = re.match(
        f"\\$LASTEXITCODE=\\$null; Invoke-Expression '((?:[^{quotes}]|([{quotes}])\\2)*)'; ", script
    )
    assert found is not None
    assert re.sub(f"([{quotes}])\\1", r"\1", found[1]) == line
    assert script[found.end() :].startswith("$ok=$?; Write-Output (")


@given(LINES)
def test_cmd_gets_the_line_between_the_outer_quotes(line: str) -> None:
    """With /s, cmd takes away exactly the outer quotes and runs what is between them."""
    program, _, arguments = parameter(line, "cmd", MARK).partition("!!!")
    assert program == "cmd.exe"
    assert arguments == f' /s /c "{line} & call echo {MARK}%^errorlevel%"'
    assert parameter(line, "cmd", MARK).count("!!!") == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("echo a!!!b", "three exclamation marks"),
        ("powershell.exe!!! -Command x", "three exclamation marks"),
        ("echo a\ndel b", "line break"),
        ("echo a\r\ndel b", "line break"),
        ("echo \x00", "control character"),
        ("x" * 6001, "6001 characters"),
    ],
)
@pytest.mark.parametrize("shell", ["cmd", "powershell", "sh"])
def test_lines_the_server_would_take_apart_are_refused(shell: str, line: str, says: str) -> None:
    """A line that could become something else on its way is refused, with what to do."""
    with pytest.raises(InvalidParameters) as caught:
        parameter(line, shell, MARK)
    assert says in caught.value.message + caught.value.suggestion


def test_an_unknown_shell_is_refused() -> None:
    """Only shells whose quoting is known are used."""
    with pytest.raises(NotSupported, match="fish"):
        parameter("ls", "fish", MARK)


@pytest.mark.parametrize(
    ("output", "text", "code"),
    [
        (f"hello\r\n{MARK}0\r\n", "hello", 0),
        (f"{MARK}-1073741510", "", -1073741510),
        ("hello", "hello", None),
        ("", "", None),
        (f"{MARK}0 and more", f"{MARK}0 and more", None),
        (f"{MARK}%errorlevel%", f"{MARK}%errorlevel%", None),
        (f"{MARK}1\n{MARK}2\n", f"{MARK}1", 2),
    ],
)
def test_the_mark_is_read_at_the_end_only(output: str, text: str, code: int | None) -> None:
    """The exit code is what stands behind the last mark, at the very end; else it is not known."""
    assert _Mark(MARK).split(output) == (text, code)

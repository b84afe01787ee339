"""Clients through pipes: written to the standard output, read from the standard input."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from msp_core.cli import run
from msp_core.testing import Done
from msp_core.v1 import InvalidParameters, Toolkit

Msp = Callable[..., tuple[str, str]]


@pytest.fixture
def msp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Msp:
    """Run command lines in a workspace with one client, something piped in, and return what they printed."""
    (tmp_path / "msp-toolkit.toml").write_text("")
    monkeypatch.chdir(tmp_path)

    def call(*words: str, code: int = 0, piped: str | bytes = "") -> tuple[str, str]:
        data = piped if isinstance(piped, bytes) else piped.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        ended = run(words)
        out, err = capsys.readouterr()
        assert ended == code, (out, err)
        return out, err

    call("client", "add", "--name", "Über, Corp", "--notes", "one\ntwo")
    return call


@pytest.mark.parametrize("format", ["csv", "json"])
def test_a_pipe_takes_clients_there_and_back(msp: Msp, tmp_path: Path, format: str) -> None:
    """`-` is the standard output of an export and the standard input of an import, and no file."""
    said, _ = msp("client", "export", "--output", "-", "--format", format)
    back, _ = msp("client", "import", "-", "--format", format, "--json", piped=said)
    assert [row["action"] for row in json.loads(back)["rows"]] == ["unchanged"]
    assert not (tmp_path / "-").exists()


def test_what_is_piped_in_is_csv_unless_said(msp: Msp) -> None:
    """With the mark of spreadsheets in front as well."""
    out, _ = msp("client", "import", "-", piped=b"\xef\xbb\xbfname\nAcme\n")
    assert "1 created" in out


@pytest.mark.parametrize(("piped", "says"), [(b"name\n\xff\n", "not UTF-8"), (b"", "the first l")])
def test_what_cannot_be_read_is_refused(msp: Msp, piped: bytes, says: str) -> None:
    """Nothing and garbage are no clients."""
    assert says in msp("client", "import", "-", code=64, piped=piped)[1]


def test_a_name_that_promises_another_format_is_refused(msp: Msp, tmp_path: Path) -> None:
    """The formats are named, and one that is said decides."""
    _, err = msp("client", "export", "--output", "x.xml", code=64)
    assert "Formats: csv, json" in err
    assert not (tmp_path / "x.xml").exists()
    msp("client", "export", "--output", "x.xml", "--format", "csv")
    assert (tmp_path / "x.xml").exists()


@pytest.mark.anyio
async def test_only_a_command_line_has_a_standard_input(toolkit: Toolkit) -> None:
    """A program's own is not read, least of all a server's that is spoken to through it."""
    with pytest.raises(InvalidParameters, match="standard input"):
        await toolkit.call("client.import", {"file": "-"})


@pytest.mark.parametrize("source", ["-", "in.csv"])
def test_too_much_is_refused(
    msp: Msp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """A file or a pipe that holds more than anybody's clients is not read to its end."""
    monkeypatch.setattr("msp_clients.files._SIZE_BYTES", 20)
    text = "name\n" + "x" * 15 + "\n"
    (tmp_path / "in.csv").write_text(text)
    _, err = msp("client", "import", source, piped=text, code=64)
    assert "larger than 50 MB" in err
    assert "Split it" in err
    (tmp_path / "in.csv").write_text(text[:-1])
    assert "1 created" in msp("client", "import", source, piped=text[:-1])[0]


def test_the_kit_pipes_too(msp_cli: Callable[..., Done], msp_workspace: Path) -> None:
    """What a test of somebody's plugin gives as standard input can be imported."""
    (msp_workspace / "msp-toolkit.toml").write_text("")
    done = msp_cli("client", "import", "-", stdin="name\nÜber\n")
    assert (done.code, "1 created" in done.out) == (0, True)

"""A tool as a command: words to arguments, the result in a format, exit codes."""

import asyncio
import json
import os
import subprocess
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from attrs import define, frozen

from msp_core import cli
from msp_core.commands import command
from msp_core.errors import CredentialError
from msp_core.testing import make_toolkit
from msp_core.v1 import (
    Context,
    Display,
    Doc,
    Effect,
    Param,
    Spelling,
    Surface,
    Tier,
    Tool,
    hookimpl,
)


@frozen(kw_only=True)
class Limits:
    """An object given as JSON."""

    warning: float
    critical: float = 90.0


@frozen(kw_only=True)
class Verdict:
    """A result with an exit code of its own."""

    word: str
    exit_code: int | None = 0


async def echo(
    ctx: Context,
    client: Annotated[str | None, Doc("Whose."), Param(arg=True, all_flag=True)] = None,
    *,
    tier: Annotated[Tier | None, Doc("Service level."), Param(selects=True)] = None,
    number: Annotated[int, Param(least=-9, most=99)] = 5,
    ratio: float | None = None,
    since: datetime | None = None,
    span: timedelta | None = None,
    path: Path | None = None,
    flag: bool = False,
    tag: Annotated[Sequence[str], Doc("Any number.")] = (),
    level: Annotated[
        str,
        Param(cli=(Spelling("--level"), Spelling("--loud", const="loud"), Spelling("--volume"))),
    ] = "quiet",
    colour: Annotated[Sequence[str], Param(cli=(Spelling("--colour"), Spelling("--color")))] = (),
    more: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Say what came in.

    With a second paragraph.
    """
    return {key: value for key, value in locals().items() if key != "ctx"}


async def several(ctx: Context, names: Annotated[Sequence[str], Param(arg=True)]) -> list[str]:
    """Take several."""
    return list(names)


async def must(
    ctx: Context,
    *,
    email: Annotated[str, Param(required_on=frozenset({Surface.CLI}))] = "",
) -> str:
    """Need an option on the command line only."""
    return email


async def verdict(ctx: Context, code: Annotated[str, Param(arg=True)]) -> Verdict:
    """End with a code."""
    return Verdict(word=code, exit_code=None if code == "none" else int(code))


@frozen(kw_only=True)
class Judged:
    """A result whose exit code is a status."""

    DISPLAY: ClassVar[Display] = Display(nagios="line")


async def judge(ctx: Context) -> Judged:
    """Fail before anything was judged."""
    raise CredentialError("Nobody may look.", suggestion="Log in.")


async def fail(ctx: Context) -> None:
    """Fail as tools do."""
    raise CredentialError(
        "The password=abcdefgh is not right.", suggestion="Store it again.", instance="rmm"
    )


async def peek(
    ctx: Context, client: Annotated[str | None, Param(arg=True, all_flag=True)] = None
) -> str:
    """Look at one client or all of them."""
    return client or "everybody"


async def stop(ctx: Context) -> None:
    """Be interrupted, as Ctrl-C does it."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def erase(ctx: Context, client: Annotated[str, Param(arg=True)]) -> str:
    """Erase a client."""

    async def apply() -> str:
        erased.append(client)
        return f"Erased {client}."

    ctx.warn("about to erase")
    ctx.progress.update(1, 1)
    return str(
        await ctx.change(
            "client.erase", client, apply, key="k", effect=Effect.DESTROY, preview=f"erase {client}"
        )
    )


erased: list[str] = []
TOOLS = (
    (echo, Effect.RECORD), (peek, Effect.READ), (several, Effect.READ), (must, Effect.RECORD), (verdict, Effect.READ),
    (fail, Effect.READ), (judge, Effect.READ), (stop, Effect.READ), (erase, Effect.DESTROY),
)  # fmt: skip
module = types.ModuleType("kernel_commands_double")


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer them all."""
    for function, effect in TOOLS:
        yield Tool(
            name=f"double.{function.__name__}",
            run=f"kernel_commands_double:{function.__name__}",
            summary=str(function.__doc__).splitlines()[0],
            effect=effect,
            example="msp-toolkit double echo acme" if function is echo else "",
        )


vars(module).update({one.__name__: one for one, _ in TOOLS}, msp_tools=msp_tools)
sys.modules[module.__name__] = module


@define
class Shell:
    """Runs commands of the double against a fresh toolkit."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, name: str, *words: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr, usage errors as the program reports them."""
        toolkit = make_toolkit(self.folder, plugins={"double": module})
        made = command(toolkit, toolkit.tool(f"double.{name}"))
        try:
            code = int(made.main(list(words), prog_name=name, standalone_mode=False) or 0)
        except cli.UsageError as error:
            code = cli._usage(error)
        shown = self.capture.readouterr()
        return code, shown.out, shown.err

    def data(self, *words: str) -> dict[str, Any]:
        """Return what `echo` got, as JSON shows it."""
        code, out, err = self("echo", *words, "--json")
        assert code == 0, err + out
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell of the double."""
    return Shell(tmp_path, capsys)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--tier", "GOLD"], "tier", "gold"),
        (["--number", "7"], "number", 7),
        (["--ratio", "0.5"], "ratio", 0.5),
        (["--since", "2026-01-31T08:00:00+01:00"], "since", "2026-01-31T07:00:00+00:00"),
        (["--span", "2h30m"], "span", "2h30m"),
        (["--path", "a/b"], "path", "a/b"),
        (["--flag"], "flag", True),
        (["--no-flag"], "flag", False),
        ([], "flag", False),
        (["--tag", "a", "--tag", "b"], "tag", ["a", "b"]),
        ([], "tag", []),
        (["--level", "mid"], "level", "mid"),
        (["--loud"], "level", "loud"),
        (["--volume", "high"], "level", "high"),
        ([], "level", "quiet"),
        (["--colour", "red"], "colour", ["red"]),
        (["--color", "red", "--color", "blue"], "colour", ["red", "blue"]),
        (["--colour", "red", "--color", "blue"], "colour", ["red", "blue"]),
        (
            ["--more", "a=1", "--more", "b=x", "--more", "c=true"],
            "more",
            {"a": 1, "b": "x", "c": True},
        ),
        (["--more", '{"a": {"b": [1]}}', "--more", "z=0"], "more", {"a": {"b": [1]}, "z": 0}),
        (["--limits", '{"warning": 80}'], "limits", {"warning": 80.0, "critical": 90.0}),
    ],
)
def test_words_become_arguments(shell: Shell, words: list[str], name: str, value: Any) -> None:
    """Every kind of parameter, in every spelling it has."""
    assert shell.data("acme", *words)[name] == value


@pytest.mark.parametrize(
    ("words", "seen"), [([], "everybody"), (["--all"], "everybody"), (["acme"], "acme")]
)
def test_who_only_reads_need_not_say_all(shell: Shell, words: list[str], seen: str) -> None:
    """A READ tool shows all where neither a name nor --all is given; both are still refused."""
    code, out, _ = shell("peek", *words)
    assert (code, out.strip()) == (0, seen)
    assert shell("peek", "acme", "--all")[0] == 64
    assert "--dry-run" not in shell("peek", "--help")[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give CLIENT or --all."),
        (["acme", "--all"], "not both"),
        (["acme", "--tier", "golden"], "did you mean 'gold'"),
        (["acme", "--number", "many"], "number: expected a whole number"),
        (["acme", "--ratio", "nan"], "finite"),
        (["acme", "--more", "novalue"], "'novalue' is not KEY=VALUE"),
        (["acme", "--more", "=1"], "is not KEY=VALUE"),
        (["acme", "--more", "{broken"], "is not JSON"),
        (["acme", "--limits", "80"], "limits"),
        (["acme", "--limits", "{"], "is not JSON"),
        (["acme", "--limits", '{"warnin": 80}'], "did you mean 'warning'"),
        (["acme", "--as", "tabel"], "'tabel' is no output format"),
        (["acme", "--nosuch"], "--nosuch"),
        (["acme", "surplus"], "surplus"),
    ],
)
def test_wrong_words_are_usage_errors(shell: Shell, words: list[str], says: str) -> None:
    """Exit code 64, an explanation on stderr, nothing on stdout."""
    code, out, err = shell("echo", *words)
    assert (code, out) == (64, "")
    assert says in err
    assert "INVALID_PARAMETERS" in err


def test_all_is_none_given(shell: Shell) -> None:
    """--all stands for the missing name, and so does an option that selects."""
    assert shell.data("--all")["client"] is None
    assert shell.data("--tier", "gold")["client"] is None
    assert shell.data("--tier", "gold", "--all")["client"] is None


def test_several_arguments_and_what_only_the_command_line_demands(shell: Shell) -> None:
    """A repeated argument is a list; an option may be required here and optional in Python."""
    assert shell("several", "a", "b", "--as", "jsonl")[1] == '"a"\n"b"\n'
    assert shell("several")[0] == 64
    code, _, err = shell("must")
    assert (code, "--email" in err) == (64, True)
    assert shell("must", "--email", "a@example.org")[1] == "a@example.org\n"


def test_help_shows_texts_defaults_and_the_example(shell: Shell) -> None:
    """From the signature alone; changing commands have --dry-run, destroying ones --yes too."""
    code, out, _ = shell("echo", "--help")
    assert code == 0
    for text in (
        "Say what came in.", "With a second paragraph.", "Service level.", "[-9 to 99]  [default: 5]",
        "DURATION", "KEY=VALUE", "--flag / --no-flag", "Example: msp-toolkit double echo acme",
        "|".join(Tier),
    ):  # fmt: skip
        assert text in out, text
    assert "--yes" not in out
    assert "--dry-run" in shell("must", "--help")[1]
    assert "--yes" not in shell("must", "--help")[1]
    assert "--yes" in shell("erase", "--help")[1]


@pytest.mark.parametrize(("word", "code"), [("0", 0), ("1", 1), ("2", 2), ("3", 3), ("none", 3)])
def test_a_result_decides_the_exit_code(shell: Shell, word: str, code: int) -> None:
    """A check's status is the code; one that could not tell is 3."""
    found, out, _ = shell("verdict", word)
    assert found == code
    assert word in out


def test_an_error_is_for_people_or_for_programs(shell: Shell) -> None:
    """Text on stderr; JSON on stdout where JSON was asked for; a plugin line for Nagios. Never the secret."""
    code, out, err = shell("fail")
    assert (code, out) == (1, "")
    assert err == (
        "Error: The password=******** is not right. [CREDENTIAL_UNAVAILABLE]\n  Store it again.\n"
    )
    for words in (["--json"], ["--as", "json"], ["--as", "jsonl"]):
        code, out, err = shell("fail", *words)
        found = json.loads(out)["error"]
        assert (code, err, found["code"]) == (1, "", "CREDENTIAL_UNAVAILABLE")
        assert found["details"] == {"instance": "rmm", "suggestion": "Store it again."}
        assert "abcdefgh" not in out
    code, out, err = shell("fail", "--as", "nagios")
    assert (code, out) == (3, "UNKNOWN: The password=******** is not right.\n")


def test_a_failure_to_judge_is_unknown(shell: Shell) -> None:
    """Where 1 is a WARNING, what failed ends with 3 in every format; wrong usage stays 64."""
    for words in ([], ["--json"], ["--as", "nagios"]):
        assert shell("judge", *words)[0] == 3
    assert shell("judge", "--as", "nothing")[0] == 64


def test_an_interruption_is_130(shell: Shell) -> None:
    """And says so."""
    assert shell("stop") == (130, "", "Interrupted.\n")


def test_an_interruption_of_the_imports_is_130(tmp_path: Path) -> None:
    """Ctrl-C before the command line is there ends the program without a traceback."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    program = "import sys; from msp_core.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Aborted.\n")
    scripts = {one.value for one in entry_points(group="console_scripts") if one.name[:3] == "msp"}
    assert scripts == {"msp_core.__main__:main"}


def test_destroying_asks_first(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody there: refused. --dry-run: shown. --yes: done."""
    erased.clear()
    code, _, err = shell("erase", "acme")
    assert (code, erased) == (1, [])
    assert "CONFIRMATION_REQUIRED" in err
    assert "Erase a client acme" in err
    code, out, err = shell("erase", "acme", "--dry-run")
    assert (code, erased) == (0, [])
    assert "Would: erase acme\n" in err
    assert out == "(known after apply)\n"
    code, out, err = shell("erase", "acme", "--yes")
    assert (code, erased, out) == (0, ["acme"], "Erased acme.\n")
    assert "Warning: about to erase\n" in err

"""Running a command line through CommandExecute, and reading its exit code from a mark in its output.

The server has no exit code. So the shell is asked to print a random mark with the code behind the command; where the
mark is missing (the command ended its shell, or the output was cut) the exit code is not known and stays None.
"""

import asyncio
import re
import secrets
import shlex
from typing import Any

from attrs import frozen

from msp_core.v1 import (
    AdapterEnv,
    Command,
    CommandResult,
    InvalidParameters,
    NotSupported,
    OsFamily,
    RateLimited,
    Target,
    VendorError,
    VendorUnavailable,
)
from msp_http.api import HttpClient
from msp_rmm_connectwise_automate.lists import as_id, is_number

CONSOLE = "2"
"""The id of the command that starts a console program."""
SEPARATOR = "!!!"
"""Stands between program and arguments."""
_FINISHED = frozenset({"success", "failed", "terminated"})
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 5.0
_LONGEST_LINE = 6000
"""cmd.exe takes 8191 characters with everything around the command."""
_SHELLS = {OsFamily.WINDOWS: "cmd", OsFamily.LINUX: "sh", OsFamily.MACOS: "sh"}
# PowerShell takes typographic quotes for straight ones
_PS_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")


@frozen
class _Mark:
    """Tells the exit code apart from the output; random, so that no output holds it by chance."""

    text: str

    def split(self, output: str) -> tuple[str, int | None]:
        """Return the output without the mark, and the exit code, None where there is no mark."""
        found = re.search(rf"(?:\r?\n)?{self.text}(-?\d+)\s*\Z", output)
        return (output, None) if found is None else (output[: found.start()], int(found[1]))


def parameter(line: str, shell: str, mark: str) -> str:
    """Return what CommandExecute is given for a command line: program, separator, arguments.

    The line stays one argument whatever quotes it holds. Raises InvalidParameters for a line the server would take
    apart, and NotSupported for an unknown shell.
    """
    _check(line)
    if shell == "cmd":
        # /s: exactly the outer quotes are taken away. %^errorlevel% is expanded by `call`, after the command has run
        return f'cmd.exe{SEPARATOR} /s /c "{line} & call echo {mark}%^errorlevel%"'
    if shell == "powershell":
        quoted = _PS_QUOTES.sub(r"\1\1", line)
        script = (
            f"$LASTEXITCODE=$null; Invoke-Expression '{quoted}'; $ok=$?; "
            f"Write-Output ('{mark}' + $(if ($LASTEXITCODE -ne $null) {{$LASTEXITCODE}} elseif ($ok) {{0}} else {{1}}))"
        )
        return f"powershell.exe{SEPARATOR} -NoProfile -NonInteractive -Command {_windows_argument(script)}"
    if shell == "sh":
        # In a subshell, so that `exit` ends the command and not what reports its code
        script = f'(eval "$0"); echo "{mark}$?"'
        return f"/bin/sh{SEPARATOR} -c {shlex.quote(script)} {shlex.quote(line)}"
    raise NotSupported(
        f"Automate runs commands in cmd, powershell or sh, not in {shell[:40]!r}.",
        suggestion="Choose one of them.",
    )


def _windows_argument(text: str) -> str:
    """Quote one argument as every Windows program written in C or .NET reads it."""
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)
    escaped = re.sub(r"(\\+)\Z", r"\1\1", escaped)
    return f'"{escaped}"'


def _check(line: str) -> None:
    if not line.strip():
        raise InvalidParameters("The command is empty.")
    if len(line) > _LONGEST_LINE:
        raise InvalidParameters(
            f"The command has {len(line)} characters; {_LONGEST_LINE} are the most.",
            suggestion="Put it into a script on the machine.",
        )
    if SEPARATOR in line:
        raise InvalidParameters(
            f"The command holds {SEPARATOR}, with which Automate parts a program from its arguments.",
            suggestion="Write it without three exclamation marks in a row.",
        )
    if any(ord(char) < 32 and char != "\t" for char in line):
        raise InvalidParameters(
            "The command holds a line break or another control character.",
            suggestion="Join its lines with & (cmd) or ; (powershell, sh).",
        )


async def run(http: HttpClient, env: AdapterEnv, target: Target, command: Command) -> CommandResult:
    """Start a command and ask for its result until it is there or its time is up."""
    if target.external_id is None or not is_number(target.external_id):
        raise NotSupported(
            f"{env.instance} runs commands on computers only, not on {target.device.id}.",
            suggestion="Try another way: device exec --via ssh",
        )
    shell = command.shell or _SHELLS.get(target.device.os, "")
    if not shell:
        raise NotSupported(
            f"Which system {target.device.id} runs is not known, so neither is its shell.",
            suggestion="Name the shell: cmd, powershell or sh.",
        )
    mark = _Mark(f"msp-exit-{secrets.token_hex(6)}:")
    body = {
        "ComputerId": int(target.external_id),
        "Command": {"Id": CONSOLE},
        "Parameters": [parameter(command.line, shell, mark.text)],
    }
    path = f"/Computers/{target.external_id}/CommandExecute"
    started = env.now()
    # A POST: it changes something as far as anybody knows, so it passes only inside ctx.change
    row = _row((await http.request("POST", path, json=body)).json(), None, env)
    done = await _wait(http, env, path, row, command.timeout.total_seconds())
    output = done.get("Output") if done is not None else ""
    text, code = mark.split(output if isinstance(output, str) else "")
    return CommandResult(
        device_id=target.device.id,
        via=env.instance,
        command=command.line,
        exit_code=code,
        stdout=text,
        started_at=started,
        finished_at=env.now(),
        timed_out=done is None,
    )


async def _wait(
    http: HttpClient, env: AdapterEnv, path: str, row: dict[str, Any], limit_s: float
) -> dict[str, Any] | None:
    """Return the finished command; None when its time is up. It may then still be running."""
    number = as_id(row.get("Id"))
    if number is None:
        raise VendorError(f"{env.instance}: the server started the command and gave it no id.")
    pause = _FIRST_WAIT_S
    trouble: VendorUnavailable | RateLimited | None = None
    try:
        async with asyncio.timeout(limit_s):
            while str(row.get("Status")).strip().lower() not in _FINISHED:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_WAIT_S)
                try:
                    row = _row(await http.get_json(path, params={"ids": number}), number, env)
                    trouble = None
                except (VendorUnavailable, RateLimited) as error:
                    trouble = error  # the command goes on without us
    except TimeoutError:
        if trouble is not None:
            raise trouble from None
        return None
    return row


def _row(answer: object, number: str | None, env: AdapterEnv) -> dict[str, Any]:
    """Return the command out of an answer: the object itself, or the one with this id in a list."""
    if isinstance(answer, dict):
        answer = [answer]
    if isinstance(answer, list):
        for row in answer:
            if isinstance(row, dict) and (number is None or as_id(row.get("Id")) == number):
                return row
        if number is not None:
            return {}  # not there yet
    raise VendorError(
        f"{env.instance}: the server answered something that is not a command.",
        suggestion="Look at the computer's command history in Automate.",
    )

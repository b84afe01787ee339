"""Commands through a script. NinjaOne runs no command line by itself and gives a run no id.

A run is found again in the device's activities: the first series of the script's name that begins after the request.
Two runs of one script on one device cannot be told apart, so this process never has two under way on a device.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from msp_core.v1 import Command, Effect, InvalidParameters, NotSupported, Target
from msp_http.api import HttpClient
from msp_rmm_ninjaone.paging import expect_list
from msp_rmm_ninjaone.shapes import Row, external_id, text

_ENDED = frozenset({"COMPLETED", "CANCELLED", "BLOCKED"})
_KINDS = frozenset({"ACTION", "SCRIPTING"})
_FIRST_POLL_S, _LONGEST_POLL_S = 0.5, 5.0
_HOW_TO = (
    "Add a script to NinjaOne's library that runs its parameters as a command line (see the plugin's README), "
    "and name it in command_scripts."
)


@frozen(kw_only=True)
class Outcome:
    """How a run ended. `exit_code` is None where the vendor does not say; `result` is its own word."""

    output: str = ""
    exit_code: int | None = None
    result: str = ""
    timed_out: bool = False


@frozen
class Script:
    """A script that a device offers."""

    name: str
    language: str
    call: Mapping[str, Any] = field(factory=dict)


class Scripts:
    """Runs command lines through the scripts that the configuration names."""

    def __init__(self, http: HttpClient, instance: str, names: tuple[str, ...]) -> None:
        self._http = http
        self._instance = instance
        self._names = tuple(name.strip().lower() for name in names)
        self._busy: dict[str, asyncio.Lock] = {}

    async def run_command(self, target: Target, command: Command) -> Outcome:
        """Run a command line as the system account; the caller has gone through the door for changes."""
        return await self.run(
            target,
            command.line,
            shell=command.shell,
            timeout_s=command.timeout.total_seconds(),
            effect=Effect.CHANGE,
        )

    async def run(
        self, target: Target, line: str, *, shell: str, timeout_s: float, effect: Effect
    ) -> Outcome:
        """Run a line through the script for this shell (empty: the first the device offers)."""
        device = target.external_id or ""
        if not (device.isascii() and device.isdigit()):
            message = f"{target.device.name} is not known to NinjaOne."
            raise InvalidParameters(message, suggestion="Sync the instance and try again.")
        async with self._busy.setdefault(device, asyncio.Lock()):
            script = await self._script(device, target.device.name, shell)
            since = await self._newest(device)
            await self._http.request(
                "POST",
                f"/v2/device/{device}/script/run",
                effect=effect,
                json={**script.call, "parameters": line, "runAs": "system"},
            )
            return await self._outcome(device, script, since, timeout_s)

    async def _script(self, device: str, name: str, shell: str) -> Script:
        if not self._names:
            message = f"{self._instance}: NinjaOne runs scripts only, and none for command lines is configured."
            raise NotSupported(message, suggestion=_HOW_TO)
        path = f"/v2/device/{device}/scripting/options"
        said = await self._http.get_json(path)
        rows = expect_list(said.get("scripts") if isinstance(said, dict) else None, path)
        offered = [script for row in rows if isinstance(row, dict) for script in self._named(row)]
        fitting = [script for script in offered if not shell or _speaks(script.language, shell)]
        if not fitting:
            wish = f" for {shell}" if shell and offered else ""
            message = (
                f"NinjaOne offers none of the scripts {', '.join(self._names)}{wish} on {name}."
            )
            raise NotSupported(message, suggestion=_HOW_TO)
        return fitting[0]

    def _named(self, row: Row) -> Iterator[Script]:
        name, number, uid = text(row.get("name")), external_id(row.get("id")), text(row.get("uid"))
        if not {name.lower(), number, uid.lower()}.intersection(self._names):
            return
        call: dict[str, Any] = {"type": text(row.get("type")) or "SCRIPT"}
        if number is not None and number.isdigit():
            call["id"] = int(number)
        else:
            call["uid"] = uid
        yield Script(name, text(row.get("language")).lower(), call)

    async def _newest(self, device: str) -> int:
        return max((number for number, _ in await self._activities(device, None)), default=0)

    async def _activities(self, device: str, since: int | None) -> list[tuple[int, Row]]:
        path = f"/v2/device/{device}/activities"
        size = 10 if since is None else 200
        said = await self._http.get_json(path, params={"newerThan": since, "pageSize": size})
        rows = expect_list(said.get("activities") if isinstance(said, dict) else None, path)
        numbered = [(external_id(row.get("id")), row) for row in rows if isinstance(row, dict)]
        return sorted(
            ((int(number), row) for number, row in numbered if number and number.isdigit()),
            key=lambda pair: pair[0],
        )

    async def _outcome(self, device: str, script: Script, since: int, timeout_s: float) -> Outcome:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        pause = _FIRST_POLL_S
        while True:
            await asyncio.sleep(min(pause, max(0.0, deadline - loop.time())))
            rows = [row for number, row in await self._activities(device, since) if number > since]
            ended = _ended(rows, script.name)
            if ended is not None:
                return _result(ended)
            if loop.time() >= deadline:
                return Outcome(timed_out=True)
            pause = min(pause * 1.5, _LONGEST_POLL_S)


def _ended(rows: list[Row], script: str) -> Row | None:
    """Find the activity that ends the first run of a script."""
    series = None
    for row in rows:
        if text(row.get("activityType")) not in _KINDS or not _mentions(row, script):
            continue
        series = series or text(row.get("seriesUid"))
        if text(row.get("seriesUid")) == series and text(row.get("statusCode")) in _ENDED:
            return row
    return None


def _mentions(row: Row, script: str) -> bool:
    wanted = script.lower()
    return any(wanted in text(row.get(key)).lower() for key in ("sourceName", "subject", "message"))


def _result(row: Row) -> Outcome:
    word = text(row.get("activityResult")).upper()
    if text(row.get("statusCode")) != "COMPLETED":
        word = word if word and word != "SUCCESS" else text(row.get("statusCode"))
    values = dict(_flat(row.get("data")))
    code = next((values[key] for key in ("exitcode", "returncode") if key in values), None)
    if type(code) is not int:
        code = 0 if word == "SUCCESS" else None
    output = next((values[key] for key in ("output", "stdout") if key in values), None)
    if not isinstance(output, str):
        output = text(row.get("message")).partition("Output: ")[2] or text(row.get("message"))
    return Outcome(output=output, exit_code=code, result=word)


def _flat(data: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the values inside nested objects by the last part of their name, without `_`, in lower case."""
    if isinstance(data, dict) and depth < 6:
        for key, value in data.items():
            yield from _flat(value, depth + 1)
            yield str(key).replace("_", "").lower(), value


def _speaks(language: str, shell: str) -> bool:
    families = {
        "cmd": ("batch", "cmd"),
        "sh": ("sh", "bash", "shell"),
        "powershell": ("powershell",),
    }
    return language.startswith(families.get(shell.lower(), (shell.lower(),)))

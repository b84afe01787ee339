"""What simulated devices answer to commands: a few real-looking ones, made from their state."""

import re
import shlex
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from msp_lab.world import View


@attrs.frozen(kw_only=True)
class Result:
    """How a command ended; `service` is (name, runs now) when it changed one.

    `exited` is the code a command ended its own shell with.
    """

    succeeded: bool
    output: str
    service: tuple[str, bool] | None = None
    exited: int | None = None

    @property
    def code(self) -> int:
        """The exit code."""
        return self.exited if self.exited is not None else int(not self.succeeded)


@attrs.frozen
class _Reported:
    """A command whose caller has the shell print a mark and the exit code behind it."""

    line: str
    mark: str
    subshell: bool


def run(view: "View", text: str) -> Result:
    """Answer a command line with the text a shell would print."""
    reported = _reported(text)
    if reported is None:
        return _answer(view, _unwrap(text))
    result = _answer(view, reported.line.strip())
    if result.exited is not None and not reported.subshell:
        return result  # the shell has ended before it could print the mark
    output = f"{result.output}\n{reported.mark}{result.code}\n"
    return attrs.evolve(result, output=output)


def _reported(text: str) -> _Reported | None:
    """Recognise the ways of cmd, PowerShell and sh to print the exit code behind a command."""
    program, separator, arguments = text.partition("!!!")
    if not separator:
        return None
    if program.endswith("/sh"):
        try:
            words = shlex.split(arguments)
        except ValueError:
            return None
        asked = (
            re.fullmatch(r'\(eval "\$0"\); echo "([^"$]*)\$\?"', words[1])
            if len(words) == 3
            else None
        )
        return _Reported(words[2], asked[1], subshell=True) if asked else None
    asked = _CMD.fullmatch(arguments.strip())
    if asked:
        return _Reported(asked["line"], asked["mark"], subshell=False)
    asked = _POWERSHELL.search(arguments)
    if asked:
        return _Reported(asked["line"].replace("''", "'"), asked["mark"], subshell=False)
    return None


_CMD = re.compile(
    r'/s /c "(?P<line>.*) & call echo (?P<mark>[^%\s]*)%\^errorlevel%"', re.IGNORECASE
)
_POWERSHELL = re.compile(
    r"Invoke-Expression '(?P<line>(?:[^']|'')*)';.*Write-Output \('(?P<mark>[^']*)' \+",
    re.IGNORECASE,
)


def _answer(view: "View", command: str) -> Result:
    for pattern, answer in _ANSWERS:
        found = re.fullmatch(pattern, command, re.IGNORECASE)
        if found:
            return answer(view, found)
    word = command.split()[0] if command.split() else ""
    if view.device.system.family == "windows":
        return Result(
            succeeded=False,
            output=f"'{word}' is not recognized as an internal or external command,\n"
            "operable program or batch file.",
        )
    return Result(succeeded=False, output=f"sh: 1: {word}: not found")


def _unwrap(text: str) -> str:
    """Take away `cmd.exe!!! /c "..."` and the like, leaving the command itself."""
    program, mark, arguments = text.partition("!!!")
    command = (arguments if mark else program).strip()
    command = re.sub(r"^(?:/c|-c|(?:-\w+\s+(?!-)?)*?-command)\s+", "", command, flags=re.IGNORECASE)
    if len(command) >= 2 and command[0] == command[-1] and command[0] in "\"'":
        command = command[1:-1]
    return command.replace('\\"', '"').strip()


def _hostname(view: "View", _: re.Match[str]) -> Result:
    return Result(succeeded=True, output=view.device.hostname)


def _echo(_: "View", found: re.Match[str]) -> Result:
    return Result(succeeded=True, output=found["text"].strip("\"'"))


def _exit(_: "View", found: re.Match[str]) -> Result:
    code = int(found["code"])
    return Result(succeeded=code == 0, output="", exited=code)


def _version(view: "View", _: re.Match[str]) -> Result:
    system = view.device.system
    if system.family == "windows":
        return Result(succeeded=True, output=f"Microsoft Windows [Version {system.version}]")
    kernel = "Darwin" if system.family == "mac" else "Linux"
    return Result(succeeded=True, output=f"{kernel} {view.device.hostname} {system.build}")


def _whoami(view: "View", _: re.Match[str]) -> Result:
    windows = view.device.system.family == "windows"
    return Result(succeeded=True, output="nt authority\\system" if windows else "root")


def _addresses(view: "View", _: re.Match[str]) -> Result:
    device = view.device
    return Result(
        succeeded=True,
        output="Windows IP Configuration\n\n"
        f"   Host Name . . . . . . . . . . . . : {device.hostname}\n"
        f"   Physical Address. . . . . . . . . : {device.mac.replace(':', '-')}\n"
        f"   IPv4 Address. . . . . . . . . . . : {device.ip}",
    )


def _disk_free(view: "View", _: re.Match[str]) -> Result:
    lines = ["Filesystem 1024-blocks Used Available Capacity Mounted on"]
    for index, volume in enumerate(view.device.volumes):
        total, free = volume.size_bytes // 1024, view.free_bytes(index) // 1024
        used = total - free
        share = round(100 * used / total)
        lines.append(f"/dev/sd{'abcd'[index]}1 {total} {used} {free} {share}% {volume.name}")
    return Result(succeeded=True, output="\n".join(lines))


def _processor_load(view: "View", _: re.Match[str]) -> Result:
    return Result(succeeded=True, output=str(round(view.reading.cpu * 100)))


def _control_service(view: "View", found: re.Match[str]) -> Result:
    wanted = found["name"].strip("\"'")
    names = {service.name.lower(): service.name for service in view.device.services}
    name = names.get(wanted.lower())
    if name is None:
        return Result(succeeded=False, output=f"Service '{wanted}' was not found.")
    action = found["action"].lower()
    return Result(
        succeeded=True,
        output=f"{name}: {action} done",
        service=(name, action != "stop"),
    )


_ANSWERS = (
    (r"hostname", _hostname),
    (r"echo (?P<text>.*)", _echo),
    (r"write-output (?P<text>.*)", _echo),
    (r"exit (?P<code>\d+)", _exit),
    (r"ver|uname -a|uname", _version),
    (r"whoami", _whoami),
    (r"ipconfig(?: /all)?", _addresses),
    (r"df(?: -\w+)*", _disk_free),
    (r".*LoadPercentage.*", _processor_load),
    (r"(?:net|sc) (?P<action>start|stop) (?P<name>.+)", _control_service),
    (
        r"(?P<action>start|stop|restart)-service (?:-name )?(?P<name>.+)",
        _control_service,
    ),
    (
        r"(?:sudo )?systemctl (?P<action>start|stop|restart) (?P<name>\S+)",
        _control_service,
    ),
)

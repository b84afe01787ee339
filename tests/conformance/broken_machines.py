"""Hosts broken on purpose, each with the case that must catch it; the sound one is this machine."""

import asyncio
import logging
import os
import subprocess
from collections.abc import Callable
from datetime import datetime
from typing import Any

import attrs
import pytest

from msp_core.v1 import Command, CommandResult, RunsCommands, Target
from msp_host_local import adapter
from msp_hosts import api as hosts

Breakage = Callable[[pytest.MonkeyPatch], None]
BROKEN: dict[str, tuple[str, Breakage]] = {}
SOUND = adapter.LocalHost.run_command


def caught_by(case: str) -> Callable[[Breakage], Breakage]:
    def register(breakage: Breakage) -> Breakage:
        BROKEN[breakage.__name__] = (f"test_{case}", breakage)
        return breakage

    return register


def _command(patch: pytest.MonkeyPatch, run: Callable[..., Any]) -> None:
    """Replace how a command is run: `run(self, ctx, target, command)`."""
    patch.setattr(adapter.LocalHost, "run_command", run)


def _result(patch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Change what is made of a result: field -> function of the right result."""

    async def run(self: Any, ctx: Any, target: Target, command: Command) -> CommandResult:
        sound = await SOUND(self, ctx, target, command)
        return attrs.evolve(sound, **{name: change(sound) for name, change in changes.items()})

    _command(patch, run)


def _line(patch: pytest.MonkeyPatch, change: Callable[[str], str]) -> None:
    """Change the line before it is run."""

    async def run(self: Any, ctx: Any, target: Target, command: Command) -> CommandResult:
        sound = await SOUND(self, ctx, target, attrs.evolve(command, line=change(command.line)))
        return attrs.evolve(sound, command=command.line)

    _command(patch, run)


def _by_hand(patch: pytest.MonkeyPatch, **options: Any) -> None:
    """Run lines with the standard library, with these options."""

    async def run(self: Any, ctx: Any, target: Target, command: Command) -> CommandResult:
        await SOUND(self, ctx, target, Command(line="true"))
        given = {"stdin": subprocess.DEVNULL, "env": {"PATH": os.environ["PATH"]}, **options}
        done = await asyncio.to_thread(
            subprocess.run, ["sh", "-c", command.line], capture_output=True, check=False, **given
        )
        return CommandResult(
            device_id=target.device.id,
            via=self.instance,
            command=command.line,
            exit_code=done.returncode,
            stdout=done.stdout if isinstance(done.stdout, str) else done.stdout.decode(),
            started_at=ctx.now(),
            finished_at=ctx.now(),
        )

    _command(patch, run)


@caught_by("what_it_offers_is_what_it_implements")
def cannot_run_commands(patch: Any) -> None:
    class Deaf:
        probe, aclose = adapter.LocalHost.probe, adapter.LocalHost.aclose

    patch.setattr(adapter, "create", lambda _: Deaf())


@caught_by("what_it_offers_is_what_it_implements")
def does_not_say_what_it_can(patch: Any) -> None:
    from msp_core.adapters import Adapter

    real = Adapter.__init__

    def less(self: Any, **fields: Any) -> None:
        kept = tuple(one for one in fields.get("offers", ()) if one is not RunsCommands)
        real(self, **{**fields, "offers": kept})

    patch.setattr(Adapter, "__init__", less)


@caught_by("probe_says_a_line_for_people")
def probes_without_a_word(patch: Any) -> None:
    async def probe(self: Any, ctx: Any) -> str:
        return ""

    patch.setattr(adapter.LocalHost, "probe", probe)


@caught_by("a_command_gives_its_result")
def forgets_the_device(patch: Any) -> None:
    _result(patch, device_id=lambda _: "")


@caught_by("a_command_gives_its_result")
def shows_another_line(patch: Any) -> None:
    _result(patch, command=lambda sound: f"sh -c {sound.command}")


@caught_by("times_are_aware")
def gives_naive_times(patch: Any) -> None:
    _result(
        patch, started_at=lambda _: _Naive(2026, 1, 1), finished_at=lambda _: _Naive(2026, 1, 1)
    )


class _Naive(datetime):
    """A time without a zone."""


@caught_by("a_failing_command_is_a_result")
def raises_at_an_exit_code(patch: Any) -> None:
    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        result = await SOUND(self, ctx, target, command)
        if not result.success:
            raise RuntimeError(result.exit_code)
        return result

    _command(patch, run)


@caught_by("a_killed_command_is_no_success")
def takes_a_signal_for_success(patch: Any) -> None:
    _result(patch, exit_code=lambda sound: max(sound.exit_code, 0))


@caught_by("errors_are_apart")
def mixes_errors_into_the_output(patch: Any) -> None:
    _result(patch, stdout=lambda sound: sound.output)


@caught_by("the_line_is_run_as_it_is")
def quotes_the_line_again(patch: Any) -> None:
    _line(patch, lambda line: f"eval {line}" if "'" in line else line)


@caught_by("the_line_is_run_as_it_is")
def runs_the_first_line_alone(patch: Any) -> None:
    _line(patch, lambda line: line.partition("\n")[0])


@caught_by("every_script_arrives")
def knows_ascii_alone(patch: Any) -> None:
    _line(patch, lambda line: line.encode("ascii", "replace").decode())


@caught_by("bytes_that_are_no_text_are_survived")
def breaks_at_other_encodings(patch: Any) -> None:
    _by_hand(patch)


@caught_by("output_does_not_steer_a_terminal")
def lets_escapes_through(patch: Any) -> None:
    patch.setattr(hosts, "_CONTROL", {})


@caught_by("a_flood_ends")
def keeps_everything(patch: Any) -> None:
    patch.setattr(hosts, "MOST_BYTES", 1 << 40)


@caught_by("a_flood_ends")
def hides_that_output_is_missing(patch: Any) -> None:
    _result(patch, truncated=lambda _: False)


@caught_by("there_is_no_input")
def gives_the_command_some_input(patch: Any) -> None:
    _line(patch, lambda line: f"echo typed | ({line})" if "cat" in line else line)


@caught_by("a_command_that_hangs_times_out")
def calls_a_timeout_an_exit(patch: Any) -> None:
    _result(patch, timed_out=lambda _: False, exit_code=lambda sound: sound.exit_code or 0)


@caught_by("cancelling_stops_at_once")
def cannot_be_cancelled(patch: Any) -> None:
    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        try:
            return await SOUND(self, ctx, target, command)
        except asyncio.CancelledError:
            return await SOUND(self, ctx, target, Command(line="true"))

    _command(patch, run)


@caught_by("commands_at_the_same_time_do_not_mix")
def shares_one_result(patch: Any) -> None:
    last: list[CommandResult] = []

    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        last.append(await SOUND(self, ctx, target, command))
        await asyncio.sleep(0.05)
        return last[-1]

    _command(patch, run)


@caught_by("outside_the_door_nothing_runs")
def runs_commands_unasked(patch: Any) -> None:
    patch.setattr(adapter, "check_door", lambda *_: None)


@caught_by("outside_the_door_nothing_runs")
def asks_at_the_door_afterwards(patch: Any) -> None:
    real = adapter.check_door
    patch.setattr(adapter, "check_door", lambda *_: None)

    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        result = await SOUND(self, ctx, target, command)
        real(adapter.Effect.CHANGE, "Running a command")
        return result

    _command(patch, run)


@caught_by("a_shell_it_does_not_have_is_refused")
def takes_any_shell_for_its_own(patch: Any) -> None:
    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        return await SOUND(self, ctx, target, attrs.evolve(command, shell=""))

    _command(patch, run)


@caught_by("another_machine_is_an_error")
def runs_on_whatever_machine_it_is_on(patch: Any) -> None:
    patch.setattr(adapter, "is_this_machine", lambda _: True)


@caught_by("a_device_without_a_link_is_an_error")
def takes_no_link_for_itself(patch: Any) -> None:
    real = adapter.is_this_machine
    patch.setattr(adapter, "is_this_machine", lambda link: link is None or real(link))


@caught_by("hostile_ids_run_nothing")
def puts_ids_into_a_shell(patch: Any) -> None:
    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        await asyncio.create_subprocess_shell(f"true {target.external_id}")
        await asyncio.sleep(0.1)
        return await SOUND(self, ctx, target, command)

    _command(patch, run)


@caught_by("what_is_run_is_not_logged")
def logs_the_output(patch: Any) -> None:
    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        result = await SOUND(self, ctx, target, command)
        logging.getLogger("host").debug("%s", result.stdout)
        return result

    _command(patch, run)


@caught_by("a_command_sees_no_credential")
def hands_its_environment_on(patch: Any) -> None:
    _by_hand(patch, env=None, text=True)


@caught_by("nothing_is_printed")
def prints(patch: Any) -> None:
    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        print("running", command.line)
        return await SOUND(self, ctx, target, command)

    _command(patch, run)


@caught_by("devices_that_are_listed_can_be_used")
def lists_itself_for_every_client(patch: Any) -> None:
    async def list_devices(self: Any, ctx: Any, client_external_ids: Any = None) -> Any:
        yield adapter.describe()

    patch.setattr(adapter.LocalHost, "list_devices", list_devices)


@caught_by("closing_twice_is_fine")
def breaks_when_closed_again(patch: Any) -> None:
    closed: list[int] = []

    async def aclose(self: Any) -> None:
        if id(self) in closed:
            raise RuntimeError("closed already")
        closed.append(id(self))

    patch.setattr(adapter.LocalHost, "aclose", aclose)

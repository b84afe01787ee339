"""Cases of adapters that run commands on machines: hosts and transports."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pytest
from attrs import define

from msp_core.adapters import Adapter
from msp_core.checks import Target
from msp_core.context import Context, Planned
from msp_core.errors import MspError, NotSupported, PermissionDenied
from msp_core.model import Device
from msp_core.protocols import Probes, RunsCommands
from msp_core.testing.conformance.plugin import PluginConformance
from msp_core.testing.conformance.rig import INSTANCE, Records, everything_logged, subject
from msp_core.testing.door import open_door
from msp_core.toolkit import Toolkit
from msp_core.vendor import Command, CommandResult, Quarantined

_PATIENCE_S = 20.0
_FLOOD_BYTES = 20_000_000
HOSTILE = (
    "-oProxyCommand=touch {marker}",
    "; touch {marker}",
    "$(touch {marker})",
    "`touch {marker}`",
    "x\n touch {marker}",
    "../../x",
    "",
)
"""External ids that are no address; those with a marker would make a file where they are run."""


class MachineBackend(Protocol):
    """A machine to run commands on: one with `sh`, which sees the files of the test, as a server in its process does.

    `config` are the instance's options and `secrets` its credentials by settings field, both read after `start`.
    `external_id` is what the machine is linked by; `elsewhere` an id of a machine that this instance does not reach.
    """

    config: Mapping[str, Any]
    secrets: Mapping[str, str]
    external_id: str
    elsewhere: str

    async def start(self) -> None:
        """Get ready to be reached."""
        ...

    async def stop(self) -> None:
        """Clean up."""
        ...


@define(kw_only=True)
class MachineRig:
    """What the cases work with."""

    record: Adapter
    backend: MachineBackend
    toolkit: Toolkit
    adapter: Any
    ctx: Context
    log: Records

    def target(self, external_id: str | None) -> Target:
        """Return a device linked by this id."""
        return Target(Device(id="acme/pc", client_id="acme", name="PC"), external_id)

    async def run(
        self, line: str, *, seconds: float = 10, by: str = "", on: str | None = None
    ) -> CommandResult:
        """Run a command line on the machine, as if approved."""
        where = self.target(self.backend.external_id if on is None else on)
        command = Command(line=line, timeout=timedelta(seconds=seconds), shell=by)
        with open_door():
            async with asyncio.timeout(_PATIENCE_S):
                result = await self.adapter.run_command(self.ctx, where, command)
        assert isinstance(result, CommandResult), f"it returned {type(result).__name__}"
        return result


@contextlib.asynccontextmanager
async def open_machine(
    plugin: str, kind: str, backend: MachineBackend, folder: Path
) -> AsyncIterator[MachineRig]:
    """Start the backend and build the adapter."""
    await backend.start()
    try:
        with everything_logged() as log:
            async with subject(plugin, kind, folder, backend.config, backend.secrets) as toolkit:
                yield MachineRig(
                    record=toolkit.instance(INSTANCE).adapter,
                    backend=backend,
                    toolkit=toolkit,
                    adapter=await toolkit.adapter(INSTANCE),
                    ctx=toolkit.context(),
                    log=log,
                )
    finally:
        await backend.stop()


class MachineConformance(PluginConformance):
    """What every host and transport must do. Set `plugin`, `kind` where it is not the plugin's id, and `backend`."""

    kind: ClassVar[str] = ""
    backend: ClassVar[Callable[[], MachineBackend]]

    @pytest.fixture
    async def machine(self, tmp_path: Path) -> AsyncIterator[MachineRig]:
        """The adapter in front of a machine."""
        backend: Any = type(self).backend()
        async with open_machine(self.plugin, self.kind or self.plugin, backend, tmp_path) as rig:
            yield rig

    @pytest.mark.anyio
    async def test_what_it_offers_is_what_it_implements(self, machine: MachineRig) -> None:
        """It has `probe` and `aclose`, and runs commands; its record says so."""
        assert isinstance(machine.adapter, Probes), "every adapter has probe and aclose"
        assert isinstance(machine.adapter, RunsCommands), "it runs no commands"
        assert RunsCommands in machine.record.offers, "its record does not offer RunsCommands"

    @pytest.mark.anyio
    async def test_probe_says_a_line_for_people(self, machine: MachineRig) -> None:
        """`probe` returns one line, without a credential."""
        said = await machine.adapter.probe(machine.ctx)
        assert isinstance(said, str), "probe returns text"
        assert said.strip(), "probe says nothing"
        assert "\n" not in said, "probe says more than one line"
        _assert_no_secret(machine, said, "probe")

    @pytest.mark.anyio
    async def test_a_command_gives_its_result(self, machine: MachineRig) -> None:
        """Exit code and output come back, with the device, the instance and the line."""
        result = await machine.run("echo hello")
        assert (result.exit_code, result.stdout, result.success) == (0, "hello\n", True)
        assert (result.device_id, result.via) == ("acme/pc", INSTANCE)
        assert result.command == "echo hello"

    @pytest.mark.anyio
    async def test_times_are_aware(self, machine: MachineRig) -> None:
        """It begins and ends at UTC times, in this order."""
        result = await machine.run("true")
        for at in (result.started_at, result.finished_at):
            assert at.utcoffset() == timedelta(0), f"{at} is not UTC"
        assert result.started_at <= result.finished_at

    @pytest.mark.anyio
    async def test_a_failing_command_is_a_result(self, machine: MachineRig) -> None:
        """Another exit code than 0 is no error of the adapter, and no success."""
        result = await machine.run("exit 7")
        assert (result.exit_code, result.success) == (7, False)

    @pytest.mark.anyio
    async def test_a_killed_command_is_no_success(self, machine: MachineRig) -> None:
        """A command that a signal ended did not end well."""
        assert not (await machine.run("kill -9 $$")).success

    @pytest.mark.anyio
    async def test_errors_are_apart(self, machine: MachineRig) -> None:
        """What goes to standard error is not in `stdout`; it is None where it cannot be told."""
        result = await machine.run("echo out; echo err >&2")
        if result.stderr is not None:
            assert (result.stdout, result.stderr) == ("out\n", "err\n")

    @pytest.mark.anyio
    async def test_the_line_is_run_as_it_is(self, machine: MachineRig) -> None:
        """Quotes, pipes, several lines: the shell over there reads them, nobody before it."""
        line = "printf '%s\\n' \"it's\" 'a  b' '$HOME' '\\'\necho $((6 * 7)) | cat"
        assert (await machine.run(line)).stdout == "it's\na  b\n$HOME\n\\\n42\n"
        assert (await machine.run(line, by="sh")).stdout == "it's\na  b\n$HOME\n\\\n42\n"

    @pytest.mark.anyio
    async def test_every_script_arrives(self, machine: MachineRig) -> None:
        """What is not ASCII goes there and comes back."""
        assert (await machine.run("printf 'pässwörd 日本'")).stdout == "pässwörd 日本"

    @pytest.mark.anyio
    async def test_bytes_that_are_no_text_are_survived(self, machine: MachineRig) -> None:
        """Output in another encoding is text with replacements."""
        result = await machine.run("printf 'a\\377\\376b'")
        assert result.exit_code == 0
        assert result.stdout[:1] + result.stdout[-1:] == "ab"

    @pytest.mark.anyio
    async def test_output_does_not_steer_a_terminal(self, machine: MachineRig) -> None:
        """A machine is not trusted: control characters do not come through."""
        result = await machine.run("printf 'x\\033[2J\\033]0;t\\007y'")
        assert not set(result.output) & {"\x1b", "\x07", "\x9b"}, "control characters came through"

    @pytest.mark.anyio
    async def test_a_flood_ends(self, machine: MachineRig) -> None:
        """A command that prints without measure fills no memory, and the result says that some is missing."""
        result = await machine.run(f"head -c {_FLOOD_BYTES} /dev/zero | tr '\\0' x")
        assert len(result.stdout) < _FLOOD_BYTES, "20 MB were kept"
        assert result.truncated, "output is missing, and the result does not say so"

    @pytest.mark.anyio
    async def test_there_is_no_input(self, machine: MachineRig) -> None:
        """A command that asks for input meets its end and waits for nobody."""
        assert (await machine.run("cat; echo done")).stdout == "done\n"

    @pytest.mark.anyio
    async def test_a_command_that_hangs_times_out(self, machine: MachineRig) -> None:
        """After its time it is reported as such, without an exit code and never as success."""
        result = await machine.run("echo begun; sleep 60", seconds=1)
        assert result.timed_out, "it does not say that the time was up"
        assert result.exit_code is None
        assert not result.success

    @pytest.mark.anyio
    async def test_cancelling_stops_at_once(self, machine: MachineRig) -> None:
        """Who cancels need not wait for the machine, and the adapter can be used on."""
        task = asyncio.ensure_future(machine.run("sleep 60", seconds=50))
        await asyncio.sleep(0.3)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=8)
        assert done, "it goes on after it was cancelled"
        assert task.cancelled(), f"cancellation became {task.exception() or task.result()!r}"
        assert (await machine.run("echo on")).stdout == "on\n"

    @pytest.mark.anyio
    async def test_commands_at_the_same_time_do_not_mix(self, machine: MachineRig) -> None:
        """Each of ten gets its own output."""
        results = await asyncio.gather(*(machine.run(f"echo {n}; sleep 0.1") for n in range(10)))
        assert [one.stdout for one in results] == [f"{n}\n" for n in range(10)]

    @pytest.mark.anyio
    async def test_outside_the_door_nothing_runs(self, machine: MachineRig, tmp_path: Path) -> None:
        """Without `ctx.change` a command is refused."""
        where = machine.target(machine.backend.external_id)
        with pytest.raises(PermissionDenied):
            await machine.adapter.run_command(
                machine.ctx, where, Command(line=f"touch '{tmp_path / 'marker'}'")
            )
        assert not (tmp_path / "marker").exists(), "it was refused and ran all the same"

    @pytest.mark.anyio
    async def test_a_dry_run_leaves_nothing(self, machine: MachineRig, tmp_path: Path) -> None:
        """A planned command does not run, and is listed."""
        ctx = machine.toolkit.context(dry_run=True)
        where = machine.target(machine.backend.external_id)

        async def apply() -> Any:
            command = Command(line=f"touch '{tmp_path / 'marker'}'")
            return await machine.adapter.run_command(ctx, where, command)

        assert isinstance(await ctx.change("device.exec", "PC", apply, key="k"), Planned)
        assert not (tmp_path / "marker").exists(), "a dry run ran it"

    @pytest.mark.anyio
    async def test_a_shell_it_does_not_have_is_refused(self, machine: MachineRig) -> None:
        """It says so instead of running the line in another one."""
        with pytest.raises(NotSupported):
            await machine.run("echo hello", by="no-such-shell")

    @pytest.mark.anyio
    async def test_another_machine_is_an_error(self, machine: MachineRig, tmp_path: Path) -> None:
        """A command for a machine it does not reach runs nowhere, and the error says what to do."""
        with pytest.raises(MspError) as caught:
            await machine.run(f"touch '{tmp_path / 'marker'}'", on=machine.backend.elsewhere)
        assert caught.value.suggestion, "the error does not say what to do"
        assert not (tmp_path / "marker").exists(), "it ran on another machine"

    @pytest.mark.anyio
    async def test_a_device_without_a_link_is_an_error(self, machine: MachineRig) -> None:
        """No id, no machine."""
        with open_door(), pytest.raises(MspError):
            await machine.adapter.run_command(
                machine.ctx, machine.target(None), Command(line="true")
            )

    @pytest.mark.anyio
    async def test_hostile_ids_run_nothing(self, machine: MachineRig, tmp_path: Path) -> None:
        """An id that is an option or a command line is refused."""
        marker = tmp_path / "marker"
        for hostile in HOSTILE:
            with pytest.raises(MspError):
                await machine.run("true", on=hostile.replace("{marker}", str(marker)))
            assert not marker.exists(), f"the id {hostile!r} was run"

    @pytest.mark.anyio
    async def test_what_is_run_is_not_logged(self, machine: MachineRig) -> None:
        """Command lines and their output may be secret, as credentials are."""
        await machine.run("echo canary-$((40 + 2))-word")
        with contextlib.suppress(MspError):
            await machine.run("true", on=machine.backend.elsewhere)
        text = "\n".join(machine.log.lines)
        assert "canary-" not in text, "the log shows the command or its output"
        _assert_no_secret(machine, text, "the log")

    @pytest.mark.anyio
    async def test_a_command_sees_no_credential(
        self, machine: MachineRig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The toolkit's environment may hold credentials; a command does not get it."""
        monkeypatch.setenv("OTHER_RMM_API_KEY", "canary-71f3")
        assert "canary-71f3" not in (await machine.run("env")).output

    @pytest.mark.anyio
    async def test_no_secret_in_a_repr(self, machine: MachineRig) -> None:
        """Neither the adapter nor its settings show a credential."""
        await machine.run("true")
        settings = machine.toolkit.instance(INSTANCE).settings
        _assert_no_secret(machine, f"{machine.adapter!r} {settings!r}", "repr")

    @pytest.mark.anyio
    async def test_nothing_is_printed(self, machine: MachineRig) -> None:
        """An adapter returns data."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            await machine.run("echo hello")
        assert (out.getvalue(), err.getvalue()) == ("", "")

    @pytest.mark.anyio
    async def test_devices_that_are_listed_can_be_used(self, machine: MachineRig) -> None:
        """Where it lists devices: each once, none for no client, and one is the machine commands run on."""
        if not hasattr(machine.adapter, "list_devices"):
            pytest.skip("this adapter lists no devices")
        found = [one async for one in machine.adapter.list_devices(machine.ctx)]
        ids = [one.external_id for one in found if not isinstance(one, Quarantined)]
        assert len(ids) == len(set(ids)), "a device is listed twice"
        assert machine.backend.external_id in ids
        assert [one async for one in machine.adapter.list_devices(machine.ctx, [])] == []

    @pytest.mark.anyio
    async def test_closing_twice_is_fine(self, machine: MachineRig) -> None:
        """`aclose` works unused, used, and again."""
        await machine.run("true")
        await machine.adapter.aclose()
        await machine.adapter.aclose()


def _assert_no_secret(machine: MachineRig, text: str, where: str) -> None:
    for name, value in machine.backend.secrets.items():
        assert value not in text, f"{where} shows the credential {name}"

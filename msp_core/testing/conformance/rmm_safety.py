"""Cases about safety: nothing changes outside the door, nothing leaks, what is cancelled stops."""

import asyncio
import contextlib
import io
from datetime import timedelta
from typing import Any

import pytest

from msp_core.context import Planned
from msp_core.errors import MspError, NotSupported, PermissionDenied
from msp_core.testing.conformance.rig import Rig, target
from msp_core.testing.door import open_door
from msp_core.testing.vendor import Reply, Request
from msp_core.vendor import Command, CommandResult, DeploymentResult, VendorDevice

COMMAND = Command(line="hostname")


class SafetyCases:
    """Changes, secrets, cancellation."""

    async def _online(self, rig: Rig) -> VendorDevice:
        devices = await rig.devices()
        return next((one for one in devices if one.online), devices[0])

    async def test_reading_writes_nothing(self, rig: Rig) -> None:
        """Listing and reading send nothing but reading requests, logins aside."""
        rig.need_http()
        await rig.adapter.probe(rig.ctx)
        await rig.devices()
        for name in ("list_clients", "list_sites", "read_alerts"):
            if hasattr(rig.adapter, name):
                await rig.all_of(getattr(rig.adapter, name)(rig.ctx))
        rig.assert_only_read()

    async def test_a_command_outside_the_door_is_refused(self, rig: Rig) -> None:
        """Without `ctx.change` a command does not reach the vendor."""
        rig.need("run_command")
        device = await self._online(rig)
        try:
            await rig.adapter.run_command(rig.ctx, target(device), COMMAND)
        except PermissionDenied:
            pass
        except NotSupported as error:
            pytest.skip(f"it runs no commands here: {error.message}")
        else:
            raise AssertionError("the command ran although nobody approved it")
        rig.assert_only_read()

    async def test_a_dry_run_leaves_nothing(self, rig: Rig) -> None:
        """A planned command reaches nobody, and is listed."""
        rig.need("run_command")
        device = await self._online(rig)
        before = len(rig.vendor.requests)
        ctx = rig.toolkit.context(dry_run=True)

        async def apply() -> CommandResult:
            result: CommandResult = await rig.adapter.run_command(ctx, target(device), COMMAND)
            return result

        planned = await ctx.change("device.exec", device.name, apply, key="k")
        assert isinstance(planned, Planned)
        assert len(rig.vendor.requests) == before

    async def test_a_command_through_the_door_runs(self, rig: Rig) -> None:
        """Inside the door it runs, and the result says what happened."""
        rig.need("run_command")
        device = await self._online(rig)
        with open_door():
            try:
                result = await asyncio.wait_for(
                    rig.adapter.run_command(rig.ctx, target(device), COMMAND), 20
                )
            except NotSupported as error:
                pytest.skip(f"it runs no commands here: {error.message}")
        assert isinstance(result, CommandResult)
        assert result.command == COMMAND.line
        assert result.device_id == target(device).device.id
        assert result.started_at.tzinfo is not None
        assert result.timed_out or result.exit_code == 0, result

    async def test_a_command_on_a_device_that_is_gone(self, rig: Rig) -> None:
        """An id the vendor does not know is an MspError, not a success."""
        rig.need("run_command")
        gone = VendorDevice(external_id="987654321", client_external_id="1", name="GONE")
        with open_door(), pytest.raises(MspError):
            await asyncio.wait_for(rig.adapter.run_command(rig.ctx, target(gone), COMMAND), 20)

    async def test_a_hostile_device_id_goes_nowhere(self, rig: Rig) -> None:
        """An id with a path in it does not change the path asked."""
        rig.need("run_command")
        bad = VendorDevice(external_id="1/../../admin", client_external_id="1", name="BAD")
        with open_door(), pytest.raises(MspError):
            await asyncio.wait_for(rig.adapter.run_command(rig.ctx, target(bad), COMMAND), 20)
        assert not [one.target for one in rig.vendor.requests if "admin" in one.target]

    async def test_agents_outside_the_door_change_nothing(self, rig: Rig) -> None:
        """Preparing an agent without `ctx.change` is refused, or asks for nothing but what is there already."""
        rig.need("deploy_agent")
        device = await self._online(rig)
        with contextlib.suppress(PermissionDenied, NotSupported, MspError):
            await self._deploy(rig, device, "windows")
        rig.assert_only_read()

    async def test_agents_for_a_platform_nobody_knows(self, rig: Rig) -> None:
        """A platform without an agent is NotSupported, or at least an MspError."""
        rig.need("deploy_agent")
        device = await self._online(rig)
        with open_door(), pytest.raises(MspError):
            await self._deploy(rig, device, "amiga")

    async def test_agents_through_the_door(self, rig: Rig) -> None:
        """Inside the door it gives an installer or starts the installation, and says which, without a credential."""
        rig.need("deploy_agent")
        device = await self._online(rig)
        with open_door():
            try:
                result = await asyncio.wait_for(self._deploy(rig, device, "windows"), 20)
            except NotSupported as error:
                pytest.skip(f"it prepares no agents here: {error.message}")
        assert isinstance(result, DeploymentResult)
        assert result.success, f"{result.status}: {result.message}"
        assert result.message.strip(), "it does not say what there is to do"
        if result.status == "installer-ready":
            assert result.installer_url, "there is an installer, and it does not say where"
        if result.expires_at is not None:
            assert result.expires_at.utcoffset() == timedelta(0), f"{result.expires_at} is not UTC"
        rig.assert_no_secret(f"{result}", "the result")

    async def test_agents_for_a_client_that_is_gone(self, rig: Rig) -> None:
        """An id the vendor does not know is an MspError, not an installer for nobody or somebody else."""
        rig.need("deploy_agent")
        gone = VendorDevice(external_id="1", client_external_id="987654321", name="GONE")
        with open_door(), pytest.raises(MspError):
            await asyncio.wait_for(self._deploy(rig, gone, "windows"), 20)

    async def _deploy(self, rig: Rig, device: VendorDevice, platform: str) -> DeploymentResult:
        result: DeploymentResult = await rig.adapter.deploy_agent(
            rig.ctx,
            client_external_id=device.client_external_id,
            site_external_id=device.site_external_id,
            platform=platform,
        )
        return result

    async def test_cancelling_stops_at_once(self, rig: Rig) -> None:
        """A listing that waits for the vendor ends when it is cancelled, with CancelledError."""
        rig.need_http()
        await rig.devices()

        async def never(_: Request, __: Any) -> Reply:
            await asyncio.Event().wait()
            return Reply()

        rig.spoil(never)
        task = asyncio.ensure_future(rig.everything())
        await asyncio.sleep(0.02)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=8)
        assert done, "it goes on after it was cancelled"
        assert task.cancelled(), f"cancellation became {task.exception() or task.result()!r}"

    async def test_it_works_after_a_cancellation(self, rig: Rig) -> None:
        """Cancelling one call in mid-air leaves the adapter usable."""
        task = asyncio.ensure_future(rig.everything())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=8)
        rig.assert_complete(await rig.devices())

    async def test_no_secret_in_the_log(self, rig: Rig) -> None:
        """Neither good days nor bad ones write a credential into the log, at any level."""
        await rig.adapter.probe(rig.ctx)
        await rig.devices()
        if rig.speaks_http:
            for trouble in (Reply(status=401, data={}), Reply(status=500), Reply(body=b"<html>")):
                rig.spoil(trouble)
                with contextlib.suppress(MspError):
                    await rig.devices()
                rig.vendor.clear()
        rig.assert_no_secret("\n".join(rig.log.lines), "the log")

    async def test_no_secret_in_an_address(self, rig: Rig) -> None:
        """Credentials travel in headers or bodies, never in an address that proxies write down."""
        await rig.adapter.probe(rig.ctx)
        await rig.devices()
        for one in rig.vendor.requests:
            rig.assert_no_secret(one.target, "an address")

    async def test_no_secret_in_a_repr(self, rig: Rig) -> None:
        """Neither the adapter nor its settings show a credential."""
        await rig.devices()
        settings = rig.toolkit.instance("subject").settings
        rig.assert_no_secret(f"{rig.adapter!r} {settings!r}", "repr")

    async def test_no_secret_in_an_error_of_the_login(self, rig: Rig) -> None:
        """A vendor that repeats what we sent does not make us show it."""
        rig.need_http()

        async def echo(request: Request, _: Any) -> Reply:
            said = request.body.decode("utf-8", "replace") + str(dict(request.headers))
            return Reply(status=401, data={"error": said, "errorMessage": said})

        rig.spoil(echo, on=lambda _: True)
        await rig.fails()

    async def test_nothing_is_printed(self, rig: Rig) -> None:
        """An adapter returns data; it writes neither to stdout nor to stderr."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            await rig.devices()
        assert (out.getvalue(), err.getvalue()) == ("", "")

    async def test_closing_an_unused_adapter(self, rig: Rig) -> None:
        """`aclose` works although nothing was ever asked."""
        await rig.adapter.aclose()
        assert rig.vendor.requests == []

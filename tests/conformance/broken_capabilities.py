"""Adapters broken in what not every RMM offers: alerts, commands, agents. The sound one is the lab's own fleet.

A breakage that shows on the wire alone breaks the NinjaOne adapter, in front of its simulator.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from msp_core.v1 import CommandResult, DeploymentResult, Effect, Target
from msp_lab import mock
from msp_rmm_ninjaone.adapter import NinjaOne

Breakage = Callable[[pytest.MonkeyPatch], None]
BROKEN: dict[str, tuple[str, str, Breakage]] = {}
ALERTS, RUN, DEPLOY = (
    mock.MockRmm.read_alerts,
    mock.MockRmm.run_command,
    mock.MockRmm.deploy_agent,
)


def caught_by(case: str, kind: str = "mock") -> Callable[[Breakage], Breakage]:
    def register(breakage: Breakage) -> Breakage:
        BROKEN[breakage.__name__] = (kind, f"test_{case}", breakage)
        return breakage

    return register


def _alerts(patch: pytest.MonkeyPatch, read: Callable[..., Any]) -> None:
    """Replace the reading of alerts: `read(self, ctx, ids, since)` is an async generator."""

    def read_alerts(self: Any, ctx: Any, client_external_ids: Any = None, since: Any = None) -> Any:
        return read(self, ctx, client_external_ids, since)

    patch.setattr(mock.MockRmm, "read_alerts", read_alerts)


def _run(patch: pytest.MonkeyPatch, run: Callable[..., Any]) -> None:
    patch.setattr(mock.MockRmm, "run_command", run)


def _deploy(patch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Change what is made of a deployment: field -> value."""

    async def deploy_agent(self: Any, ctx: Any, **asked: Any) -> DeploymentResult:
        return attrs.evolve(await DEPLOY(self, ctx, **asked), **changes)

    patch.setattr(mock.MockRmm, "deploy_agent", deploy_agent)


@caught_by("every_alert_is_read_once")
def reads_alerts_twice(patch: Any) -> None:
    async def twice(self: Any, ctx: Any, ids: Any, since: Any) -> Any:
        for _ in range(2):
            async for one in ALERTS(self, ctx, ids, since):
                yield one

    _alerts(patch, twice)


@caught_by("every_alert_is_read_once")
def reads_the_first_alerts_only(patch: Any) -> None:
    async def first(self: Any, ctx: Any, ids: Any, since: Any) -> Any:
        async for one in ALERTS(self, ctx, ids, since):
            yield one
            return

    _alerts(patch, first)


@caught_by("every_alert_is_read_once")
def mixes_up_the_devices_of_alerts(patch: Any) -> None:
    async def mixed(self: Any, ctx: Any, ids: Any, since: Any) -> Any:
        async for one in ALERTS(self, ctx, ids, since):
            yield attrs.evolve(one, device_external_id="1")

    _alerts(patch, mixed)


@caught_by("alerts_of_one_client")
def ignores_the_clients_of_alerts(patch: Any) -> None:
    async def all_of_them(self: Any, ctx: Any, _: Any, since: Any) -> Any:
        async for one in ALERTS(self, ctx, None, since):
            yield one

    _alerts(patch, all_of_them)


@caught_by("alerts_of_no_client_are_none")
def takes_no_clients_for_all(patch: Any) -> None:
    async def falsy(self: Any, ctx: Any, ids: Any, since: Any) -> Any:
        async for one in ALERTS(self, ctx, ids or None, since):
            yield one

    _alerts(patch, falsy)


@caught_by("old_alerts_are_left_out")
def ignores_since(patch: Any) -> None:
    async def ever(self: Any, ctx: Any, ids: Any, _: Any) -> Any:
        async for one in ALERTS(self, ctx, ids, None):
            yield one

    _alerts(patch, ever)


@caught_by("old_alerts_are_left_out")
def leaves_out_the_very_moment(patch: Any) -> None:
    async def after(self: Any, ctx: Any, ids: Any, since: Any) -> Any:
        later = since and since + timedelta(microseconds=1)
        async for one in ALERTS(self, ctx, ids, later):
            yield one

    _alerts(patch, after)


@caught_by("alert_times_are_aware")
def gives_local_times(patch: Any) -> None:
    async def local(self: Any, ctx: Any, ids: Any, since: Any) -> Any:
        async for one in ALERTS(self, ctx, ids, since):
            yield attrs.evolve(one, opened_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake

    _alerts(patch, local)


@caught_by("a_command_outside_the_door_is_refused")
def runs_commands_unasked(patch: Any) -> None:
    patch.setattr(mock, "check_door", lambda *_: None)


@caught_by("a_command_through_the_door_runs")
def forgets_what_it_ran(patch: Any) -> None:
    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        return attrs.evolve(await RUN(self, ctx, target, command), command="")

    _run(patch, run)


@caught_by("a_command_through_the_door_runs")
def answers_for_another_device(patch: Any) -> None:
    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        return attrs.evolve(await RUN(self, ctx, target, command), device_id="c/other")

    _run(patch, run)


@caught_by("a_command_on_a_device_that_is_gone")
def calls_a_lost_device_a_success(patch: Any) -> None:
    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        if self.view(target) is None:
            target = Target(target.device, "1001")
        return await RUN(self, ctx, target, command)

    patch.setattr(mock.MockRmm, "view", lambda self, target: self.world.views(None)[0])
    _run(patch, run)


@caught_by("a_hostile_device_id_goes_nowhere", "ninjaone")
def puts_device_ids_into_paths(patch: Any) -> None:
    real = NinjaOne.run_command

    async def run(self: Any, ctx: Any, target: Any, command: Any) -> CommandResult:
        await self.http.get(f"/v2/device/{target.external_id.rpartition(chr(47))[2]}")
        return await real(self, ctx, target, command)

    patch.setattr(NinjaOne, "run_command", run)


@caught_by("agents_outside_the_door_change_nothing", "ninjaone")
def prepares_agents_unasked(patch: Any) -> None:
    async def deploy_agent(self: Any, ctx: Any, **asked: Any) -> DeploymentResult:
        await self.http.request("POST", "/v2/organization/generate-installer", effect=Effect.READ)
        return DeploymentResult(target="1", status="installer-ready", message="There it is.")

    patch.setattr(NinjaOne, "deploy_agent", deploy_agent)


@caught_by("agents_for_a_platform_nobody_knows")
def has_agents_for_everything(patch: Any) -> None:
    async def deploy_agent(self: Any, ctx: Any, **asked: Any) -> DeploymentResult:
        return await DEPLOY(self, ctx, **{**asked, "platform": "windows"})

    patch.setattr(mock.MockRmm, "deploy_agent", deploy_agent)


@caught_by("agents_through_the_door")
def has_an_installer_nowhere(patch: Any) -> None:
    _deploy(patch, installer_url=None)


@caught_by("agents_through_the_door")
def does_not_say_how_it_went(patch: Any) -> None:
    _deploy(patch, status="requested")


@caught_by("agents_for_a_client_that_is_gone")
def prepares_agents_for_nobody(patch: Any) -> None:
    patch.setattr(mock.MockRmm, "_clients", lambda self, ids: [None])

"""`device exec` and `device deploy-agent`: the inventory's tools that change a client's systems."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from attrs import frozen

from msp_clients.api import Clients
from msp_core.v1 import (
    Command,
    CommandResult,
    Context,
    Data,
    DeploymentResult,
    DeploysAgents,
    Device,
    Display,
    Doc,
    InvalidParameters,
    NotFound,
    NotSupported,
    Param,
    Planned,
    Role,
    RunsCommands,
    Target,
)
from msp_inventory.api import Inventory

_LONGEST_PREVIEW = 500


class Platform(StrEnum):
    """Systems an agent can be installed on."""

    WINDOWS = "windows"
    LINUX = "linux"
    MACOS = "macos"


@frozen(kw_only=True, eq=False, repr=False)
class Executed(Data):
    """What a command did on a device, in the same shape through every transport."""

    device_id: str
    via: str
    command: str
    result: CommandResult

    @property
    def exit_code(self) -> int:
        """0 where the command is known to have succeeded."""
        return int(not self.result.success)

    def say(self) -> str:
        """Return what the command printed, and how it ended where that is not plain success."""
        result = self.result
        lines = [result.stdout.rstrip("\n")] if result.stdout else []
        if result.stderr:
            lines += ["Standard error:", result.stderr.rstrip("\n")]
        if result.truncated:
            lines.append("(the output is not complete)")
        if result.timed_out:
            lines.append(
                f"{self.via}: no end in time; it may still be running on {self.device_id}."
            )
        elif result.exit_code is None:
            lines.append(f"{self.via} does not say whether it succeeded.")
        elif result.exit_code:
            lines.append(f"Exit code {result.exit_code} on {self.device_id} via {self.via}.")
        return "\n".join(lines)

    DISPLAY: ClassVar[Display] = Display(summary=lambda done: done.say(), verbatim=True)


@frozen(kw_only=True, eq=False, repr=False)
class Deployed(Data):
    """What an agent deployment came to."""

    client_id: str
    via: str
    result: DeploymentResult

    @property
    def exit_code(self) -> int:
        """0 where the vendor accepted the request."""
        return int(not self.result.success)

    def say(self) -> str:
        """Return the vendor's answer for people."""
        lines = [f"{self.via}: {self.result.status}. {self.result.message}"]
        if self.result.installer_url:
            lines.append(self.result.installer_url)
        return "\n".join(lines)

    DISPLAY: ClassVar[Display] = Display(summary=lambda done: done.say())


def _shown(line: str) -> str:
    """Return a command line for a preview; that there is more of it is said, for somebody approves it."""
    more = len(line) - _LONGEST_PREVIEW
    return line if more <= 0 else f"{line[:_LONGEST_PREVIEW]}... ({more} characters more)"


async def run_command(
    ctx: Context,
    device: Annotated[str, Doc("The device, as CLIENT/DEVICE."), Param(arg=True)],
    command: Annotated[
        Sequence[str],
        Doc("The command line, passed on as it is."),
        Param(arg=True),
    ],
    *,
    via: Annotated[str | None, Doc("The adapter to use, by name.")] = None,
    timeout: Annotated[timedelta, Doc("How long to wait for its end.")] = timedelta(seconds=60),
    shell: Annotated[str, Doc("cmd, powershell or sh; the system's usual one when left out.")] = "",
) -> Executed | Planned:
    """Run a command line on a device; exit code 0 where it is known to have succeeded, else 1."""
    line = command[0] if len(command) == 1 else " ".join(command)
    if not line.strip():
        raise InvalidParameters(
            "there is no command to run", suggestion="Write it behind --, such as: -- df -h"
        )
    if timeout <= timedelta(0):
        raise InvalidParameters("the timeout must be more than 0", suggestion="Say 60s or 5m.")
    inventory = await ctx.get(Inventory)
    found = await inventory.device(ctx, device)
    instance, external_id = await _transport(ctx, inventory, found, via)
    adapter = await ctx.adapter(instance)
    target = Target(found, external_id)
    wanted = Command(line=line, timeout=timeout, shell=shell)

    async def apply() -> CommandResult:
        result: CommandResult = await adapter.run_command(ctx, target, wanted)
        return result

    done = await ctx.change(
        "command",
        found.id,
        apply,
        key=f"command:{ctx.correlation_id}:{found.id}",
        client_id=found.client_id,
        preview=f"run on {found.id} via {instance}: {_shown(line)}",
    )
    if isinstance(done, Planned):
        return done
    return Executed(device_id=found.id, via=instance, command=line, result=done)


async def deploy_agent(
    ctx: Context,
    client: Annotated[str, Doc("The client's id or exact name."), Param(arg=True, mcp="client_id")],
    *,
    instance: Annotated[str | None, Doc("The console whose agent it is, by name.")] = None,
    platform: Annotated[Platform, Doc("The system of the new machines.")] = Platform.WINDOWS,
    site: Annotated[str | None, Doc("The site the machines belong to, by id or name.")] = None,
) -> Deployed | Planned:
    """Prepare the installation of a console's agent on a client's new machines."""
    inventory = await ctx.get(Inventory)
    found = await (await ctx.get(Clients)).get(ctx, client)
    links = (await inventory.client_links(ctx, [found.id]))[found.id]
    chosen = _console(ctx, found.id, links, instance)
    site_external_id = None
    if site is not None:
        site_external_id = await _site(ctx, inventory, found.id, site, chosen)
    adapter = await ctx.adapter(chosen)

    async def apply() -> DeploymentResult:
        result: DeploymentResult = await adapter.deploy_agent(
            ctx,
            client_external_id=links[chosen],
            site_external_id=site_external_id,
            platform=platform.value,
        )
        return result

    done = await ctx.change(
        "agent-deployment",
        found.id,
        apply,
        key=f"agent-deployment:{ctx.correlation_id}:{found.id}:{platform.value}",
        client_id=found.id,
        preview=f"prepare {chosen}'s {platform.value} agent for {found.name}",
    )
    if isinstance(done, Planned):
        return done
    return Deployed(client_id=found.id, via=chosen, result=done)


async def _transport(
    ctx: Context, inventory: Inventory, device: Device, via: str | None
) -> tuple[str, str]:
    """Choose what runs the command: `via`, else a transport somebody set up for it, else an RMM."""
    links = {
        link.instance: link.external_id
        for link in await inventory.device_links(ctx, device.id)
        if link.missing_since is None
    }
    if via is not None:
        if RunsCommands not in ctx.toolkit.instance(via).adapter.offers:
            raise NotSupported(
                f"{via} runs no commands",
                suggestion=f"Try: {', '.join(_able(ctx, RunsCommands, links)) or 'another adapter'}",
            )
        if via not in links:
            raise NotFound(
                f"{via} does not know {device.id}",
                suggestion=f"Say where it finds it: msp-toolkit device link {device.id} {via} ADDRESS",
            )
        return via, links[via]
    able = _able(ctx, RunsCommands, links)
    if not able:
        raise NotSupported(
            f"nothing that is set up can run commands on {device.id}",
            suggestion=f"Link it to one that can: msp-toolkit device link {device.id} INSTANCE ADDRESS",
        )
    return able[0], links[able[0]]


def _console(ctx: Context, client_id: str, links: dict[str, str] | Any, wanted: str | None) -> str:
    if wanted is not None and DeploysAgents not in ctx.toolkit.instance(wanted).adapter.offers:
        raise NotSupported(
            f"{wanted} deploys no agents", suggestion="Name an RMM, or leave out --instance."
        )
    able = [wanted] if wanted is not None else _able(ctx, DeploysAgents, links)
    if wanted is not None and wanted not in links:
        able = []
    if not able:
        raise NotFound(
            f"{client_id} is linked to no console that deploys agents"
            if wanted is None
            else f"{client_id} is not linked to {wanted}",
            suggestion=f"Link it: msp-toolkit client link {client_id} INSTANCE EXTERNAL_ID",
        )
    if len(able) > 1:
        raise InvalidParameters(
            f"several consoles could deploy to {client_id}: {', '.join(able)}",
            suggestion=f"Choose one: --instance {able[0]}",
        )
    return able[0]


def _able(ctx: Context, ability: type, links: Any) -> list[str]:
    """Return the linked instances that offer this, transports first: they say how a command ended."""
    rank: Callable[[Any], tuple[bool, bool, str]] = lambda one: (  # noqa: E731
        one.adapter.role is not Role.TRANSPORT,
        one.name != "rmm",
        one.name,
    )
    able = [
        one
        for one in ctx.toolkit.instances()
        if one.name in links and ability in one.adapter.offers
    ]
    return [one.name for one in sorted(able, key=rank)]


async def _site(
    ctx: Context, inventory: Inventory, client_id: str, wanted: str, instance: str
) -> str:
    sites = (await inventory.sites(ctx, client_id)).items
    same = [site for site in sites if wanted in (site.id, site.id.partition("/")[2], site.name)]
    if len(same) != 1:
        raise NotFound(
            f"{client_id} has {'no' if not same else 'more than one'} site {wanted!r}",
            suggestion="Its sites: " + (", ".join(site.id for site in sites) or "none"),
        )
    external_id = await inventory.site_link(ctx, same[0].id, instance)
    if external_id is None:
        raise NotFound(
            f"{instance} does not know the site {same[0].id}",
            suggestion="Leave out --site, or name one that this console lists.",
        )
    return external_id

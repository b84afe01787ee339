"""`lab up`, `lab down`, `lab status`, `lab advance`, `lab fault`."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar

import attrs

from msp_core.v1 import (
    Column,
    Context,
    Display,
    Doc,
    InvalidParameters,
    Listing,
    NotFound,
    Param,
    Planned,
    Spelling,
    Surface,
)
from msp_lab.installation import Installation
from msp_lab.process import LabProcess, Size, alive


@attrs.frozen(kw_only=True)
class LabStatus:
    """A lab of this workspace, and what is the matter with its fleet."""

    DISPLAY: ClassVar[Display] = Display(summary=lambda status: status.describe())

    running: bool
    pid: int | None = None
    ninjaone_url: str = ""
    automate_url: str = ""
    control_url: str = ""
    seed: int | None = None
    clients: int = 0
    devices: int = 0
    offline: int = 0
    vanished: int = 0
    started: str = ""
    now: str = ""
    troubles: dict[str, int] = attrs.field(factory=dict)
    faults: tuple[str, ...] = ()
    requests: dict[str, int] = attrs.field(factory=dict)
    overlay: Path | None = None
    note: str = ""
    advanced_hours: float = 0.0
    """How much longer the fleet lives by this call."""

    def describe(self) -> str:
        """Return the status for people."""
        if not self.running:
            return self.note or "No lab is running. Start one: msp-toolkit lab up --detach"
        fleet = [
            f"  Story       began {self._age_hours():.1f} hours ago",
            f"  Fleet       {self.clients} clients, {self.devices} devices "
            f"({self.offline} offline, {self.vanished} vanished), seed {self.seed}",
            *self._troubles(),
        ]
        if self.advanced_hours:
            return "\n".join(
                [
                    f"The simulated fleet lived through {self.advanced_hours:g} more hours.",
                    *fleet,
                ]
            )
        requests = ", ".join(f"{vendor} {count}" for vendor, count in self.requests.items())
        lines = [
            self.note or "The lab is running.",
            f"  NinjaOne    {self.ninjaone_url}",
            f"  Automate    {self.automate_url}",
            f"  Control     {self.control_url}",
            f"  Process     {self.pid}",
            *fleet,
            f"  Faults      {'; '.join(self.faults) or 'none'}",
            f"  Requests    {requests or 'none yet'}",
        ]
        if self.overlay is not None:
            shown = f"{self.overlay.parent.name}/{self.overlay.name}"
            lines.append(f"  Adapters    lab-automate and lab-ninjaone, in {shown}")
        return "\n".join(lines)

    def _age_hours(self) -> float:
        age = datetime.fromisoformat(self.now) - datetime.fromisoformat(self.started)
        return age.total_seconds() / 3600

    def _troubles(self) -> Iterator[str]:
        by_severity: dict[str, list[str]] = {}
        for kind, count in self.troubles.items():
            what, _, severity = kind.rpartition(" ")
            by_severity.setdefault(severity, []).append(f"{count} {what}")
        head = "Troubles"
        for severity, kinds in sorted(by_severity.items()):
            yield f"  {head:<10}  {severity}: {', '.join(kinds)}"
            head = ""
        if not by_severity:
            yield "  Troubles    none"


def _installation(ctx: Context) -> Installation:
    config = ctx.toolkit.config
    folder = None if config.path is None else config.path.parent / "conf.d"
    return Installation(
        state_dir=config.state_dir, overlay=None if folder is None else folder / "lab.toml"
    )


async def _ask(lab: LabProcess, method: str, path: str, body: object = None) -> Any:
    try:
        return await asyncio.to_thread(lab.ask, method, path, body)
    except ValueError as error:
        raise InvalidParameters(str(error), suggestion="See: msp-toolkit lab --help") from None
    except OSError:
        raise _none_runs() from None


def _none_runs() -> NotFound:
    return NotFound("No lab is running.", suggestion="Start one: msp-toolkit lab up --detach")


async def _running(ctx: Context) -> LabProcess:
    found = await asyncio.to_thread(_installation(ctx).running)
    if found is None:
        raise _none_runs()
    return found[0]


async def _status(ctx: Context, lab: LabProcess, note: str = "") -> LabStatus:
    state = await _ask(lab, "GET", "/state")
    overlay = _installation(ctx).overlay
    return LabStatus(
        running=True,
        pid=lab.pid,
        ninjaone_url=lab.ninjaone_url,
        automate_url=lab.automate_url,
        control_url=lab.control_url,
        faults=tuple(entry["fault"] for entry in state["faults"]),
        requests={vendor: sum(rows.values()) for vendor, rows in state["requests"].items()},
        overlay=overlay if overlay is not None and overlay.exists() else None,
        note=note,
        **{
            name: state[name]
            for name in (
                "seed",
                "clients",
                "devices",
                "offline",
                "vanished",
                "started",
                "now",
                "troubles",
            )
        },
    )


async def up(
    ctx: Context,
    *,
    clients: Annotated[int, Doc("Number of clients.")] = 12,
    devices: Annotated[int, Doc("Number of devices of all clients together.")] = 300,
    seed: Annotated[int, Doc("Another seed gives another fleet and another story.")] = 1,
    latency_ms: Annotated[float, Doc("Delay of every answer, in milliseconds.")] = 0.0,
    fault: Annotated[
        Sequence[str],
        Doc("Fault to begin with, such as 'ninjaone:429,probability=0.1'; may be repeated."),
        Param(cli=(Spelling("--fault", metavar="FAULT"),)),
    ] = (),
    ninjaone_port: Annotated[int, Doc("Port of NinjaOne; 0 takes a free one.")] = 0,
    automate_port: Annotated[int, Doc("Port of Automate; 0 takes a free one.")] = 0,
    control_port: Annotated[int, Doc("Port of the control endpoint; 0 takes a free one.")] = 0,
    detach: Annotated[bool, Doc("Go on in the background.")] = False,
) -> LabStatus | Planned:
    """Start a lab of simulated vendors and connect the workspace to it.

    Writes `conf.d/lab.toml` beside the configuration with the adapters `lab-automate` and
    `lab-ninjaone`. Without `--detach` it runs until Ctrl-C.
    """
    from msp_lab.faults import parse

    size = Size(
        clients=clients,
        devices=devices,
        seed=seed,
        latency_ms=latency_ms,
        faults=tuple(fault),
        ninjaone_port=ninjaone_port,
        automate_port=automate_port,
        control_port=control_port,
    )
    try:
        for text in size.faults:
            parse(text)
    except ValueError as error:
        raise InvalidParameters(
            str(error), suggestion="Write vendor:kind, as in ninjaone:429."
        ) from None
    if clients < 1 or devices < 0 or latency_ms < 0 or not 0 <= seed < 10**18:
        raise InvalidParameters(
            "A lab needs at least one client, and no negative numbers.",
            suggestion="For example: --clients 12 --devices 300 --seed 1",
        )
    installation = _installation(ctx)

    async def apply() -> LabStatus:
        lab, before = await asyncio.to_thread(installation.up, size)
        note = "This lab is running already." if before else "The lab is up."
        if installation.overlay is None:
            note += " There is no configuration here, so no adapters were set up."
        return await _status(ctx, lab, note)

    def change() -> Awaitable[LabStatus | Planned]:
        return ctx.change(
            "lab.up",
            "lab",
            apply,
            key=f"lab.up:{ctx.correlation_id}",
            preview=f"start a lab of {clients} clients and {devices} devices",
            idempotent=True,
        )

    if detach:
        return await change()
    with _interrupts() as ended:
        status = await change()
        if not isinstance(status, LabStatus) or status.pid is None:
            return status
        if ctx.surface is Surface.CLI:
            # The result of the command comes at its end; whoever waits must know the addresses now.
            sys.stderr.write(f"{status.describe()}\n  Stop it with Ctrl-C.\n")
        try:
            while not ended.is_set() and alive(status.pid):
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), 0.5)
        finally:
            await asyncio.to_thread(installation.down)
    return LabStatus(running=False, note="The lab is down.")


@contextmanager
def _interrupts() -> Iterator[asyncio.Event]:
    """Give an event that Ctrl-C and SIGTERM set instead of ending the program."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    caught = []
    for name in (signal.SIGINT, signal.SIGTERM):
        # Only the main thread of a process can listen to signals; elsewhere cancelling ends this.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(name, ended.set)
            caught.append(name)
    try:
        yield ended
    finally:
        for name in caught:
            loop.remove_signal_handler(name)


async def down(ctx: Context) -> LabStatus | Planned:
    """Stop the lab of this workspace and remove its adapters."""
    installation = _installation(ctx)

    async def apply() -> LabStatus:
        pid = await asyncio.to_thread(installation.down)
        return LabStatus(
            running=False,
            pid=pid,
            note="No lab was running." if pid is None else "The lab is down.",
        )

    return await ctx.change(
        "lab.down",
        "lab",
        apply,
        key=f"lab.down:{ctx.correlation_id}",
        preview="stop the lab and remove its adapters",
        idempotent=True,
    )


async def status(ctx: Context) -> LabStatus:
    """Show whether a lab runs, and what is the matter with its fleet."""
    found = await asyncio.to_thread(_installation(ctx).running)
    return LabStatus(running=False) if found is None else await _status(ctx, found[0])


async def advance(
    ctx: Context,
    *,
    hours: Annotated[float, Doc("Hours to live through.")] = 0.0,
    minutes: Annotated[float, Doc("Minutes to live through.")] = 0.0,
) -> LabStatus:
    """Let the lab's fleet live through hours at once: disks fill, services stop, devices vanish.

    The vendors' clocks stay right; what has happened is told as of the hours before now.
    """
    if hours + minutes <= 0 or hours < 0 or minutes < 0:
        raise InvalidParameters("Lab time only goes forward.", suggestion="For example: --hours 6")
    lab = await _running(ctx)
    if not ctx.records:
        ctx.warn("The lab's clock was left alone; this is its present state.")
        return await _status(ctx, lab)
    await _ask(lab, "POST", "/advance", {"hours": hours, "minutes": minutes})
    return attrs.evolve(await _status(ctx, lab), advanced_hours=hours + minutes / 60)


@attrs.frozen(kw_only=True)
class FaultRow:
    """One fault that is switched on."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("fault"), Column("seen"), Column("hit")), empty="No fault is switched on."
    )

    fault: str
    seen: int
    """Requests that matched."""
    hit: int
    """Requests that were spoilt."""


async def fault(
    ctx: Context,
    fault: Annotated[
        Sequence[str],
        Doc("vendor:kind[,path=..][,probability=..][,count=..][,skip=..][,seconds=..]"),
        Param(arg=True),
    ] = (),
    *,
    clear: Annotated[bool, Doc("Switch all faults off first.")] = False,
) -> Listing[FaultRow]:
    """Switch faults of the lab on, or list those that are on.

    Vendors: ninjaone, automate or *. Kinds: 401 403 404 409 429 500 502 503 504 expire slow reset
    truncate html malformed idtypes repeat.
    """
    lab = await _running(ctx)
    if ctx.records:
        if clear:
            await _ask(lab, "DELETE", "/faults")
        for text in fault:
            await _ask(lab, "POST", "/faults", {"fault": text})
    elif clear or fault:
        ctx.warn("The lab's faults were left alone; these are the present ones.")
    rows = tuple(FaultRow(**row) for row in await _ask(lab, "GET", "/faults"))
    return Listing(items=rows, total=len(rows))

"""What other plugins may use of health: the service and what it speaks in.

Two events tell what was recorded; both carry `{"run_id", "checked_at", "client_ids", "changes": [...]}` and each change
has `client_id, device_id, check, title, status, previous, seq, message`. `seq` counts the results of one device and
check, so a receiver can tell an old event from a new one whatever the clocks say.

`health.changed`: the hard status of these checks changed (`previous` is the hard status before, None at first).
`health.standing`: these problems are still there, with today's message; `stale` is true where this sweep could not
look, so that what is known is from before.

A third one tells what ended: `health.forgotten`, `{"client_ids", "ended": [{client_id, device_id, check, seq}]}`: a
person is done with these devices, and nothing is known of them any more. `seq` is that of the last result; should the
device come back, its results are numbered from a higher one.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar, Protocol

from attrs import field, frozen

from msp_core.v1 import (
    CheckResult,
    Column,
    Context,
    Data,
    Display,
    Listing,
    Period,
    Status,
    Tier,
    worst,
)
from msp_health.wording import some

CHANGED = "health.changed"
STANDING = "health.standing"
FORGOTTEN = "health.forgotten"


def utc_text(moment: datetime | None) -> str:
    """Write a moment for people inside a sentence, to the minute, with its zone; `never` for None."""
    return moment.strftime("%Y-%m-%d %H:%M UTC") if moment else "never"


def said_by(instance: str, reason: str) -> str:
    """Put the instance before a reason that does not begin with it."""
    return reason if reason.startswith(f"{instance}: ") else f"{instance}: {reason}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def unlisted(since: datetime) -> str:
    """Say why nothing is known of a missing device."""
    return f"not listed by any console since {utc_text(since)}"


def missing_note(device_ids: Sequence[str]) -> str:
    """Say that no console lists these devices any more, and how to be done with them."""
    return (
        f"No console lists {some(device_ids)} any more, so nothing is known of what runs there. "
        f"Gone for good? msp-toolkit device forget {device_ids[0]}"
    )


@frozen(kw_only=True, eq=False, repr=False)
class Counts(Data):
    """How many checks ended how."""

    ok: int = 0
    warning: int = 0
    critical: int = 0
    unknown: int = 0
    error: int = 0
    skipped: int = 0

    @classmethod
    def of(cls, numbers: Mapping[Status, int]) -> "Counts":
        """Build the counts from numbers by status."""
        return cls(**{status.value: numbers.get(status, 0) for status in Status})

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, status.value) for status in Status)

    @property
    def status(self) -> Status:
        """The worst that occurs; UNKNOWN when nothing was checked."""
        found = [status for status in Status if getattr(self, status.value)]
        if found == [Status.SKIPPED]:
            return Status.SKIPPED
        return worst(status for status in found if status is not Status.SKIPPED)

    def __str__(self) -> str:
        words = [
            f"{getattr(self, status.value)} {status.value}"
            for status in Status
            if getattr(self, status.value) or status is Status.OK
        ]
        return ", ".join(words)


def nagios_line(exit_code: int, text: str, counts: Counts) -> str:
    """Return a status line with performance data as the Monitoring Plugins write them."""
    word = {0: "OK", 1: "WARNING", 2: "CRITICAL"}.get(exit_code, "UNKNOWN")
    perfdata = " ".join(f"'{s.value}'={getattr(counts, s.value)}" for s in Status)
    return f"{word}: {text.replace('|', '/')} | {perfdata}"


@frozen(kw_only=True, eq=False, repr=False)
class Concern(Data):
    """One thing that is not right, or one reason why something is not known (`check` names all it stands for then).

    `devices` counts the devices the same reason was given for; `device` names the only one, or says how many.
    """

    status: Status
    client_id: str
    device: str
    check: str
    message: str
    devices: int = 1
    hard: bool = True

    @property
    def word(self) -> str:
        """The status for people, marked while a problem still has to be seen again."""
        return self.status.value if self.hard else f"{self.status.value} (new)"


@frozen(kw_only=True, eq=False, repr=False)
class SourceNote(Data):
    """What a source of facts came to in this run; `problem` is empty when it answered as it should."""

    instance: str
    source: str
    reads: int = 0
    observations: int = 0
    quarantined: int = 0
    problem: str = ""


@frozen(kw_only=True, eq=False, repr=False)
class HealthRun(Data):
    """What a sweep found, how complete it is, and what stood in its way."""

    run_id: str
    state: str
    """`finished`, `interrupted`, or `not recorded` for limits of one call, a dry run and read-only mode."""
    planned: int
    counts: Counts
    clients: int
    devices: int
    started_at: datetime
    finished_at: datetime
    concerns: tuple[Concern, ...] = ()
    """Worst first; UNKNOWN is gathered by reason."""
    sources: tuple[SourceNote, ...] = ()
    notes: tuple[str, ...] = ()
    incomplete: bool = False
    """True when something asked for was not checked: a client another run holds, or nothing at all."""
    results: tuple[CheckResult, ...] = ()
    """Every result of a run over one client; empty for more clients (read them with `Health.results`)."""

    @property
    def status(self) -> Status:
        """The worst status; UNKNOWN when the run is incomplete and found nothing worse."""
        found = self.counts.status
        if not self.counts.total:
            return Status.UNKNOWN
        return worst((found, Status.UNKNOWN)) if self.incomplete else found

    @property
    def exit_code(self) -> int:
        """0 OK, 1 WARNING, 2 CRITICAL, 3 when something is not known and nothing is worse."""
        return 0 if self.status is Status.SKIPPED else self.status.exit_code

    def say(self) -> str:
        """Return what people should know beyond the table."""
        seconds = max(0.0, (self.finished_at - self.started_at).total_seconds())
        lines = []
        if not self.planned:
            lines.append("Nothing was checked.")
        elif not self.concerns:
            lines.append("No problem was found in what was checked.")
        lines += [
            f"{self.status.value.upper()}: {self.counts}.",
            f"{_count(self.planned, 'check')} on {_count(self.devices, 'device')} of "
            f"{_count(self.clients, 'client')} in {seconds:.1f} s.",
        ]
        troubles = dict.fromkeys((n.instance, n.problem) for n in self.sources if n.problem)
        lines += [said_by(instance, problem) for instance, problem in troubles]
        lines += self.notes
        if self.run_id:
            lines.append(f"Recorded as run {self.run_id}.")
        return "\n".join(lines)

    def nagios(self) -> str:
        """Return the status line and performance data of the Monitoring Plugins."""
        worst_first = "; ".join(f"{c.device} {c.check}: {c.message}" for c in self.concerns[:3])
        text = f"{self.counts}" + (f" - {worst_first}" if worst_first else "")
        return nagios_line(self.exit_code, text, self.counts)

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("word", "Status"),
            Column("client_id", "Client"),
            Column("device", "Device"),
            Column("check", "Check"),
            Column("message", "Why"),
        ),
        rows="concerns",
        summary=lambda run: run.say(),
        nagios="nagios",
        empty="",
    )


@frozen(kw_only=True, eq=False, repr=False)
class ClientStatusSummary(Data):
    """The last known status of one client: the newest result of every device and check."""

    client_id: str
    counts: Counts
    devices: int
    checked_at: datetime | None
    """When the newest of the results was recorded."""
    results: tuple[CheckResult, ...] = ()

    @property
    def status(self) -> Status:
        """The worst of the results; UNKNOWN when there are none."""
        return self.counts.status

    @property
    def problems(self) -> tuple[CheckResult, ...]:
        """The results that are not OK, worst first."""
        wrong = (
            result for result in self.results if result.status not in (Status.OK, Status.SKIPPED)
        )
        return tuple(sorted(wrong, key=lambda r: (-r.status.rank, r.device_id, r.check)))


@frozen(kw_only=True, eq=False, repr=False)
class DailySummary(Data):
    """One day (UTC) of one device and check, kept when the single results are gone."""

    client_id: str
    device_id: str
    check: str
    day: date
    counts: Counts
    worst: Status
    lowest: float | None = None
    """Smallest, largest and mean value of the check's main number; None where it has none."""
    highest: float | None = None
    mean: float | None = None


def _written(value: Any) -> str:
    """Write a limit as `--set` reads it."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@frozen(kw_only=True, eq=False, repr=False)
class CheckInfo(Data):
    """An installed check and the limits that hold, for one client or in general."""

    id: str
    title: str
    aliases: tuple[str, ...]
    facts: tuple[str, ...]
    limits: Mapping[str, Any]
    sources: tuple[str, ...] = ()
    """`instance:source` that can read its facts with this configuration."""
    problem: str = ""

    @property
    def limits_text(self) -> str:
        """The limits that are set, in one line."""
        return self.problem or ", ".join(
            f"{name}={_written(value)}"
            for name, value in self.limits.items()
            if value not in (None, (), {}, [])
        )

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("id", "Check"),
            Column("title", "Title"),
            Column("facts", "Needs", format=lambda facts: " + ".join(facts)),
            Column(
                "sources",
                "Read by",
                format=lambda names: ", ".join(names) or "nothing installed",
            ),
            Column("limits_text", "Limits"),
        ),
        empty="No check is installed.",
    )


@frozen(kw_only=True, eq=False, repr=False)
class HealthCheckConfig(Data):
    """A client's own health settings; None leaves a setting as it is.

    `thresholds` maps `<check>.<limit>` or `<check>_percent` to a value; a value of None removes it.
    `devices` holds the same per device, by the device's name in its id.
    """

    checks: tuple[str, ...] | None = None
    thresholds: Mapping[str, Any] = field(factory=dict)
    devices: Mapping[str, Mapping[str, Any]] = field(factory=dict)


class Health(Protocol):
    """Health checks of the clients' devices, and what they found.

    Every read is limited to the caller's scope and names its client; a client outside is not found.
    """

    async def run(
        self,
        ctx: Context,
        *,
        client_ids: Sequence[str] | None = None,
        tier: Tier | None = None,
        tag: str | None = None,
        types: Sequence[str] = (),
        limits_override: Mapping[str, Any] | None = None,
        resume: bool = False,
    ) -> HealthRun:
        """Check the devices of these clients (None: of all in scope) and record what was found.

        `types` are check ids or aliases (none: all). `limits_override` has the highest precedence and asks "what if":
        as in a dry run and in read-only mode everything is read and judged, nothing recorded. `resume` finishes the
        newest run that was cut short: its own selection, only what it has not recorded. Raises Conflict when another
        run is checking the same client, and NotFound when no client is of this tier and tag.
        """
        ...

    async def results(self, ctx: Context, run_id: str, client_id: str) -> tuple[CheckResult, ...]:
        """Return what one run recorded about one client, by device and check."""
        ...

    async def history(
        self,
        ctx: Context,
        client_id: str,
        *,
        period: Period,
        device: str | None = None,
        check: str | None = None,
        limit: int | None = None,
    ) -> Listing[CheckResult]:
        """Return recorded results of one client, newest first."""
        ...

    async def daily(
        self,
        ctx: Context,
        client_id: str,
        *,
        period: Period,
        device: str | None = None,
        check: str | None = None,
    ) -> tuple[DailySummary, ...]:
        """Return one summary per day, device and check, oldest first, from the roll-ups and the results together."""
        ...

    async def status(self, ctx: Context, client_id: str) -> ClientStatusSummary:
        """Return the newest result of every device and check of one client.

        What was OK on a device that no console lists any more is UNKNOWN, also before the next sweep says so.
        """
        ...

    async def statuses(
        self, ctx: Context, client_ids: Sequence[str]
    ) -> tuple[ClientStatusSummary, ...]:
        """Return the same counts for many clients, without the single results."""
        ...

    async def checks(self, ctx: Context, client_id: str | None = None) -> Listing[CheckInfo]:
        """Return the installed checks and their limits, as they hold for one client or by configuration alone."""
        ...

    async def configure(
        self, ctx: Context, client_id: str, config: HealthCheckConfig
    ) -> Mapping[str, Any]:
        """Set a client's own health settings and return them all; raise InvalidParameters for a limit no check has."""
        ...

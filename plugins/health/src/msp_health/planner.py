"""The plan: which check runs on which device with which limits, and which source is asked for its facts. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from msp_core.v1 import Device, Granularity, Mode, Status, Target, watched
from msp_health.api import said_by, unlisted
from msp_health.catalog import VANTAGE, Catalog, CheckSpec, SourceSpec, fact_id
from msp_health.facts import FactBook
from msp_health.latest import Key
from msp_health.limits import ClientLimits, LimitsProblem

_COARSE = {Granularity.FLEET: 0, Granularity.CLIENT: 1, Granularity.DEVICE: 2}
_FRESH = {Mode.LIVE: 0, Mode.STORED: 1, Mode.PROBE: 2}


@frozen(kw_only=True, eq=False)
class Subject:
    """A device that is checked, and where it can be asked."""

    device: Device
    links: Mapping[str, str]
    """Instance -> the device's id there."""
    probes: bool = False
    """True when the client allows probe commands on its devices."""


@frozen(kw_only=True, eq=False)
class Row:
    """One planned check on one device. `settled` is its outcome where no fact is needed to know it."""

    subject: Subject
    check: CheckSpec
    limits: Any = None
    requests: tuple[Any, ...] = ()
    settled: tuple[Status, str] | None = None

    @property
    def key(self) -> Key:
        """Device and check: there is one row for each."""
        return (self.subject.device.id, self.check.id)


@define(kw_only=True)
class Read:
    """What one source is asked in one round: these facts, about these devices."""

    source: SourceSpec
    facts: set[type] = field(factory=set)
    targets: dict[str, Target] = field(factory=dict)
    requests: dict[str, dict[Any, None]] = field(factory=dict)
    """Named requests by device, without repeats."""

    def aim_at(self, subject: Subject) -> None:
        """Ask about this device too."""
        device = subject.device
        if device.id not in self.targets:
            external_id = subject.links.get(self.source.instance)
            self.targets[device.id] = Target(device, external_id)

    def split(self) -> list["Read"]:
        """Return one read per call: of the instance, of each client, or of each device."""
        if self.source.granularity is Granularity.FLEET:
            return [self]
        groups: dict[str, Read] = {}
        for device_id, target in self.targets.items():
            by_client = self.source.granularity is Granularity.CLIENT
            key = target.device.client_id if by_client else device_id
            part = groups.get(key)
            if part is None:
                part = groups[key] = Read(source=self.source, facts=self.facts)
            part.targets[device_id] = target
            if device_id in self.requests:
                part.requests[device_id] = self.requests[device_id]
        return list(groups.values())


def plan_rows(
    checks: Sequence[CheckSpec], subjects: Iterable[Subject], limits: Mapping[str, ClientLimits]
) -> list[Row]:
    """Return exactly one row for each check on each device, by check; `limits` are those of each client."""
    unique = {subject.device.id: subject for subject in subjects}.values()
    rows: list[Row] = []
    for check in checks:
        with watched(f"planning check {check.id} of plugin {check.plugin}"):
            rows += [_plan(check, subject, limits[subject.device.client_id]) for subject in unique]
    return rows


def _plan(check: CheckSpec, subject: Subject, limits: ClientLimits) -> Row:
    device = subject.device
    if check.broken:
        return Row(subject=subject, check=check, settled=(Status.ERROR, check.broken))
    if device.missing_since is not None:
        gone = (Status.UNKNOWN, unlisted(device.missing_since))
        return Row(subject=subject, check=check, settled=gone)
    merged = limits.get(check, device.id)
    if isinstance(merged, LimitsProblem):
        return Row(subject=subject, check=check, settled=(Status.ERROR, merged.reason))
    try:
        reason = check.applies(device) if check.applies else None
        requests = tuple(check.requests(merged, device)) if check.requests else ()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's failure is a row, never a crash
        broken = f"plugin {check.plugin} failed while planning: {type(error).__name__}: {error}"
        return Row(subject=subject, check=check, limits=merged, settled=(Status.ERROR, broken))
    if reason:
        return Row(
            subject=subject, check=check, limits=merged, settled=(Status.SKIPPED, str(reason))
        )
    return Row(subject=subject, check=check, limits=merged, requests=requests)


class Router:
    """Finds the sources of a fact, best first; each combination is worked out once."""

    def __init__(self, catalog: Catalog, *, dry_run: bool = False) -> None:
        self._catalog = catalog
        self._dry_run = dry_run
        self._found: dict[Any, tuple[SourceSpec, ...]] = {}

    def sources(
        self, kind: type, instances: frozenset[str], *, probes: bool, fresh: bool
    ) -> tuple[SourceSpec, ...]:
        """Return the sources of a fact kind in these instances.

        Few reads before many, measured now before stored; where freshness matters (`fresh`) the other way round.
        Probe commands come last, only for clients that allow them, and never in a dry run.
        """
        key = (kind, instances, probes, fresh)
        if key not in self._found:
            found = [s for s in self._catalog.sources if self._usable(s, kind, instances, probes)]
            found.sort(key=lambda source: self._rank(source, fresh=fresh))
            self._found[key] = tuple(found)
        return self._found[key]

    def _usable(
        self, source: SourceSpec, kind: type, instances: frozenset[str], probes: bool
    ) -> bool:
        if kind not in source.facts:
            return False
        if source.mode is Mode.PROBE and (self._dry_run or not probes):
            return False
        return source.vantage or source.instance in instances

    @staticmethod
    def _rank(source: SourceSpec, *, fresh: bool) -> tuple[Any, ...]:
        coarse, newest = _COARSE[source.granularity], _FRESH[source.mode]
        order = (newest, coarse) if fresh else (coarse, newest)
        return (source.mode is Mode.PROBE, *order, source.instance, source.id)

    def fleet_reads(self, checks: Sequence[CheckSpec], subjects: Iterable[Subject]) -> list[Read]:
        """Return what sources that answer for a whole instance would be asked about all of these devices."""
        reads: dict[str, Read] = {}
        wanted: dict[Any, list[tuple[SourceSpec, type]]] = {}
        for subject in subjects:
            key = (frozenset(subject.links), subject.probes)
            if key not in wanted:
                wanted[key] = [
                    (source, kind)
                    for check in checks
                    for need in check.needs
                    for kind in need
                    for source in self.sources(
                        kind, key[0], probes=subject.probes, fresh=check.max_age is not None
                    )
                    if source.granularity is Granularity.FLEET and not source.vantage
                ]
            for source, kind in wanted[key]:
                read = reads.get(source.key)
                if read is None:
                    read = reads[source.key] = Read(source=source)
                read.facts.add(kind)
                read.aim_at(subject)
        return list(reads.values())

    def next_reads(
        self,
        rows: Iterable[Row],
        book: FactBook,
        tried: set[tuple[str, str, str]],
        down: Mapping[str, str],
    ) -> list[Read]:
        """Return what to ask now: for each need that no fact serves yet the best source not tried, every fact once.

        `tried` (device, source, fact) grows by what is returned; instances in `down` are left out. Nothing to ask
        means that everything that can be known is known.
        """
        reads: dict[str, Read] = {}
        for row in rows:
            if row.settled is not None:
                continue
            for need in row.check.needs:
                if not book.served(row, need):
                    self._ask(row, need, reads, tried, down)
        return list(reads.values())

    def _ask(
        self,
        row: Row,
        need: Sequence[type],
        reads: dict[str, Read],
        tried: set[tuple[str, str, str]],
        down: Mapping[str, str],
    ) -> None:
        subject, fresh = row.subject, row.check.max_age is not None
        instances = frozenset(subject.links)
        for kind in need:
            named = tuple(r for r in row.requests if getattr(r, "fact_id", None) == fact_id(kind))
            for source in self.sources(kind, instances, probes=subject.probes, fresh=fresh):
                unasked = bool(row.check.requests) and not named
                if source.instance in down or (source.vantage and unasked):
                    continue
                step = (subject.device.id, source.key, fact_id(kind))
                read = reads.get(source.key)
                asked_now = read is not None and subject.device.id in read.targets
                if step in tried and not (asked_now and read is not None and kind in read.facts):
                    continue
                tried.add(step)
                if read is None:
                    read = reads[source.key] = Read(source=source)
                read.facts.add(kind)
                read.aim_at(subject)
                if named:
                    read.requests.setdefault(subject.device.id, {}).update(dict.fromkeys(named))
                return


def why_unknown(
    row: Row, need: Sequence[type], book: FactBook, catalog: Catalog, down: Mapping[str, str]
) -> str:
    """Return why no fact serves a need, the most telling reason first."""
    device_id, instances = row.subject.device.id, sorted(row.subject.links)
    said = [reason for kind in need if (reason := book.reason(device_id, fact_id(kind)))]
    said += [
        told
        for source in catalog.sources
        if source.instance in row.subject.links
        and any(kind in source.facts for kind in need)
        and (told := book.source_reason(source.key))
    ]
    if said:
        return _joined(said)
    broken = [said_by(name, down[name]) for name in instances if name in down]
    if broken:
        return _joined(broken)
    lacking = [
        said_by(name, lack)
        for kind in need
        for name in instances
        if (lack := catalog.lacks.get(name, {}).get(kind))
    ]
    if lacking:
        return _joined(lacking)
    names = " or ".join(fact_id(kind) for kind in need)
    if not instances:
        return f"nothing reads {names}: the device is linked to no adapter instance"
    offering = {s.instance for s in catalog.sources if any(kind in s.facts for kind in need)}
    asked = [name for name in instances if name in offering]
    if asked:
        return f"{', '.join(asked)} said nothing about {names}"
    if VANTAGE in offering and row.requests == ():
        return f"no {names} are configured for this device"
    return f"{', '.join(instances)} cannot read {names}"


def _joined(reasons: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(reasons))

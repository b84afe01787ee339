"""The pure parts: limits, attempts, plan, freshness, settings."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from msp_core.v1 import (
    Client,
    ConditionFacts,
    CpuFacts,
    Device,
    DiskFacts,
    Granularity,
    InvalidParameters,
    MemoryFacts,
    Metric,
    Mode,
    Observation,
    ProbeFacts,
    ProbeKind,
    ProbeRequest,
    Status,
    Tier,
    Verdict,
)
from msp_health.attempts import Standing, advance
from msp_health.catalog import VANTAGE, Catalog, CheckSpec, SourceSpec, select
from msp_health.evaluator import clean, judge
from msp_health.facts import FactBook, Known
from msp_health.lanes import lanes
from msp_health.limits import (
    ClientLimits,
    LimitsBook,
    LimitsProblem,
    merge,
    parse_layer,
    structure_field,
)
from msp_health.planner import Router, Row, Subject, plan_rows, why_unknown
from msp_health.settings import HealthSettings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NO_LIMITS = ClientLimits((parse_layer("call", {}, ()),), {})


@frozen(kw_only=True)
class Limits:
    warning_percent: float = 85.0
    critical_percent: float = 95.0
    warning_free_gb: float | None = None
    names: tuple[str, ...] = ()
    every: timedelta = timedelta(minutes=5)


def check(id="disk", needs=((DiskFacts,),), **more):
    return CheckSpec(
        id=id, title=id, plugin=f"check-{id}", needs=needs, limits=Limits, evaluate=print, **more
    )


DISK = check(aliases=("disk-space",))


# --- limits


@given(st.floats(min_value=0.1, max_value=99.9))
def test_short_form_keeps_critical_between_warning_and_all(level):
    """`disk_percent` moves the warning level, and critical stays above it and at most 100."""
    merged = merge(DISK, [parse_layer("config", {"disk_percent": level}, [DISK])])
    assert merged.warning_percent == level
    assert level < merged.critical_percent <= 100


@pytest.mark.parametrize(
    ("level", "critical"), [(85, 95), (70, 90), (90, 96.67), (97, 99), (55, 85)]
)
def test_short_form_leaves_the_same_share_of_the_room(level, critical):
    """The rule that the documentation states, number by number."""
    merged = merge(DISK, [parse_layer("config", {"disk_percent": level}, [DISK])])
    assert merged.critical_percent == critical


def test_short_form_leaves_a_stated_critical_above_it():
    """A critical level that somebody stated stays, unless the warning level would pass it."""
    layers = [
        parse_layer("config", {"disk": {"critical_percent": 97}}, [DISK]),
        parse_layer(
            "tier", {"disk-space_percent": 1, "disk_space_percent": 90}, [DISK], strict=False
        ),
    ]
    assert merge(DISK, layers).critical_percent == 97
    layers.append(parse_layer("call", {"disk_percent": 98}, [DISK]))
    assert merge(DISK, layers).critical_percent == 99.33


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ({"disk_prcent": 5}, "disk_percent"),
        ({"disk.warning_pct": 5}, "disk.warning_percent"),
        ({"memory_percent": 5}, "no limit of an installed check"),
        ({"disk_percent": "a lot"}, "expected a number, got 'a lot'"),
        ({"disk_percent": float("nan")}, "expected a finite number"),
        ({"disk.names": "sshd"}, "expected a list, got 'sshd'"),
        ({"disk.every": "5 minutes"}, "'5 minutes' is not a duration"),
    ],
)
def test_wrong_limits_name_place_and_reason(override, said):
    """A wrong limit is refused with where it stands, why, and the nearest right name."""
    with pytest.raises(InvalidParameters) as caught:
        merge(DISK, [parse_layer("threshold override", override, [DISK])])
    import re

    assert re.search(said, caught.value.message + caught.value.suggestion)
    assert caught.value.message.startswith("threshold override")


def test_layers_override_in_order():
    """Configuration, tier, client, device, call: each later one wins."""
    book = LimitsBook(
        [DISK],
        thresholds={"disk_percent": 50},
        tiers={Tier.GOLD: {"disk": {"warning_percent": 51}}},
        call={"disk.warning_percent": 55},
    )
    gold = Client(id="g", name="G", tier=Tier.GOLD)
    config = {
        "health.disk.warning_percent": 52,
        "health.devices.srv.disk.warning_percent": 53,
        "health.devices.srv.disk.names": ["a"],
        "other.key": 1,
    }
    called = book.for_client(gold, config)
    assert called.get(DISK, "g/srv").warning_percent == 55
    assert called.get(DISK, "g/srv").names == ("a",)
    for call, tier, settings, device, expected in (
        ({}, Tier.GOLD, config, "g/srv", 53),
        ({}, Tier.GOLD, config, "g/pc", 52),
        ({}, Tier.GOLD, {}, "g/pc", 51),
        ({}, Tier.BRONZE, {}, "g/pc", 50),
    ):
        book = LimitsBook(
            [DISK],
            thresholds={"disk_percent": 50},
            tiers={Tier.GOLD: {"disk": {"warning_percent": 51}}},
            call=call,
        )
        limits = book.for_client(evolve(gold, tier=tier), settings)
        assert limits.get(DISK, device).warning_percent == expected


def test_a_clients_wrong_setting_is_a_problem_not_an_exception():
    """What one client has wrong is said where its limits are asked for."""
    book = LimitsBook([DISK], thresholds={}, tiers={}, call={})
    limits = book.for_client(Client(id="c", name="C"), {"health.disk.names": 7})
    found = limits.get(DISK, "c/x")
    assert isinstance(found, LimitsProblem)
    assert "settings of client c: disk.names" in found.reason


@given(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text()))
)
def test_strict_structuring_never_guesses(value):
    """A limit takes only what it says; everything else is an InvalidParameters, never another exception."""
    for kind in (int, float, bool, str, timedelta, tuple[str, ...], float | None):
        try:
            found = structure_field(kind, value, "x")
        except InvalidParameters:
            continue
        if kind is bool:
            assert value is found or value in ("true", "false")
        if kind is int and not isinstance(value, str):
            assert found == value
            assert not isinstance(value, bool)


@pytest.mark.parametrize(
    "good",
    [
        "0 */6 * * *",
        "*/5 0-6,22 1,15 jan-mar mon-fri",
        "0 0 29 2 7",
        "59 23 31 12 *",
        "5/10 0 * * SUN",
        "0 0 29-31 2 *",
        "0 0 31 2,3 *",
        "0 0 30 2 mon",
    ],
)
def test_schedules_that_are_cron(good):
    """Cron expressions of five fields are taken."""
    assert HealthSettings(schedule=good).schedule == good


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "x * * * *",
        "@daily",
        "0 0 30 2 *",
        "0 0 31 apr,6,9-sep,nov */2",
        "0 0 * * fri-sun",
        "0 0 0 * *",
        "0 0 * 13 *",
        "0 0 * * 8",
        "0 0 mon * *",
    ],
)
def test_schedules_that_are_not(bad):
    """Everything else is refused."""
    with pytest.raises(ValueError, match="schedule"):
        HealthSettings(schedule=bad)


# --- attempts


class Icinga(RuleBasedStateMachine):
    """Soft and hard states against the rules as a person would write them down."""

    def __init__(self):
        super().__init__()
        self.attempts = 3
        self.standing = Standing()
        self.judged = []
        self.hard = None

    @rule(status=st.sampled_from([Status.OK, Status.WARNING, Status.CRITICAL]))
    def judge(self, status):
        self.judged.append(status)
        run = 0
        for one in reversed(self.judged):
            if one is Status.OK:
                break
            run += 1
        believed = status is Status.OK or run >= self.attempts
        before = self.standing
        step = advance(before, status, self.attempts)
        if believed:
            self.hard = status
        assert step.hard is believed
        problem = {Status.WARNING, Status.CRITICAL}
        told = before.hard_status is not self.hard and bool(
            {before.hard_status, self.hard} & problem
        )
        assert step.changed(before) is told
        self.standing = step.standing

    @rule(status=st.sampled_from([Status.UNKNOWN, Status.ERROR, Status.SKIPPED]))
    def look_away(self, status):
        step = advance(self.standing, status, self.attempts)
        assert step.standing == self.standing
        assert not step.changed(self.standing)

    @rule(attempts=st.integers(1, 5))
    def configure(self, attempts):
        if not self.judged or self.judged[-1] is Status.OK:
            self.attempts = attempts

    @invariant()
    def agrees(self):
        assert self.standing.hard_status is self.hard


TestIcinga = Icinga.TestCase


# --- plan


def source(id, instance, *facts, granularity=Granularity.CLIENT, mode=Mode.LIVE):
    return SourceSpec(
        id=id,
        instance=instance,
        plugin="p",
        facts=facts,
        read="x:y",
        granularity=granularity,
        mode=mode,
    )


def subject(name="pc", links=None, probes=False, **device):
    return Subject(
        device=Device(id=f"c/{name}", client_id="c", name=name, **device),
        links={"a": "1"} if links is None else links,
        probes=probes,
    )


def first_asked(sources, the_check, the_subject, dry_run=False):
    catalog = Catalog(checks=(the_check,), sources=tuple(sources))
    rows = plan_rows([the_check], [the_subject], {"c": NO_LIMITS})
    reads = Router(catalog, dry_run=dry_run).next_reads(
        rows, FactBook(NOW, timedelta(days=2)), set(), {}
    )
    return [read.source.id for read in reads]


def test_coarse_before_fine_and_fresh_first_where_it_matters():
    """Fleet before client before device; a check that limits the age asks live sources first."""
    sources = [
        source("fine", "a", DiskFacts, granularity=Granularity.DEVICE),
        source("coarse", "a", DiskFacts, granularity=Granularity.FLEET, mode=Mode.STORED),
        source("middle", "a", DiskFacts, granularity=Granularity.CLIENT),
    ]
    assert first_asked(sources, DISK, subject()) == ["coarse"]
    fresh = check(max_age=timedelta(minutes=10))
    assert first_asked(sources, fresh, subject()) == ["middle"]


def test_probe_sources_only_where_allowed_and_never_in_a_dry_run():
    """A probe runs for clients that opted in, after everything else, and not in a dry run."""
    probe = source("probe", "a", CpuFacts, mode=Mode.PROBE)
    cpu = check("cpu", needs=((CpuFacts,),))
    assert first_asked([probe], cpu, subject()) == []
    assert first_asked([probe], cpu, subject(probes=True)) == ["probe"]
    assert first_asked([probe], cpu, subject(probes=True), dry_run=True) == []
    fine = source("fine", "a", CpuFacts, granularity=Granularity.DEVICE, mode=Mode.STORED)
    assert first_asked([probe, fine], cpu, subject(probes=True)) == ["fine"]


def test_alternatives_in_order_and_each_fact_once():
    """The first alternative anybody reads is asked for, and one read serves every check."""
    either = check("cpu", needs=((CpuFacts, ConditionFacts),))
    both = check("both", needs=((ConditionFacts,), (DiskFacts,)))
    sources = (source("all", "a", ConditionFacts, DiskFacts),)
    catalog = Catalog(checks=(either, both), sources=sources)
    subjects = [subject(f"pc{n}") for n in range(3)]
    rows = plan_rows(catalog.checks, subjects, {"c": NO_LIMITS})
    [read] = Router(catalog).next_reads(rows, FactBook(NOW, timedelta(days=2)), set(), {})
    assert read.facts == {ConditionFacts, DiskFacts}
    assert len(read.targets) == 3
    assert len(read.split()) == 1


def test_the_next_source_is_asked_when_the_first_gave_nothing():
    """A device seen by two consoles falls back on the second; nobody is asked twice."""
    sources = (source("one", "a", DiskFacts), source("two", "b", DiskFacts))
    catalog = Catalog(checks=(DISK,), sources=sources)
    rows = plan_rows([DISK], [subject(links={"a": "1", "b": "2"})], {"c": NO_LIMITS})
    router, book, tried = Router(catalog), FactBook(NOW, timedelta(days=2)), set()
    asked = []
    while reads := router.next_reads(rows, book, tried, {}):
        asked += [(read.source.id, read.targets["c/pc"].external_id) for read in reads]
    assert asked == [("one", "1"), ("two", "2")]


def test_own_vantage_is_asked_only_for_named_requests():
    """A source that reads from here runs for devices whose check asks for something by name."""
    here = source("net", VANTAGE, ProbeFacts, granularity=Granularity.DEVICE)
    request = ProbeRequest(kind=ProbeKind.PING, target="10.0.0.1")
    network = check(
        "network", needs=((ProbeFacts,),), requests=lambda limits, device: (request, request)
    )
    assert first_asked([here], network, subject(links={})) == ["net"]
    quiet = check("network", needs=((ProbeFacts,),), requests=lambda limits, device: ())
    assert first_asked([here], quiet, subject(links={})) == []


@given(
    st.lists(st.sampled_from(["a", "b", "c"]), max_size=8),
    st.lists(st.sampled_from(["cpu", "disk", "memory"]), unique=True, max_size=3),
    st.booleans(),
)
def test_exactly_one_row_for_each_device_and_check(names, ids, raising):
    """Whatever the inventory repeats and whatever a check raises, each device and check is planned once."""

    def applies(device):
        if raising:
            raise RuntimeError("no")
        return "because" if device.name == "a" else None

    checks = [check(id, applies=applies) for id in ids]
    rows = plan_rows(checks, [subject(name) for name in names], {"c": NO_LIMITS})
    assert len({row.key for row in rows}) == len(rows) == len(set(names)) * len(ids)


def test_settled_rows_need_no_facts():
    """A missing device is UNKNOWN, one that a check does not fit is SKIPPED, a broken plugin's check is ERROR."""
    gone = subject("gone", missing_since=NOW)
    [row] = plan_rows([DISK], [gone], {"c": NO_LIMITS})
    assert row.settled == (Status.UNKNOWN, "not listed by any console since 2026-03-01 00:00 UTC")
    [row] = plan_rows([check(applies=lambda device: "a printer")], [subject()], {"c": NO_LIMITS})
    assert row.settled == (Status.SKIPPED, "a printer")
    broken = CheckSpec(
        id="x", title="X", plugin="acme", broken="plugin acme cannot be loaded: boom"
    )
    [row] = plan_rows([broken], [subject()], {"c": NO_LIMITS})
    assert row.settled[0] is Status.ERROR


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ({}, "nothing reads memory: the device is linked to no adapter instance"),
        ({"a": "1"}, "a: no live memory in this API"),
        ({"b": "1"}, "b said nothing about memory"),
        ({"x": "1"}, "x cannot read memory"),
        ({"d": "1"}, "d: connection refused"),
    ],
)
def test_unknown_says_why(links, said):
    """The most telling reason why a fact is not known."""
    memory = check("memory", needs=((MemoryFacts,),))
    catalog = Catalog(
        checks=(memory,),
        sources=(source("m", "b", MemoryFacts), source("m", "d", MemoryFacts)),
        lacks={"a": {MemoryFacts: "no live memory in this API"}},
    )
    row = Row(subject=subject(links=links), check=memory)
    book = FactBook(NOW, timedelta(days=2))
    assert why_unknown(row, (MemoryFacts,), book, catalog, {"d": "connection refused"}) == said


def test_unknown_checks_are_refused_with_the_nearest():
    """`select` takes ids and aliases and refuses the rest."""
    assert select([DISK], ["disk-space", "DISK"]) == (DISK,)
    with pytest.raises(InvalidParameters) as caught:
        select([DISK], ["disk-spce"])
    assert caught.value.suggestion == "Did you mean 'disk-space'? Installed checks: disk."


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(1, 40))
def test_lanes_hold_every_device_once_and_about_one_chunk(sizes, chunk):
    """Clients of different consoles are in different lanes, none is lost, and all lanes together hold one chunk."""
    subjects = [
        Subject(
            device=Device(id=f"c{n}/{d}", client_id=f"c{n}", name=str(d)), links={f"i{n % 3}": "x"}
        )
        for n, size in enumerate(sizes)
        for d in range(size)
    ]
    if not subjects:
        return
    found = [[list(part) for part in lane] for lane in lanes(subjects, chunk)]
    flat = [s.device.id for lane in found for part in lane for s in part]
    assert sorted(flat) == sorted(s.device.id for s in subjects)
    assert all(len({next(iter(s.links)) for part in lane for s in part}) == 1 for lane in found)
    assert sum(max(map(len, lane)) for lane in found) <= max(chunk, len(found)) + len(found)


# --- freshness and verdicts


@given(
    st.timedeltas(min_value=timedelta(days=-4000), max_value=timedelta(days=4000)),
    st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=30)),
)
def test_freshness_survives_any_clock(age, limit):
    """Old facts and facts from far in the future are not used; everything else is."""
    row = Row(subject=subject(), check=check(max_age=limit))
    seen = Observation(
        device_id="c/pc", fact=DiskFacts(volumes=()), source="s", observed_at=NOW - age
    )
    book = FactBook(NOW, timedelta(days=2))
    book.add(Known(seen, Mode.LIVE, "a:s"))
    allowed = -max(limit, timedelta(minutes=15)) <= age <= limit
    assert book.served(row, (DiskFacts,)) is allowed
    assert bool(book.stale_reason(row, (DiskFacts,))) is not allowed


def test_stored_facts_without_a_time_are_as_old_as_the_devices_last_contact():
    """A device offline for long tells nothing new, although the vendor does not say when it measured."""
    fact = Observation(device_id="c/pc", fact=DiskFacts(volumes=()), source="s", observed_at=None)
    for online, days, served in ((False, 5, False), (False, 1, True), (True, 5, True)):
        book = FactBook(NOW, timedelta(days=2))
        book.add(Known(fact, Mode.STORED, "a:s"))
        row = Row(subject=subject(online=online, last_seen=NOW - timedelta(days=days)), check=DISK)
        assert book.served(row, (DiskFacts,)) is served


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(Status.OK, "x", data={"bad": object()}),
        Verdict(Status.OK, "x", data={"bad": float("nan")}),
        Verdict("fine", "x"),
        Verdict(Status.OK, "x", (1, 2)),
        None,
    ],
)
def test_a_verdict_that_cannot_be_recorded_is_an_error(verdict):
    """What a check returns is proved before it is recorded."""
    lying = CheckSpec(id="x", title="X", plugin="acme", evaluate=lambda limits, previous: verdict)
    row = Row(subject=subject(), check=lying)
    outcome = judge(row, FactBook(NOW, timedelta(1)), None, lambda row, need: "")
    assert outcome.status is Status.ERROR
    assert "plugin acme (check x)" in outcome.message


def test_numbers_that_are_not_finite_are_left_out():
    """A metric of infinity harms neither the row nor the roll-up."""
    metrics = (Metric("a", float("inf")), Metric("b", 2.5))
    odd = CheckSpec(
        id="x",
        title="X",
        plugin="p",
        evaluate=lambda limits, previous: Verdict(Status.OK, "", metrics),
    )
    outcome = judge(
        Row(subject=subject(), check=odd),
        FactBook(NOW, timedelta(1)),
        None,
        lambda *_: "",
    )
    assert (outcome.value, outcome.metrics) == (2.5, '[["b",2.5,"",null,null]]')


@given(st.text(max_size=800))
def test_messages_are_one_harmless_line(text):
    """Text from devices is one line of limited length without control characters."""
    line = clean(text)
    assert len(line) <= 500
    assert not any(ord(c) < 32 or ord(c) == 127 for c in line)

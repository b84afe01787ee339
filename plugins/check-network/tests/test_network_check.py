"""The network check: verdicts from probe results and from the console's word."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from msp_check_network.check import NOT_PROBED, evaluate
from msp_check_network.limits import NetworkLimits, ProbeTarget, requests
from msp_check_network.plugin import msp_checks, msp_sources
from msp_check_network.source import read
from msp_core.v1 import (
    ConnectivityFacts,
    Device,
    DeviceKind,
    Previous,
    ProbeFacts,
    ProbeKind,
    ProbeResult,
    Status,
    Verdict,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PING = ProbeTarget(kind=ProbeKind.PING, target="gw", warning_ms=100, critical_ms=200)
TLS = ProbeTarget(kind=ProbeKind.TLS, target="web:443")
SERVER = Device(id="acme/dc1", client_id="acme", name="dc1", kind=DeviceKind.SERVER)
LAPTOP = evolve(SERVER, kind=DeviceKind.WORKSTATION)


def result(probe: ProbeTarget, **seen: object) -> ProbeResult:
    return ProbeResult(kind=probe.kind, target=probe.target, **{"latency_ms": 5.0, **seen})


def judge(probe: ProbeTarget, previous: Previous | None = None, **seen: object) -> Verdict:
    facts = ProbeFacts(results=(result(probe, **seen),), probed_at=NOW)
    return evaluate(facts, limits=NetworkLimits(targets=(probe,)), previous=previous)


def test_network_records_name_what_exists() -> None:
    """The records are valid and their references resolve."""
    (check,), (source,) = msp_checks(), msp_sources()
    assert (check.limits, check.evaluate, check.requests, source.read) == tuple(
        f"{part.__module__}:{part.__name__}" for part in (NetworkLimits, evaluate, requests, read)
    )


@pytest.mark.parametrize(
    ("loss", "latency", "status", "words"),
    [
        (0, 5, "ok", "ping gw: answers, 5.0 ms"),
        (33.3, 5, "warning", "33 % lost"),
        (66.7, 5, "critical", "67 % lost"),
        (100, None, "critical", "no answer"),
        (0, 150, "warning", "150.0 ms (warning at 100 ms)"),
        (0, 250, "critical", "critical at 200 ms"),
    ],
)
def test_network_ping(loss: float, latency: float | None, status: str, words: str) -> None:
    """Loss and time are held against their limits."""
    verdict = judge(PING, loss_percent=loss, latency_ms=latency)
    assert verdict.status == status
    assert words in verdict.message


@pytest.mark.parametrize(
    ("code", "expected", "status"),
    [
        (200, (), "ok"), (301, (), "ok"), (404, (), "warning"), (503, (), "critical"),
        (401, (401,), "ok"), (200, (401,), "critical"), (None, (), "unknown"), (-1, (), "unknown"),
    ],
)  # fmt: skip
def test_network_http(code: int | None, expected: tuple, status: str) -> None:
    """Any answer below 400 is fine, or exactly those expected."""
    probe = ProbeTarget(kind=ProbeKind.HTTP, target="https://w/", expected_status=expected)
    assert judge(probe, http_status=code).status == status


@pytest.mark.parametrize(
    ("days", "status"),
    [(90, "ok"), (20, "warning"), (6, "critical"), (-1, "critical"), (None, "unknown")],
)
def test_network_tls(days: float | None, status: str) -> None:
    """Days left of a certificate count from the moment of the probe."""
    end = None if days is None else NOW + timedelta(days=days)
    assert judge(TLS, expires_at=end).status == status


def test_network_dns() -> None:
    """An expected address must be among the answers, however it is written."""
    probe = ProbeTarget(kind=ProbeKind.DNS, target="mail", expected_addresses=("2001:DB8::1",))
    assert judge(probe, resolved=("192.0.2.1", "2001:db8:0::1")).status is Status.OK
    assert judge(probe, resolved=("192.0.2.1",)).status is Status.CRITICAL
    assert judge(evolve(probe, expected_addresses=()), resolved=()).status is Status.CRITICAL


def test_network_failing_to_probe_is_unknown_and_failing_target_is_critical() -> None:
    """What our own side could not do says nothing about the target."""
    assert judge(PING, error="connection refused").status is Status.CRITICAL
    assert judge(PING, error=f"{NOT_PROBED}no ping here").status is Status.UNKNOWN
    limits = NetworkLimits(targets=(PING, TLS))
    facts = ProbeFacts(results=(result(PING, loss_percent=0),), probed_at=NOW)
    assert evaluate(facts, limits=limits).status is Status.UNKNOWN


@pytest.mark.parametrize("nonsense", [math.nan, -1, math.inf, 10**400, "5"])
def test_network_nonsense_is_unknown(nonsense: object) -> None:
    """Times and losses nobody can measure are never OK."""
    assert judge(PING, loss_percent=0, latency_ms=nonsense).status is Status.UNKNOWN
    assert judge(PING, loss_percent=nonsense).status is Status.UNKNOWN


@given(
    *[st.floats(0, 100)] * 2,
    *[st.floats(0, 1e4)] * 2,
    st.sampled_from(["ok", "warning", "critical", 1]),
)
def test_network_worse_facts_never_look_better(
    loss: float, more_loss: float, time: float, more_time: float, before: object
) -> None:
    """With the same past, more loss or a longer way never gives a better status."""
    previous = Previous(status=Status.OK, data={"latency": {"ping gw": before}})

    def at(loss: float, time: float) -> int:
        return judge(PING, previous, loss_percent=loss, latency_ms=time).status.rank

    assert at(min(loss, more_loss), min(time, more_time)) <= at(
        max(loss, more_loss), max(time, more_time)
    )


def test_network_latency_recovers_below_its_limit() -> None:
    """A time that hovers at its limit does not flap."""
    previous = None
    for time, expected in [(100, "warning"), (96, "warning"), (94, "ok"), (99, "ok")]:
        verdict = judge(PING, previous, loss_percent=0, latency_ms=time)
        assert verdict.status == expected
        previous = Previous(status=verdict.status, data=verdict.data)


@pytest.mark.parametrize(
    ("online", "device", "status"),
    [
        (True, SERVER, "ok"), (False, SERVER, "critical"), (False, None, "critical"),
        (False, LAPTOP, "ok"), (None, LAPTOP, "unknown"), (None, SERVER, "unknown"),
    ],
)  # fmt: skip
def test_network_agent(online: bool | None, device: Device | None, status: str) -> None:
    """Without probes the console's word counts; a workstation may be switched off."""
    verdict = evaluate(ConnectivityFacts(online=online), limits=NetworkLimits(), device=device)
    assert verdict.status == status


def test_network_agent_cannot_stand_for_configured_probes() -> None:
    """An agent that answers proves nothing about the probes that did not run."""
    limits = NetworkLimits(targets=(PING,))
    assert evaluate(ConnectivityFacts(online=True), limits=limits).status is Status.UNKNOWN
    assert evaluate(ConnectivityFacts(online=False), limits=limits).status is Status.CRITICAL


@given(st.text(max_size=2000))
def test_network_text_from_outside_is_one_short_printable_line(text: str) -> None:
    """Whatever a target answers, the message is printable and short."""
    probe = ProbeTarget(kind=ProbeKind.DNS, target="x")
    for verdict in (judge(probe, error=text), judge(probe, resolved=(text,) * 50)):
        assert verdict.message.isprintable()
        assert len(verdict.message) < 700


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "tcp", "target": "host"},
        {"kind": "tcp", "target": "host:99999"},
        {"kind": "ping", "target": "-f"},
        {"kind": "ping", "target": "a b"},
        {"kind": "http", "target": "ftp://x/"},
        {"kind": "http", "target": "https://user:secret@x/"},
        {"kind": "dns", "target": "x", "server": "name"},
        {"kind": "ping", "target": "x", "timeout_s": 0},
        {"kind": "ping", "target": "x", "count": 10**9},
        {"kind": "ping", "target": "x", "warning_ms": 9, "critical_ms": 8},
    ],
)
def test_network_targets_that_cannot_work_are_refused(wrong: dict) -> None:
    """A target that cannot be probed is a ValueError when the limits are read, and shows no password."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the texts differ
        ProbeTarget(**{**wrong, "kind": ProbeKind(wrong["kind"])})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "address", "asked"),
    [
        ("{address}", "192.0.2.7", "192.0.2.7"),
        ("{address}:22", "2001:db8::7", "[2001:db8::7]:22"),
        ("{address}", "2001:db8::7", "2001:db8::7"),
        ("{address}:22", "-x; rm", "{address}:22"),
        ("fixed:22", "192.0.2.7", "fixed:22"),
    ],
)
def test_network_requests_fill_in_the_device(target: str, address: str, asked: str) -> None:
    """Places in a target take the device's own address, unless that is no address."""
    kind = ProbeKind.TCP if ":22" in target else ProbeKind.PING
    limits = NetworkLimits(targets=(ProbeTarget(kind=kind, target=target),))
    (request,) = requests(limits, evolve(SERVER, addresses=(address,)))
    assert request.target == asked

"""Judge what probes saw, or what the console says: a pure function from facts to a verdict."""

import ipaddress
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import frozen

from msp_check_network.limits import NetworkLimits, ProbeTarget
from msp_core.v1 import (
    ConnectivityFacts,
    Device,
    DeviceKind,
    Levels,
    Metric,
    Previous,
    ProbeFacts,
    ProbeKind,
    ProbeResult,
    Status,
    Verdict,
    measured,
    printable,
    worst,
)

NOT_PROBED = "not probed: "
"""How the `error` of a result starts when our own side could not probe: UNKNOWN, no problem of the target."""
MOST_MS = 1e7
SHOWN = 3
_MAY_BE_OFF = (DeviceKind.WORKSTATION, DeviceKind.MOBILE)


def evaluate(
    facts: ProbeFacts | ConnectivityFacts,
    *,
    limits: NetworkLimits,
    previous: Previous | None = None,
    device: Device | None = None,
) -> Verdict:
    """Judge the probes' results, or the agent's connectivity where no probe is configured."""
    if isinstance(facts, ConnectivityFacts):
        return _judge_agent(facts, limits, device)
    if not limits.targets:
        return Verdict(Status.UNKNOWN, "no probes are configured")
    before = previous.data.get("latency", {}) if previous else {}
    findings = [
        _judge_probe(probe, result, facts.probed_at, before if isinstance(before, Mapping) else {})
        for probe, result in _paired(limits, facts)
    ]
    return Verdict(
        status=worst(finding.status for finding in findings),
        message=_message(findings),
        metrics=tuple(metric for finding in findings for metric in finding.metrics),
        data={"latency": {finding.label: finding.latency for finding in findings}},
    )


@frozen
class _Finding:
    """What is to say about one probe. `latency` is the status word the next evaluation compares with."""

    label: str
    status: Status
    text: str
    metrics: tuple[Metric, ...] = ()
    latency: str = "ok"


def _paired(
    limits: NetworkLimits, facts: ProbeFacts
) -> list[tuple[ProbeTarget, ProbeResult | None]]:
    results: list[ProbeResult | None] = list(facts.results)
    results += [None] * (len(limits.targets) - len(results))
    return list(zip(limits.targets, results, strict=False))


def _judge_probe(
    probe: ProbeTarget,
    result: ProbeResult | None,
    probed_at: datetime | None,
    before: Mapping[str, Any],
) -> _Finding:
    label, latency = _label(probe, result), str(before.get(_label(probe, result), "unknown"))
    if result is None or result.kind is not probe.kind:
        return _Finding(label, Status.UNKNOWN, f"{label}: no result", (), latency)
    if result.error.startswith(NOT_PROBED):
        return _Finding(
            label, Status.UNKNOWN, f"{label} {printable(result.error, 120)}", (), latency
        )
    if result.error:
        return _Finding(
            label, Status.CRITICAL, f"{label}: {printable(result.error, 120)}", (), latency
        )
    speed = _judge_latency(probe, label, result, latency)
    answer, text = _judge_answer(probe, result, probed_at)
    return _Finding(
        label,
        worst((speed.status, answer)),
        ", ".join(part for part in (f"{label}: {text}" if text else label, speed.text) if part),
        (*speed.metrics, *_metrics(label, probe, result, probed_at)),
        speed.latency,
    )


def _judge_latency(probe: ProbeTarget, label: str, result: ProbeResult, before: str) -> _Finding:
    if result.latency_ms is None:
        lost = probe.kind is ProbeKind.PING and result.loss_percent is not None
        return _Finding(
            label, Status.OK if lost else Status.UNKNOWN, "" if lost else "no time", (), before
        )
    value = measured(result.latency_ms, MOST_MS)
    if value is None:
        return _Finding(label, Status.UNKNOWN, "the measured time makes no sense", (), before)
    levels = Levels(warning=probe.warning_ms, critical=probe.critical_ms)
    status = levels.judge(value, before)
    reason = levels.explain(value, status, " ms")
    text = f"{value:.1f} ms" + (f" ({reason})" if reason else "")
    metric = Metric(f"{label} time", round(value, 3), "ms", levels.warning, levels.critical)
    return _Finding(label, status, text, (metric,), status.value)


def _judge_answer(
    probe: ProbeTarget, result: ProbeResult, probed_at: datetime | None
) -> tuple[Status, str]:
    match probe.kind:
        case ProbeKind.PING:
            return _judge_loss(probe, result)
        case ProbeKind.HTTP:
            return _judge_http(probe, result)
        case ProbeKind.DNS:
            return _judge_dns(probe, result)
        case ProbeKind.TLS:
            return _judge_expiry(probe, result, probed_at)
        case _:
            return Status.OK, "open"


def _judge_loss(probe: ProbeTarget, result: ProbeResult) -> tuple[Status, str]:
    loss = measured(result.loss_percent, 100.0)
    if loss is None:
        return Status.UNKNOWN, "loss is not known"
    if loss == 100:
        return Status.CRITICAL, "no answer"
    status = Levels(warning=probe.warning_loss_percent, critical=probe.critical_loss_percent).judge(
        loss, None
    )
    return status, f"{loss:.0f} % lost" if loss else "answers"


def _judge_http(probe: ProbeTarget, result: ProbeResult) -> tuple[Status, str]:
    code = result.http_status
    if code is None or not 100 <= code <= 599:
        return Status.UNKNOWN, "no HTTP status"
    if probe.expected_status:
        fine = code in probe.expected_status
        return Status.OK if fine else Status.CRITICAL, f"status {code}" + (
            "" if fine else ", not expected"
        )
    if code < 400:
        return Status.OK, f"status {code}"
    return Status.CRITICAL if code >= 500 else Status.WARNING, f"status {code}"


def _judge_dns(probe: ProbeTarget, result: ProbeResult) -> tuple[Status, str]:
    if not result.resolved:
        return Status.CRITICAL, "no address found"
    found = {_address(item) for item in result.resolved}
    missing = [item for item in probe.expected_addresses if _address(item) not in found]
    seen = ", ".join(printable(item, 120) for item in result.resolved[:SHOWN])
    if missing:
        return Status.CRITICAL, f"{', '.join(missing)} is not among the answers ({seen})"
    return Status.OK, seen


def _judge_expiry(
    probe: ProbeTarget, result: ProbeResult, probed_at: datetime | None
) -> tuple[Status, str]:
    left = _days_left(result, probed_at)
    if result.expires_at is None or left is None:
        return Status.UNKNOWN, "the certificate's end is not known"
    day = f"{result.expires_at:%Y-%m-%d}"
    if left < 0:
        return Status.CRITICAL, f"certificate expired on {day}"
    text = f"certificate ends on {day}, in {left:.0f} days"
    if left < probe.critical_days:
        return Status.CRITICAL, f"{text} (critical below {probe.critical_days:g})"
    if left < probe.warning_days:
        return Status.WARNING, f"{text} (warning below {probe.warning_days:g})"
    return Status.OK, text


def _judge_agent(facts: ConnectivityFacts, limits: NetworkLimits, device: Device | None) -> Verdict:
    seen = f", last seen {facts.last_seen:%Y-%m-%d %H:%M} UTC" if facts.last_seen else ""
    if facts.online is None:
        return Verdict(Status.UNKNOWN, f"the console does not say whether the agent answers{seen}")
    if not facts.online:
        may_be_off = device is not None and device.kind in _MAY_BE_OFF
        status = limits.workstation_offline if may_be_off else limits.server_offline
        note = " (it may be switched off)" if may_be_off and status is Status.OK else ""
        return Verdict(status, f"the agent does not answer{seen}{note}")
    if limits.targets:
        return Verdict(Status.UNKNOWN, "the agent answers, but the configured probes did not run")
    return Verdict(Status.OK, "the agent answers")


def _metrics(
    label: str, probe: ProbeTarget, result: ProbeResult, probed_at: datetime | None
) -> tuple[Metric, ...]:
    loss = measured(result.loss_percent, 100.0)
    if probe.kind is ProbeKind.PING and loss is not None:
        warning, critical = probe.warning_loss_percent, probe.critical_loss_percent
        return (Metric(f"{label} loss", loss, "%", warning, critical),)
    left = _days_left(result, probed_at)
    if probe.kind is ProbeKind.TLS and left is not None:
        return (
            Metric(f"{label} days", round(left, 2), "", probe.warning_days, probe.critical_days),
        )
    return ()


def _days_left(result: ProbeResult, probed_at: datetime | None) -> float | None:
    if result.expires_at is None or probed_at is None:
        return None
    return (result.expires_at - probed_at) / timedelta(days=1)


def _message(findings: list[_Finding]) -> str:
    told = [item for item in findings if item.status is not Status.OK]
    if not told:
        return findings[0].text if len(findings) == 1 else f"all {len(findings)} probes answered"
    told.sort(key=lambda item: -item.status.rank)
    more = len(told) - SHOWN
    text = "; ".join(item.text for item in told[:SHOWN])
    return f"{text}; and {more} more" if more > 0 else text


def _label(probe: ProbeTarget, result: ProbeResult | None) -> str:
    return printable(f"{result.kind} {result.target}" if result else probe.label, 120)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text

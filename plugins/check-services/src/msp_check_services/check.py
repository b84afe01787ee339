"""Judge services: the limits, what to ask for, and a pure function from facts to a verdict."""

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Annotated

from attrs import frozen

from msp_core.v1 import (
    Device,
    Doc,
    Metric,
    Previous,
    ServiceFact,
    ServiceFacts,
    ServiceRequest,
    ServiceStart,
    ServiceState,
    Status,
    Verdict,
    printable,
    worst,
)

SHOWN = 4
_ALL_AS_EXPECTED = Metric("not as expected", 0)
_RUNNING = ServiceState.RUNNING  # looked up once: a device has hundreds of services
TRIGGERED = (
    "BITS", "CDPSvc", "clr_optimization*", "dbupdate*", "DoSvc", "edgeupdate*", "gpsvc", "gupdate*",
    "GoogleUpdater*", "IaasVmProvider", "MapsBroker", "MSDTC", "RemoteRegistry", "ShellHWDetection",
    "sppsvc", "stisvc", "SysmonLog", "tiledatamodelsvc", "TrustedInstaller", "UsoSvc", "VSS",
    "WaaSMedicSvc", "WbioSrvc", "WinRM", "wuauserv",
)  # fmt: skip
"""Windows services that start automatically and rightly stop again when their work is done."""


@frozen(kw_only=True)
class ServiceLimits:
    """What is expected of a device's services. Names are short system names, in any case."""

    expected: Annotated[
        tuple[str, ...], Doc("Services that must exist and run; not running is critical.")
    ] = ()
    if_installed: Annotated[
        tuple[str, ...],
        Doc("Patterns of services that must run wherever they are installed: `MSSQL*`."),
    ] = ()
    failed: Annotated[
        bool, Doc("Warn about any service the system itself calls failed (systemd).")
    ] = True
    automatic: Annotated[
        bool, Doc("Warn about any service that starts automatically and is stopped.")
    ] = False
    ignore: Annotated[
        tuple[str, ...], Doc("Patterns of services that `failed` and `automatic` leave alone.")
    ] = ()


def requests(limits: ServiceLimits, device: Device) -> Sequence[ServiceRequest]:
    """Ask for the named services, for sources that read one service at a time."""
    # A pattern can only be held against the list of all; a source that lists all services ignores the request
    del device
    return (ServiceRequest(limits.expected),) if limits.expected and not _wants_all(limits) else ()


def _wants_all(limits: ServiceLimits) -> bool:
    return bool(limits.if_installed or limits.automatic)


def evaluate(
    services: ServiceFacts, *, limits: ServiceLimits, previous: Previous | None = None
) -> Verdict:
    """Judge the services that are expected by name, and those that failed."""
    del previous  # a service runs or it does not: there is nothing to recover gradually
    if not services.services:
        return Verdict(Status.UNKNOWN, "no services are reported")
    stopped = [item for item in services.services if item.state is not _RUNNING]
    named = bool(limits.expected or limits.if_installed)
    findings = list(_findings(services, services.services if named else stopped, limits))
    running = len(services.services) - len(stopped)
    if not findings:
        return _nothing_found(services, running)
    problems = sorted(
        (item for item in findings if item[0] is not Status.OK),
        key=lambda item: (-item[0].rank, item[1]),
    )
    return Verdict(
        worst([Status.OK, *[status for status, _ in findings]]),
        _message(problems, len(findings)),
        (Metric("running", running), Metric("not as expected", len(problems))),
        {"problems": [text for _, text in problems[:50]]} if problems else {},
    )


def _nothing_found(facts: ServiceFacts, running: int) -> Verdict:
    if not facts.complete:
        reason = "no service is expected by name, and the list of services is not complete"
        return Verdict(Status.UNKNOWN, reason)
    text = f"{running} services running, none failed (none is expected by name)"
    return Verdict(Status.OK, text, (Metric("running", running), _ALL_AS_EXPECTED))


def _findings(
    facts: ServiceFacts, services: Iterable[ServiceFact], limits: ServiceLimits
) -> Iterator[tuple[Status, str]]:
    """Yield what is to say about these services, and about those that are expected and not among all facts."""
    expected = {_key(name): name for name in limits.expected}
    if_installed = _pattern(limits.if_installed)
    missing = dict(expected)
    for item in services:
        key = _key(item.name)
        if key in expected:
            missing.pop(key, None)
            yield _judge_expected(item)
        elif if_installed is not None and if_installed.fullmatch(key):
            yield _judge_expected(item)
        elif item.state is not _RUNNING and not _matches(key, limits.ignore):
            yield from _judge_unnamed(item, key, limits)
    if not facts.complete and _wants_all(limits):
        yield Status.UNKNOWN, "the list of services is not complete"
    for name in missing.values():
        if facts.complete:
            yield Status.CRITICAL, f"{_shown(name)} is not installed"
        else:
            yield Status.UNKNOWN, f"{_shown(name)} is not reported"


def _judge_expected(service: ServiceFact) -> tuple[Status, str]:
    name = _label(service)
    match service.state:
        case ServiceState.RUNNING:
            return Status.OK, f"{name} is running"
        case ServiceState.UNKNOWN:
            return Status.UNKNOWN, f"{name}: state is not reported"
        case ServiceState.STARTING | ServiceState.STOPPING | ServiceState.PAUSED:
            return Status.WARNING, f"{name} is {service.state}"
        case _:
            disabled = " and disabled" if service.start is ServiceStart.DISABLED else ""
            return Status.CRITICAL, f"{name} is {service.state}{disabled}"


def _judge_unnamed(
    service: ServiceFact, key: str, limits: ServiceLimits
) -> Iterator[tuple[Status, str]]:
    if service.state is ServiceState.FAILED and limits.failed:
        yield Status.WARNING, f"{_label(service)} has failed"
    elif (
        limits.automatic
        and not _matches(key, TRIGGERED)
        and service.state is ServiceState.STOPPED
        and service.start in (ServiceStart.AUTO, ServiceStart.DELAYED)
    ):
        yield Status.WARNING, f"{_label(service)} starts automatically and is stopped"


def _message(problems: Sequence[tuple[Status, str]], judged: int) -> str:
    if problems:
        more = len(problems) - SHOWN
        text = "; ".join(text for _, text in problems[:SHOWN])
        return f"{text}; and {more} more" if more > 0 else text
    return f"{judged} expected service{'' if judged == 1 else 's'} running"


def _key(name: str) -> str:
    return name.casefold().removesuffix(".service")


def _matches(key: str, patterns: tuple[str, ...]) -> bool:
    pattern = _pattern(patterns)
    return pattern is not None and pattern.fullmatch(key) is not None


@lru_cache(maxsize=256)
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    """Make one expression of shell patterns; None for none."""
    return re.compile("|".join(translate(_key(item)) for item in patterns)) if patterns else None


def _label(service: ServiceFact) -> str:
    shown = _shown(service.display_name)
    name = _shown(service.name)
    return f"{shown} ({name})" if shown and shown.casefold() != name.casefold() else name


def _shown(name: str) -> str:
    return printable(name, 60)

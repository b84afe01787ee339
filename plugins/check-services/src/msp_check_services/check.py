"""Judge services: the limits, what to ask for, and a pure function from facts to a verdict."""

import re
from collections.abc import Iterator, Sequence
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
    worst,
)

SHOWN = 4
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
    findings = list(_findings(services, limits))
    running = sum(item.state is ServiceState.RUNNING for item in services.services)
    if not findings and not services.complete:
        return Verdict(
            Status.UNKNOWN, "no service is expected by name, and the list of services is not complete"
        )
    problems = sorted(
        (item for item in findings if item[0] is not Status.OK),
        key=lambda item: (-item[0].rank, item[1]),
    )
    return Verdict(
        status=worst([Status.OK, *(status for status, _ in findings)]),
        message=_message(problems, running, len(findings)),
        metrics=(Metric("running", running), Metric("not as expected", len(problems))),
        data={"problems": [text for _, text in problems[:50]]},
    )


def _findings(facts: ServiceFacts, limits: ServiceLimits) -> Iterator[tuple[Status, str]]:
    expected = {_key(name): name for name in limits.expected}
    if_installed = _pattern(limits.if_installed)
    missing = dict(expected)
    for item in facts.services:
        runs = item.state is ServiceState.RUNNING
        if runs and not expected and if_installed is None:
            continue  # most services of most devices
        key = _key(item.name)
        if key in expected:
            missing.pop(key, None)
            yield _judge_expected(item)
        elif if_installed is not None and if_installed.fullmatch(key):
            yield _judge_expected(item)
        elif not runs and not _matches(key, limits.ignore):
            yield from _judge_unnamed(item, key, limits)
    if not facts.complete and _wants_all(limits):
        yield Status.UNKNOWN, "the list of services is not complete"
    for name in missing.values():
        if facts.complete:
            yield Status.CRITICAL, f"{_plain(name)} is not installed"
        else:
            yield Status.UNKNOWN, f"{_plain(name)} is not reported"


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


def _message(problems: Sequence[tuple[Status, str]], running: int, judged: int) -> str:
    if problems:
        more = len(problems) - SHOWN
        text = "; ".join(text for _, text in problems[:SHOWN])
        return f"{text}; and {more} more" if more > 0 else text
    if judged:
        return f"{judged} expected service{'' if judged == 1 else 's'} running"
    return f"{running} services running, none failed (none is expected by name)"


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
    shown = _plain(service.display_name)
    name = _plain(service.name)
    return f"{shown} ({name})" if shown and shown.casefold() != name.casefold() else name


def _plain(text: str) -> str:
    """Return a name that a device made up as short printable text."""
    return "".join(character for character in text if character.isprintable())[:60]

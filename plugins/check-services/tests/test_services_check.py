"""The services check: expected by name, failed by the system's own word, nothing guessed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_check_services.check import ServiceLimits, evaluate, requests
from msp_check_services.plugin import msp_checks
from msp_core.v1 import (
    Device,
    ServiceFact,
    ServiceFacts,
    ServiceRequest,
    ServiceStart,
    ServiceState,
    Status,
    Verdict,
)

S = ServiceState


def facts(complete: bool = True, **states: ServiceState) -> ServiceFacts:
    services = tuple(
        ServiceFact(name=name, state=state, start=ServiceStart.AUTO)
        for name, state in states.items()
    )
    return ServiceFacts(services=services, complete=complete)


def judge(observed: ServiceFacts, **limits: object) -> Verdict:
    return evaluate(observed, limits=ServiceLimits(**limits))


def test_services_record_names_what_exists() -> None:
    """The record is valid and its references resolve."""
    (check,) = msp_checks()
    assert (check.limits, check.evaluate, check.requests) == tuple(
        f"{part.__module__}:{part.__name__}" for part in (ServiceLimits, evaluate, requests)
    )


def test_services_default_makes_no_false_alarms() -> None:
    """With nothing expected, a stopped automatic service is no news, but a failed unit is."""
    assert judge(facts(Spooler=S.STOPPED, cron=S.RUNNING)).status is Status.OK
    verdict = judge(facts(nginx=S.FAILED, cron=S.RUNNING))
    assert (verdict.status, verdict.message) == (Status.WARNING, "nginx has failed")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (S.RUNNING, "ok"),
        (S.STARTING, "warning"),
        (S.STOPPING, "warning"),
        (S.PAUSED, "warning"),
        (S.STOPPED, "critical"),
        (S.FAILED, "critical"),
        (S.UNKNOWN, "unknown"),
    ],
)
def test_services_expected_state(state: ServiceState, status: str) -> None:
    """An expected service runs, or it is a problem by its state."""
    assert judge(facts(nginx=state), expected=("nginx",)).status == status


def test_services_names_match_in_any_spelling() -> None:
    """Case and the suffix `.service` do not matter."""
    observed = ServiceFacts(services=(ServiceFact(name="Nginx.service", state=S.STOPPED),))
    assert judge(observed, expected=("nginx",)).message == "Nginx.service is stopped"


def test_services_absence_is_told_only_by_a_complete_list() -> None:
    """A full list proves that a service is not installed; a partial one proves nothing."""
    assert judge(facts(cron=S.RUNNING), expected=("nginx",)).status is Status.CRITICAL
    assert (
        judge(facts(complete=False, cron=S.RUNNING), expected=("nginx",)).status is Status.UNKNOWN
    )


def test_services_if_installed_judges_only_what_is_there() -> None:
    """A pattern for a whole client alarms on the machines that have the service."""
    assert judge(facts(cron=S.RUNNING), if_installed=("mssql*",)).status is Status.OK
    assert judge(facts(MSSQLSERVER=S.STOPPED), if_installed=("mssql*",)).status is Status.CRITICAL


def test_services_automatic_is_a_choice_and_knows_who_stops_by_itself() -> None:
    """On demand stopped automatic services are told, except those that stop when done."""
    observed = facts(Spooler=S.STOPPED, edgeupdate=S.STOPPED, sppsvc=S.STOPPED)
    verdict = judge(observed, automatic=True)
    assert (verdict.status, verdict.message) == (
        Status.WARNING,
        "Spooler starts automatically and is stopped",
    )


def test_services_nothing_known_is_unknown() -> None:
    """An empty list, or a partial one nobody asked about, is never OK."""
    assert judge(facts()).status is Status.UNKNOWN
    assert judge(facts(), expected=("nginx",)).status is Status.UNKNOWN
    assert judge(facts(complete=False, cron=S.RUNNING)).status is Status.UNKNOWN


def test_services_requests_ask_for_the_expected_names() -> None:
    """Sources that read one service at a time are asked for those expected by name."""
    device = Device(id="acme/web", client_id="acme", name="web")
    assert requests(ServiceLimits(expected=("nginx",)), device) == (ServiceRequest(("nginx",)),)
    assert requests(ServiceLimits(), device) == ()
    for other in (
        ServiceLimits(expected=("nginx",), if_installed=("sql*",)),
        ServiceLimits(expected=("nginx",), automatic=True),
    ):
        assert requests(other, device) == ()


@pytest.mark.parametrize("more", [{"if_installed": ("sql*",)}, {"automatic": True}])
def test_what_is_not_listed_may_be_what_has_stopped(more: dict[str, Any]) -> None:
    """A pattern held against a part of the list proves nothing, however well the named services are."""
    part = facts(complete=False, nginx=S.RUNNING)
    assert judge(part, expected=("nginx",)).status is Status.OK
    verdict = judge(part, expected=("nginx",), **more)
    assert (verdict.status, verdict.message) == (
        Status.UNKNOWN,
        "the list of services is not complete",
    )


ORDER = [S.RUNNING, S.STARTING, S.STOPPED]


@given(st.lists(st.tuples(st.sampled_from(ORDER), st.sampled_from(ORDER)), min_size=1, max_size=8))
def test_services_worse_facts_never_look_better(pairs: list[tuple]) -> None:
    """Moving any service away from running never gives a better status."""
    names = [f"s{number}" for number in range(len(pairs))]

    def at(pick: object) -> Status:
        states = {
            name: pick(pair, key=ORDER.index) for name, pair in zip(names, pairs, strict=True)
        }
        return judge(facts(**states), expected=tuple(names)).status

    assert at(min).rank <= at(max).rank


@given(st.lists(st.text(max_size=200), min_size=1, max_size=30, unique=True))
def test_services_names_are_made_printable(names: list[str]) -> None:
    """A device may call its services anything; the message stays printable and short."""
    services = tuple(
        ServiceFact(name=name, state=S.FAILED, display_name=name[::-1]) for name in names
    )
    verdict = evaluate(ServiceFacts(services=services), limits=ServiceLimits())
    assert verdict.status is Status.WARNING
    assert verdict.message.isprintable()
    assert len(verdict.message) < 800

"""The cases of every check, and the rules of this one."""

import pytest
from acme_banned.check import Limits, evaluate

from msp_core.testing.conformance import CheckConformance
from msp_core.v1 import ServiceFact, ServiceFacts, ServiceState, Status


class TestConformance(CheckConformance):
    """What every check must do."""

    plugin = "acme-banned"


@pytest.mark.parametrize(
    ("name", "state", "complete", "status"),
    [
        ("Spooler", ServiceState.RUNNING, True, Status.OK),
        ("anydesk", ServiceState.RUNNING, True, Status.CRITICAL),
        ("TeamViewer15", ServiceState.STOPPED, True, Status.WARNING),
        ("Spooler", ServiceState.RUNNING, False, Status.UNKNOWN),
    ],
)
def test_what_is_banned(name: str, state: ServiceState, complete: bool, status: Status) -> None:
    """Running is critical, installed a warning; a list that is not complete proves nothing."""
    found = ServiceFacts(services=(ServiceFact(name=name, state=state),), complete=complete)
    assert evaluate(found, limits=Limits(), previous=None).status is status

"""The cases of every source and every check."""

import socket

from acme_uptime.facts import Limits, UptimeFacts, evaluate

from msp_core.testing import fake_device
from msp_core.testing.conformance import CheckConformance, SourceConformance
from msp_core.v1 import Device, Status


class TestSource(SourceConformance):
    """What every source must do."""

    plugin = "acme-uptime"

    def device(self) -> Device:
        """Ask about this machine; the cases ask about another one as well."""
        return fake_device(socket.gethostname())


class TestCheck(CheckConformance):
    """What every check must do."""

    plugin = "acme-uptime"


def test_two_months_are_too_long() -> None:
    """The limit decides."""
    verdict = evaluate(UptimeFacts(up_seconds=61 * 86_400), limits=Limits(), previous=None)
    assert (verdict.status, verdict.message) == (Status.WARNING, "up for 61.0 days")

"""What hosts and transports have in common: output within bounds, and services as Linux lists them."""

from hypothesis import given
from hypothesis import strategies as st

from msp_core.v1 import ServiceFact, ServiceStart, ServiceState
from msp_hosts.api import MOST_BYTES, KeptOutput, systemd_services, sysv_services


@given(st.lists(st.binary(max_size=50)))
def test_output_is_kept_as_it_comes(parts: list[bytes]) -> None:
    """Whatever its encoding it is text, and nothing in it steers a terminal."""
    kept = KeptOutput()
    for one in parts:
        kept.add(one)
    assert not kept.truncated
    assert not set(kept.text) & {
        chr(code) for code in (*range(9), 11, 12, *range(14, 32), 127, 155)
    }
    assert KeptOutput().text == ""


def test_a_flood_is_cut_and_says_so() -> None:
    """The beginning stays; one byte too many is told."""
    kept = KeptOutput()
    kept.add(b"x" * MOST_BYTES)
    assert not kept.truncated
    kept.add(b"y")
    assert (len(kept.text), kept.text[-1], kept.truncated) == (MOST_BYTES, "x", True)


UNITS = """\
cron.service               loaded    active       running Regular background program processing daemon
nginx.service              loaded    failed       failed  A high performance web server
● broken.service           loaded    failed       failed  Broken
systemd-fsck.service       loaded    inactive     dead    File System Check
apt-daily.service          loaded    activating   start   Daily apt download activities
setup.service              loaded    active       exited  Set console font
plymouth.service           not-found inactive     dead    plymouth.service
"""
FILES = """\
cron.service                           enabled         enabled
nginx.service                          disabled        enabled
systemd-fsck.service                   static          -
broken.service                         masked          enabled
"""


def test_systemd_services() -> None:
    """States, starts and titles are read; units that do not exist are left out (lines as systemd 252 prints them)."""
    found = {item.name: (item.state, item.start) for item in systemd_services(UNITS, FILES)}
    assert found == {
        "cron": (ServiceState.RUNNING, ServiceStart.AUTO),
        "nginx": (ServiceState.FAILED, ServiceStart.MANUAL),
        "broken": (ServiceState.FAILED, ServiceStart.DISABLED),
        "systemd-fsck": (ServiceState.STOPPED, ServiceStart.MANUAL),
        "apt-daily": (ServiceState.STARTING, ServiceStart.UNKNOWN),
        "setup": (ServiceState.RUNNING, ServiceStart.UNKNOWN),
    }
    assert systemd_services(UNITS, FILES)[0].display_name.startswith("Regular background")


def test_sysv_services() -> None:
    """Debian's list of SysV scripts is read, with a script that has no status as UNKNOWN."""
    found = sysv_services(" [ + ]  cron\n [ - ]  dbus\n [ ? ]  hwclock.sh\nnoise\n", ["cron"])
    assert [(item.name, item.state, item.start) for item in found] == [
        ("cron", ServiceState.RUNNING, ServiceStart.AUTO),
        ("dbus", ServiceState.STOPPED, ServiceStart.MANUAL),
        ("hwclock.sh", ServiceState.UNKNOWN, ServiceStart.MANUAL),
    ]


LINES = st.text(alphabet="[+-?] \t\ncronservicelivedactive.●\x1b\0" + "é", max_size=400)


@given(LINES, LINES)
def test_service_parsers_survive_anything(first: str, second: str) -> None:
    """Whatever the tools print, there is a list of services."""
    assert all(isinstance(one, ServiceFact) for one in systemd_services(first, second))
    assert all(isinstance(one, ServiceFact) for one in sysv_services(first, second))

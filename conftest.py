"""Rules for every test here: one async backend, no outside network, no silent skips in CI."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

_QUIET = (
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
)  # about the machine, not the code
settings.register_profile("dev", deadline=None, suppress_health_check=_QUIET)
settings.register_profile("ci", deadline=None, suppress_health_check=_QUIET, derandomize=True)
settings.register_profile("fuzz", deadline=None, suppress_health_check=_QUIET, max_examples=10_000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background so, and every program of a test would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the loop the toolkit uses."""
    return "asyncio"


@pytest.fixture(scope="session")
def node_tool() -> Callable[[str], Path]:
    """Find a program that `make node-tools` installs, and skip the test where it is missing."""

    def find(name: str) -> Path:
        program = _ROOT / ".cache" / "node" / "node_modules" / ".bin" / name
        if not program.exists():
            pytest.skip(f"{name} is not installed: run `make node-tools`")
        return program

    return find


def _is_local(address: object) -> bool:
    if not isinstance(address, tuple):
        return True  # a unix socket path, or a family that cannot leave the machine
    host = str(address[0]).split("%")[0]
    if host in {"", "localhost"}:
        return True
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    return ip.is_loopback or ip.is_unspecified


_ROOT = Path(__file__).parent
_PREPARED = {"node", "debian", "kill", "slow", "fuzz"}  # what CI installs or has time for

_outside: list[str] = []


def _guarded(real: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: socket.socket, *args: Any) -> Any:
        inet = self.family in {socket.AF_INET, socket.AF_INET6}
        if inet and not _is_local(args[-1]):
            _outside.append(f"{real.__name__} to {args[-1]!r}")
            raise ConnectionRefusedError(f"tests may not reach {args[-1]!r}: only loopback is open")
        return real(self, *args)

    return call


@pytest.fixture(scope="session", autouse=True)
def _only_loopback() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        yield


@pytest.fixture(autouse=True)
def _no_outside_connection(_only_loopback: None) -> Iterator[None]:
    """Fail a test that tried to leave the machine, even where the tested code took the refusal."""
    _outside.clear()
    yield
    attempts = list(_outside)
    _outside.clear()
    if attempts:
        pytest.fail("the test tried to leave this machine: " + "; ".join(attempts[:3]))


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Take away the log handlers a test set up: their streams are closed, and they would complain on stderr."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in [one for one in root.handlers if one not in before and one.get_name() == "msp"]:
        root.removeHandler(handler)
        handler.close()
        root.setLevel(level)


@pytest.fixture(autouse=True)
def _secrets_as_they_were() -> Iterator[None]:
    """Forget what a test made known as a secret: it would be masked in whatever later tests look at."""
    from msp_core import secrets

    before = set(secrets._seen)
    yield
    if secrets._seen != before:
        secrets._seen.intersection_update(before)
        secrets._pattern.cache_clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the long tests the time they take on a busy machine."""
    for item in items:
        long = _PREPARED.intersection(mark.name for mark in item.iter_markers())
        if long and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(600))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where CI must have what the test needs."""
    report = yield
    needs = _PREPARED.intersection(mark.name for mark in item.iter_markers())
    if os.environ.get("CI") and needs and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where {'/'.join(sorted(needs))} tests must run: {reason}"
    return report

"""The pytest plugin of the kit: fixtures that import nothing before a test asks for one."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from msp_core.model import Client
    from msp_core.testing.clock import FixedClock
    from msp_core.testing.commandline import Done
    from msp_core.testing.sink import ResultSink
    from msp_core.toolkit import Toolkit


@pytest.fixture
def msp_clock() -> "FixedClock":
    """A clock that stands still until it is told to jump."""
    from msp_core.testing.clock import FixedClock

    return FixedClock()


@pytest.fixture
def msp_client() -> "Client":
    """A client to test with."""
    from msp_core.testing.nouns import fake_client

    return fake_client()


@pytest.fixture
def msp_workspace(tmp_path: "Path") -> "Iterator[Path]":
    """An empty folder that is home and current folder, with no MSP_ variable of the caller."""
    from msp_core.testing.workspace import isolated

    with isolated(tmp_path) as folder:
        yield folder


@pytest.fixture
def msp_toolkit(tmp_path: "Path", msp_clock: "FixedClock") -> "Callable[..., Toolkit]":
    """Make a toolkit of one installed plugin: `msp_toolkit("my-plugin", config={...})`."""
    from msp_core.testing.subject import toolkit_for

    def make(plugin: str, **options: Any) -> "Toolkit":
        return toolkit_for(plugin, tmp_path, **{"clock": msp_clock, **options})

    return make


@pytest.fixture
def msp_cli(msp_workspace: "Path") -> "Callable[..., Done]":
    """Run command lines in one workspace: `msp_cli("health", "checks")`."""
    from msp_core.testing.commandline import run_cli

    return lambda *words, **options: run_cli(*words, cwd=msp_workspace, **options)


@pytest.fixture
def msp_sink() -> "Iterator[ResultSink]":
    """A sink; the test fails when it ends with a result nobody asserted."""
    from msp_core.testing.sink import ResultSink

    sink = ResultSink()
    yield sink
    sink.assert_all_asserted()

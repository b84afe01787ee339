"""The official checkers: the conformance suite over HTTP, the Inspector over stdio."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.node]
PROGRAM = [sys.executable, "-m", "msp_core.cli"]
NODE = Path(sys.executable).parent

REQUIRED = {"2025-11-25": 30, "2026-07-28": 37}
"""How many scenarios a server has to pass, by revision: all that is required, and nothing is expected to fail."""


@pytest.fixture
def served(workspace: Path, fixtures_path: Path) -> Iterator[str]:
    """Serve the workspace and the suite's fixtures over HTTP."""
    process = subprocess.Popen(
        [*PROGRAM, "mcp", "--http", "--port", "0"],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(fixtures_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    url = next(
        found[1] for line in process.stderr if (found := re.search(r"Serving MCP on (\S+)", line))
    )
    yield url
    process.terminate()
    process.communicate(timeout=15)


@pytest.mark.parametrize("revision", sorted(REQUIRED))
def test_the_conformance_suite(
    served: str, tmp_path: Path, node_tool: Callable[[str], Path], revision: str
) -> None:
    """Every scenario that a revision requires of a server passes, without a warning."""

    def suite(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [node_tool("conformance"), *words, "--requirements", revision],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    listed = suite("list").stdout.partition("Server scenarios")[2].partition("Client scenarios")[0]
    required = re.findall(r"^  - (\S+)", listed, re.MULTILINE)
    assert len(required) == REQUIRED[revision]
    done = suite("server", "--url", served)
    summary = done.stdout[done.stdout.find("SUMMARY") :]
    passed = re.findall(r"^✓ (\S+): \d+ passed, 0 failed(?!, )", summary, re.MULTILINE)
    assert done.returncode == 0, summary + done.stderr[-2000:]
    assert set(required) <= set(passed), summary


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector(workspace: Path, node_tool: Callable[[str], Path], era: str) -> None:
    """It lists every tool without a warning, and calls those that read without finding fault."""

    def inspect(*words: str) -> str:
        done = subprocess.run(
            [
                *(node_tool("mcp-inspector"), "--cli", "-q", "--format", "json"),
                *("--protocol-era", era, *words, NODE / "msp-toolkit", "mcp"),
            ],
            cwd=workspace,
            env={
                **os.environ,
                "PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}",
                "MSP_CONFIG": str(workspace / "msp-toolkit.toml"),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
        assert done.stderr == ""
        return done.stdout

    listed = json.loads(inspect("--method", "tools/list", "--strict"))["result"]["tools"]
    assert len(listed) >= 16
    given = {
        "client_show": {"client_id": "acme-corp"},
        "device_show": {"device": "acme-corp/acme-dc01"},
        "health_history": {"client_id": "acme-corp"},
        "alert_show": {"alert": "1"},
        "client_list": {},
        "health_checks": {},
        "health_status": {},
        "device_list": {"client_id": "acme-corp"},
        "alert_list": {"limit": 3},
    }
    for name, arguments in given.items():
        inspect(
            *("--method", "tools/call"),
            *("--tool-name", name, "--tool-args-json", json.dumps(arguments)),
        )

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

# What a plugin cannot ask of an agent yet. A scenario that starts to pass has to leave its list.
KNOWN_FAILURES = {
    "2025-11-25": (
        "logging-set-level",
        "completion-complete",
        "tools-call-with-logging",
        "tools-call-sampling",
        "tools-call-elicitation",
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
        "resources-subscribe",
        "resources-unsubscribe",
    ),
    "2026-07-28": (
        "server-stateless",
        "completion-complete",
        "input-required-result-basic-elicitation",
        "input-required-result-basic-sampling",
        "input-required-result-basic-list-roots",
        "input-required-result-request-state",
        "input-required-result-multiple-input-requests",
        "input-required-result-multi-round",
        "input-required-result-non-tool-request",
        "input-required-result-result-type",
        "input-required-result-tampered-state",
        "input-required-result-capability-check",
        "input-required-result-missing-input-response",
        "input-required-result-ignore-extra-params",
    ),
}


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


@pytest.mark.parametrize("revision", sorted(KNOWN_FAILURES))
def test_the_conformance_suite(
    served: str, tmp_path: Path, node_tool: Callable[[str], Path], revision: str
) -> None:
    """The required scenarios of a revision pass, but for those that are known not to, and no others."""
    baseline = tmp_path / "baseline.yml"
    baseline.write_text("server:\n" + "".join(f"  - {one}\n" for one in KNOWN_FAILURES[revision]))
    done = subprocess.run(
        [
            node_tool("conformance"),
            "server",
            "--url",
            served,
            "--requirements",
            revision,
            "--expected-failures",
            baseline,
        ],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    summary = done.stdout[done.stdout.find("SUMMARY") :]
    assert done.returncode == 0, summary + done.stderr[-2000:]


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

"""The official checkers: the conformance suite over HTTP, the Inspector over stdio."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.node]
PROGRAM = [sys.executable, "-m", "msp_core"]
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
    process.communicate(timeout=60)


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


GIVEN: dict[str, dict[str, Any]] = {
    "alert_ack": {"alert": "1"},
    "alert_resolve": {"alert": "1"},
    "alert_show": {"alert": "1"},
    "client_add": {"name": "Harbour Dental"},
    "device_exec": {"device": "acme-corp/acme-dc01", "command": ["hostname"]},
    "device_show": {"device": "acme-corp/acme-dc01"},
    "door_demolish": {"door_id": "acme-corp/a"},
    "door_note": {"text": "knocked"},
    "door_wait": {"seconds": 0.01},
}
"""What tools are called with; those not named take nothing, or a client."""
REFUSED = {
    "door_choose": "CONFIRMATION_REQUIRED",
    "door_crash": "SYSTEM_ERROR",
    "door_demolish": "APPROVAL_REQUIRED",
    "door_repaint": "CONFIRMATION_REQUIRED",
}
"""Tools whose answer here is an error for the model, with its code."""


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector(
    workspace: Path, outside_path: Path, node_tool: Callable[[str], Path], era: str
) -> None:
    """It lists every tool without a warning, an outside plugin's too, and finds no fault in any answer."""

    def inspect(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(node_tool("mcp-inspector"), "--cli", "-q", "--format", "json"),
                *("--protocol-era", era, "--connect-timeout", "60000"),
                *("-e", f"PYTHONPATH={outside_path}"),
                *(*words, NODE / "msp-toolkit", "mcp"),
            ],
            cwd=workspace,
            env={
                **os.environ,
                "PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}",
                "MSP_CONFIG": str(workspace / "msp-toolkit.toml"),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def call(name: str) -> subprocess.CompletedProcess[str]:
        needs = tools[name]["inputSchema"].get("required", [])
        given = GIVEN.get(name) or dict.fromkeys(needs, "acme-corp")
        said = json.dumps(given)
        return inspect(*("--method", "tools/call", "--tool-name", name), "--tool-args-json", said)

    listed = inspect("--method", "tools/list", "--strict")
    assert (listed.returncode, listed.stderr) == (0, "")
    tools = {one["name"]: one for one in json.loads(listed.stdout)["result"]["tools"]}
    assert len(tools) >= 16 + 9
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(tools, pool.map(call, tools), strict=True))
    for name, done in answers.items():
        what = (name, done.stdout[-2000:], done.stderr[-2000:])
        if name == "door_choose" and era == "modern":
            assert done.returncode == 1, what  # the protocol's own error
            assert "cannot ask its person" in done.stderr, what
            continue
        assert done.returncode == (5 if name in REFUSED else 0), what
        result = json.loads(done.stdout)["result"]
        if name in REFUSED:
            assert json.loads(result["content"][0]["text"])["error"]["code"] == REFUSED[name], what
    planned = {
        name
        for name, done in answers.items()
        if "plan" in json.loads(done.stdout or "{}").get("result", {}).get("structuredContent", {})
    }
    assert {"door_open", "device_exec"} <= planned

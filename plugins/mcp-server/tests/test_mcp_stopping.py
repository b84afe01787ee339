"""A server that is told to stop has come to its normal end."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from msp_mcp_server import tools

PROGRAM = [sys.executable, "-m", "msp_core", "mcp"]
HELLO = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
    "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}})  # fmt: skip


def read_until(fd: int, text: bytes) -> bytes:
    """Read until a text comes."""
    read, until = b"", time.monotonic() + 30
    while text not in read and time.monotonic() < until:
        if select.select([fd], [], [], 0.1)[0]:
            read += os.read(fd, 65536)
    assert text in read, read
    return read


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_over_http(workspace: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it with 0 and without a complaint."""
    with subprocess.Popen(
        [*PROGRAM, "--http", "--port", "0"], cwd=workspace, stderr=subprocess.PIPE
    ) as server:
        assert server.stderr is not None
        read_until(server.stderr.fileno(), b"Serving MCP on ")
        server.send_signal(number)
        assert server.wait(20) == 0
        assert b"Interrupted" not in server.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_over_pipes(workspace: Path, number: signal.Signals) -> None:
    """A program that started it may stop it in both ways."""
    with subprocess.Popen(
        PROGRAM,
        cwd=workspace,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdin.write(HELLO.encode() + b"\n")
        server.stdin.flush()
        read_until(server.stdout.fileno(), b"serverInfo")
        server.send_signal(number)
        assert server.wait(20) == 0
        assert server.stderr.read() == b""


def test_at_a_terminal(workspace: Path) -> None:
    """Who starts it at a terminal to see what happens gets answers, and out with Ctrl-C, with no Enter after it."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        PROGRAM, cwd=workspace, stdin=theirs, stdout=theirs, stderr=theirs
    ) as server:
        os.close(theirs)
        os.write(ours, HELLO.encode() + b"\n")
        read_until(ours, b"serverInfo")
        server.send_signal(signal.SIGINT)
        try:
            assert server.wait(20) == 0
        finally:
            server.kill()
            os.close(ours)


def test_from_a_file(workspace: Path, tmp_path: Path) -> None:
    """What a file asks is answered into a file; its end is the end of the server."""
    asked, answered = tmp_path / "asked", tmp_path / "answered"
    asked.write_text(HELLO + "\n", encoding="utf-8")
    with asked.open("rb") as inward, answered.open("wb") as outward:
        done = subprocess.run(
            PROGRAM, cwd=workspace, stdin=inward, stdout=outward, timeout=30, check=True
        )
    assert done.returncode == 0
    assert json.loads(answered.read_text(encoding="utf-8"))["id"] == 0


def test_the_printed_program_is_one_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the bundle is not installed, agents are told to start `msp`."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    for name in ("msp", "msp-toolkit"):
        (tmp_path / name).touch()
        assert tools._program() == str(tmp_path / name)

"""The rules that conftest.py lays on every test, shown by tests that break them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

OFFENDERS = """
import asyncio, socket
import pytest

def test_swallows_the_refusal():
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    except OSError:
        pass

@pytest.mark.anyio
async def test_leaves_from_the_loop():
    with pytest.raises(OSError):
        await asyncio.open_connection("192.0.2.1", 443)

def test_sends_a_datagram():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender, pytest.raises(OSError):
        sender.sendto(b"x", ("2001:db8::1", 53))

@pytest.mark.anyio
async def test_stays_on_loopback():
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("localhost", port)
        writer.close()
        await writer.wait_closed()

@pytest.mark.debian
def test_needs_what_is_missing():
    pytest.skip("no sshd")

def test_skips_for_itself():
    pytest.skip("not on this system")
"""


@pytest.mark.parametrize(
    ("ci", "wrong"), [("", set()), ("true", {"test_needs_what_is_missing"})], ids=["at home", "CI"]
)
def test_offenders_are_caught(tmp_path: Path, ci: str, wrong: set[str]) -> None:
    """Leaving the machine fails a test even when it hides it; a prepared test may not skip in CI."""
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "test_offenders.py").write_text(OFFENDERS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_offenders.py"],
        cwd=tmp_path,
        env=os.environ | {"CI": ci},
        capture_output=True,
        text=True,
    )
    caught = set(re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE))
    leavers = {"test_swallows_the_refusal", "test_leaves_from_the_loop", "test_sends_a_datagram"}
    assert caught == leavers | wrong, done.stdout

"""The cases of every tool, and the packet."""

import socket
from pathlib import Path

from msp_core.testing import run_cli, run_tool
from msp_core.testing.conformance import ToolConformance

MAC = "00:11:22:33:44:55"
HERE = {"broadcast": "127.0.0.1"}


class TestConformance(ToolConformance):
    """What every tool must do."""

    plugin = "acme-wake"
    calls = {"acme-wake.send": {"mac": MAC}}
    config = {"acme_wake": HERE}


def test_the_packet_arrives() -> None:
    """Six times ff, then the address sixteen times."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        there = {"acme_wake": {**HERE, "port": receiver.getsockname()[1]}}
        run_tool("acme-wake.send", plugin="acme-wake", config=there, mac="00-11-22-33-44-55")
        assert receiver.recv(200) == b"\xff" * 6 + bytes.fromhex("001122334455") * 16


def test_a_dry_run_and_a_wrong_address_send_nothing(tmp_path: Path) -> None:
    """The first lists the change, the second says what is wrong."""
    run_cli("init", cwd=tmp_path)
    planned = run_cli("acme-wake", "send", MAC, "--dry-run", cwd=tmp_path)
    assert planned.code == 0
    assert "wake 00:11:22:33:44:55" in planned.out + planned.err
    wrong = run_cli("acme-wake", "send", "me", cwd=tmp_path)
    assert wrong.code == 64
    assert "not a MAC address" in wrong.err

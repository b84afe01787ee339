"""Ping: by an unprivileged socket where the system allows one, else by the system's own command."""

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import socket
import struct
import sys
import time

from msp_check_network.check import NOT_PROBED
from msp_check_network.names import resolve
from msp_core.v1 import ProbeRequest, ProbeResult

PAUSE_S = 0.2
_ECHO = {socket.AF_INET: 8, socket.AF_INET6: 128}
_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
_COUNTS = re.compile(r"(\d{1,6}) packets transmitted, (\d{1,6}) (?:packets )?received")
_TIMES = re.compile(r"= ?[\d.]{1,16}/([\d.]{1,16})/[\d.]{1,16}")


async def ping(request: ProbeRequest) -> ProbeResult:
    """Send echo requests and return loss and mean time."""
    async with asyncio.timeout(request.timeout.total_seconds()):
        family, address = (await resolve(request.target, socket.SOCK_DGRAM))[0]
    try:
        channel = socket.socket(family, socket.SOCK_DGRAM, _PROTOCOL[family])
    except OSError:  # not permitted, or not known to this system
        return await _by_command(request, address)
    with channel:
        channel.setblocking(False)
        return await _by_socket(request, channel, (address, 0))


async def _by_socket(
    request: ProbeRequest, channel: socket.socket, address: tuple[str, int]
) -> ProbeResult:
    times = []
    for number in range(request.count):
        if number:
            await asyncio.sleep(PAUSE_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(request.timeout.total_seconds()):
                times.append(await _echo(channel, address, number))
    loss = 100 * (1 - len(times) / request.count)
    mean = round(sum(times) / len(times), 3) if times else None
    return _result(request, latency_ms=mean, loss_percent=round(loss, 1))


async def _echo(channel: socket.socket, address: tuple[str, int], number: int) -> float:
    """Send one echo request and wait for its own answer; return milliseconds."""
    loop = asyncio.get_running_loop()
    token = secrets.token_bytes(16)
    head = struct.pack("!BBHHH", _ECHO[channel.family], 0, 0, 0, number)
    checksum = struct.pack("!H", _checksum(head + token))
    started = time.perf_counter()
    await loop.sock_sendto(channel, head[:2] + checksum + head[4:] + token, address)
    while True:
        answer = await loop.sock_recv(channel, 2048)
        # late answers to earlier requests carry another token
        if answer.endswith(token):
            return (time.perf_counter() - started) * 1000


def _checksum(packet: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


async def _by_command(request: ProbeRequest, address: str) -> ProbeResult:
    program = shutil.which("ping")
    if program is None or sys.platform == "win32":
        reason = "this system permits no unprivileged ping and has no usable ping command"
        return _result(request, error=f"{NOT_PROBED}{reason}")
    seconds = request.timeout.total_seconds()
    wait = str(round(seconds * 1000)) if sys.platform == "darwin" else f"{max(1, round(seconds))}"
    process = await asyncio.create_subprocess_exec(
        *(program, "-n", "-q", "-c", str(request.count), "-W", wait, address),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        async with asyncio.timeout((seconds + 1) * request.count + 5):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return read_command(request, out.decode(errors="replace"), err.decode(errors="replace"))


def read_command(request: ProbeRequest, out: str, err: str) -> ProbeResult:
    """Read what the ping command of Linux (iputils, BusyBox) or macOS printed."""
    counts = _COUNTS.search(out)
    if not counts or not int(counts[1]):
        reason = (err or out).strip() or "it printed nothing"
        return _result(request, error=f"{NOT_PROBED}the ping command failed: {reason[:200]}")
    sent, received = int(counts[1]), min(int(counts[1]), int(counts[2]))
    times = _TIMES.search(out)
    with contextlib.suppress(ValueError):  # "1.2.3" looks like a number to the pattern
        mean = float(times[1]) if times and received else None
        loss = round(100 * (1 - received / sent), 1)
        return _result(request, latency_ms=mean, loss_percent=loss)
    return _result(request, error=f"{NOT_PROBED}the ping command's times cannot be read")


def _result(
    request: ProbeRequest,
    *,
    latency_ms: float | None = None,
    loss_percent: float | None = None,
    error: str = "",
) -> ProbeResult:
    return ProbeResult(
        kind=request.kind,
        target=request.target,
        latency_ms=latency_ms,
        loss_percent=loss_percent,
        error=error,
    )

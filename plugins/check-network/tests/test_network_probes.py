"""Network probes against real servers on loopback, well-behaved and hostile ones."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dns.message
import dns.rrset
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from msp_check_network.check import NOT_PROBED, evaluate
from msp_check_network.limits import NetworkLimits, ProbeTarget, requests
from msp_check_network.ping import ping, read_command
from msp_check_network.probes import Prober
from msp_check_network.source import read
from msp_core.testing import eventually
from msp_core.v1 import (
    Device,
    FactQuery,
    ProbeFacts,
    ProbeKind,
    ProbeRequest,
    ProbeResult,
    Status,
    Target,
)
from msp_http.service import Clients
from msp_http.settings import HttpSettings

pytestmark = pytest.mark.anyio


def request(kind: str, target: str, seconds: float = 2, **more: object) -> ProbeRequest:
    return ProbeRequest(
        kind=ProbeKind(kind), target=target, timeout=timedelta(seconds=seconds), **more
    )


async def probe(kind: str, target: str, **more: object) -> ProbeResult:
    clients = Clients(HttpSettings())
    prober = Prober(clients)
    try:
        return await prober.run(request(kind, target, **more))
    finally:
        await prober.aclose()
        await clients.aclose()


@asynccontextmanager
async def listening(serve: Callable, **more: object) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, **more)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


async def test_probe_tcp() -> None:
    """An open port answers with a time, a closed one with the reason."""
    async with listening(hang_up) as port:
        result = await probe("tcp", f"127.0.0.1:{port}")
    assert result.error == ""
    assert 0 < result.latency_ms < 2000
    assert "refused" in (await probe("tcp", f"127.0.0.1:{closed_port()}")).error.lower()


def certificate(days: float) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    end = datetime.now(UTC) + timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=900))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM) + secret


def tls_context(days: float) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(certificate(days))
        file.flush()
        context.load_cert_chain(file.name)
    return context


@pytest.mark.parametrize(
    ("days", "status"), [(400, "ok"), (10, "warning"), (2, "critical"), (-3, "critical")]
)
async def test_probe_tls_reads_the_end_of_a_self_signed_certificate(
    days: float, status: str
) -> None:
    """The end of a certificate is read although nobody vouches for it, after it expired too."""
    async with listening(hang_up, ssl=tls_context(days)) as port:
        target = f"localhost:{port}"
        result = await probe("tls", target)
    limits = NetworkLimits(targets=(ProbeTarget(kind=ProbeKind.TLS, target=target),))
    now = datetime.now(UTC)
    assert abs((result.expires_at - now) - timedelta(days=days)) < timedelta(minutes=1)
    assert evaluate(ProbeFacts(results=(result,), probed_at=now), limits=limits).status == status


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.0 400 plain\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 5000, b""]
)
async def test_probe_tls_survives_what_is_no_tls(answer: bytes) -> None:
    """A server that talks rubbish is an error of the target, not of ours."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async with listening(serve) as port:
        result = await probe("tls", f"127.0.0.1:{port}")
    assert result.error
    assert not result.error.startswith(NOT_PROBED)


@pytest.mark.parametrize("kind", ["tls", "http"])
async def test_probe_keeps_its_time(kind: str) -> None:
    """A server that accepts and stays silent costs no more than the timeout."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(silent) as port:
        target = f"127.0.0.1:{port}"
        started = asyncio.get_running_loop().time()
        result = await probe(kind, f"http://{target}/" if kind == "http" else target, seconds=0.3)
        assert asyncio.get_running_loop().time() - started < 2
    assert result.error
    assert not result.error.startswith(NOT_PROBED)


@pytest.mark.parametrize("code", [200, 204, 301, 401, 403, 404, 429, 500, 503])
async def test_probe_http_reports_any_status(httpserver: HTTPServer, code: int) -> None:
    """Every status is an answer, also those an adapter would call an error, at the first try."""
    httpserver.expect_request("/health").respond_with_data("<html>hi</html>", status=code)
    result = await probe("http", f"{httpserver.url_for('/health')}?a=b")
    assert (result.http_status, result.error) == (code, "")
    if code not in (301, 429):  # a redirect is followed, a limit is waited for
        assert len(httpserver.log) == 1


async def test_probe_http_without_tls_beyond_this_machine() -> None:
    """An intranet page over plain http is tried: a name that does not resolve is an answer, not a refusal of ours."""
    result = await probe("http", "http://intranet.invalid/", seconds=2)
    assert result.error
    assert not result.error.startswith(NOT_PROBED)


async def test_probe_dns_by_the_system() -> None:
    """The system's resolver answers with addresses."""
    assert "127.0.0.1" in (await probe("dns", "localhost")).resolved


@asynccontextmanager
async def dns_server(answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.DatagramTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: tuple) -> None:
            self.transport.sendto(answer(data), address)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    try:
        yield "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


def zone(query: bytes) -> bytes:
    reply = dns.message.make_response(dns.message.from_wire(query))
    asked = reply.question[0]
    if asked.name.to_text() == "gone.example.":
        reply.set_rcode(3)
    elif asked.rdtype == 1:
        reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "A", "192.0.2.9"))
    return reply.to_wire()


async def test_probe_dns_by_a_given_server() -> None:
    """A given server is asked; a name it does not know is an error of the target."""
    async with dns_server(zone) as server:
        assert (await probe("dns", "mail.example", server=server)).resolved == ("192.0.2.9",)
        assert "does not exist" in (await probe("dns", "gone.example", server=server)).error


@pytest.mark.parametrize("junk", [b"", b"\xff" * 12, b"\x00" * 4000, b"A"])
async def test_probe_dns_survives_junk(junk: bytes) -> None:
    """A server that answers with rubbish costs the timeout and gives an error."""
    async with dns_server(lambda query: query[:2] + junk) as server:
        result = await probe("dns", "mail.example", server=server, seconds=0.5)
    assert result.error
    assert not result.resolved


async def test_probe_slow_name_server_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lookups that hang cost their probes the timeout, and leave the threads of everybody else free."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: release.wait(10) and [])
    try:
        probes = [asyncio.create_task(probe(kind, "slow.example:80" if kind == "tcp" else "slow.example",
                                            seconds=0.5)) for kind in ("dns", "ping", "tcp") * 5]  # fmt: skip
        await asyncio.sleep(0.1)
        async with asyncio.timeout(8):
            assert await asyncio.to_thread(lambda: "free") == "free"
        assert {(await item).error for item in probes} == {"no answer within 0.5 s"}
    finally:
        release.set()


async def test_probe_name_with_a_dead_first_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several addresses the first that answers counts."""
    found = [(socket.AF_INET, 1, 6, "", (f"127.0.0.{last}", 0)) for last in (99, 1)]
    async with listening(hang_up) as port:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
        assert (await probe("tcp", f"two.example:{port}")).error == ""


async def test_probe_without_the_devices_address_is_not_probed() -> None:
    """A place that could not be filled in is our own lack."""
    assert (await probe("ping", "{address}")).error.startswith(NOT_PROBED)


async def test_probe_name_that_cannot_be_encoded() -> None:
    """A host name longer than DNS allows is an answer, not an exception."""
    assert (await probe("tcp", "a" * 64 + ".example:80")).error


LINUX = """PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.

--- 127.0.0.1 ping statistics ---
3 packets transmitted, 2 received, 33.3333% packet loss, time 402ms
rtt min/avg/max/mdev = 0.020/0.034/0.049/0.011 ms
"""
MACOS = """PING localhost (127.0.0.1): 56 data bytes

--- localhost ping statistics ---
3 packets transmitted, 3 packets received, 0.0% packet loss
round-trip min/avg/max/stddev = 0.045/0.067/0.081/0.016 ms
"""
BUSYBOX = """PING 127.0.0.1 (127.0.0.1): 56 data bytes

--- 127.0.0.1 ping statistics ---
3 packets transmitted, 0 packets received, 100% packet loss
"""


@pytest.mark.parametrize(
    ("text", "loss", "mean"), [(LINUX, 33.3, 0.034), (MACOS, 0.0, 0.067), (BUSYBOX, 100.0, None)]
)
async def test_probe_ping_reads_the_commands_of_three_systems(
    text: str, loss: float, mean: float | None
) -> None:
    """Loss and mean time are read from iputils, macOS and BusyBox (texts as their manuals print them)."""
    result = read_command(request("ping", "x"), text, "")
    assert (result.loss_percent, result.latency_ms, result.error) == (loss, mean, "")


@given(st.text(), st.text(alphabet="0123456789./= packetsrivdn,m", max_size=300))
def test_probe_ping_survives_any_output(out: str, numbers: str) -> None:
    """Whatever the ping command prints, there is a result."""
    prefix = "3 packets transmitted, 2 received"
    for text in (out, numbers, f"{prefix}{numbers}", f"{prefix} = {numbers}"):
        assert isinstance(read_command(request("ping", "x"), text, out), ProbeResult)


def context() -> SimpleNamespace:
    clients = Clients(HttpSettings())

    async def get(_service: type) -> Clients:
        return clients

    return SimpleNamespace(get=get, now=lambda: datetime.now(UTC))


async def test_probe_source_asks_once_for_what_devices_share() -> None:
    """Ten devices with one shared target cost one connection, and each gets its results in order."""
    seen = 0

    async def count(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        writer.close()

    devices = [Device(id=f"acme/{n}", client_id="acme", name=str(n)) for n in range(10)]
    async with listening(count) as port:
        limits = NetworkLimits(
            targets=(
                ProbeTarget(kind=ProbeKind.TCP, target=f"127.0.0.1:{port}"),
                ProbeTarget(kind=ProbeKind.TCP, target=f"127.0.0.1:{closed_port()}"),
            )
        )
        query = FactQuery(
            facts=frozenset({ProbeFacts}),
            targets=[Target(device, None) for device in devices],
            requests={device.id: tuple(requests(limits, device)) for device in devices[1:]},
        )
        found = [item async for item in read(context(), None, query)]
        await eventually(lambda: seen)
    assert [item.device_id for item in found] == [device.id for device in devices[1:]]
    assert {item.vantage for item in found} == {"toolkit"}
    assert [bool(result.error) for result in found[0].fact.results] == [False, True]
    assert seen == 1
    assert evaluate(found[0].fact, limits=limits).status is Status.CRITICAL


async def test_probe_source_stops_when_nobody_listens_any_more() -> None:
    """A sweep that ends early leaves no probe behind."""
    hung = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hung.wait()
        writer.close()

    device = Device(id="acme/1", client_id="acme", name="1")
    async with listening(hang_up) as quick, listening(silent) as slow:
        asked = (
            request("tcp", f"127.0.0.1:{quick}"),
            request("tls", f"127.0.0.1:{slow}", seconds=30),
        )
        query = FactQuery(
            facts=frozenset({ProbeFacts}),
            targets=[
                Target(device, None),
                Target(Device(id="acme/2", client_id="acme", name="2"), None),
            ],
            requests={"acme/1": asked[:1], "acme/2": asked[1:]},
        )
        before = asyncio.all_tasks()
        answers = read(context(), None, query)
        assert (await anext(answers)).device_id == "acme/1"
        await answers.aclose()
        left = {
            task
            for task in asyncio.all_tasks() - before
            if task.get_coro().__qualname__ == "read.<locals>.probe"
        }
        hung.set()
    assert not left


FAR_END = """
import asyncio, fcntl, json, os, struct, subprocess, sys, threading, time
from datetime import timedelta
from msp_check_network.ping import ping
from msp_core.v1 import ProbeKind, ProbeRequest

target, count, delay_ms, lost = sys.argv[1], *map(int, sys.argv[2:5])
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", b"far0", 0x1001))  # TUNSETIFF, a tun without header
for line in ("link set far0 up", "addr add 10.9.0.1/24 dev far0", "addr add fd09::1/64 dev far0 nodad"):
    subprocess.run(["ip", *line.split()], check=True)

def answer(packet, v6):
    addresses, icmp = ((8, 16, 40), 40) if v6 else ((12, 4, 20), 20)
    start, size, _ = addresses
    if packet[icmp] != (128 if v6 else 8):
        return None
    reply = bytearray(packet)
    reply[start:start + size], reply[start + size:start + 2 * size] = (
        packet[start + size:start + 2 * size], packet[start:start + size])
    reply[icmp] = 129 if v6 else 0
    old, new = struct.unpack("!H", packet[icmp:icmp + 2])[0], struct.unpack("!H", reply[icmp:icmp + 2])[0]
    total = (~struct.unpack("!H", packet[icmp + 2:icmp + 4])[0] & 0xFFFF) + (~old & 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into("!H", reply, icmp + 2, ~total & 0xFFFF)
    return bytes(reply)

def far_end():
    seen = 0
    while True:
        packet = os.read(tun, 4096)
        reply = answer(packet, packet[0] >> 4 == 6)
        if reply is not None:
            seen += 1
            if seen > lost:
                threading.Timer(delay_ms / 1000, os.write, (tun, reply)).start()

threading.Thread(target=far_end, daemon=True).start()
asked = ProbeRequest(kind=ProbeKind.PING, target=target, timeout=timedelta(seconds=1), count=count)
result = asyncio.run(ping(asked))
print(json.dumps([result.latency_ms, result.loss_percent, result.error]))
"""


@pytest.mark.debian
@pytest.mark.parametrize("groups", ["0 2147483647", "1 0"], ids=["socket", "command"])
@pytest.mark.parametrize("target", ["10.9.0.2", "fd09::2"])
def test_probe_ping_measures_injected_delay_and_loss(groups: str, target: str) -> None:
    """Both ways to ping see a far end that waits 60 ms and swallows packets, in a network of their own."""

    def measure(count: int, delay_ms: int, lost: int) -> list:
        allow = f"echo '{groups}' > /proc/sys/net/ipv4/ping_group_range"
        run = f'{allow}; exec "$@"'
        command = [sys.executable, "-c", FAR_END, target, str(count), str(delay_ms), str(lost)]
        done = subprocess.run(
            ["unshare", "--net", "sh", "-c", run, "sh", *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    for _ in range(5):  # a busy machine adds to the delay, sometimes
        latency, loss, error = measure(3, 60, 0)
        assert (loss, error) == (0.0, "")
        assert latency >= 60
        if latency < 90:
            break
    assert latency < 90
    assert measure(4, 0, 1)[1:] == [25.0, ""]
    assert measure(2, 0, 2) == [None, 100.0, ""]


async def test_probe_ping_says_why_it_cannot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither socket nor command: not probed, with the reason."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(
        "msp_check_network.ping._PROTOCOL", {socket.AF_INET: 255, socket.AF_INET6: 255}
    )
    result = await ping(request("ping", "127.0.0.1"))
    assert result.error.startswith(NOT_PROBED)

"""Network probes: each answers with a result and never raises for what the other side does."""

import asyncio
import contextlib
import os
import socket
import ssl
import time
from datetime import datetime

from attrs import evolve

from msp_check_network.address import dns_server, host, host_and_port, origin, tls_server
from msp_check_network.check import NOT_PROBED
from msp_check_network.names import resolve
from msp_check_network.ping import ping
from msp_core.v1 import (
    AuthenticationFailed,
    ConfigError,
    Effect,
    MspError,
    ProbeKind,
    ProbeRequest,
    ProbeResult,
    RateLimited,
)
from msp_http.api import HttpClient, HttpClients

LARGEST_PAGE = 8 * 1024 * 1024


class Prober:
    """Makes probes of every kind; keeps one HTTP client per web server."""

    def __init__(self, http: HttpClients) -> None:
        self._http = http
        self._clients: dict[str, HttpClient] = {}

    async def run(self, request: ProbeRequest) -> ProbeResult:
        """Make one probe, within its time."""
        if "{" in request.target:
            return _failed(request, f"{NOT_PROBED}the device's own address or name is not known")
        probe = {
            ProbeKind.PING: ping,
            ProbeKind.TCP: _tcp,
            ProbeKind.TLS: _tls,
            ProbeKind.DNS: _dns,
            ProbeKind.HTTP: self._web,
        }[request.kind]
        try:
            return await probe(request)
        except TimeoutError:
            return _failed(request, f"no answer within {request.timeout.total_seconds():g} s")
        except OSError as error:
            return _failed(request, _reason(error))
        except ValueError as error:  # among them a name that cannot be encoded
            return _failed(request, f"{NOT_PROBED}{error}")

    async def aclose(self) -> None:
        """Close the HTTP clients."""
        for client in self._clients.values():
            await client.aclose()

    async def _web(self, request: ProbeRequest) -> ProbeResult:
        server = origin(request.target)
        try:
            client = self._client(server)
        except ConfigError as error:  # our own rules for http forbid this address
            return _failed(request, f"{NOT_PROBED}{error.message} {error.suggestion}")
        seconds = request.timeout.total_seconds()
        started, limited = time.perf_counter(), client.counters.limited
        try:
            async with asyncio.timeout(seconds):
                response = await client.request(
                    "GET",
                    request.target,
                    effect=Effect.READ,
                    timeout_s=seconds,
                    idempotent=False,  # a probe tells what it saw the first time
                )
            status = response.status
        except TimeoutError:
            if client.counters.limited == limited:
                raise
            status = 429  # the client waited for its turn, as an adapter wants it
        except MspError as error:
            # the answer is a status like any other here, whatever an adapter would make of it
            status = _status_of(error)
            if not 100 <= status <= 599:
                return _failed(request, error.message)
        return evolve(_answered(request, started), http_status=status)

    def _client(self, server: str) -> HttpClient:
        if server not in self._clients:
            self._clients[server] = self._http.client(
                instance=f"probe {server}",
                base_url=server,
                max_response_bytes=LARGEST_PAGE,
                anonymous=True,
            )
        return self._clients[server]


def _status_of(error: MspError) -> int:
    known = {AuthenticationFailed: 401, RateLimited: 429}.get(type(error), 0)
    status = error.details.get("status", known)
    return status if isinstance(status, int) else known


async def _tcp(request: ProbeRequest) -> ProbeResult:
    name, port = host_and_port(request.target)
    started = time.perf_counter()
    async with asyncio.timeout(request.timeout.total_seconds()):
        writer = await _connect(name, port)
    result = _answered(request, started)
    await _close(writer)
    return result


async def _tls(request: ProbeRequest) -> ProbeResult:
    name, port = tls_server(request.target)
    # Only the end of the certificate is asked for: devices with their own certificates are common,
    # and whether a certificate is trusted shows in an http probe
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    started = time.perf_counter()
    async with asyncio.timeout(request.timeout.total_seconds()):
        writer = await _connect(name, port, context)
    result = _answered(request, started)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    await _close(writer)
    try:
        return evolve(result, expires_at=_end_of(certificate))
    except ValueError:
        return _failed(request, "the certificate cannot be read")


def _end_of(certificate: bytes) -> datetime:
    from cryptography.x509 import load_der_x509_certificate

    return load_der_x509_certificate(certificate).not_valid_after_utc


async def _connect(name: str, port: int, tls: ssl.SSLContext | None = None) -> asyncio.StreamWriter:
    """Connect to the first address of a name that answers; raise the last one's error."""
    failed: OSError = ConnectionError(f"{name} has no address")
    for _, address in await resolve(name, socket.SOCK_STREAM):
        try:
            _, writer = await asyncio.open_connection(
                address, port, ssl=tls, server_hostname=name if tls else None
            )
        except OSError as error:
            failed = error
        else:
            return writer
    raise failed


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()


async def _dns(request: ProbeRequest) -> ProbeResult:
    if request.server:
        return await _ask_server(request)
    started = time.perf_counter()
    async with asyncio.timeout(request.timeout.total_seconds()):
        found = await resolve(request.target, socket.SOCK_STREAM)
    return evolve(_answered(request, started), resolved=tuple(address for _, address in found))


async def _ask_server(request: ProbeRequest) -> ProbeResult:
    import dns.asyncresolver
    import dns.exception

    server, port = dns_server(request.server)
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [server], port
    started = time.perf_counter()
    found: list[str] = []
    try:
        for kind in ("A", "AAAA"):
            answer = await resolver.resolve(
                host(request.target),
                kind,
                raise_on_no_answer=False,
                lifetime=request.timeout.total_seconds(),
                search=False,
            )
            found += [item.to_text() for item in answer.rrset or ()]
    except dns.exception.Timeout:
        raise TimeoutError from None
    except dns.exception.DNSException as error:
        return _failed(request, str(error) or type(error).__name__)
    return evolve(_answered(request, started), resolved=tuple(found))


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, socket.gaierror):
        return f"the name cannot be resolved: {error.strerror}"
    # asyncio's own text names the address, not the reason
    text = os.strerror(error.errno) if error.errno else str(error)
    return text or type(error).__name__


def _answered(request: ProbeRequest, started: float) -> ProbeResult:
    elapsed = (time.perf_counter() - started) * 1000
    return ProbeResult(kind=request.kind, target=request.target, latency_ms=round(elapsed, 3))


def _failed(request: ProbeRequest, reason: str) -> ProbeResult:
    return ProbeResult(kind=request.kind, target=request.target, error=reason)

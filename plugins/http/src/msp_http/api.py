"""HTTP for adapters: clients that retry, wait, log in, limit and report errors the same way for every vendor.

An adapter asks for one client per instance and never sees the library underneath:

```python
http = (await env.get(HttpClients)).client(instance=env.instance, base_url=url, auth=Login(env))
rows = await http.get_json("/v2/devices", params={"pageSize": 1000})
```
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

from attrs import define, field, frozen

from msp_core.v1 import Effect, VendorError

MEBIBYTE = 1024 * 1024

Scalar = str | int | float | bool | None
Params = Mapping[str, Scalar | list[Scalar] | tuple[Scalar, ...]]
"""Query parameters: None is left out, a list or tuple repeats the name, booleans are `true` and `false`."""


@frozen(kw_only=True)
class Token:
    """What proves who we are: headers for every request, and how long they are good for (None: until refused)."""

    headers: Mapping[str, str] = field(repr=False)
    lifetime: timedelta | None = None


@frozen(kw_only=True)
class Response:
    """An answer of a vendor with a status below 300, read whole. Header names are found in any case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    request: str
    """The request for error messages: instance, method and path, never the query."""

    @property
    def text(self) -> str:
        """The body as text; bytes that mean nothing in its charset become U+FFFD."""
        charset = "utf-8"
        for part in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = part.partition("=")
            if name.strip().lower() == "charset":
                charset = value.strip().strip("\"'")
        try:
            return self.body.decode(charset, errors="replace")
        except LookupError:
            return self.body.decode(errors="replace")

    def json(self) -> Any:
        """Decode the body; None where it is empty. Raise VendorError for a web page, a cut or broken JSON."""
        if not self.body:
            return None
        if self.body[:1] == b"<" or "html" in self.headers.get("content-type", ""):
            raise self._web_page()
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            # the decoder's own error holds the whole document, so it goes no further
            where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        if self.body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            raise self._web_page()
        message = (
            f"{self.request} answered with broken JSON{where} of {len(self.body)} bytes; "
            "the answer may have been cut off."
        )
        raise VendorError(message, suggestion="Try again; if it stays, report it to the vendor.")

    def _web_page(self) -> VendorError:
        message = f"{self.request} answered {self.status} with a web page instead of data."
        return VendorError(
            message,
            suggestion="Check the instance's URL; a proxy, a login page or a maintenance page may be in between.",
            status=self.status,
        )


@define(kw_only=True)
class Counters:
    """What an instance has sent so far. `requests` counts everything that went out, logins and retries included."""

    requests: int = 0
    retries: int = 0
    logins: int = 0
    limited: int = 0
    """Answers with status 429."""
    failed: int = 0
    """Requests that got no usable answer: no connection, timeout, cut off, status 5xx."""
    received_bytes: int = 0


class TokenRequester(Protocol):
    """Sends the login of an Authenticator, with the same limits as any request but without a token."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: Any = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a login request (effect READ); raise AuthenticationFailed for 400, 401 and 403.

        Texts in `json` and `data` whose key names a secret are masked from then on.
        """
        ...


class Authenticator(Protocol):
    """Knows a vendor's login. Called by one request at a time; all others wait for its token."""

    async def authenticate(self, http: TokenRequester) -> Token:
        """Log in, or refresh what an earlier call obtained; raise AuthenticationFailed when the vendor refuses.

        Called before the first request, shortly before a token expires, and once after a 401.
        """
        ...


@runtime_checkable
class HttpClient(Protocol):
    """Requests to one vendor instance.

    Errors: AuthenticationFailed (401 after one fresh login), RateLimited (429 for longer than is worth waiting),
    VendorRefused (other 4xx; `details["status"]`), VendorUnavailable (no connection, timeouts, 5xx, after retries;
    circuit open), VendorError (not what an API answers). None of them holds a secret or a query string.
    """

    @property
    def counters(self) -> Counters:
        """What this instance has sent so far; live."""
        ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        effect: Effect | None = None,
        params: Params | None = None,
        json: Any = None,
        data: Mapping[str, str] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        idempotent: bool | None = None,
    ) -> Response:
        """Send a request and read the answer.

        `effect` defaults to READ for GET and HEAD and to CHANGE for the rest; CHANGE and above pass only inside
        `ctx.change`. `idempotent` (default: every method but POST and PATCH) permits another try after an error that
        may have come after the vendor acted. `timeout_s` is for one try. `path` starts at the base URL, is already
        quoted and has no query; an absolute URL of the same origin, query included, is taken as it is.
        """
        ...

    async def get(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Response:
        """Send a GET."""
        ...

    async def get_json(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Send a GET and decode its JSON; an empty body is a VendorError."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


@runtime_checkable
class HttpClients(Protocol):
    """Makes clients. Circuit breaker and counters belong to the instance, however many clients it asks for."""

    def client(
        self,
        *,
        instance: str,
        base_url: str,
        auth: Authenticator | None = None,
        timeout_s: float = 30.0,
        connect_timeout_s: float = 10.0,
        concurrency: int = 10,
        headers: Mapping[str, str] | None = None,
        verify_tls: bool = True,
        max_response_bytes: int = 50 * MEBIBYTE,
        anonymous: bool = False,
    ) -> HttpClient:
        """Make a client for one adapter instance; raise ConfigError for a URL that cannot be used.

        At most `concurrency` requests are under way at once; the rest wait their turn without their time running.
        `timeout_s` is for one try from connecting to the last byte. `anonymous` says that no credentials are sent, so
        that plain http:// beyond this machine betrays nothing.
        """
        ...

    def counters(self, instance: str) -> Counters:
        """What an instance has sent so far; all zero for one that has sent nothing."""
        ...

"""The service `HttpClients`: makes clients from the section `http`, and closes them."""

import ssl
from collections.abc import Mapping
from importlib.metadata import version

from attrs import define, field

from msp_core.v1 import ConfigError, Toolkit
from msp_http.address import Base
from msp_http.api import MEBIBYTE, Authenticator, Counters
from msp_http.client import Client, Host
from msp_http.settings import HttpSettings
from msp_http.wire import Limits, Wire, tls_context


def create(toolkit: Toolkit) -> "Clients":
    """Build the service for a toolkit."""
    settings = toolkit.settings(HttpSettings)
    bundle = None if settings.ca_bundle is None else str(toolkit.root / settings.ca_bundle)
    return Clients(settings, bundle)


@define
class Clients:
    """All HTTP clients of one toolkit."""

    settings: HttpSettings
    ca_bundle: str | None = None
    _clients: list[Client] = field(factory=list)
    _hosts: dict[tuple[str, str], Host] = field(factory=dict)
    _counters: dict[str, Counters] = field(factory=dict)
    _contexts: dict[bool, ssl.SSLContext] = field(factory=dict)

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
    ) -> Client:
        allowed = anonymous or self.settings.allow_plain_http
        base = Base.parse(base_url, instance, allow_plain_http=allowed)
        client = Client(
            instance=instance,
            base=base,
            wire=Wire(self._tls(verify=verify_tls) if base.is_tls else None, self.settings.proxy),
            host=self._hosts.setdefault((instance, base.origin), Host()),
            counters=self._counters.setdefault(instance, Counters()),
            auth=auth,
            limits=Limits(
                connect_s=min(connect_timeout_s, timeout_s),
                total_s=timeout_s,
                most_bytes=max_response_bytes,
            ),
            concurrency=concurrency,
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": f"msp-toolkit/{version('msp-http')}",
                **(headers or {}),
            },
        )
        self._clients.append(client)
        return client

    def counters(self, instance: str) -> Counters:
        return self._counters.setdefault(instance, Counters())

    async def aclose(self) -> None:
        """Close every client."""
        while self._clients:
            await self._clients.pop().aclose()

    def _tls(self, *, verify: bool) -> ssl.SSLContext:
        if verify not in self._contexts:
            problem = ""
            try:
                self._contexts[verify] = tls_context(verify=verify, ca_bundle=self.ca_bundle)
            except (OSError, ssl.SSLError) as error:
                problem = error.strerror or "not a PEM file"
            if problem:
                message = f"http.ca_bundle cannot be read: {problem}."
                raise ConfigError(message, suggestion="Name a PEM file of certificates.")
        return self._contexts[verify]

"""Addresses of requests: a checked base URL, quoted queries, and no way out to another host."""

import ipaddress
import re
from functools import lru_cache
from urllib.parse import quote, urljoin, urlsplit

from attrs import frozen

from msp_core.v1 import ConfigError, VendorError
from msp_http.api import Params

_PATH = re.compile(r"/[!-~]*")
_DOTS = re.compile(r"(^|/)(\.|%2e){1,2}(/|$)", re.IGNORECASE)


@frozen
class Base:
    """Where an instance lives: scheme, host and port, and a path in front of every request's path."""

    origin: str
    prefix: str

    @classmethod
    def parse(cls, url: str, instance: str, *, allow_plain_http: bool) -> "Base":
        """Check a base URL; raise ConfigError without repeating what may be a secret in it."""
        problem = ""
        try:
            parts = urlsplit(url.strip())
            host, port = parts.hostname or "", parts.port
        except ValueError:
            problem = "is not a URL"
        else:
            if parts.scheme not in ("https", "http") or not host:
                problem = "is not an address like https://vendor.example"
            elif parts.username is not None or parts.query or parts.fragment:
                problem = "may hold neither a user name nor a query"
            elif not host.isascii() or not re.fullmatch(r"[\w.:%-]+", host):
                problem = "has a host name that cannot be used"
            elif parts.scheme == "http" and not allow_plain_http and not _is_loopback(host):
                problem = "is http://, which would send the credentials readable"
        if problem:
            message = f"{instance}: the URL {problem}."
            raise ConfigError(
                message,
                suggestion="Give the vendor's address with https:// (or set http.allow_plain_http).",
                instance=instance,
            )
        shown = f"[{host}]" if ":" in host else host
        default = {"https": 443, "http": 80}[parts.scheme]
        suffix = "" if port in (None, default) else f":{port}"
        return cls(f"{parts.scheme}://{shown}{suffix}", parts.path.rstrip("/"))

    @property
    def host(self) -> str:
        """Host and port."""
        return self.origin.partition("://")[2]

    @property
    def is_tls(self) -> bool:
        """Tell whether connections are encrypted."""
        return self.origin.startswith("https")

    def url(self, path: str, params: Params | None) -> str:
        """Make the address of a request."""
        if "://" in path[:10]:
            return self._inside(path, params)
        if not _PATH.fullmatch(path) or "?" in path or "#" in path or _DOTS.search(path):
            message = f"A request to {self.host} was not sent: its path is not a plain quoted path."
            raise VendorError(
                message, suggestion="A vendor's id in it holds characters it should not."
            )
        query = encode(params) if params else ""
        address = f"{self.origin}{self.prefix}{path}"
        return f"{address}?{query}" if query else address

    def follow(self, url: str, location: str) -> str | None:
        """Return the target of a redirect, or None where it leaves this origin."""
        try:
            target = urljoin(url, location)
            return target if self._owns(target) else None
        except ValueError:
            return None

    def _inside(self, url: str, params: Params | None) -> str:
        try:
            owned = self._owns(url)
        except ValueError:
            owned = False
        if not owned:
            message = f"A request was not sent: {self.host} points to another host."
            raise VendorError(message, suggestion="Check the instance's URL.")
        query = encode(params) if params else ""
        return f"{url}{'&' if '?' in url else '?'}{query}" if query else url

    def _owns(self, url: str) -> bool:
        parts = urlsplit(url)
        default = {"https": 443, "http": 80}.get(parts.scheme)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        suffix = "" if parts.port in (None, default) else f":{parts.port}"
        plain = re.fullmatch(r"[!-~]+", url) is not None and parts.username is None
        return plain and f"{parts.scheme}://{host}{suffix}" == self.origin


def encode(params: Params) -> str:
    """Quote query parameters."""
    parts: list[str] = []
    for name, value in params.items():
        values = value if isinstance(value, list | tuple) else (value,)
        for item in values:
            if item is True or item is False:
                parts.append(f"{_quoted(name)}={'true' if item else 'false'}")
            elif item is not None:
                parts.append(f"{_quoted(name)}={_quoted(str(item))}")
    return "&".join(parts)


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return quote(text, safe="")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

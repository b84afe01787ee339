"""Addresses of probe targets, as people write them and as devices report them."""

import ipaddress
import re
from urllib.parse import urlsplit

from msp_core.v1 import ProbeKind

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.:%-]{0,251}[A-Za-z0-9_.])?")
_TLS_PORT = 443
_DNS_PORT = 53


def host(text: str) -> str:
    """Return a host name or IP address; raise ValueError for anything else (options, spaces, paths)."""
    if not _HOST.fullmatch(text) and not _is_ip(text):
        raise ValueError(f"{text[:60]!r} is not a host name or an address")
    return text


def host_and_port(text: str, default: int | None = None) -> tuple[str, int]:
    """Split `host:port` or `[v6 address]:port`; raise ValueError where the port is missing or impossible."""
    if _is_ip(text) and ":" in text:
        name, port = text, ""
    elif text.startswith("["):
        name, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    else:
        name, _, port = text.rpartition(":") if ":" in text else (text, "", "")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else None
    if number is None and not port:
        number = default
    if number is None or not 0 < number < 65536:
        raise ValueError(f"{text[:60]!r} needs a port, as in host:443")
    return host(name), number


def tls_server(text: str) -> tuple[str, int]:
    """Return host and port of a TLS server, 443 where no port is given."""
    return host_and_port(text, _TLS_PORT)


def check_target(kind: ProbeKind, target: str) -> None:
    """Raise ValueError where a target does not fit its kind."""
    match kind:
        case ProbeKind.PING | ProbeKind.DNS:
            host(target)
        case ProbeKind.TCP:
            host_and_port(target)
        case ProbeKind.TLS:
            tls_server(target)
        case ProbeKind.HTTP:
            origin(target)


def origin(url: str) -> str:
    """Return scheme, host and port of a URL; raise ValueError where it is not http or https."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url[:60]!r} is not an http or https address")
    if parts.username is not None:
        raise ValueError("a probed address may not hold a user name or password")
    host(parts.hostname)
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}" + (f":{parts.port}" if parts.port else "")


def dns_server(text: str) -> tuple[str, int]:
    """Return IP address and port of a DNS server; raise ValueError where it is a name."""
    name, port = host_and_port(text, _DNS_PORT)
    return str(ipaddress.ip_address(name)), port


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

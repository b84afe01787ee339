"""Keep secrets and control characters out of messages."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msp_core.v1 import Secret, mask_data

MASK = "********"
_SENSITIVE = re.compile(
    r"(?i)pass|secret|token|key|auth|sign|credential|session|cookie|^(code|otp|pin|sig)$"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_SCHEME = re.compile(r"(?i)^(?:bearer|basic|digest|negotiate|token|apikey) +(?=\S)")
_MOST_KNOWN = 200
_SHORTEST = 4
"""Shorter values would mask ordinary words and protect nothing."""


class Redactor:
    """Knows the secrets of one client, and takes them out of what a vendor says."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}

    def learn(self, values: Iterable[str]) -> None:
        """Mask these values from now on, in this client's errors and in every log of the process."""
        for value in values:
            for part in (value, without_scheme(value)):
                if len(part) >= _SHORTEST and part not in self._known:
                    self._known[part] = None
                    Secret(part, "http")  # the kernel masks every secret ever made
        for oldest in list(self._known)[:-_MOST_KNOWN]:
            del self._known[oldest]  # tokens of days ago

    def clean(self, text: str, also: Iterable[str] = (), limit: int = 300) -> str:
        """Return one line for people without any known secret, nor those in `also`."""
        text = str(mask_data(text))  # in every spelling, and before anything is cut
        secrets = {value for value in also if len(value) >= _SHORTEST} | self._known.keys()
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        text = _CONTROL.sub(" ", text).strip()
        return text if len(text) <= limit else text[: limit - 1] + "…"


def without_scheme(value: str) -> str:
    """Return `x` of `Bearer x`: it is as secret."""
    return _SCHEME.sub("", value)


def sensitive_values(data: Any, key: str = "") -> Iterator[str]:
    """Yield the texts inside plain data whose key names a secret."""
    if isinstance(data, Mapping):
        for name, value in data.items():
            yield from sensitive_values(value, str(name))
    elif isinstance(data, list | tuple):
        for value in data:
            yield from sensitive_values(value, key)
    elif isinstance(data, str | int) and key and _SENSITIVE.search(key):
        yield str(data)


def vendor_message(body: bytes, content_type: str) -> str:
    """Find what a vendor says about an error in its answer; empty for a web page or nothing."""
    text = body[:20_000].decode(errors="replace").strip()
    if not text or text.startswith("<") or "html" in content_type:
        return ""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    while isinstance(data, list) and data:
        data = data[0]
    if isinstance(data, str):
        return data
    if not isinstance(data, dict):
        return ""
    return _said(data)


def _said(data: Mapping[str, Any]) -> str:
    lowered = {str(key).lower(): value for key, value in data.items()}
    for key in ("errormessage", "error_description", "message", "detail", "title", "error"):
        value = lowered.get(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, Mapping):
            inner = _said(value) or str(value.get("code") or "")
            if inner:
                return inner
    return ""

"""What went wrong, in words for people: what failed, why, what to do next, and never a secret."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from attrs import define, frozen

from msp_core.v1 import (
    AuthenticationFailed,
    MspError,
    RateLimited,
    VendorError,
    VendorRefused,
    VendorUnavailable,
)
from msp_http.breaker import Breaker
from msp_http.redaction import Redactor, sensitive_values, vendor_message, without_scheme
from msp_http.wire import Answer, Broken, Limits, Trouble

_CHECK_URL = "Check the instance's URL."
_REFUSED = {
    403: "The API user lacks a permission or a scope for this.",
    404: "It does not exist there (any more), or the URL of the instance is wrong.",
    409: "The vendor's record has changed meanwhile; read it again.",
}


@define(kw_only=True)
class Call:
    """One request as the caller wants it, before any try. `given` is what may hold secrets."""

    method: str
    path: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    limits: Limits
    given: tuple[Any, ...]
    idempotent: bool
    with_token: bool = True


@frozen
class Problems:
    """Makes the errors of one client."""

    instance: str
    host: str
    redactor: Redactor

    def name(self, call: Call) -> str:
        """Name a request: instance, method and path, without the query."""
        path = urlsplit(call.path).path if "://" in call.path[:10] else call.path
        return f"{self.instance}: {call.method} {path}"

    def reason(self, call: Call, outcome: Answer | Broken) -> str:
        """Say why a try failed, for those who are refused because of it later."""
        return self._clean(
            call, outcome.text if isinstance(outcome, Broken) else self._said(outcome)
        )

    def circuit_open(self, call: Call, breaker: Breaker, reason: str) -> VendorUnavailable:
        """The host has failed so often that nothing is sent for a while; `reason` is that of the last time."""
        last = f"; the last time it {reason}" if reason else ""
        message = (
            f"{self._clean(call, self.name(call))} was not sent: {self.host} failed "
            f"{breaker.failures} times in a row{last}."
        )
        return VendorUnavailable(
            message,
            suggestion=f"It is tried again in {max(1, round(breaker.opens_in_s))} s.",
            **self._details(),
        )

    def broken(self, call: Call, broken: Broken, tries: int) -> MspError:
        """No usable answer came."""
        times = f" ({tries} tries)" if tries > 1 else ""
        message = f"{self._clean(call, self.name(call))}: {self.host} {broken.text}{times}."
        details = self._details(reason=broken.trouble.label)
        match broken.trouble:
            case Trouble.TLS:
                suggestion = "Trust its authority with http.ca_bundle, or check the URL."
            case Trouble.TOO_LARGE | Trouble.GARBLED | Trouble.TRUNCATED:
                return VendorError(
                    message, suggestion=f"{_CHECK_URL} Ask for less at once.", **details
                )
            case Trouble.TIMEOUT | Trouble.CONNECT_TIMEOUT:
                suggestion = "Try again later, or raise the instance's timeout."
            case _:
                suggestion = "Check the network and the vendor's status page."
        return VendorUnavailable(message, suggestion=suggestion, **details)

    def failing(self, call: Call, answer: Answer, tries: int) -> VendorUnavailable:
        """The vendor answered 5xx to every try."""
        times = f" after {tries} tries" if tries > 1 else ""
        return VendorUnavailable(
            f"{self._describe(call, answer)}{times}.",
            suggestion="The vendor's service is failing; try again later.",
            **self._details(status=answer.status),
        )

    def limited(self, call: Call, retry_after_s: float | None) -> RateLimited:
        """The vendor wants a longer pause than is worth waiting for here."""
        pause = f" It asks for a pause of {retry_after_s:.0f} s." if retry_after_s else ""
        name = self._clean(call, self.name(call))
        return RateLimited(
            f"{name}: {self.host} takes no more requests now.{pause}",
            suggestion="Lower the instance's concurrency, or run less often.",
            **self._details(retry_after_s=retry_after_s),
        )

    def redirected(self, call: Call, answer: Answer) -> VendorError:
        """The vendor points elsewhere, and credentials do not follow."""
        name = self._clean(call, self.name(call))
        return VendorError(
            f"{name} was redirected to another address, which is not followed.",
            suggestion=_CHECK_URL,
            **self._details(status=answer.status),
        )

    def refused(self, call: Call, answer: Answer) -> MspError:
        """The vendor answered with a status that is no success and not worth another try."""
        message = f"{self._describe(call, answer)}."
        details = self._details(status=answer.status)
        if answer.status == 401:
            suggestion = "Check the credentials of this instance."
            return AuthenticationFailed(message, suggestion=suggestion, **details)
        if answer.status >= 500:
            return VendorUnavailable(message, suggestion=_CHECK_URL, **details)
        if answer.status < 400:
            return VendorError(message, suggestion=_CHECK_URL, **details)
        return VendorRefused(message, suggestion=_REFUSED.get(answer.status, ""), **details)

    def _describe(self, call: Call, answer: Answer) -> str:
        return self._clean(call, f"{self.name(call)} {self._said(answer)}")

    @staticmethod
    def _said(answer: Answer) -> str:
        said = vendor_message(answer.body, answer.headers.get("content-type", "")).rstrip(". ")
        return f"answered {answer.status}" + (f": {said}" if said else "")

    def _clean(self, call: Call, text: str) -> str:
        found = [value for part in call.given for value in sensitive_values(part)]
        found += [without_scheme(value) for value in found]
        return self.redactor.clean(text, also=found)

    def _details(self, **more: Any) -> dict[str, Any]:
        return {"instance": self.instance, "host": self.host, **more}

"""The login: user, password and second factor become a token; a token near its end becomes the next one."""

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from msp_core.v1 import AdapterEnv, AuthenticationFailed, CredentialError, VendorError
from msp_http.api import Response, Token, TokenRequester

_LATE = timedelta(minutes=10)
"""A token asked to be renewed with more time left than this was refused, so refreshing it is pointless."""
_MOST = timedelta(days=1)


class Login:
    """Logs one Automate user in. Implements Authenticator."""

    def __init__(self, env: AdapterEnv) -> None:
        self._env = env
        self._token = ""
        self._expires: datetime | None = None

    async def authenticate(self, http: TokenRequester) -> Token:
        """Refresh the token near its end, else log in anew; raise AuthenticationFailed for a refusal."""
        left = self._expires - self._env.now() if self._expires is not None else timedelta(0)
        if self._token and timedelta(0) < left < _LATE:
            token = await self._refresh(http)
            if token is not None:
                return token
        self._token = ""
        return await self._log_in(http)

    async def _refresh(self, http: TokenRequester) -> Token | None:
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            answer = await http.request(
                "POST", "/apitoken/refresh", json=self._token, headers=headers
            )
            return self._take(answer)
        except (AuthenticationFailed, VendorError):
            return None  # a full login may still do, and gives the better error where it does not

    async def _log_in(self, http: TokenRequester) -> Token:
        body = {
            "UserName": self._env.settings.username
            or (await self._env.secret("username")).reveal(),
            "Password": (await self._env.secret("password")).reveal(),
        }
        second = await self._second_factor()
        if second:
            body["TwoFactorPasscode"] = passcode(second, self._env.now())
        answer = await http.request("POST", "/apitoken", json=body)
        return self._take(answer, second_given=bool(second))

    async def _second_factor(self) -> str:
        try:
            return (await self._env.secret("two_factor")).reveal()
        except CredentialError:
            if self._env.settings.two_factor is not None:
                raise
            return ""

    def _take(self, answer: Response, *, second_given: bool = False) -> Token:
        result = answer.json()
        instance = self._env.instance
        if not isinstance(result, Mapping):
            raise VendorError(
                f"{instance}: the login answered something that is not a token.",
                suggestion="Check the instance's api_url.",
            )
        text = result.get("AccessToken")
        if not isinstance(text, str) or not text:
            if result.get("IsTwoFactorRequired") or result.get("IsInternalTwoFactorRequired"):
                raise _second_factor_wanted(instance, given=second_given)
            raise AuthenticationFailed(
                f"{instance}: the server accepted the login but gave no token.",
                suggestion="Log in to the Automate web console as this user and see what it asks for.",
            )
        self._token = text
        lifetime = _lifetime(result, answer.headers, self._env.now)
        self._expires = self._env.now() + lifetime if lifetime is not None else None
        return Token(headers={"Authorization": f"Bearer {text}"}, lifetime=lifetime)


def _second_factor_wanted(instance: str, *, given: bool) -> AuthenticationFailed:
    if given:
        message = (
            f"{instance}: the server still wants a second factor; it did not take the passcode."
        )
        then = "Check the seed in two_factor and the clock of this machine."
    else:
        message = f"{instance}: this Automate user has a second factor, and none is configured."
        then = (
            "Put the base32 seed of the authenticator app into two_factor, or use an API user "
            "without a second factor."
        )
    return AuthenticationFailed(message, suggestion=then)


def _lifetime(
    result: Mapping[str, Any], headers: Mapping[str, str], now: Callable[[], datetime]
) -> timedelta | None:
    """Return how long the token is good, by the server's own clock; None where it does not say."""
    try:
        expires = datetime.fromisoformat(str(result.get("ExpirationDate")))
    except ValueError:
        return None
    if expires.tzinfo is None:
        return None  # in a zone nobody names; a token that has ended is refused, and then renewed
    try:
        there = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        there = now()
    if there.tzinfo is None:
        there = there.replace(tzinfo=UTC)
    left = expires - there
    # Out of reason: one of the two clocks is wrong. The token is then good until it is refused
    return left if timedelta(0) < left <= _MOST else None


def passcode(second: str, now: datetime) -> str:
    """Return a passcode as it is, or make the current one (RFC 6238, 30 s, six digits) from a base32 seed."""
    text = re.sub(r"[\s-]", "", second)
    if re.fullmatch(r"\d{4,10}", text):
        return text
    try:
        seed = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except binascii.Error:
        raise CredentialError(
            "The second factor is neither a passcode nor a base32 seed.",
            suggestion="Copy the setup key the authenticator app was given.",
        ) from None
    counter = struct.pack(">Q", int(now.timestamp()) // 30)
    # RFC 6238 prescribes SHA-1; authenticator apps know nothing else
    digest = hmac.new(seed, counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"

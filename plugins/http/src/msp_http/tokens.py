"""One login for everybody: the first request that needs a token obtains it, the others wait for it."""

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable, Mapping

from attrs import frozen

from msp_core.v1 import AuthenticationFailed
from msp_http.api import Token

log = logging.getLogger("msp_http")

REFUSAL_HOLDS_S = 30.0
"""Wrong credentials are not tried again for so long: a sweep must not lock the account."""


@frozen(kw_only=True)
class Grant:
    """A token in use and the login it came from."""

    number: int
    headers: Mapping[str, str]


class Tokens:
    """Holds the current token of an instance.

    Times are of a monotonic clock: a jump of the wall clock neither expires nor prolongs a token.
    """

    def __init__(
        self, login: Callable[[], Awaitable[Token]], clock: Callable[[], float], instance: str
    ) -> None:
        self._login = login
        self._clock = clock
        self._instance = instance
        self._grant: Grant | None = None
        self._good_until: float | None = None
        self._logins = 0
        self._accepted = 0
        self._refused_unused = 0
        self._task: asyncio.Task[Grant] | None = None
        self._refusal: AuthenticationFailed | None = None
        self._refusal_until = 0.0

    async def current(self) -> Grant:
        """Return a token that is good for a while, logging in where there is none."""
        grant = self._grant
        if grant is not None and (self._good_until is None or self._clock() < self._good_until):
            return grant
        if self._refusal is not None and self._clock() < self._refusal_until:
            raise copy.copy(self._refusal)
        if self._task is None:
            self._task = asyncio.create_task(self._renew(), name=f"login {self._instance}")
            self._task.add_done_callback(self._renewed)
        try:
            return await asyncio.shield(self._task)
        except AuthenticationFailed as error:
            refusal = copy.copy(error)
        raise refusal

    def accept(self, grant: Grant) -> None:
        """Note that the vendor took this token."""
        self._accepted = grant.number
        self._refused_unused = 0

    def refuse(self, grant: Grant) -> None:
        """Note that the vendor refused this token; the next request logs in again, once for all."""
        if self._grant is not grant:
            return  # somebody has logged in again since that request went out
        self._grant = None
        if self._accepted == grant.number:
            return
        self._refused_unused += 1
        if self._refused_unused >= 2:
            message = f"{self._instance}: the vendor issues tokens and then refuses them."
            self._hold(
                AuthenticationFailed(
                    message,
                    suggestion="Check the permissions of the API user and the system clock.",
                )
            )

    async def aclose(self) -> None:
        """Stop a login that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _renew(self) -> Grant:
        try:
            token = await self._login()
        except AuthenticationFailed as error:
            self._hold(error)
            raise
        self._logins += 1
        self._refusal = None
        lifetime = token.lifetime.total_seconds() if token.lifetime is not None else None
        if lifetime is not None:
            # A request takes a while to arrive: a token in its last moments counts as expired
            lifetime -= min(60.0, lifetime / 10)
        self._good_until = None if lifetime is None else self._clock() + lifetime
        self._grant = Grant(number=self._logins, headers=dict(token.headers))
        log.debug("%s: logged in", self._instance)
        return self._grant

    def _renewed(self, task: "asyncio.Task[Grant]") -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # marks it as seen where every waiting request was cancelled

    def _hold(self, refusal: AuthenticationFailed) -> None:
        self._refusal = copy.copy(refusal)
        self._refusal_until = self._clock() + REFUSAL_HOLDS_S

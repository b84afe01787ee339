"""The client of one adapter instance: tries, waits, logs in, and turns what went wrong into errors for people."""

import asyncio
import json as jsonlib
import logging
import random
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from attrs import define, field

from msp_core.v1 import (
    AuthenticationFailed,
    Effect,
    VendorError,
    VendorRefused,
    check_door,
    correlation_id,
)
from msp_http.address import Base
from msp_http.api import Authenticator, Counters, Params, Response, Token
from msp_http.breaker import Breaker
from msp_http.problems import Call, Problems
from msp_http.redaction import Redactor, sensitive_values
from msp_http.retry import Attempts, RetryBudget, retry_after_s
from msp_http.tokens import Grant, Tokens
from msp_http.wire import Answer, Broken, Headers, Limits, Trouble, Wire

log = logging.getLogger("msp_http")
clock = time.monotonic

MOST_REDIRECTS = 3
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FAILING = frozenset({408, 500, 502, 503, 504, 520, 521, 522, 523, 524})


@define
class Host:
    """What the clients of one instance share: circuit, retry budget, and a pause a 429 has asked for."""

    breaker: Breaker = field(factory=lambda: Breaker(clock))
    budget: RetryBudget = field(factory=RetryBudget)
    paused_until: float = 0.0
    last_failure: str = ""


class Client:
    """An HttpClient over one Wire."""

    def __init__(
        self,
        *,
        instance: str,
        base: Base,
        wire: Wire,
        host: Host,
        counters: Counters,
        auth: Authenticator | None,
        limits: Limits,
        concurrency: int,
        headers: Mapping[str, str],
    ) -> None:
        self._instance = instance
        self._base = base
        self._wire = wire
        self._host = host
        self._counters = counters
        self._limits = limits
        self._headers = dict(headers)
        self._slots = asyncio.Semaphore(concurrency)
        self._chance = random.Random()
        self._redactor = Redactor()
        self._redactor.learn(sensitive_values(self._headers))
        self._problems = Problems(instance, base.host, self._redactor)
        self._shared, self._shared_key = Headers(), ("", -1)
        self._auth = auth
        self._tokens = Tokens(self._login, clock, instance) if auth is not None else None

    @property
    def counters(self) -> Counters:
        return self._counters

    async def get(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Response:
        return await self.request("GET", path, params=params, headers=headers, timeout_s=timeout_s)

    async def get_json(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        response = await self.request(
            "GET", path, params=params, headers=headers, timeout_s=timeout_s
        )
        if not response.body:
            message = f"{response.request} answered {response.status} with an empty body."
            raise VendorError(message, status=response.status)
        return response.json()

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
        method = method.upper()
        if effect is None:
            effect = Effect.READ if method in _READING else Effect.CHANGE
        if effect >= Effect.CHANGE:
            check_door(effect, f"{self._instance}: {method} {path}")
        call = self._call(
            method, path, params, json, data, headers, timeout_s, idempotent=idempotent
        )
        return await self._send(call)

    async def aclose(self) -> None:
        if self._tokens is not None:
            await self._tokens.aclose()
        await self._wire.aclose()

    def _call(
        self,
        method: str,
        path: str,
        params: Params | None,
        json: Any,
        data: Mapping[str, str] | bytes | None,
        headers: Mapping[str, str] | None,
        timeout_s: float | None,
        *,
        idempotent: bool | None,
        with_token: bool = True,
    ) -> Call:
        own: dict[str, str] = {}
        content: bytes | None = None
        if json is not None:
            content = jsonlib.dumps(json, ensure_ascii=False, separators=(",", ":")).encode()
            own["Content-Type"] = "application/json"
        elif isinstance(data, bytes):
            content = data
        elif data is not None:
            content = urlencode(data).encode()
            own["Content-Type"] = "application/x-www-form-urlencoded"
        if headers:
            own.update(headers)
        limits = self._limits
        if timeout_s is not None:
            limits = Limits(
                connect_s=min(limits.connect_s, timeout_s),
                total_s=timeout_s,
                most_bytes=limits.most_bytes,
            )
        return Call(
            method=method,
            path=path,
            url=self._base.url(path, params),
            headers=own,
            content=content,
            limits=limits,
            given=(params, json, data, headers),
            idempotent=method in _IDEMPOTENT if idempotent is None else idempotent,
            with_token=with_token,
        )

    async def _send(self, call: Call) -> Response:
        attempts = Attempts(
            budget=self._host.budget, idempotent=call.idempotent, chance=self._chance
        )
        self._host.budget.earn()
        url, hops, renewed = call.url, 0, False
        while True:
            grant = await self._grant(call)
            outcome = await self._exchange(call, url, grant, attempts)
            if outcome is None:
                delay = attempts.after_refusal(self._host.breaker.opens_in_s)
                if delay is None:
                    raise self._problems.circuit_open(
                        call, self._host.breaker, self._host.last_failure
                    )
            elif isinstance(outcome, Broken):
                delay = self._after(attempts, outcome.trouble)
                if delay is None:
                    raise self._problems.broken(call, outcome, attempts.failures)
            elif outcome.status < 300:
                if grant is not None and self._tokens is not None:
                    self._tokens.accept(grant)
                return self._response(call, outcome)
            elif outcome.status == 401 and grant is not None and not renewed:
                renewed = True
                self._tokens_refuse(grant)
                continue
            elif outcome.status == 429:
                self._counters.limited += 1
                after = retry_after_s(outcome.headers)
                delay = attempts.after_limit(after)
                if delay is None:
                    raise self._problems.limited(call, after)
                self._host.paused_until = max(self._host.paused_until, clock() + (after or delay))
            elif outcome.status in _FAILING:
                self._counters.failed += 1
                delay = self._after(attempts, Trouble.LOST)
                asked = retry_after_s(outcome.headers)
                if delay is None or (asked or 0.0) > 60:
                    raise self._problems.failing(call, outcome, attempts.failures)
                delay = max(delay, asked or 0.0)
            elif outcome.status in _REDIRECTS and hops < MOST_REDIRECTS and call.method in _READING:
                hops += 1
                url = self._redirected(call, url, outcome)
                continue
            else:
                raise self._problems.refused(call, outcome)
            self._counters.retries += 1
            await asyncio.sleep(delay)

    async def _grant(self, call: Call) -> Grant | None:
        if self._tokens is None or not call.with_token:
            return None
        return await self._tokens.current()

    def _tokens_refuse(self, grant: Grant) -> None:
        if self._tokens is not None:
            self._tokens.refuse(grant)

    async def _exchange(
        self, call: Call, url: str, grant: Grant | None, attempts: Attempts
    ) -> Answer | Broken | None:
        """Send one try when it is this request's turn; None when the circuit is open."""
        host = self._host
        async with self._slots:
            pause = host.paused_until - clock()
            if pause > 0:
                await self._sit_out(call, pause, attempts)
            permit = host.breaker.enter()
            if permit is None:
                return None
            ok: bool | None = None
            started = clock()
            try:
                self._counters.requests += 1
                headers = self._all_headers(call, grant)
                outcome = await self._wire.exchange(
                    call.method, url, headers, call.content, call.limits
                )
                if isinstance(outcome, Answer):
                    self._counters.received_bytes += len(outcome.body)
                    ok = None if outcome.status == 429 else outcome.status not in _FAILING
                else:
                    self._counters.failed += 1
                    ok = False if outcome.trouble.counts else None
                if ok is False:
                    host.last_failure = self._problems.reason(call, outcome)
            finally:
                host.breaker.leave(permit, ok=ok)
        if log.isEnabledFor(logging.DEBUG):
            said = outcome.status if isinstance(outcome, Answer) else outcome.trouble.label
            took = (clock() - started) * 1000
            log.debug(
                "%s: %s %s: %s in %.0f ms", self._instance, call.method, call.path, said, took
            )
        return outcome

    def _all_headers(self, call: Call, grant: Grant | None) -> Headers:
        """Join the headers of client, call and token; thousands of requests of one sweep share them."""
        request_id = correlation_id()
        key = (request_id, 0 if grant is None else grant.number)
        if key != self._shared_key:
            shared = dict(self._headers)
            if request_id:
                shared["X-Request-ID"] = request_id
            if grant is not None:
                shared.update(grant.headers)
            self._shared, self._shared_key = Headers(shared), key
        if not call.headers:
            return self._shared
        return Headers({**self._shared, **call.headers})

    async def _sit_out(self, call: Call, pause: float, attempts: Attempts) -> None:
        """Wait for the end of a pause the vendor has asked for; its slot stays taken, so the queue waits too."""
        if attempts.waited_s + pause > 120:
            raise self._problems.limited(call, pause)
        attempts.waited_s += pause
        await asyncio.sleep(pause + self._chance.uniform(0, 0.1))

    async def _login(self) -> Token:
        assert self._auth is not None
        self._counters.logins += 1
        token = await self._auth.authenticate(_Login(self))
        self._redactor.learn(token.headers.values())
        return token

    @staticmethod
    def _after(attempts: Attempts, trouble: Trouble) -> float | None:
        return attempts.after_failure(acted=trouble.acted) if trouble.again else None

    def _redirected(self, call: Call, url: str, answer: Answer) -> str:
        target = self._base.follow(url, answer.headers.get("location", ""))
        if target is None:
            raise self._problems.redirected(call, answer)
        return target

    def _response(self, call: Call, answer: Answer) -> Response:
        return Response(
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            request=self._problems.name(call),
        )

    async def login_request(
        self,
        method: str,
        path: str,
        params: Params | None,
        json: Any,
        data: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
    ) -> Response:
        """Send a request of an Authenticator: no token, and a refusal means wrong credentials."""
        self._redactor.learn(
            value for part in (json, data) for value in sensitive_values(part) if len(value) > 5
        )
        call = self._call(
            method.upper(),
            path,
            params,
            json,
            data,
            headers,
            None,
            idempotent=True,
            with_token=False,
        )
        try:
            return await self._send(call)
        except VendorRefused as error:
            if error.details.get("status") not in (400, 403):
                raise
            refusal = error
        raise AuthenticationFailed(
            refusal.message, suggestion="Check the credentials of this instance.", **refusal.details
        )


class _Login:
    """The TokenRequester of one login."""

    def __init__(self, client: Client) -> None:
        self._client = client

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
        return await self._client.login_request(method, path, params, json, data, headers)

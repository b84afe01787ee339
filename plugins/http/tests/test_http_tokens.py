"""Logins: one for everybody, again when it has to be, and never a storm of wrong passwords."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_core.v1 import AuthenticationFailed, VendorUnavailable
from msp_http.api import Token
from msp_http.tokens import Tokens

pytestmark = pytest.mark.anyio


def plain(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


class Vendor:
    """Issues numbered tokens, and takes only those that are valid."""

    def __init__(self, *, good: bool = True) -> None:
        self.issued = 0
        self.valid: set[str] = set()
        self.good = good
        self.takes = True

    async def __call__(self, request: Any, _writer: Any) -> bytes:
        if request.target == "/token":
            await asyncio.sleep(0.02)
            if not self.good:
                said = b'{"error": "invalid_client", "error_description": "s3cr3t-canary-value is wrong"}'
                return plain(400, said)
            self.issued += 1
            token = f"canary-token-{self.issued}"
            self.valid.add(token)
            return plain(200, b'{"access_token": "%s"}' % token.encode())
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        ok = self.takes and token in self.valid
        return plain(200, b"{}") if ok else plain(401, b'{"message": "token canary-token-1 no"}')


async def test_one_login_for_a_crowd(bench: Any, login: Any) -> None:
    """A hundred requests at once cause one login; after the token is revoked, one more."""
    vendor = Vendor()
    server = await bench.server(vendor)
    client = bench.client(server, auth=login, concurrency=50)
    await asyncio.gather(*(client.get("/x") for _ in range(100)))
    assert vendor.issued == login.calls == client.counters.logins == 1
    vendor.valid.clear()
    await asyncio.gather(*(client.get("/x") for _ in range(100)))
    assert vendor.issued == 2


async def test_tokens_are_renewed_before_they_expire(bench: Any, login: Any) -> None:
    """A token whose time is up is replaced without a refused request."""
    vendor = Vendor()
    login.lifetime = 0.2
    server = await bench.server(vendor)
    client = bench.client(server, auth=login)
    await client.get("/x")
    await asyncio.sleep(0.25)
    await client.get("/x")
    assert vendor.issued == 2
    assert len(server.requests) == 4


async def test_wrong_credentials_are_tried_once(
    bench: Any, login: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A sweep with a wrong password sends it once, and every request says why, without the password."""
    caplog.set_level(logging.DEBUG)
    server = await bench.server(Vendor(good=False))
    client = bench.client(server, auth=login)
    results = await asyncio.gather(
        *(client.get("/x") for _ in range(50)), return_exceptions=True
    ) + [await _outcome(client.get("/x"))]
    assert len(server.requests) == 1
    for error in results:
        assert isinstance(error, AuthenticationFailed)
        assert "s3cr3t-canary-value" not in str(error.as_dict())
        assert "answered 400" in error.message
    assert "canary" not in caplog.text


async def test_a_second_401_is_final(bench: Any, login: Any) -> None:
    """A request refused with a fresh token fails, and a vendor that refuses its own tokens is left alone."""
    vendor = Vendor()
    vendor.takes = False
    server = await bench.server(vendor)
    client = bench.client(server, auth=login)
    for _ in range(5):
        error = await _outcome(client.get("/x"))
        assert isinstance(error, AuthenticationFailed)
        assert "canary-token" not in str(error.as_dict())
    assert vendor.issued <= 3


async def test_the_login_gets_the_usual_retries(bench: Any, login: Any) -> None:
    """A login survives a hiccup of the vendor, and an outage is no matter of credentials."""
    vendor = Vendor()
    fails = 1

    async def handle(request: Any, writer: Any) -> bytes:
        nonlocal fails
        fails -= 1
        return plain(503, b"") if fails >= 0 else await vendor(request, writer)

    server = await bench.server(handle)
    client = bench.client(server, auth=login)
    assert (await client.get("/x")).status == 200
    fails, vendor.valid = 99, set()
    assert isinstance(await _outcome(client.get("/x")), VendorUnavailable)


async def test_a_cancelled_request_does_not_take_the_login_with_it(bench: Any, login: Any) -> None:
    """The others get the token although the one who began the login is gone."""
    vendor = Vendor()
    server = await bench.server(vendor)
    client = bench.client(server, auth=login)
    first = asyncio.create_task(client.get("/x"))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(client.get("/x"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).status == 200
    assert vendor.issued == 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("crowd"), st.integers(1, 5)),
        st.tuples(st.just("refuse"), st.integers(0, 3)),
        st.tuples(st.just("pass"), st.floats(0, 50)),
        st.tuples(st.just("accept"), st.just(0)),
    ),
    max_size=30,
)


@given(steps=steps, lifetime=st.one_of(st.none(), st.floats(1, 40)))
def test_token_state_machine(steps: list[tuple[str, Any]], lifetime: float | None) -> None:
    """No two logins run at once; who asks together gets the same token, and no expired one."""

    async def play() -> None:
        now, running, logins = 0.0, 0, 0
        born: dict[int, float] = {}

        async def log_in() -> Token:
            nonlocal running, logins
            running += 1
            assert running == 1
            await asyncio.sleep(0)
            running -= 1
            logins += 1
            born[logins] = now
            span = None if lifetime is None else timedelta(seconds=lifetime)
            return Token(headers={"Authorization": str(logins)}, lifetime=span)

        tokens = Tokens(log_in, lambda: now, "x")
        grants: list[Any] = []
        for what, amount in steps:
            if what == "crowd":
                got = await asyncio.gather(
                    *(tokens.current() for _ in range(amount)), return_exceptions=True
                )
                assert len({getattr(one, "number", -1) for one in got}) == 1
                if isinstance(got[0], AuthenticationFailed):
                    continue
                grant = got[0]
                assert lifetime is None or now < born[grant.number] + lifetime
                grants.append(grant)
            elif what == "refuse" and grants:
                before = logins
                for _ in range(amount):
                    tokens.refuse(grants[-1])
                assert logins == before
            elif what == "accept" and grants:
                tokens.accept(grants[-1])
            elif what == "pass":
                now += amount

    asyncio.run(play())


async def _outcome(awaitable: Any) -> Any:
    try:
        return await awaitable
    except Exception as error:
        return error

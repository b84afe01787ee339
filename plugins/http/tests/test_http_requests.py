"""Requests against real servers: what goes out, what comes back, and what is refused."""

import asyncio
import gzip
import ipaddress
import json
import logging
import ssl
import traceback
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from msp_core.correlation import CURRENT
from msp_core.testing import open_door
from msp_core.v1 import (
    AuthenticationFailed,
    ConfigError,
    Effect,
    MspError,
    PermissionDenied,
    RateLimited,
    VendorError,
    VendorRefused,
    VendorUnavailable,
)
from msp_http.breaker import FAILURES_TO_OPEN
from msp_http.client import clock
from msp_http.settings import HttpSettings

pytestmark = pytest.mark.anyio


def answer(*args: Any, **kwargs: Any) -> bytes:
    status = kwargs.pop("status", 200)
    body = kwargs.pop("body", b"{}")
    kind = kwargs.pop("content_type", "application/json")
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in kwargs.items()]
    if "Content_Length" not in kwargs and "Transfer_Encoding" not in kwargs:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def always(said: bytes | None) -> Any:
    async def handle(_request: Any, _writer: Any) -> bytes | None:
        return said

    return handle


async def test_json_params_headers_and_correlation_id(bench: Any) -> None:
    """A GET carries its query, the user agent and the id of the call, and gives the decoded JSON."""
    server = await bench.server(always(answer(body=b'{"a": [1, "\xc3\xa9"]}')))
    client = bench.client(server.url + "/base/", headers={"X-Tenant": "t1"})
    token = CURRENT.set("abc123")
    try:
        data = await client.get_json(
            "/v2/x", params={"df": "org in (1,2)", "n": 5, "on": True, "no": None, "k": ["a", "b"]}
        )
    finally:
        CURRENT.reset(token)
    assert data == {"a": [1, "é"]}
    seen = server.requests[0]
    assert seen.target == "/base/v2/x?df=org%20in%20%281%2C2%29&n=5&on=true&k=a&k=b"
    assert seen.headers["x-request-id"] == "abc123"
    assert seen.headers["x-tenant"] == "t1"
    assert seen.headers["user-agent"].startswith("msp-toolkit/")
    assert (client.counters.requests, client.counters.retries) == (1, 0)
    assert bench.clients.counters("rmm").requests == 1


async def test_correlation_id_changes_with_the_call(bench: Any) -> None:
    """Requests of different calls carry different ids although headers are shared."""
    server = await bench.server(always(answer()))
    client = bench.client(server)
    for wanted in ("one", "two", ""):
        token = CURRENT.set(wanted)
        await client.get("/")
        CURRENT.reset(token)
        assert server.requests[-1].headers.get("x-request-id", "") == wanted


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/plain; charset=iso-8859-1", b"\xe9", "é"),
        ("text/plain", b"\xc3\xa9\xff", "é\ufffd"),
        ('text/plain; charset="no-such"', b"a", "a"),
    ],
)
async def test_text(bench: Any, kind: str, body: bytes, text: str) -> None:
    """Text follows its charset; unknown charsets and wrong bytes break nothing."""
    server = await bench.server(always(answer(body=body, content_type=kind)))
    assert (await bench.client(server).get("/")).text == text


async def test_changes_need_the_door(bench: Any) -> None:
    """A POST without an effect counts as a change and does not leave outside ctx.change."""
    server = await bench.server(always(answer(status=204, body=b"")))
    client = bench.client(server)
    with pytest.raises(PermissionDenied):
        await client.request("POST", "/x", json={"a": 1})
    with pytest.raises(PermissionDenied):
        await client.request("DELETE", "/x", effect=Effect.DESTROY)
    assert server.requests == []
    assert (await client.request("POST", "/x", effect=Effect.READ, json={"a": 1})).json() is None
    with open_door():
        done = await client.request("POST", "/x", data={"b": "é&"})
    assert done.status == 204
    assert [request.body for request in server.requests] == [b'{"a":1}', b"b=%C3%A9%26"]
    assert server.requests[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html><title>Sign in</title>", "text/html"),
        (b"  \n<!DOCTYPE html>", "application/json"),
        (b'{"a": [1, 2', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b"", "application/json"),
    ],
)
async def test_not_json(bench: Any, body: bytes, kind: str) -> None:
    """A web page, cut, absurdly deep, undecodable or missing JSON with status 200 is a VendorError."""
    server = await bench.server(always(answer(body=body, content_type=kind)))
    with pytest.raises(VendorError) as caught:
        await bench.client(server).get_json("/v2/devices", params={"api_key": "canary-1"})
    assert "rmm: GET /v2/devices" in caught.value.message
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, VendorRefused),
        (401, AuthenticationFailed),
        (403, VendorRefused),
        (404, VendorRefused),
        (409, VendorRefused),
        (304, VendorError),
        (501, VendorUnavailable),
    ],
)
async def test_refusals_hold_the_vendors_words(
    bench: Any, status: int, error: type[MspError]
) -> None:
    """A refusal keeps status and message of the vendor, without control characters, and is not retried."""
    said = json.dumps(
        {"resultCode": "FAILURE", "errorMessage": {"code": "no\x1b[31m\nway"}}
    ).encode()
    server = await bench.server(always(answer(status=status, body=b"" if status == 304 else said)))
    with pytest.raises(error) as caught:
        await bench.client(server).get("/v2/device/7")
    assert str(status) in caught.value.message
    assert caught.value.details["status"] == status
    assert "\x1b" not in caught.value.message
    if status != 304:
        assert "no [31m way" in caught.value.message
    assert len(server.requests) == 1


async def test_transient_failures_are_retried(bench: Any) -> None:
    """A GET survives a 503, a dropped connection and a cut body."""
    steps = iter(
        [
            answer(status=503),
            None,
            answer(body=b'{"ok"', Content_Length="50"),
            answer(body=b'{"ok": true}'),
        ]
    )

    async def handle(_request: Any, writer: Any) -> bytes | None:
        said = next(steps)
        if said is not None and b"Content-Length: 50" in said:
            writer.write(said)
            await writer.drain()
            return None
        return said

    server = await bench.server(handle)
    client = bench.client(server)
    assert await client.get_json("/") == {"ok": True}
    assert len(server.requests) == 4
    assert (client.counters.requests, client.counters.retries) == (4, 3)


async def test_a_post_is_not_repeated_after_it_may_have_acted(bench: Any) -> None:
    """A POST whose connection drops is sent once, unless the caller calls it idempotent."""
    server = await bench.server(always(None))
    client = bench.client(server)
    with pytest.raises(VendorUnavailable, match="closed the connection"):
        await client.request("POST", "/run", effect=Effect.READ)
    assert len(server.requests) == 1
    with pytest.raises(VendorUnavailable):
        await client.request("POST", "/run", effect=Effect.READ, idempotent=True)
    assert len(server.requests) == 5


async def test_truncated_for_ever_is_an_error(bench: Any) -> None:
    """A body shorter than declared is never taken for an answer."""

    async def handle(_request: Any, writer: Any) -> bytes | None:
        writer.write(answer(body=b"[1, 2]", Content_Length="500"))
        await writer.drain()
        return None

    server = await bench.server(handle)
    with pytest.raises(VendorError, match="cut its answer off"):
        await bench.client(server).get("/")


async def test_slow_answers_time_out(bench: Any) -> None:
    """A server that dribbles its body is given up after the time for the whole exchange."""

    async def handle(_request: Any, writer: Any) -> bytes | None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)
        return None

    server = await bench.server(handle)
    client = bench.client(server, timeout_s=0.3)
    start = asyncio.get_running_loop().time()
    with pytest.raises(VendorUnavailable, match=r"no complete answer within 0\.3 s \(4 tries\)"):
        await client.get("/")
    assert asyncio.get_running_loop().time() - start < 15  # four whole answers take 20 s
    start = asyncio.get_running_loop().time()
    with pytest.raises(VendorUnavailable, match=r"within 0\.1 s"):
        await client.request("POST", "/", effect=Effect.READ, timeout_s=0.1)
    assert asyncio.get_running_loop().time() - start < 4


async def test_nobody_listens(bench: Any) -> None:
    """A refused connection says so and counts as unavailable."""
    with pytest.raises(VendorUnavailable, match="could not be reached"):
        await bench.client("http://127.0.0.1:9").get("/")


async def test_limits_are_waited_for(bench: Any) -> None:
    """After a 429 every request of the instance pauses as long as the vendor asks."""
    times: list[float] = []
    loop = asyncio.get_running_loop()

    async def handle(_request: Any, _writer: Any) -> bytes:
        times.append(loop.time())
        return answer(status=429, Retry_After="1") if len(times) <= 2 else answer()

    server = await bench.server(handle)
    client = bench.client(server, concurrency=2)
    await asyncio.gather(*(client.get("/") for _ in range(6)))
    assert times[2] - times[0] >= 0.99
    assert client.counters.limited == 2
    assert len(times) == 8


async def test_a_long_pause_is_the_callers_business(bench: Any) -> None:
    """A Retry-After beyond the cap fails at once and says how long the vendor wants to rest."""
    server = await bench.server(always(answer(status=429, Retry_After="7200")))
    with pytest.raises(RateLimited) as caught:
        await bench.client(server).get("/")
    assert caught.value.details["retry_after_s"] == 7200
    assert len(server.requests) == 1


async def test_huge_bodies_are_cut(bench: Any) -> None:
    """More bytes than the cap are refused, declared or not, and not read to the end."""
    chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
    sent = 0

    async def endless(_request: Any, writer: Any) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while sent < 100_000_000:
            writer.write(chunk)
            sent += len(chunk)
            await writer.drain()

    server = await bench.server(endless)
    client = bench.client(server, max_response_bytes=100_000)
    with pytest.raises(VendorError, match="100,000 bytes"):
        await client.get("/")
    assert sent < 50_000_000
    declared = await bench.server(always(answer(body=b"x" * 200_000)))
    with pytest.raises(VendorError, match="100,000 bytes"):
        await bench.client(declared, max_response_bytes=100_000).get("/")


async def test_gzip(bench: Any) -> None:
    """Compressed answers are unpacked, in several members too; a cut or broken one is an error."""
    packed = gzip.compress(b'{"rows": ') + gzip.compress(b"[1]}") + b"\0" * 8
    server = await bench.server(always(answer(body=packed, Content_Encoding="gzip")))
    assert await bench.client(server).get_json("/") == {"rows": [1]}
    assert server.requests[0].headers["accept-encoding"] == "gzip"
    cut = gzip.compress(bytes(range(256)) * 40)[:-20]
    server = await bench.server(always(answer(body=cut, Content_Encoding="gzip")))
    with pytest.raises(VendorError, match="cut its answer off"):
        await bench.client(server).get("/")
    server = await bench.server(always(answer(body=b"nonsense", Content_Encoding="gzip")))
    with pytest.raises(VendorError, match="cannot be unpacked"):
        await bench.client(server).get("/")
    server = await bench.server(always(answer(Content_Encoding="br")))
    with pytest.raises(VendorError, match="content encoding 'br'"):
        await bench.client(server).get("/")


async def test_gzip_bomb(bench: Any) -> None:
    """A small body that unpacks to a huge one stops at the cap."""
    engine = zlib.compressobj(9, wbits=31)
    bomb = b"".join(engine.compress(b"\0" * 1_000_000) for _ in range(200)) + engine.flush()
    assert len(bomb) < 500_000
    server = await bench.server(always(answer(body=bomb, Content_Encoding="gzip")))
    with pytest.raises(VendorError, match="1,000,000 bytes"):
        await bench.client(server, max_response_bytes=1_000_000).get("/")


async def test_redirects_stay_inside(bench: Any) -> None:
    """A redirect on the same origin is followed for reads; credentials never go elsewhere."""
    outside = await bench.server(always(answer(body=b'"stolen"')))

    async def handle(request: Any, _writer: Any) -> bytes:
        where = {"/old": "/new", "/loop": "/loop", "/out": outside.url + "/x"}.get(request.target)
        return answer() if where is None else answer(status=302, Location=where)

    server = await bench.server(handle)
    client = bench.client(server, headers={"X-Api-Key": "canary"})
    assert (await client.get("/old")).status == 200
    for path in ("/out", "/loop"):
        with pytest.raises(VendorError, match=r"302|another address"):
            await client.get(path)
    with pytest.raises(VendorError):
        await client.request("POST", "/old", effect=Effect.READ)
    assert outside.requests == []


async def test_absolute_urls_of_the_same_origin(bench: Any) -> None:
    """A next-page link is taken as it is on the same origin and refused elsewhere."""
    server = await bench.server(always(answer()))
    client = bench.client(server)
    await client.get(server.url + "/v2/x?cursor=a%2Fb")
    assert server.requests[0].target == "/v2/x?cursor=a%2Fb"
    for url in ("http://127.0.0.1:9/x", "https://evil.example/", "http://u@127.0.0.1/"):
        with pytest.raises(VendorError):
            await client.get(url)


@pytest.mark.parametrize(
    "path", ["v2", "/a b", "/a/../b", "/a/%2e%2e/b", "/a?x=1", "/a#b", "/a\r\nX: y", "/é", "/.."]
)
async def test_hostile_paths(bench: Any, path: str) -> None:
    """A path that an id could have twisted is not sent."""
    server = await bench.server(always(answer()))
    with pytest.raises(VendorError):
        await bench.client(server).get(path)
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "vendor.example",
        "ftp://vendor.example",
        "http://vendor.example",
        "https://user:canary-pw@vendor.example",
        "https://vendor.example/?key=canary-pw",
        "https://vendor.example:99999",
        "https://[::1",
        "https://",
    ],
)
async def test_unusable_base_urls(bench: Any, url: str) -> None:
    """A base URL that is no safe address is a configuration error that does not repeat it."""
    with pytest.raises(ConfigError) as caught:
        bench.client(url)
    assert "canary" not in str(caught.value.as_dict())


async def test_concurrency_is_bounded(bench: Any) -> None:
    """No more requests than allowed are under way, and waiting for a turn takes none of their time."""

    async def handle(_request: Any, _writer: Any) -> bytes:
        await asyncio.sleep(0.1)
        return answer()

    server = await bench.server(handle)
    client = bench.client(server, concurrency=4, timeout_s=1.2)
    await asyncio.gather(*(client.get("/") for _ in range(60)))
    assert server.most_open == 4


def make_certificate(tmp_path: Any) -> tuple[Any, Any]:
    made = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, made.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(made, hashes.SHA256())
    )
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.write_bytes(made.private_bytes(*plain))
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    return key, certificate


async def test_tls_is_verified(bench: Any, tmp_path: Any) -> None:
    """A server whose certificate nobody vouches for is refused once; verify_tls=False takes it."""
    key, certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(body=b"1"))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        with pytest.raises(VendorUnavailable, match="could not be trusted") as caught:
            await bench.client(url).get("/")
        assert "ca_bundle" in caught.value.suggestion
        assert await bench.client(url, verify_tls=False).get_json("/") == 1
        trusting = type(bench.clients)(bench.clients.settings, str(certificate))
        assert await trusting.client(instance="x", base_url=url).get_json("/") == 1
        await trusting.aclose()
    with pytest.raises(ConfigError, match="ca_bundle"):
        type(bench.clients)(bench.clients.settings, str(tmp_path / "none")).client(
            instance="x", base_url=url
        )


async def test_circuit_opens_and_closes(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead vendor is soon not asked any more; other instances go on; it is found when it is back."""
    up = False

    async def handle(_request: Any, _writer: Any) -> bytes:
        return answer() if up else answer(status=500)

    server = await bench.server(handle)
    client, other = bench.client(server), bench.client(server, instance="other")
    for _ in range(12):
        with pytest.raises(VendorUnavailable):
            await client.request("POST", "/", effect=Effect.READ)
    assert len(server.requests) == 10
    with pytest.raises(
        VendorUnavailable, match=r"was not sent.* in a row; the last time it answered 500"
    ):
        await client.request("POST", "/", effect=Effect.READ)
    with pytest.raises(VendorUnavailable, match="answered 500"):
        await other.request("POST", "/", effect=Effect.READ)
    up = True
    breaker = bench.clients._hosts["rmm", server.url].breaker
    breaker._open_until = 0.0
    assert (await client.get("/")).status == 200
    assert (await client.get("/")).status == 200


async def test_an_open_circuit_repeats_the_reason_without_secrets(bench: Any) -> None:
    """Who is refused later reads why, and not what was sent by those who failed."""

    async def handle(_request: Any, _writer: Any) -> bytes:
        return answer(body=b'{"message": "no disk for canary-header-2"}', status=503)

    client = bench.client(await bench.server(handle))
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(VendorUnavailable):
            await client.request(
                "POST", "/", effect=Effect.READ, headers={"x-api-key": "canary-header-2"}
            )
    with pytest.raises(VendorUnavailable, match=r"was not sent.*answered 503: no disk") as caught:
        await client.request("POST", "/", effect=Effect.READ)
    assert "canary" not in str(caught.value.as_dict())


async def test_no_secret_leaves(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Neither errors, their chains, tracebacks nor logs hold a token, a query credential or a body."""
    caplog.set_level(logging.DEBUG)
    canaries = ["canary-query-1", "canary-header-2", "canary-body-3"]
    echoed = json.dumps({"message": "bad key canary-query-1 for canary-header-2, canary-body-3"})

    async def handle(request: Any, writer: Any) -> bytes | None:
        return {
            "/echo": answer(status=400, body=echoed.encode()),
            "/fail": answer(status=500, body=echoed.encode()),
            "/limit": answer(status=429, body=echoed.encode(), Retry_After="999"),
            "/html": answer(body=b"<html>" + echoed.encode(), content_type="text/html"),
            "/bad": b"canary-query-1 nonsense\r\n\r\n",
        }.get(request.target.partition("?")[0])

    server = await bench.server(handle)
    client = bench.client(server, headers={"Authorization": "Bearer canary-header-2"})

    async def send(path: str) -> None:
        response = await client.request(
            "POST",
            path,
            effect=Effect.READ,
            params={"api_key": canaries[0]},
            json={"password": canaries[2]},
        )
        assert "canary" not in repr(response)
        response.json()

    for path in ("/echo", "/fail", "/limit", "/html", "/bad", "/gone"):
        with pytest.raises(MspError) as caught:
            await send(path)
        text = "".join(traceback.format_exception(caught.value)) + str(caught.value.as_dict())
        assert caught.value.__context__ is None
        for canary in canaries:
            assert canary not in text, path
    for canary in canaries:
        assert canary not in caplog.text


async def test_cancelling_gives_everything_back(bench: Any) -> None:
    """A cancelled request frees its slot and leaves the circuit as it was."""

    async def handle(_request: Any, _writer: Any) -> bytes:
        if len(server.requests) == 1:
            await asyncio.sleep(5)
        return answer()

    server = await bench.server(handle)
    client = bench.client(server, concurrency=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.get("/")
    assert (await client.get("/")).status == 200


async def test_proxy(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go through the configured proxy with its login, and through none from the environment."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    direct = await bench.server(always(answer(body=b"1")))
    assert await bench.client(direct).get_json("/") == 1
    proxy = await bench.server(always(answer(body=b"2")))
    address = proxy.url.replace("http://", "http://me:canary-proxy@")
    proxied = type(bench.clients)(HttpSettings(proxy=address))
    client = proxied.client(instance="x", base_url=direct.url)
    assert await client.get_json("/y", params={"a": "b"}) == 2
    assert proxy.requests[0].target == f"{direct.url}/y?a=b"
    assert "proxy-authorization" in proxy.requests[0].headers
    await proxied.aclose()
    for wrong in ("nonsense", "http://", "ftp://canary@x"):
        with pytest.raises(ConfigError) as caught:
            type(bench.clients)(HttpSettings(proxy=wrong)).client(instance="x", base_url=direct.url)
        assert "canary" not in str(caught.value.as_dict())


async def test_a_short_open_circuit_is_waited_for(bench: Any) -> None:
    """A request that meets a circuit about to close waits for it; one that might have acted does not."""
    server = await bench.server(always(answer()))
    client = bench.client(server)
    await client.get("/")
    breaker = bench.clients._hosts["rmm", server.url].breaker
    for _ in range(FAILURES_TO_OPEN):
        breaker.leave(breaker.enter(), ok=False)
    breaker._open_until = clock() + 0.3
    with pytest.raises(VendorUnavailable, match="was not sent"):
        await client.request("POST", "/", effect=Effect.READ)
    results = await asyncio.gather(*(client.get("/") for _ in range(5)))
    assert [one.status for one in results] == [200] * 5


async def test_plain_http_beyond_this_machine(bench: Any) -> None:
    """http:// to another machine is a decision of the configuration."""
    allowed = type(bench.clients)(HttpSettings(allow_plain_http=True))
    allowed.client(instance="x", base_url="http://vendor.example")
    await allowed.aclose()


async def test_a_proxy_for_tls(bench: Any) -> None:
    """For https the proxy gets a CONNECT with its login; its refusal, or its absence, is told as such."""
    proxy = await bench.server(always(answer(status=403)))
    for address in (proxy.url.replace("http://", "http://me:pw12@"), "http://127.0.0.1:9"):
        proxied = type(bench.clients)(HttpSettings(proxy=address))
        client = proxied.client(instance="x", base_url="https://vendor.example")
        with pytest.raises(VendorUnavailable, match="through the configured proxy"):
            await client.request("POST", "/", effect=Effect.READ, idempotent=False)
        await proxied.aclose()
    assert proxy.requests[0].target == "vendor.example:443"
    assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")
    assert "authorization" not in {*proxy.requests[0].headers} - {"proxy-authorization"}

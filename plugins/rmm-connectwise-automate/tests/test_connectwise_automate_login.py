"""Login and refresh: what is sent, when, and how long a token is trusted."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from msp_core.v1 import AuthenticationFailed, CredentialError, VendorError
from msp_http.api import Response, Token
from msp_rmm_connectwise_automate.login import Login, passcode
from msp_rmm_connectwise_automate.settings import AutomateSettings, server_root

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


class Env:
    """An instance with credentials."""

    instance = "rmm"

    def __init__(self, **secrets: str) -> None:
        self.settings = AutomateSettings(api_url="https://cwa.example")
        self.secrets = {"username": "api", "password": "pass-canary", **secrets}
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    async def secret(self, name: str) -> Any:
        if name not in self.secrets:
            raise CredentialError(f"The credential rmm/{name} is not set.")

        class Revealed:
            def reveal(self, value: str = self.secrets[name]) -> str:
                return value

        return Revealed()


class Server:
    """Answers logins with what it is given, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Any, Any]] = []

    async def request(
        self, method: str, path: str, *, json: Any = None, headers: Any = None, **_: Any
    ) -> Response:
        self.asked.append((path, json, headers))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(body: Any, there: datetime = NOW) -> Response:
    headers = {"content-type": "application/json", "date": format_datetime(there, usegmt=True)}
    return Response(
        status=200, headers=headers, body=json.dumps(body).encode(), request="POST /apitoken"
    )


def token(text: str, expires: Any) -> Response:
    return answer({"AccessToken": text, "ExpirationDate": expires, "IsTwoFactorRequired": False})


def log_in(login: Login, server: Server) -> Token:
    return asyncio.run(login.authenticate(server))  # type: ignore[arg-type]


def test_a_login_and_its_lifetime() -> None:
    """The token's lifetime is counted by the server's clock, even where ours is wrong."""
    server = Server(token("t1", "2026-01-15T13:00:00Z"))
    env = Env()
    env.time = NOW + timedelta(days=40)
    found = log_in(Login(env), server)
    assert found.headers == {"Authorization": "Bearer t1"}
    assert found.lifetime == timedelta(hours=1)
    assert server.asked == [("/apitoken", {"UserName": "api", "Password": "pass-canary"}, None)]
    assert "t1" not in repr(found)


@pytest.mark.parametrize(
    "expires",
    [None, "", "soon", "2026-01-15T13:00:00", "2026-01-15T11:00:00Z", "2036-01-15T11:00:00Z"],
)
def test_a_date_that_cannot_be_trusted(expires: Any) -> None:
    """A missing date, one without a zone and one out of reason mean: use the token until it is refused."""
    assert log_in(Login(Env()), Server(token("t1", expires))).lifetime is None


def test_a_token_near_its_end_is_refreshed() -> None:
    """Near its end the token itself buys the next one: a bare JSON string, no password."""
    env = Env()
    server = Server(token("t1", "2026-01-15T13:00:00Z"), token("t2", "2026-01-15T14:00:00Z"))
    login = Login(env)
    log_in(login, server)
    env.time += timedelta(minutes=55)
    assert log_in(login, server).headers == {"Authorization": "Bearer t2"}
    assert server.asked[1] == ("/apitoken/refresh", "t1", {"Authorization": "Bearer t1"})


@pytest.mark.parametrize(
    "failure",
    [AuthenticationFailed("no"), VendorError("no"), answer([]), answer({"AccessToken": ""})],
)
def test_a_refresh_that_fails_becomes_a_login(failure: Any) -> None:
    """Whatever is wrong with the refresh, a full login follows."""
    env = Env()
    server = Server(
        token("t1", "2026-01-15T13:00:00Z"), failure, token("t3", "2026-01-15T14:00:00Z")
    )
    login = Login(env)
    log_in(login, server)
    env.time += timedelta(minutes=55)
    assert log_in(login, server).headers == {"Authorization": "Bearer t3"}
    assert [path for path, _, _ in server.asked] == ["/apitoken", "/apitoken/refresh", "/apitoken"]


def test_a_refused_token_is_not_refreshed() -> None:
    """A token refused in the middle of its life is worthless, so the login is a full one."""
    server = Server(token("t1", "2026-01-15T13:00:00Z"), token("t2", "2026-01-15T13:00:00Z"))
    login = Login(Env())
    log_in(login, server)
    log_in(login, server)
    assert [path for path, _, _ in server.asked] == ["/apitoken", "/apitoken"]


@pytest.mark.parametrize("given", [{}, {"two_factor": SEED}])
def test_a_second_factor_pending(given: dict[str, str]) -> None:
    """200 without a token is a refusal, whether no passcode was given or a wrong one."""
    server = Server(answer({"AccessToken": None, "IsTwoFactorRequired": True}))
    with pytest.raises(AuthenticationFailed, match="second factor") as caught:
        log_in(Login(Env(**given)), server)
    assert SEED not in str(caught.value.as_dict())
    assert ("TwoFactorPasscode" in server.asked[0][1]) == bool(given)


def test_no_token_and_no_reason() -> None:
    """An accepted login without a token is a refusal; an answer that is no object is a vendor error."""
    with pytest.raises(AuthenticationFailed, match="no token"):
        log_in(Login(Env()), Server(answer({"AccessToken": None})))
    with pytest.raises(VendorError, match="not a token"):
        log_in(Login(Env()), Server(answer("token")))


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
    ],
)
def test_passcodes_from_a_seed(seconds: int, code: str) -> None:
    """The test vectors of RFC 6238, cut to six digits."""
    assert passcode(SEED, datetime.fromtimestamp(seconds, UTC)) == code
    assert (
        passcode("gezd gnbv gy3t qojq gezd gnbv gy3t qojq", datetime.fromtimestamp(seconds, UTC))
        == code
    )


def test_a_passcode_is_taken_as_it_is() -> None:
    """Digits are a passcode; what is neither digits nor base32 is refused without quoting it."""
    assert passcode("123 456", NOW) == "123456"
    with pytest.raises(CredentialError) as caught:
        passcode("not-base32-1890", NOW)
    assert "1890" not in str(caught.value.as_dict())


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("https://x.hostedrmm.com", "https://x.hostedrmm.com"),
        ("x.hostedrmm.com/cwa/api/v1/", "https://x.hostedrmm.com"),
        ("https://x.example:8443/cwa", "https://x.example:8443"),
        ("https://x.example/labtech/CWA/API", "https://x.example/labtech"),
    ],
)
def test_addresses(text: str, root: str) -> None:
    """The API path people paste along is taken off."""
    assert server_root(text) == root
    AutomateSettings(api_url=text)


@pytest.mark.parametrize("text", ["", "ftp://x", "https://", "http://[::1"])
def test_impossible_addresses(text: str) -> None:
    """What is no address is refused when the configuration is read."""
    with pytest.raises(ValueError, match="is no address"):
        AutomateSettings(api_url=text)

"""Authenticated callers of the two simulators."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from msp_lab.server import Lab
from msp_lab.testing import lab as lab
from msp_lab.testing import vendor_specs as vendor_specs


class Caller:
    """Calls one vendor with a token and decodes what comes back."""

    def __init__(self, session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        self.session, self.url, self.headers = session, url, headers

    async def call(
        self, method: str, path: str, params: Mapping[str, Any] | None = None, **rest: Any
    ) -> tuple[int, Any]:
        async with self.session.request(
            method, self.url + path, params=params, headers=self.headers, **rest
        ) as answer:
            text = await answer.text()
            decoded = await answer.json() if text and "json" in answer.content_type else text
            return answer.status, decoded

    async def get(self, path: str, **params: Any) -> Any:
        status, decoded = await self.call("GET", path, params)
        assert status == 200, decoded
        return decoded


async def ninjaone_caller(
    session: aiohttp.ClientSession, lab: Lab, url: str | None = None, scope: str | None = None
) -> Caller:
    base = url or lab.ninjaone_url
    form = {
        "grant_type": "client_credentials",
        "client_id": lab.credentials["ninjaone/client_id"],
        "client_secret": lab.credentials["ninjaone/client_secret"],
        "scope": scope or "monitoring management control",
    }
    async with session.post(f"{base}/ws/oauth/token", data=form) as answer:
        assert answer.status == 200, await answer.text()
        token = (await answer.json())["access_token"]
    return Caller(session, f"{base}/v2", {"Authorization": f"Bearer {token}"})


async def automate_caller(
    session: aiohttp.ClientSession, lab: Lab, url: str | None = None
) -> Caller:
    base = f"{url or lab.automate_url}/cwa/api/v1"
    headers = {"clientId": lab.credentials["automate/client_id"]}
    body = {
        "UserName": lab.credentials["automate/username"],
        "Password": lab.credentials["automate/password"],
    }
    async with session.post(f"{base}/apitoken", json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        token = (await answer.json())["AccessToken"]
    return Caller(session, base, {**headers, "Authorization": f"Bearer {token}"})


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def ninjaone(session: aiohttp.ClientSession, lab: Lab) -> Caller:
    return await ninjaone_caller(session, lab)


@pytest.fixture
async def automate(session: aiohttp.ClientSession, lab: Lab) -> Caller:
    return await automate_caller(session, lab)


@pytest.fixture
def log_in_ninjaone() -> Any:
    return ninjaone_caller


@pytest.fixture
def log_in_automate() -> Any:
    return automate_caller

"""A NinjaOne adapter against the lab, without the rest of the toolkit."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import define, field, frozen

from msp_core.v1 import CredentialError, Device, FactQuery, OsFamily, Secret, Target
from msp_http.service import Clients
from msp_http.settings import HttpSettings
from msp_lab.testing import Lab, running_lab
from msp_lab.testing import vendor_specs as vendor_specs
from msp_rmm_ninjaone.adapter import NinjaOne, create
from msp_rmm_ninjaone.settings import NinjaOneSettings

START = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)


@define
class Env:
    """What the kernel gives an adapter."""

    settings: NinjaOneSettings
    secrets: dict[str, str]
    clients: Clients = field(factory=lambda: Clients(HttpSettings()))
    instance: str = "ninja"

    async def secret(self, name: str) -> Secret:
        if name not in self.secrets:
            message = f"The credential {self.instance}/{name} is not set."
            raise CredentialError(message)
        return Secret(self.secrets[name])

    async def get(self, _service: type[Any]) -> Any:
        return self.clients

    def now(self) -> datetime:
        return START


@frozen
class Ctx:
    """The part of a Context that adapters use."""

    def now(self) -> datetime:
        return START


@pytest.fixture
def ctx() -> Ctx:
    """A context."""
    return Ctx()


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """A small lab whose time stands still."""
    async with running_lab(clients=6, devices=84, seed=3, start=START) as started:
        started.control.advance(hours=30)
        yield started


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Any]]:
    """Make adapters for an address, and close them."""
    made: list[NinjaOne] = []

    async def build(url: str, secrets: dict[str, str] | None = None, **settings: Any) -> NinjaOne:
        given = {"client_id": "id-1", "client_secret": "canary-secret-1"}
        env = Env(NinjaOneSettings(api_url=url, **settings), given if secrets is None else secrets)
        adapter = await create(env)
        made.append(adapter)
        return adapter

    yield build
    for adapter in made:
        await adapter.aclose()


@pytest.fixture
async def adapter(lab: Lab, make: Callable[..., Any]) -> NinjaOne:
    """An adapter of the lab with small pages."""
    built: NinjaOne = await make(lab.ninjaone_url, lab_secrets(lab), page_size=7)
    return built


@pytest.fixture
def secrets_of() -> Callable[[Lab], dict[str, str]]:
    """Give the credentials of a lab."""
    return lab_secrets


def lab_secrets(lab: Lab) -> dict[str, str]:
    return {name: lab.credentials[f"ninjaone/{name}"] for name in ("client_id", "client_secret")}


@pytest.fixture
def query() -> Callable[..., FactQuery]:
    """Ask about devices the adapter has listed."""

    def build(devices: Sequence[Any], *, requests: Any = None, facts: Any = ()) -> FactQuery:
        targets = tuple(
            Target(
                Device(id=f"c/{one.external_id}", client_id="c", name=one.name, os=one.os),
                one.external_id,
            )
            for one in devices
        )
        return FactQuery(
            facts=frozenset(facts),
            targets=targets,
            client_external_ids=tuple(sorted({one.client_external_id for one in devices})),
            requests=requests or {},
        )

    return build


@pytest.fixture
def windows() -> OsFamily:
    """The family that has services and a probe."""
    return OsFamily.WINDOWS


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little between tries; how long it really is has tests of its own."""
    monkeypatch.setattr("msp_http.retry.FIRST_DELAY_S", 0.02)

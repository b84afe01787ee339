"""The clients service on both databases."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from msp_clients.api import Clients, Entry, NewClient
from msp_clients.tables import ClientRow, ConfigurationRow
from msp_core.v1 import (
    ClientNotFound,
    ClientStatus,
    Conflict,
    InvalidParameters,
    PermissionDenied,
    Scope,
    Tier,
    Toolkit,
)
from msp_store.api import Store
from msp_store.testing import assert_tables_match

pytestmark = pytest.mark.anyio


async def test_tables_are_as_migrated(each_toolkit: Toolkit) -> None:
    """Models and migrations agree."""
    await assert_tables_match(await each_toolkit.get(Store), ClientRow, ConfigurationRow)


async def test_life_of_a_client(each_toolkit: Toolkit) -> None:
    """Create, get, update, delete, restore; each change is an event."""
    ctx, clients = each_toolkit.context(), await each_toolkit.get(Clients)
    made = await clients.create(
        ctx,
        name="  Acme Corp ",
        contact_email="john@acmecorp.com",
        tier=Tier.PREMIUM,
        tags=("HIPAA",),
        notes="Call first\nthen come",
    )
    assert (made.id, made.name, made.tags) == ("acme-corp", "Acme Corp", ("hipaa",))
    assert await clients.get(ctx, "acme-corp") == made
    assert await clients.get(ctx, "Acme Corp") == made
    with pytest.raises(Conflict) as caught:
        await clients.create(ctx, name="ACME corp")
    assert "client update acme-corp'" in caught.value.suggestion
    assert caught.value.suggestion.endswith("--id acme-corp-2")
    await clients.create(ctx, name="Acme Corp", id="acme-corp-2")
    with pytest.raises(Conflict, match="already: acme-corp") as caught:
        await clients.create(ctx, name="Acme Corp")
    assert caught.value.suggestion.endswith("--id acme-corp-3")
    changed = await clients.update(ctx, made.id, name="Acme Inc", status=ClientStatus.SUSPENDED)
    assert (changed.id, changed.name, changed.notes) == ("acme-corp", "Acme Inc", made.notes)
    assert await clients.get(ctx, "acme-corp") == changed
    await clients.delete(ctx, "acme-corp")
    with pytest.raises(ClientNotFound):
        await clients.get(ctx, "acme-corp")
    assert [one.id for one in (await clients.list(ctx)).items] == ["acme-corp-2"]
    assert (await clients.create(ctx, name="Acme: Corp")).id == "acme-corp-3"
    assert (await clients.restore(ctx, "acme-corp")).deleted_at is None
    assert (await clients.get(ctx, "acme-corp")).name == "Acme Inc"
    store = await each_toolkit.get(Store)
    names = await store.read(lambda tx: _event_names(tx))
    assert names == [
        "client.created",
        "client.created",
        "client.updated",
        "client.deleted",
        "client.created",
        "client.restored",
    ]


def _event_names(tx: Any) -> list[str]:
    tables = tx.db.get_tables()
    table = next(name for name in tables if "outbox" in name or "event" in name)
    return [row[0] for row in tx.db.execute_sql(f'SELECT name FROM "{table}" ORDER BY id')]


async def test_names_that_attack_are_only_names(each_toolkit: Toolkit) -> None:
    """Quotes, paths, Arabic, wildcards and 300 characters are stored as they are and found again."""
    ctx, clients = each_toolkit.context(), await each_toolkit.get(Clients)
    names = ['../../x"; DROP TABLE', "شركة النور", "ab" * 150, "100% _real_ \\ co", "'; --", "🦊"]
    for name in names:
        made = await clients.create(ctx, name=name)
        assert (await clients.get(ctx, made.id)).name == name
        found = await clients.list(ctx, search=name)
        assert [one.name for one in found.items] == [name]
    assert (await clients.list(ctx)).total == len(names)
    assert [one.name for one in (await clients.list(ctx, search="%")).items] == [names[3]]


async def test_search_ignores_case_in_every_script(each_toolkit: Toolkit) -> None:
    """Both databases fold alike, beyond ASCII."""
    ctx, clients = each_toolkit.context(), await each_toolkit.get(Clients)
    await clients.create(ctx, name="ÄRZTEHAUS Straße", contact_email="Info@Example.org")
    for text in ("ärzte", "STRASSE", "info@example", "aerzte"):
        assert (await clients.list(ctx, search=text)).total == (text != "aerzte")


async def test_filters_and_pages(each_toolkit: Toolkit) -> None:
    """Filters combine; a page tells the number of all."""
    ctx, clients = each_toolkit.context(), await each_toolkit.get(Clients)
    tiers, statuses = list(Tier), list(ClientStatus)
    await clients.create_many(
        ctx,
        [
            NewClient(
                name=f"Client {number:02}",
                tier=tiers[number % 4],
                status=statuses[number % 3],
                tags=("even",) if number % 2 == 0 else ("odd", "evening"),
            )
            for number in range(24)
        ],
    )
    assert (await clients.list(ctx, tier=Tier.GOLD)).total == 6
    assert (await clients.list(ctx, tag="Even")).total == 12
    both = await clients.list(ctx, tier=Tier.GOLD, status=ClientStatus.ACTIVE, tag="even")
    assert [one.name for one in both.items] == ["Client 06", "Client 18"]
    page = await clients.list(ctx, limit=5, offset=20)
    assert [one.name for one in page.items] == [f"Client {n:02}" for n in range(20, 24)]
    assert page.total == 24
    assert (await clients.list(ctx, limit=0)).items == ()
    with pytest.raises(InvalidParameters):
        await clients.list(ctx, limit=-1)


async def test_not_found_names_the_nearest(toolkit: Toolkit) -> None:
    """The documented code and suggestion, and near ids inside the scope only."""
    ctx, clients = toolkit.context(), await toolkit.get(Clients)
    await clients.create(ctx, name="Acme Corp")
    with pytest.raises(ClientNotFound) as caught:
        await clients.get(ctx, "acme-crop")
    assert caught.value.details["nearest"] == ["acme-corp"]
    assert "Use client_list" in caught.value.suggestion
    await clients.create(ctx, name="Birchwood Dental")
    for part in ("birch", "Dental", "wood-d"):
        with pytest.raises(ClientNotFound) as caught:
            await clients.get(ctx, part)
        assert caught.value.details["nearest"] == ["birchwood-dental"]
    other = toolkit.context(scope=Scope(clients=frozenset({"globex"})))
    with pytest.raises(ClientNotFound) as caught:
        await clients.get(other, "acme-crop")
    assert caught.value.details["nearest"] == []


async def test_two_clients_of_one_name_must_be_told_apart(toolkit: Toolkit) -> None:
    """A name that two clients have is refused with their ids."""
    ctx, clients = toolkit.context(), await toolkit.get(Clients)
    await clients.create(ctx, name="Acme")
    await clients.create(ctx, name="Acme", id="acme-west")
    with pytest.raises(InvalidParameters) as caught:
        await clients.get(ctx, "Acme")
    assert caught.value.details["clients"] == ["acme", "acme-west"]
    with pytest.raises(Conflict):
        await clients.create(ctx, name="Other", id="acme")


async def test_no_method_shows_another_client(each_toolkit: Toolkit) -> None:
    """Each method, called in another client's scope, behaves as if the client did not exist."""
    ctx, clients = each_toolkit.context(), await each_toolkit.get(Clients)
    await clients.create(ctx, name="Acme Corp")
    await clients.create(ctx, name="Globex")
    await clients.set_config(ctx, "acme-corp", {"probes.allowed": True})
    foreign = each_toolkit.context(scope=Scope(clients=frozenset({"globex"})))
    assert [one.id for one in (await clients.list(foreign)).items] == ["globex"]
    assert (await clients.list(foreign, ids=["acme-corp"])).items == ()
    assert (await clients.list(foreign, search="acme", include_deleted=True)).total == 0
    for ref in ("acme-corp", "Acme Corp"):
        for call in (
            clients.get(foreign, ref),
            clients.update(foreign, ref, name="Mine"),
            clients.delete(foreign, ref),
            clients.restore(foreign, ref),
            clients.get_config(foreign, ref),
            clients.get_configs(foreign, [ref]),
            clients.set_config(foreign, ref, {"a": 1}),
        ):
            with pytest.raises(ClientNotFound):
                await call
    for call in (
        clients.create(foreign, name="Acme Corp"),
        clients.create(foreign, name="New", id="acme-corp"),
        clients.create_many(foreign, [NewClient(name="New")]),
        clients.merge(foreign, [Entry(line=1, fields={"id": "acme-corp", "name": "Mine"})]),
    ):
        with pytest.raises(PermissionDenied):
            await call
    assert (await clients.get(ctx, "acme-corp")).name == "Acme Corp"
    assert await clients.get_config(ctx, "acme-corp") == {"probes.allowed": True}


async def test_settings_of_a_client(each_toolkit: Toolkit) -> None:
    """Any JSON value comes back as it was; None removes; many clients take one query."""
    ctx, clients = each_toolkit.context(), await each_toolkit.get(Clients)
    for name in ("a", "b", "c"):
        await clients.create(ctx, name=name)
    values = {"x": 1, "y.z": [1, "two", None], "on": True, "text": "é\n", "f": 1.5, "o": {"k": {}}}
    await clients.set_config(ctx, "a", values)
    await clients.set_config(ctx, "b", {"x": 2})
    await clients.set_config(ctx, "a", {"on": None, "x": True})
    expected = {**values, "x": True}
    del expected["on"]
    found = await clients.get_config(ctx, "a")
    assert found == expected
    assert found["x"] is True
    assert await clients.get_configs(ctx, ["c", "b", "a"]) == {
        "c": {},
        "b": {"x": 2},
        "a": expected,
    }
    with pytest.raises(InvalidParameters):
        await clients.set_config(ctx, "a", {"bad": object()})
    with pytest.raises(InvalidParameters):
        await clients.set_config(ctx, "a", {"nan": float("nan")})


async def test_dry_run_and_read_only_record_nothing(each_toolkit: Toolkit) -> None:
    """The answer is what would be recorded, and nothing is."""
    clients = await each_toolkit.get(Clients)
    for flag in ("dry_run", "read_only"):
        ctx = each_toolkit.context(**{flag: True})
        assert (await clients.create(ctx, name="Acme Corp")).id == "acme-corp"
        assert (await clients.list(ctx)).total == 0
        with pytest.raises(ClientNotFound):
            await clients.update(ctx, "acme-corp", name="x")
    real = each_toolkit.context()
    await clients.create(real, name="Acme Corp")
    dry = each_toolkit.context(dry_run=True)
    await clients.delete(dry, "acme-corp")
    await clients.set_config(dry, "acme-corp", {"a": 1})
    assert (await clients.get(real, "acme-corp")).deleted_at is None
    assert await clients.get_config(real, "acme-corp") == {}


async def test_one_name_at_once_makes_one_client(each_toolkit: Toolkit) -> None:
    """Of writers that start together one makes the client; the others are told its id."""
    ctx, clients = each_toolkit.context(), await each_toolkit.get(Clients)
    made = await asyncio.gather(
        *(clients.create(ctx, name="Acme") for _ in range(20)), return_exceptions=True
    )
    refused = [one for one in made if isinstance(one, Conflict)]
    assert len(refused) == 19
    assert {one.details["client_id"] for one in refused} == {"acme"}
    assert [one.id for one in (await clients.list(ctx)).items] == ["acme"]


_WRITER = """
import asyncio, sys
from msp_core.v1 import Conflict, Toolkit
from msp_clients.api import Clients
async def main():
    refused = 0
    async with Toolkit.open(sys.argv[1]) as toolkit:
        clients = await toolkit.get(Clients)
        for number in range(25):
            try:
                await clients.create(toolkit.context(), name=f"Acme {number}")
            except Conflict:
                refused += 1
    sys.exit(100 + refused)
asyncio.run(main())
"""


async def test_two_processes_write_at_once(toolkit: Toolkit, tmp_path: Path) -> None:
    """Two processes adding clients of the same names make each once."""
    config = str(toolkit.config.path)
    runs = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", _WRITER, config)
        for _ in range(2)
    ]
    refused = [await run.wait() - 100 for run in runs]
    assert min(refused) >= 0
    assert sum(refused) == 25
    clients = await toolkit.get(Clients)
    assert (await clients.list(toolkit.context())).total == 25


async def test_list_takes_one_query(toolkit: Toolkit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred clients are one query, or two with a limit."""
    ctx, clients = toolkit.context(), await toolkit.get(Clients)
    await clients.create_many(ctx, [NewClient(name=f"Client {n}") for n in range(100)])
    import peewee

    asked: list[str] = []
    real = peewee.Database.execute_sql
    monkeypatch.setattr(
        peewee.Database,
        "execute_sql",
        lambda self, sql, *rest, **more: (asked.append(sql), real(self, sql, *rest, **more))[1],
    )
    assert len((await clients.list(ctx)).items) == 100
    assert len([sql for sql in asked if sql.startswith("SELECT")]) == 1
    asked.clear()
    assert (await clients.list(ctx, limit=10)).total == 100
    assert len([sql for sql in asked if sql.startswith("SELECT")]) == 2

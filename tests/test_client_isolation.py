"""No call returns another client's row: every tool and every method of every api, asked in the name of one client."""

import importlib
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from msp_core.errors import MspError
from msp_core.records import Effect, Tool
from msp_core.structure import plain
from msp_core.testing import isolated
from msp_core.toolkit import Toolkit
from msp_core.v1 import Context, Period, Scope

pytestmark = [pytest.mark.anyio]

OURS, THEIRS = "acme-corp", "birchwood-dental"
MARKS = ("birchwood", "cascade")
"""What the names and ids of other clients hold, and ours do not."""
_NOW = datetime.now(UTC)

NOTHING: dict[str, Any] = {}
TOOLS: dict[str, list[dict[str, Any]] | str] = {
    "alert.ack": [{"alert": "{their_alert}"}],
    "alert.list": [NOTHING, {"client": OURS}, {"client": THEIRS}],
    "alert.resolve": [{"alert": "{their_alert}"}],
    "alert.show": [{"alert": "{their_alert}"}, {"alert": "{our_alert}"}],
    "approval.approve": [{"plan": "x"}],
    "approval.deny": [{"plan": "x"}],
    "approval.list": [NOTHING, {"all": True}],
    "audit.export": [NOTHING],
    "audit.list": [NOTHING, {"client": THEIRS}],
    "audit.verify": [NOTHING],
    "change.list": [NOTHING, {"client": THEIRS}],
    "change.settle": [{"key": "x", "happened": True}],
    "client.add": [{"name": "Acme Two"}],
    "client.config": [{"client": THEIRS}, {"client": OURS}, {"client": THEIRS, "values": {"a": 1}}],
    "client.delete": [{"client": THEIRS}, {"client": "Birchwood Dental"}],
    "client.export": [NOTHING],
    "client.import": "reads a file of the caller's",
    "client.link": [{"client": THEIRS, "instance": "rmm", "external_id": "1"}],
    "client.list": [NOTHING, {"search": "birch"}, {"deleted": True}],
    "client.restore": [{"client": THEIRS}],
    "client.show": [{"client": THEIRS}, {"client": "birch"}, {"client": OURS}],
    "client.sync": [
        {"instances": ["rmm"]},
        {"client": THEIRS},
        {"instances": ["rmm"], "create": True},
    ],
    "client.update": [{"client": THEIRS, "notes": "x"}],
    "config.check": "shows the configuration, which has no client's rows",
    "config.schema": "shows no rows",
    "config.show": "shows the configuration, which has no client's rows",
    "credential.check": "shows adapters, not rows",
    "credential.delete": "secrets belong to adapters, not to clients",
    "credential.get": "secrets belong to adapters, not to clients",
    "credential.list": "secrets belong to adapters, not to clients",
    "credential.migrate": "secrets belong to adapters, not to clients",
    "credential.rotate-key": "secrets belong to adapters, not to clients",
    "credential.set": "secrets belong to adapters, not to clients",
    "db.migrate": "moves the whole database, for whoever may do that",
    "db.prune": [NOTHING],
    "db.status": [NOTHING],
    "db.upgrade": [NOTHING],
    "device.add": [{"client": THEIRS, "name": "x", "via": "rmm", "address": "y"}],
    "device.deploy-agent": [{"client": THEIRS}],
    "device.exec": [{"device": "{their_device}", "command": ["hostname"]}],
    "device.forget": [{"device": "{their_device}"}],
    "device.link": [{"device": "{their_device}", "instance": "rmm", "external_id": "1"}],
    "device.list": [NOTHING, {"client": THEIRS}, {"client": OURS}, {"search": "birch"}],
    "device.show": [{"device": "{their_device}"}, {"device": "{our_device}"}],
    "doctor": [NOTHING],
    "health.check": [{"client": THEIRS}, NOTHING, {"client": OURS}, {"resume": True}],
    "health.checks": [NOTHING, {"client": THEIRS}],
    "health.history": [
        {"client": THEIRS},
        {"client": OURS, "device": "{their_device}"},
        {"client": OURS},
    ],
    "health.status": [NOTHING, {"client": THEIRS}, {"client": OURS}],
    "init": "makes a workspace, reads no rows",
    "key.create": [{"name": "x"}],
    "key.list": [NOTHING, {"all": True}],
    "key.revoke": [{"key": "x"}],
    "key.rotate": [{"key": "x"}],
    "lab.advance": "steers the simulator, which is no client's system",
    "lab.down": "steers the simulator, which is no client's system",
    "lab.fault": "steers the simulator, which is no client's system",
    "lab.status": "steers the simulator, which is no client's system",
    "lab.up": "steers the simulator, which is no client's system",
    "mcp.config": "prints how the server is started",
    "mcp.serve": "serves; what it answers is tested call by call in its own plugin",
    "mcp.tools": "shows tools, not rows",
    "plugin.disable": "has no rows of clients",
    "plugin.enable": "has no rows of clients",
    "plugin.list": "has no rows of clients",
    "plugin.new": "has no rows of clients",
    "plugin.show": "has no rows of clients",
    "plugin.update": "has no rows of clients",
    "plugin.verify": "has no rows of clients",
}

Ask = Callable[[Any, Context, dict[str, str]], Any]
_WEEK = Period(_NOW - timedelta(days=7), _NOW + timedelta(days=1))
METHODS: dict[str, list[Ask] | str] = {
    "msp_access.api:Access.audit": [lambda s, c, _: s.audit(c)],
    "msp_access.api:Access.verify": [lambda s, c, _: s.verify(c)],
    "msp_access.api:Access.plans": [lambda s, c, _: s.plans(c)],
    "msp_access.api:Access.decide": [lambda s, c, _: s.decide(c, "x", approve=False)],
    "msp_access.api:Access.changes": [lambda s, c, _: s.changes(c)],
    "msp_access.api:Access.settle": [lambda s, c, _: s.settle(c, "x", happened=True)],
    "msp_access.api:KeyRing.issue": [
        lambda s, c, _: s.issue(c, "x", level="read", tools=(), clients=(), expires_at=None)
    ],
    "msp_access.api:KeyRing.list": [lambda s, c, _: s.list(c, all=True)],
    "msp_access.api:KeyRing.revoke": [lambda s, c, _: s.revoke(c, "x")],
    "msp_access.api:KeyRing.rotate": [lambda s, c, _: s.rotate(c, "x")],
    "msp_alerts.api:Alerts.list": [
        lambda s, c, _: s.list(c),
        lambda s, c, _: s.list(c, client_id=THEIRS),
    ],
    "msp_alerts.api:Alerts.get": [lambda s, c, n: s.get(c, n["their_alert"])],
    "msp_alerts.api:Alerts.acknowledge": [lambda s, c, n: s.acknowledge(c, n["their_alert"])],
    "msp_alerts.api:Alerts.resolve": [lambda s, c, n: s.resolve(c, n["their_alert"])],
    "msp_clients.api:KnowsDevices.client_devices": [
        lambda s, c, _: _reading(c, lambda tx: s.client_devices(tx, c, [OURS, THEIRS]))
    ],
    "msp_clients.api:KnowsHealth.last_checks": [
        lambda s, c, _: _reading(c, lambda tx: s.last_checks(tx, c, [OURS, THEIRS]))
    ],
    "msp_clients.api:KnowsSettings.check_settings": "judges settings the caller brings; reads no rows",
    "msp_clients.api:Clients.create": [
        lambda s, c, _: s.create(c, name="Birchwood Dental Two", id=THEIRS)
    ],
    "msp_clients.api:Clients.create_many": [lambda s, c, _: s.create_many(c, [])],
    "msp_clients.api:Clients.claim": "runs inside a transaction that another call has authorised",
    "msp_clients.api:Clients.merge": [lambda s, c, _: s.merge(c, [])],
    "msp_clients.api:Clients.get": [
        lambda s, c, _: s.get(c, THEIRS),
        lambda s, c, _: s.get(c, "Birchwood Dental"),
    ],
    "msp_clients.api:Clients.list": [
        lambda s, c, _: s.list(c),
        lambda s, c, _: s.list(c, ids=[THEIRS], include_deleted=True),
    ],
    "msp_clients.api:Clients.overview": [
        lambda s, c, _: s.overview(c, _wanted()),
        lambda s, c, _: s.overview(c, _wanted(ids=(THEIRS,), include_deleted=True)),
    ],
    "msp_clients.api:Clients.update": [lambda s, c, _: s.update(c, THEIRS, notes="x")],
    "msp_clients.api:Clients.delete": [lambda s, c, _: s.delete(c, THEIRS)],
    "msp_clients.api:Clients.restore": [lambda s, c, _: s.restore(c, THEIRS)],
    "msp_clients.api:Clients.get_config": [lambda s, c, _: s.get_config(c, THEIRS)],
    "msp_clients.api:Clients.get_configs": [lambda s, c, _: s.get_configs(c, [OURS])],
    "msp_clients.api:Clients.set_config": [lambda s, c, _: s.set_config(c, THEIRS, {"a": 1})],
    "msp_health.api:Health.run": [
        lambda s, c, _: s.run(c, client_ids=[THEIRS]),
        lambda s, c, _: s.run(c, client_ids=None),
        lambda s, c, _: s.run(c, resume=True),
    ],
    "msp_health.api:Health.results": [lambda s, c, n: s.results(c, n["run"], THEIRS)],
    "msp_health.api:Health.history": [
        lambda s, c, _: s.history(c, THEIRS, period=_WEEK),
        lambda s, c, n: s.history(c, OURS, period=_WEEK, device=n["their_device"]),
    ],
    "msp_health.api:Health.daily": [lambda s, c, _: s.daily(c, THEIRS, period=_WEEK)],
    "msp_health.api:Health.status": [lambda s, c, _: s.status(c, THEIRS)],
    "msp_health.api:Health.statuses": [lambda s, c, _: s.statuses(c, [OURS, THEIRS])],
    "msp_health.api:Health.checks": [lambda s, c, _: s.checks(c, THEIRS)],
    "msp_health.api:Health.configure": [lambda s, c, _: s.configure(c, THEIRS, _config())],
    "msp_inventory.api:Inventory.devices": [
        lambda s, c, _: s.devices(c, None, include_missing=True),
        lambda s, c, _: s.devices(c, THEIRS),
    ],
    "msp_inventory.api:Inventory.device": [lambda s, c, n: s.device(c, n["their_device"])],
    "msp_inventory.api:Inventory.device_links": [
        lambda s, c, n: s.device_links(c, n["their_device"])
    ],
    "msp_inventory.api:Inventory.sites": [lambda s, c, _: s.sites(c, THEIRS)],
    "msp_inventory.api:Inventory.site_link": [
        lambda s, c, _: s.site_link(c, f"{THEIRS}/main-office", "rmm")
    ],
    "msp_inventory.api:Inventory.targets": [lambda s, c, _: s.targets(c, [OURS, THEIRS])],
    "msp_inventory.api:Inventory.client_links": [lambda s, c, _: s.client_links(c, [OURS, THEIRS])],
    "msp_inventory.api:Inventory.client_by_link": [
        lambda s, c, n: s.client_by_link(c, "rmm", n["their_external"])
    ],
    "msp_inventory.api:Inventory.device_by_link": [
        lambda s, c, n: s.device_by_link(c, "rmm", n["their_device_link"])
    ],
    "msp_inventory.api:Inventory.link_client": [
        lambda s, c, _: s.link_client(c, THEIRS, "rmm", "9")
    ],
    "msp_inventory.api:Inventory.link_device": [
        lambda s, c, n: s.link_device(c, n["their_device"], "rmm", "9")
    ],
    "msp_inventory.api:Inventory.add_device": [
        lambda s, c, _: s.add_device(c, THEIRS, "x", instance="rmm", external_id="z")
    ],
    "msp_inventory.api:Inventory.forget_device": [
        lambda s, c, n: s.forget_device(c, n["their_device"])
    ],
    "msp_inventory.api:Inventory.missing": [lambda s, c, _: s.missing(c, [OURS, THEIRS])],
    "msp_inventory.api:Inventory.sync": [lambda s, c, _: s.sync(c, ["rmm"])],
    "msp_http.api:HttpClients.client": "speaks to vendors; has no rows",
    "msp_http.api:HttpClients.counters": "counts requests; has no rows",
    "msp_http.api:HttpClient.counters": "counts requests; has no rows",
    "msp_http.api:HttpClient.request": "speaks to vendors; has no rows",
    "msp_http.api:HttpClient.get": "speaks to vendors; has no rows",
    "msp_http.api:HttpClient.get_json": "speaks to vendors; has no rows",
    "msp_http.api:HttpClient.aclose": "has no rows",
    "msp_http.api:TokenRequester.request": "speaks to vendors; has no rows",
    "msp_http.api:Authenticator.authenticate": "speaks to vendors; has no rows",
    "msp_store.api:Store.*": "runs whatever a repository asks; the repositories are what is tested here",
    "msp_store.api:Tx.*": "runs whatever a repository asks",
    "msp_store.api:Outbox.deliver": [lambda s, c, _: s.deliver(c)],
    "msp_store.api:Migrator.*": "changes tables, has no rows",
}


async def _reading(ctx: Context, fn: Callable[[Any], Any]) -> Any:
    from msp_store.api import Store

    return await (await ctx.get(Store)).read(fn)


def _wanted(**wanted: Any) -> Any:
    from msp_clients.api import ClientFilter

    return ClientFilter(**wanted)


def _config() -> Any:
    from msp_health.api import HealthCheckConfig

    return HealthCheckConfig()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Let the module's fixture live in one loop."""
    return "asyncio"


@pytest.fixture(scope="module")
async def world(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Toolkit, dict[str, str]]]:
    """A workspace with a fleet of several clients, one sweep behind it, alerts open for ours and theirs."""
    folder = tmp_path_factory.mktemp("isolation")
    with isolated(folder):
        file = folder / "msp-toolkit.toml"
        file.write_text('[rmm]\nprovider = "mock"\n[health_checks.thresholds]\ndisk_percent = 1\n')
        async with Toolkit.open(file) as toolkit:
            await toolkit.call("client.sync", {"instances": ["rmm"], "create": True})
            run = await toolkit.call("health.check")
            names = {"run": str(run.run_id)}
            alerts = json.loads(
                json.dumps(plain(await toolkit.call("alert.list", {"limit": 10_000})))
            )["items"]
            for who, client in (("our", OURS), ("their", THEIRS)):
                names[f"{who}_alert"] = str(
                    next(
                        one["alert"]["id"] for one in alerts if one["alert"]["client_id"] == client
                    )
                )
                devices = await toolkit.call("device.list", {"client": client})
                names[f"{who}_device"] = devices.items[0].id
            from msp_inventory.api import Inventory

            inventory: Any = await toolkit.get(Inventory)
            links = await inventory.client_links(toolkit.context(), [THEIRS])
            names["their_external"] = links[THEIRS]["rmm"]
            device_links = await inventory.device_links(toolkit.context(), names["their_device"])
            names["their_device_link"] = device_links[0].external_id
            yield toolkit, names


def scoped(toolkit: Toolkit) -> Context:
    """Return a context that may only know our client."""
    return toolkit.context(scope=Scope(clients=frozenset({OURS}), max_effect=Effect.CHANGE))


async def _collect(result: Any) -> Any:
    if inspect.isawaitable(result):
        result = await result
    if hasattr(result, "__aiter__"):
        return [plain(one) async for one in result]
    return plain(result)


async def leaks(ask: Callable[[], Any | Awaitable[Any]], ctx: Context, given: str) -> str:
    """Return what a call says about another client; its refusals count too, but for the words that were asked with."""
    try:
        said = json.dumps(await _collect(ask()), default=str)
    except MspError as error:
        said = json.dumps(plain(error.as_dict()), default=str)
        asked = {THEIRS, "Birchwood Dental", *given.split()}
        asked |= {word.rpartition("/")[2] for word in asked}
        for word in sorted(asked, key=len, reverse=True):
            said = said.replace(word, "") if len(word) > 3 else said
    said += " ".join(ctx.warnings)
    low = said.lower()
    return next(
        (
            said[max(0, low.index(mark) - 80) : low.index(mark) + 80]
            for mark in MARKS
            if mark in low
        ),
        "",
    )


async def test_no_tool_tells_about_another_client(world: tuple[Toolkit, dict[str, str]]) -> None:
    """Every installed tool is known here, and says nothing of another client in the name of ours."""
    toolkit, names = world
    found: list[str] = []
    tools = toolkit.registry.records(Tool)
    unknown = {tool.name for tool in tools} - set(TOOLS)
    assert not unknown, f"say in TOOLS how these are asked in one client's name: {sorted(unknown)}"
    for tool in tools:
        recipe = TOOLS[tool.name]
        for arguments in recipe if isinstance(recipe, list) else ():
            filled = {
                key: value.format(**names) if isinstance(value, str) else value
                for key, value in arguments.items()
            }
            ctx = scoped(toolkit)
            leak = await leaks(
                lambda f=filled, c=ctx, t=tool: toolkit.call(t.name, f, ctx=c),
                ctx,
                " ".join(map(str, filled.values())),
            )
            if leak:
                found.append(f"{tool.name} {filled}: ...{leak}...")
    assert not found, "\n".join(found)


async def test_no_method_of_an_api_tells_about_another_client(
    world: tuple[Toolkit, dict[str, str]],
) -> None:
    """The same for every method of every Protocol in an api module."""
    toolkit, names = world
    found: list[str] = []
    unknown = []
    for module, name, method in _methods():
        key = f"{module}:{name}.{method}"
        recipe = METHODS.get(key) or METHODS.get(f"{module}:{name}.*")
        if recipe is None:
            unknown.append(key)
            continue
        if isinstance(recipe, str):
            continue
        service = await toolkit.get(getattr(importlib.import_module(module), name))
        for ask in recipe:
            ctx = scoped(toolkit)
            leak = await leaks(
                lambda a=ask, s=service, c=ctx: a(s, c, names), ctx, " ".join(names.values())
            )
            if leak:
                found.append(f"{key}: ...{leak}...")
    assert not unknown, f"say in METHODS how these are asked in one client's name: {unknown}"
    assert not found, "\n".join(found)


def _methods() -> list[tuple[str, str, str]]:
    """Return module, Protocol and method of every api module of the workspace."""
    found = []
    for path in sorted((Path(__file__).parent.parent / "plugins").glob("*/src/*/api.py")):
        module = importlib.import_module(f"{path.parent.name}.api")
        for name, class_ in vars(module).items():
            if (
                isinstance(class_, type)
                and getattr(class_, "_is_protocol", False)
                and class_.__module__ == module.__name__
            ):
                found.extend(
                    (module.__name__, name, method)
                    for method, value in vars(class_).items()
                    if not method.startswith("_")
                    and (callable(value) or isinstance(value, property))
                )
    return found


async def test_the_test_can_fail(world: tuple[Toolkit, dict[str, str]]) -> None:
    """Without the scope the other client's rows are there to be seen."""
    toolkit, _ = world
    ctx = toolkit.context()
    assert await leaks(lambda: toolkit.call("client.list", {}, ctx=ctx), ctx, "")
    assert await leaks(lambda: toolkit.call("device.list", {}, ctx=ctx), ctx, "")

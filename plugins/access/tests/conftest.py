"""Toolkits with access control and a few tools that alter a list."""

import types
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from msp_core.discovery import discover
from msp_core.registry import Registry
from msp_core.v1 import Context, Effect, Tool, Toolkit, hookimpl

MakeToolkit = Callable[..., Any]
DONE: list[str] = []


async def look(ctx: Context) -> str:
    """Look."""
    return "seen"


async def note(ctx: Context, text: str = "") -> str:
    """Write something down, where that is allowed."""
    return "noted" if ctx.records else "not noted"


async def alter(
    ctx: Context, targets: Sequence[str] = ("one",), key: str = "", idempotent: bool = False
) -> list[str]:
    """Alter each target through the door."""
    results = []
    for target in targets:

        async def apply(target: str = target) -> str:
            DONE.append(target)
            if target == "broken":
                raise RuntimeError("it broke")
            return f"altered {target}"

        client = target.partition("/")[0] if "/" in target else None
        results.append(
            await ctx.change(
                "alteration",
                target,
                apply,
                key=key or f"{ctx.correlation_id}:{target}",
                client_id=client,
                idempotent=idempotent,
            )
        )
    return [str(one) for one in results]


async def chain(ctx: Context, said: bool = True) -> str:
    """Create something, then alter what came of it."""

    async def create() -> str:
        DONE.append("created")
        return "thing-7"

    made = await ctx.change("creation", "a thing", create, key=f"create:{ctx.correlation_id}")
    target = f"{made}/disk"

    async def apply() -> str:
        DONE.append(target)
        return target

    key = f"alter:{ctx.correlation_id}"
    return str(await ctx.change("alteration", target, apply, key=key, after=made if said else None))


async def wreck(ctx: Context) -> str:
    """Destroy through the door."""

    async def apply() -> str:
        DONE.append("wrecked")
        return "wrecked"

    return str(
        await ctx.change(
            "wreck", "all", apply, key=f"wreck:{ctx.correlation_id}", effect=Effect.DESTROY
        )
    )


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer one tool of each effect."""
    for name, effect in (
        ("look", Effect.READ),
        ("note", Effect.RECORD),
        ("alter", Effect.CHANGE),
        ("chain", Effect.CHANGE),
        ("wreck", Effect.DESTROY),
    ):
        yield Tool(name=f"thing.{name}", run=f"access_things:{name}", summary=name, effect=effect)


def _registry(*ids: str) -> Registry:
    found, _failures = discover()
    registry = Registry([one for one in found if one.id in ids])
    plugin = types.ModuleType("access_things")
    for made in (look, note, alter, chain, wreck, msp_tools):
        setattr(plugin, made.__name__, made)
    registry.add(plugin, id="access-things")
    return registry


@pytest.fixture
async def open_toolkit(tmp_path: Path) -> AsyncIterator[MakeToolkit]:
    """Open toolkits on one workspace; `access` is the section, `clock` a clock."""
    DONE.clear()
    async with AsyncExitStack() as stack:

        async def make(
            access: dict[str, Any] | None = None, clock: Any = None, **database: Any
        ) -> Toolkit:
            file = tmp_path / "msp-toolkit.toml"
            file.write_text('[general]\ncompany_name = "Test"\n')
            more = {"clock": clock} if clock else {}
            toolkit = Toolkit.open(
                file,
                registry=_registry("store", "clients", "access"),
                overrides={"database": database, "access": access or {}},
                **more,
            )
            return await stack.enter_async_context(toolkit)

        yield make


@pytest.fixture
async def toolkit(open_toolkit: MakeToolkit) -> Toolkit:
    """Open a toolkit on SQLite."""
    return await open_toolkit()


@pytest.fixture(params=["sqlite", "postgresql"])
async def each_toolkit(request: pytest.FixtureRequest, open_toolkit: MakeToolkit) -> Toolkit:
    """Open a toolkit: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return await open_toolkit()
    return await open_toolkit(type="postgresql", url=request.getfixturevalue("postgresql_url"))


@pytest.fixture
def done() -> list[str]:
    """Return what was altered."""
    return DONE

"""`plugin list`, `plugin show`, `plugin enable`, `plugin disable`."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import attrs

from msp_core.builtin.setup import write_atomically
from msp_core.catalog import install_line, known_plugin
from msp_core.discovery import Candidate, discover
from msp_core.hookspecs import HOOKS, record_of
from msp_core.program import typed
from msp_core.registry import BUILTIN, Registry
from msp_core.sections import Plugins
from msp_core.unknown import instead, no_entry_point
from msp_core.v1 import Column, ConfigError, Context, Display, Doc, Listing, Param, UnknownPlugin


@attrs.frozen(kw_only=True)
class PluginRow:
    """One installed plugin and whether it is in use."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("id"),
            Column("version"),
            Column("state"),
            Column("offers"),
            Column("reason"),
            Column("fix"),
        )
    )

    id: str
    distribution: str
    version: str
    state: str
    """`active`, `disabled`, `failed`, or `not loaded` in safe mode."""
    offers: tuple[str, ...]
    summary: str = ""
    reason: str = ""
    fix: str = ""


async def list_plugins(ctx: Context) -> Listing[PluginRow]:
    """List installed plugins.

    Loads all of them, so that one that is broken says so.
    """
    rows = tuple(_rows(ctx))
    return Listing(items=rows, total=len(rows))


def _rows(ctx: Context) -> Iterable[PluginRow]:
    registry = ctx.toolkit.registry
    registry.load_all()
    installed = {one.id: one for one in _installed(ctx)}
    for id in sorted({*installed, *registry.candidates, *registry.failures}):
        if id == BUILTIN:
            continue
        candidate = installed.get(id) or registry.candidates.get(id)
        failure = registry.failures.get(id)
        state = _state(ctx, id)
        yield PluginRow(
            id=id,
            distribution=candidate.distribution
            if candidate
            else failure.distribution
            if failure
            else "",
            version=candidate.version if candidate else failure.version if failure else "",
            state=state,
            offers=tuple(hook.removeprefix("msp_") for hook in registry.hooks_of(id))
            if state == "active"
            else (),
            summary=candidate.summary if candidate else "",
            reason=f"{failure.stage}: {failure.reason}" if failure else "",
            fix=typed(failure.fix if failure else _FIX.get(state, "").format(id)),
        )


_FIX = {"disabled": "msp-toolkit plugin enable {}", "not loaded": "Run it without --safe-mode."}


def _state(ctx: Context, id: str) -> str:
    registry = ctx.toolkit.registry
    if id in registry.failures:
        return "failed"
    if registry.safe_mode and id not in ctx.settings(Plugins).disabled:
        return "not loaded"
    there = id in registry.candidates and id not in registry.disabled
    return "active" if there else "disabled"


def _installed(ctx: Context) -> Iterable[Candidate]:
    """Return what is installed, also where safe mode or the index left it out."""
    return discover(allow=ctx.settings(Plugins).allow)[0]


@attrs.frozen(kw_only=True)
class PluginDetail:
    """Everything one plugin offers."""

    id: str
    distribution: str
    version: str
    state: str
    summary: str
    module: str
    offers: dict[str, tuple[str, ...]]
    reason: str
    fix: str


async def show(
    ctx: Context, id: Annotated[str, Doc("Plugin id."), Param(arg=True)]
) -> PluginDetail:
    """Show what one plugin offers."""
    rows = {row.id: row for row in _rows(ctx)}
    row = rows.get(id)
    if row is None:
        raise _unknown(id, rows, ctx.toolkit.registry)
    registry = ctx.toolkit.registry
    offers = {hook.removeprefix("msp_"): _offered(ctx, record_of(hook), id) for hook in HOOKS}
    candidate = registry.candidates.get(id)
    return PluginDetail(
        id=id,
        distribution=row.distribution,
        version=row.version,
        state=row.state,
        summary=row.summary,
        module=candidate.module if candidate else "",
        offers={hook: ids for hook, ids in offers.items() if ids},
        reason=row.reason,
        fix=row.fix,
    )


def _offered(ctx: Context, kind: type[Any], id: str) -> tuple[str, ...]:
    registry = ctx.toolkit.registry
    return tuple(str(one.id) for one in registry.records(kind) if registry.plugin_of(one) == id)


async def enable(ctx: Context, id: Annotated[str, Doc("Plugin id."), Param(arg=True)]) -> str:
    """Use a plugin again."""
    return await _switch(ctx, id, on=True)


async def disable(ctx: Context, id: Annotated[str, Doc("Plugin id."), Param(arg=True)]) -> str:
    """Stop using a plugin.

    It is not imported from then on, whatever it would do. Writes `conf.d/plugins.toml` beside the configuration.
    """
    return await _switch(ctx, id, on=False)


async def _switch(ctx: Context, id: str, *, on: bool) -> str:
    config = ctx.toolkit.config
    disabled = set(config.view(Plugins, "plugins").disabled)
    known = {*disabled, *(one.id for one in _installed(ctx)), *ctx.toolkit.registry.failures}
    if id not in known:
        raise _unknown(id, known, ctx.toolkit.registry)
    if config.path is None:
        message = "There is no configuration to note that in."
        raise ConfigError(message, suggestion="Run 'msp-toolkit init' first, or use --safe-mode.")
    file = config.path.parent / "conf.d" / "plugins.toml"
    wanted = sorted(disabled - {id} if on else disabled | {id})

    async def apply() -> str:
        _save(file, wanted)
        return f"{id} is {'enabled' if on else 'disabled'}."

    result = await ctx.change(
        f"plugin.{'enable' if on else 'disable'}",
        id,
        apply,
        key=f"plugin:{id}:{on}:{ctx.correlation_id}",
        preview=f"{'enable' if on else 'disable'} plugin {id} in {file}",
        idempotent=True,
    )
    return str(result)


def _save(file: Path, disabled: list[str]) -> None:
    import tomli_w

    data: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    data.setdefault("plugins", {})["disabled"] = disabled
    write_atomically(
        file, "# Written by 'msp-toolkit plugin enable' and 'disable'.\n" + tomli_w.dumps(data)
    )


def _unknown(id: str, known: Iterable[str], registry: Registry) -> UnknownPlugin:
    undeclared = no_entry_point(id)
    if undeclared is not None:
        return undeclared
    line = f"pip install {known_plugin(id)}" if known_plugin(id) else install_line(id)
    return UnknownPlugin(
        f"No plugin {id!r} is installed.",
        suggestion=instead(id, known, registry, line),
        value=id,
    )

"""Load plugins one at a time, validate what they offer, and keep the failures as records."""

import importlib
import inspect
import logging
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import attrs
import pluggy

from msp_core import __version__, hookspecs
from msp_core.blame import HookError, described, mended, place, unsupported
from msp_core.catalog import known_plugin
from msp_core.discovery import KERNEL, Candidate, PluginFailure
from msp_core.errors import MspError, PluginError
from msp_core.index import Index, IndexEntry, stamp
from msp_core.watchdog import watched

BUILTIN = "builtin"
R = TypeVar("R")
log = logging.getLogger(__name__)

_HOOK_OF = {record: hook for hook, record in hookspecs.HOOKS.items()}


class _Hooks(pluggy.PluginManager):
    """Looks for hooks only under names a hook can have; looking at every name of a module closely takes its time."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        return super().parse_hookimpl_opts(plugin, name) if name.startswith("msp_") else None

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
        return (
            super().parse_hookspec_opts(module_or_class, name) if name.startswith("msp_") else None
        )


class Registry:
    """The plugins of one process. A plugin is imported when a hook it implements is first needed, and never twice.

    `index` says which plugin implements which hook; without it every plugin is loaded for every question. `safe_mode`
    says that there are no candidates because nobody was to be loaded.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate] = (),
        *,
        failures: Iterable[PluginFailure] = (),
        disabled: Iterable[str] = (),
        index: Index | None = None,
        report: Callable[[PluginFailure], None] | None = None,
        safe_mode: bool = False,
    ) -> None:
        self.safe_mode = safe_mode
        self.disabled = frozenset(disabled)
        self.candidates = {candidate.id: candidate for candidate in candidates}
        self.candidates[BUILTIN] = Candidate(
            id=BUILTIN,
            module="msp_core.builtin.plugin",
            distribution=KERNEL,
            version=__version__,
            summary="The kernel's own commands.",
        )
        self.failures = {self._name_of(one): one for one in failures}
        self._index = {entry.id: entry for entry in index.entries} if index else {}
        self._report = report
        self._plugins = _Hooks(hookspecs.PROJECT)
        self._plugins.add_hookspecs(hookspecs)
        self._records: dict[str, tuple[Any, ...]] = {}
        self._asked: dict[tuple[str, str], list[Any]] = {}
        self._owner: dict[tuple[type, str], str] = {}
        self._modules: dict[str, types.ModuleType] = {}
        self._extra: set[str] = set()

    def add(self, module: str | types.ModuleType, *, id: str) -> None:
        """Add a plugin by module; it is treated like any other from here on."""
        if isinstance(module, types.ModuleType):
            sys.modules.setdefault(module.__name__, module)
            module = module.__name__
        self.candidates[id] = Candidate(id=id, module=module, distribution=id, version=__version__)
        self._extra.add(id)
        self._records.clear()

    def _name_of(self, failure: PluginFailure) -> str:
        """Name a plugin that was set aside; one that claims another's id, or is called like it, is not taken for it."""
        one, dist = failure.plugin, failure.distribution
        names = (one, dist, f"{dist}=={failure.version}")
        return next(name for name in names if name not in self.candidates)

    def active(self) -> tuple[str, ...]:
        """Return the ids of the plugins in use, sorted."""
        return tuple(
            sorted(
                id for id in self.candidates if id not in self.disabled and id not in self.failures
            )
        )

    def records(self, kind: type[R]) -> tuple[R, ...]:
        """Return every record of a kind that the plugins offer, sorted by id."""
        return self._all(_HOOK_OF[kind.__name__])

    def find(self, kind: type[R], id: str) -> R | None:
        """Return the record of an id; where the index knows which plugin offers it, no other one is loaded."""
        hook = _HOOK_OF[kind.__name__]
        if hook not in self._records and not self._extra:
            for plugin, entry in self._index.items():
                if id in entry.offers.get(hook, ()) and plugin in self.active():
                    offered = self._offered(plugin, hook)
                    record: Any = next((one for one in offered if _record_id(one) == id), None)
                    if record is not None:
                        self._owner[(type(record), id)] = plugin
                        return record  # type: ignore[no-any-return]
        return next((one for one in self.records(kind) if _record_id(one) == id), None)

    def find_in(self, package: str, kind: type[R]) -> tuple[R, ...]:
        """Return the records of a kind that the plugins of one package offer; no other one is loaded."""
        inside = [id for id in self.active() if self.candidates[id].module.split(".")[0] == package]
        hook = _HOOK_OF[kind.__name__]
        return tuple(record for id in inside for record in self._offered(id, hook))

    def plugin_of(self, record: Any) -> str:
        """Return the id of the plugin that offers a record."""
        return self._owner.get((type(record), _record_id(record)), "")

    def is_kernels(self, plugin: str) -> bool:
        """Tell whether a plugin comes with the kernel itself."""
        return plugin in self.candidates and self.candidates[plugin].distribution == KERNEL

    def load(self, ref: str | Callable[..., Any]) -> Any:
        """Import what `module:attribute` names; raise PluginError naming it when that fails."""
        if not isinstance(ref, str):
            return ref
        module, _, attribute = ref.partition(":")
        try:
            value: Any = sys.modules.get(module)
            if value is None or getattr(value.__spec__, "_initializing", False):
                with watched(f"importing {module}"):
                    value = importlib.import_module(module)
            for part in attribute.split("."):
                value = getattr(value, part)
        except MspError:
            raise
        except (Exception, SystemExit) as error:
            message = f"{ref} cannot be loaded: {type(error).__name__}: {error}"
            missing = isinstance(error, AttributeError) and isinstance(value, types.ModuleType)
            near = get_close_matches(attribute, vars(value), n=1) if missing else []
            hint = f"Did you mean {module}:{near[0]}? " if near else ""
            raise PluginError(
                message,
                suggestion=f"{hint}Reinstall or disable the plugin ('msp-toolkit doctor'); "
                "its author corrects the record in plugin.py that names it.",
                reference=ref,
            ) from error
        return value

    def load_all(self) -> None:
        """Load every plugin and ask every hook, so that all failures are known."""
        for hook in hookspecs.HOOKS:
            self._all(hook)

    def index(self) -> Index:
        """Return what the index should remember; loads everything."""
        self.load_all()
        offered: dict[str, dict[str, list[Any]]] = {}
        for hook in hookspecs.HOOKS:
            for record in self._all(hook):
                offered.setdefault(self.plugin_of(record), {}).setdefault(hook, []).append(record)
        kept = [id for id in self.active() if id not in self._extra]
        return Index(
            [self._entry(id, offered.get(id, {})) for id in kept],
            [attrs.asdict(failure) for failure in self.failures.values()],
        )

    def hooks_of(self, id: str) -> tuple[str, ...]:
        """Return the hooks a loaded plugin implements."""
        module = self._modules.get(id)
        if module is None:
            return ()
        callers = self._plugins.get_hookcallers(module) or []
        return tuple(sorted(caller.name for caller in callers))

    def _entry(self, id: str, offered: Mapping[str, Sequence[Any]]) -> IndexEntry:
        candidate, hooks = self.candidates[id], self.hooks_of(id)
        file = getattr(self._modules[id], "__file__", None) or ""
        return IndexEntry(
            id=id,
            module=candidate.module,
            distribution=candidate.distribution,
            version=candidate.version,
            summary=candidate.summary,
            location=candidate.location,
            file=file,
            stamp=stamp(file),
            offers={
                hook: [_record_id(one) for one in offered.get(hook, ())]
                for hook in hookspecs.HOOKS
                if hook in hooks
            },
            tools=[
                {
                    "name": tool.name,
                    "cli": tool.cli or tool.name.replace(".", " "),
                    "summary": tool.summary,
                    "surfaces": sorted(tool.surfaces),
                }
                for tool in offered.get("msp_tools", ())
            ],
        )

    def _all(self, hook: str) -> tuple[Any, ...]:
        if hook not in self._records:
            self._records[hook] = self._collect(hook)
        return self._records[hook]

    def _collect(self, hook: str) -> tuple[Any, ...]:
        offered: list[tuple[str, Any]] = []
        for id in self.active():
            entry = self._index.get(id)
            if entry is not None and hook not in entry.offers:
                continue
            offered.extend((id, record) for record in self._offered(id, hook))
        kept = self._without_clashes(offered)
        for id, record in kept:
            self._owner[(type(record), _record_id(record))] = id
        return tuple(sorted((record for _, record in kept), key=_record_id))

    def _offered(self, id: str, hook: str) -> list[Any]:
        """Return what one plugin offers from a hook; it is loaded, and asked once."""
        if not self._loaded(id):
            return []
        if (id, hook) not in self._asked:
            self._asked[(id, hook)] = self._ask(id, hook)
        return self._asked[(id, hook)]

    def _loaded(self, id: str) -> bool:
        """Import and register a plugin the first time it is needed; tell whether it is usable."""
        if id in self._modules:
            return True
        candidate = self.candidates[id]
        try:
            with watched(f"importing plugin {id} ({candidate.distribution})"):
                module = importlib.import_module(candidate.module)
            wanted = getattr(module, "MSP_API", 1)
            if wanted not in SUPPORTED_API:
                self._fail(id, "register", *unsupported(wanted, SUPPORTED_API))
                return False
            self._check_hooks(module)
            self._plugins.register(module, name=id)
            self._plugins.check_pending()
        except (Exception, SystemExit) as error:
            if self._plugins.has_plugin(id):
                self._plugins.unregister(name=id)
            stage = (
                "register"
                if isinstance(error, pluggy.PluginValidationError | TypeError)
                else "import"
            )
            self._fail(
                id,
                stage,
                described(error),
                mended(error, candidate.distribution),
            )
            return False
        self._modules[id] = module
        return True

    def _check_hooks(self, module: types.ModuleType) -> None:
        for name, value in vars(module).items():
            if not hasattr(value, _MARK):
                if name in hookspecs.HOOKS and isinstance(value, types.FunctionType):
                    message = f"{place(value)}: {name} is not marked, so nobody would call it"
                    raise HookError(message, "Write @hookimpl above it, from msp_core.v1.")
                continue
            if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value):
                message = f"{place(value)}: {name} is async; a hook is an ordinary function that returns records"
                raise HookError(message, f"Write 'def {name}()', without async.")
            if inspect.signature(value).parameters:
                message = f"{place(value)}: {name} takes arguments; a hook takes none"
                raise HookError(message, f"Write 'def {name}()', without arguments or defaults.")
            if not hasattr(hookspecs, name) and not getattr(value, _MARK).get("optionalhook"):
                near = get_close_matches(name, hookspecs.HOOKS, n=1)
                hint = f"Did you mean {near[0]}? " if near else ""
                message = f"{place(value)}: there is no hook {name}"
                raise HookError(message, f"{hint}The hooks: {', '.join(hookspecs.HOOKS)}.")

    def _ask(self, id: str, hook: str) -> list[Any]:
        """Call one plugin's hook; nothing it does stops the others."""
        caller = getattr(self._plugins.hook, hook)
        implementation = next(
            (one for one in caller.get_hookimpls() if one.plugin_name == id), None
        )
        if implementation is None:
            return []
        try:
            with watched(f"hook {hook} of plugin {id}"):
                records = list(implementation.function() or ())
        except (Exception, SystemExit) as error:
            self._fail(
                id,
                "hook",
                f"{hook} raised {described(error)}",
                f"Correct {hook} in {place(implementation.function, error)}, or report it to the plugin's author.",
            )
            return []
        kind = hookspecs.record_of(hook)
        for record in records:
            if not isinstance(record, kind):
                self._fail(
                    id,
                    "record",
                    f"{hook} returned a {type(record).__name__}; it returns {kind.__name__} records",
                    f"Return {kind.__name__}(...) from {hook} in {place(implementation.function)}.",
                )
                return []
        repeated = [one for one, count in Counter(map(_record_id, records)).items() if count > 1]
        if repeated:
            self._fail(
                id,
                "record",
                f"{hook} offers {repeated[0]!r} twice",
                f"Give every record of {hook} in {place(implementation.function)} its own id.",
            )
            return []
        return records

    def _without_clashes(self, offered: list[tuple[str, R]]) -> list[tuple[str, R]]:
        """Of plugins that offer one id keep the one with the best claim to it, of equal ones the first by name."""
        by_id: dict[str, list[str]] = {}
        for plugin, record in offered:
            by_id.setdefault(_record_id(record), []).append(plugin)
        losers: set[str] = set()
        for record_id, plugins in by_id.items():
            if len(plugins) < 2:
                continue
            ranked = sorted(plugins, key=lambda one: (*self._claim(one, record_id), one))
            for loser in ranked[1:]:
                losers.add(loser)
                self._fail(
                    loser,
                    "record",
                    f"it offers {record_id!r}, which plugin {ranked[0]!r} offers already",
                    f"Disable one of them: msp-toolkit plugin disable {loser}",
                )
        return [(plugin, record) for plugin, record in offered if plugin not in losers]

    def _claim(self, plugin: str, record_id: str) -> tuple[bool, bool, bool]:
        """Rank a plugin that offers an id: the kernel's, one named after it, one this project publishes, any other."""
        named = record_id == plugin or record_id.split(".")[0] == plugin
        return not self.is_kernels(plugin), not named, known_plugin(plugin) is None

    def _fail(self, id: str, stage: str, reason: str, fix: str) -> None:
        candidate = self.candidates[id]
        failure = PluginFailure(
            plugin=id,
            distribution=candidate.distribution,
            version=candidate.version,
            stage=stage,
            reason=reason,
            fix=fix,
        )
        if id in self.failures:
            return
        self.failures[id] = failure
        for hook, records in list(self._records.items()):
            self._records[hook] = tuple(one for one in records if self.plugin_of(one) != id)
        log.debug("plugin %s failed", id, exc_info=sys.exc_info()[0] is not None)
        if self._report is not None:
            self._report(failure)


SUPPORTED_API = frozenset({1})
_MARK = f"{hookspecs.PROJECT}_impl"


def _record_id(record: Any) -> str:
    return str(record.id)


def known_ids(records: Iterable[Any]) -> Mapping[str, Any]:
    """Map every id and alias of some records onto the record; ids win over aliases."""
    found: dict[str, Any] = {}
    for record in records:
        for alias in getattr(record, "aliases", ()):
            found.setdefault(alias, record)
    found.update({_record_id(record): record for record in records})
    return found

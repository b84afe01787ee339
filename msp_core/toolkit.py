"""The long-lived object behind every surface: configuration, plugins, services, adapters."""

import asyncio
import inspect
import logging
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from msp_core.catalog import install_line
from msp_core.config import Config, Instance
from msp_core.context import Context
from msp_core.correlation import new_correlation_id
from msp_core.discovery import PluginFailure
from msp_core.errors import ConfigError, PermissionDenied, PluginError, UnknownPlugin
from msp_core.hookspecs import record_of
from msp_core.invoke import invoke
from msp_core.protocols import Actor, Guard, Progress, Scope
from msp_core.records import Service, Settings, Surface, Tool
from msp_core.registry import Registry, known_ids
from msp_core.schema import unknown_id
from msp_core.secrets import Secret, Secrets
from msp_core.sections import KERNEL_SECTIONS
from msp_core.startup import open_registry
from msp_core.unknown import instead, no_service

if TYPE_CHECKING:
    from msp_core.adapters import Role

T = TypeVar("T")
log = logging.getLogger(__name__)

GUARD = "msp_core.protocols:Guard"
_building: ContextVar[tuple[str, ...]] = ContextVar("msp_building", default=())
"""The builds this code runs inside of, outermost first."""


def utc_now() -> datetime:
    """Return the system's time, aware UTC."""
    return datetime.now(UTC)


class Toolkit:
    """Owns settings, plugins, services and adapters; each is made once, on first use, and closed at the end.

    Used from one event loop. `open` reads and checks the configuration and does nothing else.
    """

    def __init__(
        self,
        config: Config,
        registry: Registry,
        *,
        clock: Callable[[], datetime] = utc_now,
        actor: Actor | None = None,
    ) -> None:
        self.config = config
        self.registry = registry
        self.secrets = Secrets(registry, config.environ, config.state_dir)
        self.actor = actor
        self._clock = clock
        self._services: dict[str, asyncio.Task[Any]] = {}
        self._adapters: dict[str, asyncio.Task[Any]] = {}
        self._closed = False

    @classmethod
    def open(
        cls,
        config: Path | str | None = None,
        *,
        registry: Registry | None = None,
        overrides: Mapping[str, Any] | None = None,
        clock: Callable[[], datetime] = utc_now,
        safe_mode: bool = False,
        report: Callable[[PluginFailure], None] | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> "Toolkit":
        """Read and check the configuration; raise ConfigError before anything is started."""
        read = Config.read(config, overrides=overrides)
        found = registry or open_registry(read, safe_mode=safe_mode, report=report)
        if not safe_mode:
            for text in read.check(found):
                (warn or log.warning)(text)
        return cls(read, found, clock=clock)

    def now(self) -> datetime:
        """Return the time by this toolkit's clock, aware UTC."""
        return self._clock()

    @property
    def root(self) -> Path:
        """The workspace: relative paths of the configuration start here."""
        return self.config.root

    def require_workspace(self) -> None:
        """Raise ConfigError where there is no configuration, before something is recorded in the current folder."""
        if not self.config.is_workspace:
            message = "There is no configuration here, so there is nowhere to keep records."
            raise ConfigError(
                message,
                suggestion="Run 'msp-toolkit init' here, or name one: --config FILE, MSP_CONFIG=FILE.",
            )

    @property
    def state_dir(self) -> Path:
        """Folder for the workspace's private files; made with mode 0700 when first asked for."""
        self.config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.config.state_dir

    def settings(self, section_type: type[T]) -> T:
        """Return a typed section of the configuration."""
        for section, type_ in KERNEL_SECTIONS.items():
            if type_ is section_type:
                return self.config.view(section_type, section)
        ref = f"{section_type.__module__}:{section_type.__qualname__}"
        package = section_type.__module__.split(".")[0]
        near = self.registry.find_in(package, Settings)
        record = next((one for one in near if one.type == ref), None)
        if record is None:
            record = next((one for one in self.registry.records(Settings) if one.type == ref), None)
        if record is not None:
            return self.config.view(section_type, record.section)
        message = f"No plugin in use declares settings of type {ref}."
        raise PluginError(message, suggestion="Offer it from the hook msp_settings.")

    async def get(self, service: type[T]) -> T:
        """Return the service of a Protocol, built once; raise UnknownPlugin when no plugin offers it."""
        ref = f"{service.__module__}:{service.__qualname__}"
        built = self._services.get(ref)
        if built is not None and built.done() and not (built.cancelled() or built.exception()):
            there: T = built.result()
            return there
        record = self.registry.find(Service, ref)
        if record is None:
            raise no_service(service, self.registry)
        found: T = await self._single(
            self._services, ref, lambda: self.registry.load(record.factory)(self)
        )
        return found

    def instances(self, role: "Role | None" = None) -> tuple[Instance, ...]:
        """Return the adapters that are configured, and those every configuration has, sorted by name."""
        found = {one.name: one for one in self.config.instances(self.registry)}
        for adapter in self.registry.records(record_of("msp_adapters")):
            if adapter.implicit is not None and adapter.implicit not in found:
                settings = self.registry.load(adapter.settings)()
                found[adapter.implicit] = Instance(
                    name=adapter.implicit, adapter=adapter, settings=settings, origin="built in"
                )
        return tuple(one for _, one in sorted(found.items()) if role in (None, one.adapter.role))

    def instance(self, name: str) -> Instance:
        """Return one configured adapter; raise UnknownPlugin naming the configured ones and the nearest."""
        known = {one.name: one for one in self.instances()}
        if name in known:
            return known[name]
        section = self.config.data.get("adapters", {}).get(name)
        kind = section.get("kind", "") if isinstance(section, Mapping) else ""
        message = f"No adapter {name!r} is configured."
        if kind:
            message = f"Adapter {name!r} is of kind {kind!r}, which no plugin in use offers."
        elif name in known_ids(self.registry.records(record_of("msp_adapters"))):
            raise UnknownPlugin(
                message,
                suggestion=f'Its plugin is installed; add [adapters.{name}] with kind = "{name}".',
                value=name,
            )
        raise UnknownPlugin(
            message,
            suggestion=instead(
                name, known, self.registry, install_line(str(kind or name)), "Configured"
            ),
            value=name,
        )

    async def adapter(self, name: str) -> Any:
        """Return the adapter of a configured name, built once."""
        instance = self.instance(name)
        env = AdapterEnvironment(self, instance)
        return await self._single(
            self._adapters, name, lambda: self.registry.load(instance.adapter.factory)(env)
        )

    async def guard(self, *, required: bool = False) -> Guard | None:
        """Return the guard, or None where none is installed.

        One that is installed and broken stops changes (`required`): whoever may break it must not thereby be free.
        """
        if GUARD not in self._services and self.registry.find(Service, GUARD) is None:
            if required and "access" in self.registry.failures:
                message = (
                    "Access control is installed but failed to load, so nothing may be changed."
                )
                raise PermissionDenied(message, suggestion=self.registry.failures["access"].fix)
            return None
        return await self.get(Guard)

    def context(
        self,
        *,
        actor: Actor | None = None,
        scope: Scope | None = None,
        surface: Surface = Surface.PYTHON,
        dry_run: bool = False,
        read_only: bool = False,
        progress: Progress | None = None,
        correlation_id: str | None = None,
    ) -> Context:
        """Return the context of a new call; by default the local user, with everything allowed."""
        made = Context(
            toolkit=self,
            actor=actor or self.actor or local_actor(),
            scope=scope or Scope(),
            surface=surface,
            dry_run=dry_run,
            read_only=read_only,
            correlation_id=correlation_id or new_correlation_id(),
        )
        if progress is not None:
            made.progress = progress
        return made

    def tool(self, name: str) -> Tool:
        """Return the tool of a name or alias; raise UnknownPlugin with the nearest."""
        found = self.registry.find(Tool, name) or known_ids(self.registry.records(Tool)).get(name)
        if found is None:
            raise unknown_id("tools", name, self.registry)
        return found

    async def call(
        self, tool: str, arguments: Mapping[str, Any] | None = None, *, ctx: Context | None = None
    ) -> Any:
        """Run a tool by name: authorised, audited, its failures MspErrors."""
        return await invoke(self.tool(tool), arguments or {}, ctx or self.context())

    async def aclose(self) -> None:
        """Close adapters and services in reverse order of making; a failure to close is logged."""
        self._closed = True
        for made in (self._adapters, self._services):
            for name, task in reversed(list(made.items())):
                try:
                    close = getattr(await task, "aclose", None)
                    if close is not None:
                        await close()
                except Exception:
                    log.debug("closing %s failed", name, exc_info=True)
            made.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _single(self, made: dict[str, Any], name: str, build: Callable[[], Any]) -> Any:
        """Build a thing once, however many ask at the same time; a failed build is tried again by the next."""
        if self._closed:
            message = "This toolkit is closed."
            raise PluginError(message, suggestion="Open another one.")
        task = made.get(name)
        if task is None:
            token = _building.set((*_building.get(), name))
            task = made[name] = asyncio.ensure_future(_build(build))
            _building.reset(token)
        elif not task.done() and name in _building.get():
            message = f"{name} needs itself to be built: {' -> '.join([*_building.get(), name])}."
            raise PluginError(
                message, suggestion="Get the other service when it is used, not in the factory."
            )
        try:
            return await asyncio.shield(task)
        except BaseException:
            if task.done() and (task.cancelled() or task.exception() is not None):
                made.pop(name, None)
            raise


async def _build(build: Callable[[], Any]) -> Any:
    value = build()
    return await value if inspect.isawaitable(value) else value


class AdapterEnvironment:
    """What an adapter is built from: its settings, its credentials, services, the clock."""

    def __init__(self, toolkit: Toolkit, instance: Instance) -> None:
        self._toolkit = toolkit
        self._instance = instance

    @property
    def instance(self) -> str:
        """The instance's name."""
        return self._instance.name

    @property
    def settings(self) -> Any:
        """The instance's settings."""
        return self._instance.settings

    async def secret(self, name: str) -> Secret:
        """Resolve a credential by settings field; raise CredentialError saying how to provide it."""
        ref = getattr(self._instance.settings, name, None)
        return await asyncio.to_thread(
            self._toolkit.secrets.require, ref, f"{self.instance}/{name}"
        )

    async def get(self, service: type[T]) -> T:
        """Get a service by its Protocol."""
        return await self._toolkit.get(service)

    def now(self) -> datetime:
        """Return the time by the toolkit's clock."""
        return self._toolkit.now()


def local_actor() -> Actor:
    """Return the user who runs this process."""
    try:
        import pwd  # getpass would load the terminal's drivers for the same answer

        name = pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        name = os.environ.get("USERNAME") or os.environ.get("LOGNAME") or "unknown"
    return Actor(id=f"local:{name}")

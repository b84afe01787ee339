"""`MSPToolkit`: the way in for Python programs."""

import atexit
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from msp_core.v1 import Context, InvalidParameters, Toolkit
from msp_toolkit.core.client_manager import ClientManager
from msp_toolkit.core.health_monitor import HealthMonitor
from msp_toolkit.core.plugin import Plugin, check_module
from msp_toolkit.integrations.rmm import RMMAdapter, configured_rmm
from msp_toolkit.loop import LoopThread

T = TypeVar("T")


class MSPToolkit:
    """One workspace, opened from its configuration.

    Safe to use from several threads. Close it, or use it as a context manager; the end of the program closes it too.
    """

    def __init__(self, toolkit: Toolkit) -> None:
        self.toolkit = toolkit
        self._loop = LoopThread()
        self._closed = False
        _open.add(self)

    @staticmethod
    def from_config(config_path: str | Path) -> "MSPToolkit":
        """Open the workspace of a configuration file (TOML, YAML or JSON).

        Raises ConfigError naming file, path and reason; nothing is started then.
        """
        return MSPToolkit(Toolkit.open(config_path))

    def get_client_manager(self) -> ClientManager:
        """Return the manager of clients."""
        return ClientManager(self)

    def get_health_monitor(self) -> HealthMonitor:
        """Return the health monitor."""
        return HealthMonitor(self)

    def get_rmm_adapter(self, name: str | None = None) -> RMMAdapter:
        """Return an RMM: the one named, else `rmm`, else `inventory.default_rmm`, else the only one configured.

        Raises UnknownPlugin where there is none, InvalidParameters with the names where none of several is the default.
        """
        return configured_rmm(self, name)

    def register_plugin(self, plugin: Any) -> None:
        """Add a check of your own to this toolkit: it is listed, selectable by its name and part of every sweep.

        Raises InvalidParameters for a class that is no Plugin, or whose name is taken.
        """
        if not (isinstance(plugin, type) and issubclass(plugin, Plugin)):
            message = f"{plugin!r} is not a subclass of Plugin."
            raise InvalidParameters(
                message,
                suggestion="class MyCheck(Plugin): name = ...; def execute(self, context): ...",
            )
        id, module = check_module(plugin, self.toolkit)
        self.toolkit.registry.add(module, id=id)

    def call(self, tool: str, /, **arguments: Any) -> Any:
        """Run any tool by name, such as `call("client.sync", instances=["rmm"])`."""
        return self.run(lambda ctx: self.toolkit.call(tool, arguments, ctx=ctx))

    def run(self, work: Callable[[Context], Coroutine[Any, Any, T]]) -> T:
        """Run asynchronous work with a fresh context and wait for it."""
        return self._loop.run(work(self.toolkit.context()))

    def close(self) -> None:
        """Close adapters, database and loop; calling it again does nothing."""
        if not self._closed:
            self._closed = True
            self._loop.run(self.toolkit.aclose())
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_open: "weakref.WeakSet[MSPToolkit]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for toolkit in list(_open):
        toolkit.close()

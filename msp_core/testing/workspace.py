"""A workspace that touches nothing of the person who runs the tests."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from msp_core.config import Config
from msp_core.environ import Environ
from msp_core.registry import Registry
from msp_core.toolkit import Toolkit, utc_now


@contextmanager
def isolated(folder: Path, env: Mapping[str, str] = {}) -> Iterator[Path]:
    """Make `folder` the current folder and the home, and hide every `MSP_` variable but those given."""
    before, here = dict(os.environ), Path.cwd()
    for name in [name for name in os.environ if name.startswith("MSP_")]:
        del os.environ[name]
    os.environ.update({"HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache"), **env})
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)


def make_toolkit(
    folder: Path,
    *,
    plugins: Mapping[str, str | ModuleType] | Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Toolkit:
    """Return a toolkit with exactly these plugins and this configuration, and nothing that is installed.

    `plugins` maps ids to plugin modules (`{"disk": "msp_check_disk.plugin"}`), or lists modules whose id follows from
    the package's name. `env` is the whole environment.
    """
    registry = registry_of(plugins)
    read = Config(None, folder, Environ(env or {}), [("test", dict(config or {}))])
    read.check(registry)
    return Toolkit(read, registry, clock=clock)


def registry_of(plugins: Mapping[str, str | ModuleType] | Sequence[str]) -> Registry:
    """Return a registry of exactly these plugins, given as for `make_toolkit`."""
    if not isinstance(plugins, Mapping):
        plugins = {_id_of(module): module for module in plugins}
    registry = Registry()
    for id, module in plugins.items():
        registry.add(module, id=id)
    return registry


def _id_of(module: str) -> str:
    return module.split(".")[0].removeprefix("msp_").replace("_", "-")

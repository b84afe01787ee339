"""Installed distributions that do not exist: real dist-info folders on a temporary path."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GOOD_TOOL = '''
from msp_core.v1 import Effect, Tool, hookimpl

@hookimpl
def msp_tools():
    yield Tool(name="{id}.hello", run="{package}.plugin:hello", summary="Say hello.", effect=Effect.READ)

async def hello(ctx):
    """Say hello."""
    return "hello from {id}"
'''


def install(
    site: Path,
    id: str,
    source: str,
    *,
    distribution: str = "",
    version: str = "1.0",
    needs: tuple[str, ...] = (),
) -> str:
    """Put a distribution with one plugin module into a folder; return the package's name."""
    distribution = distribution or f"msp-{id}"
    package = distribution.replace("-", "_").replace(".", "_")
    folder = site / package
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "plugin.py").write_text(source.replace("{id}", id).replace("{package}", package))
    info = site / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\nSummary: The {id} plugin\n"
        + "".join(f"Requires-Dist: {need}\n" for need in needs)
    )
    (info / "entry_points.txt").write_text(f"[msp_toolkit.plugins]\n{id} = {package}.plugin\n")
    return package


@contextmanager
def on_path(site: Path) -> Iterator[None]:
    """Let a folder's modules be imported, and forget them afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(site))
    try:
        yield
    finally:
        sys.path.remove(str(site))
        for name in set(sys.modules) - before:
            if str(site) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]

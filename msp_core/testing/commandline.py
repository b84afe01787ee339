"""Run a command line inside the test's process."""

import asyncio
import contextlib
import io
import logging
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from msp_core.testing.workspace import isolated


@frozen(kw_only=True)
class Done:
    """What a command line came to."""

    code: int
    out: str
    err: str


def run_cli(
    *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: str = ""
) -> Done:
    """Run `msp-toolkit WORDS` and return exit code and output.

    Without `cwd` it runs in an empty temporary folder; home and caches are isolated either way, and no `MSP_` variable
    of the caller is seen. Nothing is a terminal.
    """
    from msp_core import cli

    with contextlib.ExitStack() as stack:
        folder = cwd or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(isolated(folder, env or {}))
        out, err = io.StringIO(), io.StringIO()
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(_stdin(stdin))
        stack.enter_context(_logging())
        try:
            code = cli.run(list(words))
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        return Done(code=code, out=out.getvalue(), err=err.getvalue())


def run_tool(
    tool: str, /, *, plugin: str, config: Mapping[str, Any] | None = None, **arguments: Any
) -> Any:
    """Call a tool of an installed plugin from Python, through everything a call goes through; return its result."""
    from msp_core.testing.subject import toolkit_for

    async def call() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            async with toolkit_for(plugin, Path(folder), config=config) as toolkit:
                return await toolkit.call(tool, arguments)

    return asyncio.run(call())


@contextlib.contextmanager
def _logging() -> Iterator[None]:
    """Leave the log as it was; a handler of this run would fail, on stderr, once its file's folder is gone."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in [one for one in root.handlers if one not in before]:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)


@contextlib.contextmanager
def _stdin(text: str) -> Iterator[None]:
    piped = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")  # with a buffer of bytes
    before, sys.stdin = sys.stdin, piped
    try:
        yield
    finally:
        sys.stdin = before

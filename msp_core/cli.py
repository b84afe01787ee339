"""The command-line host: commands listed from the plugin index, each one loaded when it is used.

On the way of `--help` this module imports Typer and the index, and no plugin.
"""

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from msp_core import __version__
from msp_core.errors import MspError
from msp_core.index import Index, groups, read_index, write_index
from msp_core.program import program_name
from msp_core.workspace import find_file

if TYPE_CHECKING:
    from msp_core.config import Config
    from msp_core.registry import Registry
    from msp_core.toolkit import Toolkit

USAGE = 64
INTERRUPTED = 130
UsageError: Any = typer.BadParameter.__bases__[0]
"""Typer keeps the base of its usage errors private; its public subclass leads there."""


class Session:
    """What one run of the program knows: the root options, and the toolkit once it is needed."""

    def __init__(self, config: str | None, safe_mode: bool, verbose: bool) -> None:
        self.config = config
        self.safe_mode = safe_mode
        self.verbose = verbose
        self.overrides: dict[str, Any] = {}
        self.words: Sequence[str] = ()
        self._tree: Mapping[str, Any] | None = None
        self._index: Index | None = None
        self._found: tuple[Config, Registry] | None = None

    def file(self) -> Path | None:
        """Return the configuration file in use."""
        return find_file(self.config)

    def tree(self) -> Mapping[str, Any]:
        """Return the command tree, from the index if it is good, else by loading every plugin once."""
        if self._tree is None:
            if not (self.safe_mode or self.overrides):
                self._index = read_index(self.file())
            self._tree = groups(self._index or self._loaded_index())
        return self._tree

    def _loaded_index(self) -> Index:
        config, registry = self._opened()
        index = registry.index()
        if not (self.safe_mode or self.overrides):
            write_index(config.path, index)
        return index

    def _opened(self) -> "tuple[Config, Registry]":
        """Read the configuration and find the plugins, once."""
        from msp_core.config import Config
        from msp_core.startup import configure_logging, open_registry

        if self._found is None:
            config = Config.read(self.config, overrides=self.overrides)
            configure_logging(config, verbose=self.verbose)
            registry = open_registry(
                config, safe_mode=self.safe_mode, report=_report_failure, index=self._index
            )
            self._found = config, registry
        return self._found

    def registry(self) -> "Registry":
        """Return the plugins that are used."""
        return self._opened()[1]

    def unknown(self, error: MspError) -> int | None:
        """Explain what kept a command that judges from starting and return its exit code; None for any other."""
        from msp_core.unjudged import unknown

        if not self.words:
            return None
        return unknown(error, self.words, self._found[1] if self._found else None)

    def _check(self, toolkit: "Toolkit") -> None:
        """Check the configuration, unless the same one was right before with the same plugins."""
        from msp_core.terminal import warn

        config, index = toolkit.config, self._index
        if index is not None and index.checked == config.digest:
            return
        warnings = config.check(toolkit.registry)
        for text in warnings:
            warn(text)
        if index is not None and not warnings and not index.failures:
            write_index(config.path, index._replace(checked=config.digest))

    def command(self, name: str) -> TyperCommand:
        """Load the command of a tool; but for those that mend one, nothing starts on a wrong configuration."""
        from msp_core.commands import command
        from msp_core.toolkit import Toolkit

        toolkit = Toolkit(*self._opened())
        tool = toolkit.tool(name)
        if not (tool.repairs or self.safe_mode):
            self._check(toolkit)
        return command(toolkit, tool)


def _report_failure(failure: Any) -> None:
    from msp_core.terminal import warn

    warn(
        f"plugin {failure.plugin} ({failure.distribution} {failure.version}) is not in use: {failure.reason}. "
        f"See: msp-toolkit plugin show {failure.plugin}"
    )


class Branch(TyperGroup):
    """A group of commands that loads one only when it is run; help is made from the index alone."""

    node: Mapping[str, Any] | None = None

    def children(self, ctx: Any) -> Mapping[str, Any]:  # noqa: ARG002, the root needs it
        """Return the words of this group."""
        return self.node or {}

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.children(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = self.children(ctx).get(cmd_name)
        if entry is None:
            return None
        if "commands" in entry:
            branch = Branch(
                name=cmd_name,
                short_help=entry.get("summary") or ", ".join(sorted(entry["commands"])),
                rich_markup_mode=None,
                no_args_is_help=True,
            )
            branch.node = entry["commands"]
            return branch
        return TyperCommand(cmd_name, help=entry["summary"], rich_markup_mode=None)

    def missing(self, ctx: Any, word: str) -> str:
        """Say why a word is no command of this group, and which may be meant."""
        from msp_core.unknown import no_command

        group = ctx is not ctx.find_root()
        return no_command(word, self.list_commands(ctx), _session(ctx).registry(), group=group)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        entry = self.children(ctx).get(args[0]) if args else None
        if entry is None and args and not args[0].startswith("-"):
            raise UsageError(self.missing(ctx, args[0]), ctx=ctx)
        name, command, rest = super().resolve_command(ctx, args)
        if entry is not None and "name" in entry and rest[:1] not in _words(entry):
            command = _session(ctx).command(entry["name"])
        return name, command, rest


def _words(entry: Mapping[str, Any]) -> list[list[str]]:
    """Return the words that lead on from a command that is also a group, such as `mcp` with `mcp config`."""
    return [[word] for word in entry.get("commands", ())]


class Root(Branch):
    """The top of the tree."""

    def children(self, ctx: Any) -> Mapping[str, Any]:
        return _session(ctx).tree()

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        _session(ctx).words = tuple(args)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MspError as error:
            code = _session(ctx).unknown(error)
            if code is None:
                raise
            return code


def _session(ctx: Any) -> Session:
    """Return the session of this run, made from the root options; commands are looked up before the callback runs."""
    root = ctx.find_root()
    if not isinstance(root.obj, Session):
        given = root.params
        root.obj = Session(
            given.get("config"), bool(given.get("safe_mode")), bool(given.get("verbose"))
        )
        for item in given.get("set_") or ():
            _override(root.obj.overrides, item)
    session: Session = root.obj
    return session


def _version(value: bool) -> None:
    if value:
        typer.echo(f"msp-toolkit {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Root,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="One framework for the work of a managed service provider: clients, health, alerts, devices.",
)


@app.callback()
def root(
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="Configuration file.", is_eager=True),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one option."),
    ] = None,
    safe_mode: Annotated[
        bool, typer.Option("--safe-mode", help="Load no plugins.", is_eager=True)
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Write the full log to stderr.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Declare the options of every command; `_session` reads them."""
    del config, set_, safe_mode, verbose, version


def _override(into: dict[str, Any], item: str) -> None:
    from msp_core.environ import parse_value

    path, equals, value = item.partition("=")
    *sections, key = path.split(".")
    if not equals or not sections or not all(sections) or not key:
        raise typer.BadParameter(f"{item!r} is not SECTION.KEY=VALUE.", param_hint="--set")
    for name in sections:
        into = into.setdefault(name, {})
        if not isinstance(into, dict):
            raise typer.BadParameter(f"{item!r} contradicts an earlier --set.", param_hint="--set")
    into[key] = parse_value(value)


def run(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; usage errors are 64, never a traceback."""
    words = list(sys.argv[1:] if args is None else args)
    try:
        code = typer.main.get_command(app).main(
            words, prog_name=program_name(), standalone_mode=False
        )
        return int(code or 0)
    except MspError as error:
        from msp_core.terminal import say_error

        say_error(error, sys.stderr)
        return error.exit_code
    except typer.Abort as abort:
        sys.stderr.write("Aborted.\n")
        return INTERRUPTED if isinstance(abort.__cause__, KeyboardInterrupt) else 1
    except BrokenPipeError:
        # The reader is gone, and the interpreter would flush once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UsageError as error:
        return _usage(error)
    except OSError as error:
        return _unwritten(error)


def _usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(f"{error.ctx.get_help()}\n")
        return 0
    from msp_core.errors import InvalidParameters
    from msp_core.terminal import say_error

    place = getattr(error, "ctx", None)
    help_ = f"See: {place.command_path} --help" if place is not None else ""
    say_error(InvalidParameters(error.format_message(), suggestion=help_), sys.stderr)
    return USAGE


def _unwritten(error: OSError) -> int:
    """Say that the result could not be shown, and keep the interpreter from trying again at its end."""
    sys.stderr.write(f"Error: the output cannot be written: {error.strerror} [SYSTEM_ERROR]\n")
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _open_closed_streams() -> None:
    """Give a program started without standard streams silent ones; else the next file it opens becomes one of them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115, for the whole run


def main() -> NoReturn:
    """Run the program."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a narrower terminal gets escapes, not a traceback
    code = run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(1)
    except OSError as error:
        code = _unwritten(error)
    # The interpreter's last search for rubbish would go through all that is alive: a tenth of a short command
    gc.freeze()
    sys.exit(code)

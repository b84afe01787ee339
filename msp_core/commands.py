"""Make a command of a tool: its parameters as options, its result printed, its errors explained."""

import asyncio
import inspect
import json
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
from typer.core import TyperArgument, TyperCommand, TyperOption

from msp_core import terminal
from msp_core.errors import (
    InvalidParameters,
    MspError,
    PluginError,
    StoreError,
    SystemFailure,
    UnknownPlugin,
)
from msp_core.output import Format, render
from msp_core.program import typed
from msp_core.records import Effect, Spelling, Surface, Tool
from msp_core.registry import Registry
from msp_core.schema import Parameter, choices, cli_path, judges, parameters, row_type
from msp_core.sections import zone
from msp_core.structure import plain
from msp_core.toolkit import Toolkit

INTERRUPTED = 130
_BROKEN = (PluginError, StoreError, SystemFailure, UnknownPlugin)
_METAVARS: dict[Any, str] = {
    int: "INTEGER", float: "NUMBER", datetime: "TIME", timedelta: "DURATION", Path: "PATH",
}  # fmt: skip


def command(toolkit: Toolkit, tool: Tool) -> TyperCommand:
    """Return the command of a tool; raise PluginError when its function cannot be loaded or read."""
    function = toolkit.registry.load(tool.run)
    declared = parameters(function)
    params: list[Any] = []
    for one in declared:
        params.extend(_argument(one, toolkit) if one.param.arg else _options(one, toolkit))
    params.extend(_common(tool))
    doc = inspect.cleandoc(function.__doc__ or tool.summary)
    text = f"{tool.summary}\n\n{doc.partition(chr(10))[2].strip()}".strip()

    def run(**values: Any) -> int:
        return Run(toolkit, tool, declared).run(values)

    return TyperCommand(
        tool.name.rpartition(".")[2],
        params=params,
        callback=run,
        help=typed(text + (f"\n\nExample: {tool.example}" if tool.example else "")),
        rich_markup_mode=None,
    )


def _argument(one: Parameter, toolkit: Toolkit) -> list[Any]:
    known = choices(one, toolkit.registry)
    required = (one.required or Surface.CLI in one.param.required_on) and not one.param.all_flag
    made: list[Any] = [
        TyperArgument(
            param_decls=[one.name],
            type=str,
            required=required,
            nargs=-1 if one.many else 1,
            metavar=one.name.upper() + ("..." if one.many else ""),
            help=f"{_text(one)}  [{'|'.join(known)}]" if 0 < len(known) <= 8 else _text(one),
            show_default=False,
        )
    ]
    if one.param.all_flag:
        made.append(_flag("--all", f"__all_{one.name}", help="All of them."))
    return made


def _options(one: Parameter, toolkit: Toolkit) -> list[Any]:
    spellings = one.param.cli or (Spelling("--" + one.name.replace("_", "-")),)
    return [_option(one, spelling, number, toolkit) for number, spelling in enumerate(spellings)]


def _option(one: Parameter, spelling: Spelling, number: int, toolkit: Toolkit) -> TyperOption:
    if spelling.const is not None:
        return _flag(spelling.flag, f"__const_{number}_{one.name}", help=_text(one))
    name = one.name if number == 0 else f"__other_{number}_{one.name}"
    if one.item is bool and not one.many:
        declared = (
            spelling.flag if "/" in spelling.flag else f"{spelling.flag}/--no-{spelling.flag[2:]}"
        )
        return TyperOption(
            param_decls=[declared, name], is_flag=True, default=None, help=_text(one)
        )
    many = one.many or _is_mapping(one)
    known = choices(one, toolkit.registry)
    metavar = spelling.metavar or ("|".join(known) if 0 < len(known) <= 8 else None)
    return TyperOption(
        param_decls=[spelling.flag, name],
        type=str,
        multiple=many,
        required=one.required or Surface.CLI in one.param.required_on,
        metavar=metavar or ("KEY=VALUE" if _is_mapping(one) else _METAVARS.get(one.item, "TEXT")),
        help=_text(one),
    )


def _text(one: Parameter) -> str:
    default, least, most = one.default, one.param.least, one.param.most
    said = [one.doc]
    if least is not None and most is not None:
        said.append(f"[{least} to {most}]")
    elif least is not None or most is not None:
        said.append(f"[at most {most}]" if least is None else f"[at least {least}]")
    if not (one.required or default is None or default in ("", (), False) or default == {}):
        said.append(f"[default: {plain(default)}]")
    return "  ".join(filter(None, said))


def _flag(*declared: str, help: str, hidden: bool = False) -> TyperOption:
    return TyperOption(
        param_decls=list(declared), is_flag=True, default=False, help=help, hidden=hidden
    )


def _common(tool: Tool) -> list[TyperOption]:
    made = [
        TyperOption(
            param_decls=["--as", "__as"],
            type=str,
            metavar="|".join(Format),
            help="Output format.  [default: table]",
        ),
        _flag("--json", "__json", help="Short for --as json."),
        _flag("--no-input", "__no_input", help="Never ask; fail instead."),
    ]
    if tool.effect >= Effect.RECORD:
        made.append(_flag("--dry-run", "__dry_run", help="Show what would be done; do nothing."))
    if tool.effect > Effect.READ:
        # A script may say it wherever something is written
        hidden = tool.effect < Effect.CHANGE
        made.append(
            _flag("--yes", "-y", "__yes", help="Do not ask for confirmation.", hidden=hidden)
        )
    return made


@attrs.frozen(eq=False, repr=False)
class Run:
    """One run of a command: words to arguments, the call, the result or the error printed."""

    toolkit: Toolkit
    tool: Tool
    declared: tuple[Parameter, ...]

    def run(self, values: dict[str, Any]) -> int:
        """Run the tool and return the exit code."""
        format = Format.JSON if values.get("__json") else Format.TABLE
        bar = terminal.ProgressBar(sys.stderr)
        try:
            format = _format(values)
            arguments = self._arguments(values)
            if self.tool.effect is Effect.DESTROY and not values.get("__dry_run"):
                terminal.confirm(
                    self.tool.summary.rstrip("."),
                    self._target(arguments),
                    yes=bool(values.get("__yes")),
                    no_input=bool(values.get("__no_input")),
                )
            result = self._result(arguments, values, bar)
            bar.clear()
            shown_in = zone(self.toolkit.config.general.timezone)
            text = render(
                result,
                format,
                zone=shown_in,
                colour=terminal.wants_colour(sys.stdout),
                width=terminal.width(sys.stdout),
                row_type=row_type(self.toolkit.registry.load(self.tool.run)),
            )
        except MspError as error:
            bar.clear()
            judging = judges(self.toolkit.registry.load(self.tool.run))
            return report(error, format, judging=judging)
        except (KeyboardInterrupt, asyncio.CancelledError):
            bar.clear()
            sys.stderr.write("Interrupted.\n")
            return INTERRUPTED
        if text:
            sys.stdout.write(text + "\n")
        code = getattr(result, "exit_code", 0)
        return 3 if code is None else int(code)

    def _result(
        self, arguments: Mapping[str, Any], values: Mapping[str, Any], bar: terminal.ProgressBar
    ) -> Any:
        """Call the tool; one that repairs also works without what every change needs, where a plugin broke that.

        `--safe-mode` would do the same, if people knew of it. There the kernel's own tools are alone.
        """
        try:
            return asyncio.run(self._call(arguments, values, bar))
        except MspError as error:
            broken = isinstance(error, _BROKEN) or "access" in self.toolkit.registry.failures
            if not (self.tool.repairs and broken):
                raise
            alone = attrs.evolve(
                self, toolkit=Toolkit(self.toolkit.config, Registry(safe_mode=True))
            )
            try:
                result = asyncio.run(alone._call(arguments, values, bar))
            except MspError:
                raise error from None
            terminal.warn(f"this is in no audit trail: {error.message}")
            return result

    async def _call(
        self, arguments: Mapping[str, Any], values: Mapping[str, Any], bar: terminal.ProgressBar
    ) -> Any:
        if self.tool.effect > Effect.READ:
            _end_on_terminate()

        def warn(text: str) -> None:
            bar.clear()
            terminal.warn(text)

        def say(text: str) -> None:
            bar.clear()
            terminal.say(text)

        async with self.toolkit:
            ctx = self.toolkit.context(
                surface=Surface.CLI, dry_run=bool(values.get("__dry_run")), progress=bar
            )
            ctx.on_warning = warn
            ctx.on_message = say
            ctx.interactive = not values.get("__no_input")
            if ctx.interactive and sys.stdin.isatty():
                ctx.asker = terminal.Asker(bar)
            result = await self.toolkit.call(self.tool.name, arguments, ctx=ctx)
            for plan in ctx.planned:
                bar.clear()
                sys.stderr.write(f"Would: {plan.preview}\n")
            return result

    def _arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        given = [(one, self._value(one, values)) for one in self.declared]
        selected = any(one.param.selects and value is not None for one, value in given)
        for one, value in given:
            if one.param.all_flag:
                all_ = bool(values.get(f"__all_{one.name}"))
                _value_or_all(self.tool, one, value, all_=all_, selected=selected)
        return {one.name: value for one, value in given if value is not None}

    def _value(self, one: Parameter, values: Mapping[str, Any]) -> Any:
        """Return what was given for a parameter, in whichever of its spellings; lists add up."""
        given = values.get(one.name)
        for number, spelling in enumerate(one.param.cli):
            if values.get(f"__const_{number}_{one.name}"):
                return spelling.const
            other = values.get(f"__other_{number}_{one.name}")
            if other is not None and other != ():
                given = (*(given or ()), *other) if isinstance(other, tuple) else other
        return None if given is None or given == () else _parsed(one, given)

    def _target(self, arguments: Mapping[str, Any]) -> str:
        for one in self.declared:
            if one.param.arg and one.name in arguments:
                return str(arguments[one.name])
        return cli_path(self.tool)


def _end_on_terminate() -> None:
    """Let SIGTERM end the call as Ctrl-C does, so that what was recorded is said and what is held is let go."""
    task = asyncio.current_task()
    if task is not None:
        with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, and other threads
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _value_or_all(tool: Tool, one: Parameter, value: Any, *, all_: bool, selected: bool) -> None:
    """Refuse a value together with `--all`, and neither unless another option selects or the tool only reads."""
    both = value is not None and all_
    neither = value is None and not all_ and not selected
    if both or (neither and tool.effect > Effect.READ):
        message = f"{cli_path(tool)}: give {one.name.upper()} or --all" + (
            ", not both." if all_ else "."
        )
        raise InvalidParameters(message, suggestion=f"See: msp-toolkit {cli_path(tool)} --help")


def _is_mapping(one: Parameter) -> bool:
    origin = getattr(one.item, "__origin__", None)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _parsed(one: Parameter, value: Any) -> Any:
    """Turn the words of the command line into plain data of the parameter's kind; wrong words stay as they are."""
    if _is_mapping(one):
        return _pairs(one, value)
    if one.many:
        return [_word(one.item, item) for item in value]
    return _word(one.item, value)


def _word(type_: Any, value: Any) -> Any:
    if type_ is int or type_ is float:
        with suppress(ValueError):
            return type_(value)
        return value
    if type_ is bool and value in ("true", "false"):
        return value == "true"
    if isinstance(type_, type) and issubclass(type_, Enum):
        return (
            str(value).lower()
            if str(value).lower() in {member.value for member in type_}
            else value
        )
    if attrs.has(type_):
        return _json(value)
    return value


def _pairs(one: Parameter, words: Any) -> dict[str, Any]:
    from msp_core.environ import parse_value

    found: dict[str, Any] = {}
    for word in words:
        if word.lstrip().startswith("{"):
            inner = _json(word)
            found.update(inner if isinstance(inner, dict) else {})
            continue
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            message = f"{word!r} is not KEY=VALUE."
            raise InvalidParameters(
                message, suggestion=f"Write --{one.name.replace('_', '-')} key=value."
            )
        found[key.strip()] = parse_value(value)
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        message = f"{text[:40]!r} is not JSON."
        raise InvalidParameters(message, suggestion='Write it as {"key": "value"}.') from None


def _format(values: Mapping[str, Any]) -> Format:
    word = values.get("__as")
    if word is None:
        return Format.JSON if values.get("__json") else Format.TABLE
    try:
        return Format(word)
    except ValueError:
        message = f"{word!r} is no output format."
        raise InvalidParameters(message, suggestion=f"Choose one of {', '.join(Format)}.") from None


def report(error: MspError, format: Format, *, judging: bool) -> int:
    """Explain an error: to people on stderr, to programs as the same JSON every surface gives."""
    if format in (Format.JSON, Format.JSONL):
        from msp_core.secrets import mask_data

        sys.stdout.write(
            json.dumps({"error": mask_data(plain(error.as_dict()))}, ensure_ascii=False) + "\n"
        )
    elif format is Format.NAGIOS:
        from msp_core.output import clean
        from msp_core.secrets import mask

        sys.stdout.write(f"UNKNOWN: {clean(mask(error.message))}\n")
        judging = True
    else:
        terminal.say_error(error, sys.stderr)
    return 3 if judging and error.exit_code == 1 else error.exit_code

"""Say to a plugin's author where a failure is, and how to mend it: file, line and hook."""

import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

_HERE = str(Path(__file__).parent)


class HookError(TypeError):
    """A hook is not written as hooks are; `fix` says how to write it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def described(error: BaseException) -> str:
    """Return one line: the error, and for one of a plugin's own source where it is."""
    if isinstance(error, HookError):
        return str(error)
    text = str(error).strip().splitlines()
    line = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename and error.filename not in line:
        return f"{line} ({error.filename} line {error.lineno})"
    return line


def mended(error: BaseException, distribution: str) -> str:
    """Say how to mend a plugin that cannot be imported or registered."""
    if isinstance(error, HookError):
        return error.fix
    if isinstance(error, ImportError) and error.name == "msp_core.v1":
        return _not_in_the_contract(error)
    again = f"Reinstall it: pip install --force-reinstall {distribution}"
    where = place(None, error)
    return f"{again}; its author looks at {where}" if where else again


def unsupported(wanted: object, offered: Collection[int]) -> tuple[str, str]:
    """Say why a plugin's `MSP_API` does not fit, and what to do."""
    if type(wanted) is not int:
        reason = f"MSP_API={wanted!r} is not a whole number"
        return reason, "Name the contract it imports: MSP_API = 1 for msp_core.v1."
    reason = f"it needs plugin API {wanted}, and this kernel offers {sorted(offered)}"
    return reason, "Install a version of the plugin for this kernel, or upgrade msp-core."


def _not_in_the_contract(error: ImportError) -> str:
    from msp_core import __version__, v1

    wanted = re.search(r"import name '(\w+)'", str(error))
    near = get_close_matches(wanted[1], v1.__all__, n=1) if wanted else []
    hint = f"Did you mean {near[0]}? " if near else ""
    return (
        f"{hint}This is msp-core {__version__}: upgrade it where a later one has that name; its author "
        f"then raises the bound 'msp-core>=...' ({place(None, error)})."
    )


def place(function: Any, error: BaseException | None = None) -> str:
    """Return file and line of a function, or of the last place of an error that is outside the kernel."""
    where = ""
    if function is not None:
        code = function.__code__
        where = f"{code.co_filename} line {code.co_firstlineno}"
    step = error.__traceback__ if error is not None else None
    while step is not None:
        code = step.tb_frame.f_code
        foreign = (
            not code.co_filename.startswith((_HERE, "<")) and "importlib" not in code.co_filename
        )
        if foreign and (function is None or code.co_filename == function.__code__.co_filename):
            where = f"{code.co_filename} line {step.tb_lineno}"
        step = step.tb_next
    return where

"""Where exported clients go and imported ones come from: files and pipes."""

import os
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from msp_core.v1 import Context, InvalidParameters, Surface

_SIZE_BYTES = 50 * 1024 * 1024


def read_piped(ctx: Context) -> str:
    """Read the standard input, which belongs to the caller at the command line alone."""
    if ctx.surface is not Surface.CLI:
        raise InvalidParameters(
            "'-' is the standard input of a command line", suggestion="Name a file."
        )
    return _text(sys.stdin.buffer, "the standard input")


def read(path: Path) -> str:
    """Return the text of a file; raise InvalidParameters where there is none."""
    try:
        with path.open("rb") as file:
            return _text(file, str(path))
    except OSError as error:
        raise InvalidParameters(
            f"{path} cannot be read: {error.strerror}", suggestion="Check the path and its rights."
        ) from error


def _text(file: BinaryIO, name: str) -> str:
    """Read bytes: text mode would turn a carriage return inside a cell into a line feed."""
    data = file.read(_SIZE_BYTES + 1)
    if len(data) > _SIZE_BYTES:
        raise InvalidParameters(
            f"{name} is larger than 50 MB", suggestion="Split it into several files."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidParameters(
            f"{name} is not UTF-8", suggestion='Save it as "CSV UTF-8".'
        ) from error


def replace(path: Path, text: str, encoding: str) -> None:
    """Write the file whole or not at all; a text of clients is for its owner's eyes.

    A link stays and its target is written; a pipe or device such as /dev/stdout is written into, never replaced.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding=encoding, newline="") as out:
                out.write(text)
            return
        path = path.resolve()
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
        try:
            with os.fdopen(handle, "w", encoding=encoding, newline="") as out:
                out.write(text)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidParameters(
            f"{path} cannot be written: {error.strerror}",
            suggestion="Name a file in a folder that exists and that you may write to.",
        ) from error

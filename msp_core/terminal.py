"""Talk to the person at the terminal: progress, warnings, errors and questions, all on stderr."""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from msp_core.errors import ConfirmationRequired, MspError
from msp_core.layout import fold
from msp_core.output import clean
from msp_core.program import typed
from msp_core.secrets import mask

if TYPE_CHECKING:
    from msp_core.questions import Question

_EVERY_S = 0.1
_BAR = 24


def wants_colour(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that wants colour (`NO_COLOR` and `TERM=dumb` say no)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width(stream: TextIO) -> int | None:
    """Return how many columns a terminal shows; None for a file or pipe, where lines are never broken."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


class ProgressBar:
    """A bar with count, rate and time left, on a terminal only; redrawn ten times a second at most."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._started = time.monotonic()
        self._drawn = 0.0
        self._open = False

    def update(self, done: int, total: int | None, text: str = "") -> None:
        """Draw the bar, if it is time to."""
        now = time.monotonic()
        if not self._shown or (now - self._drawn < _EVERY_S and done != total):
            return
        self._drawn = now
        rate = done / max(now - self._started, 0.001)
        line = f"{text or 'Working'}  {done}"
        if total:
            filled = min(_BAR, _BAR * done // total)
            left = (total - done) / rate if rate > 0 and done else None
            eta = f"{int(left // 60)}:{int(left % 60):02}" if left is not None else "--:--"
            line = (
                f"{text or 'Working'}  [{'█' * filled}{'·' * (_BAR - filled)}] {done}/{total}"
                f"  {rate:.0f}/s  {eta} left"
            )
        self._stream.write(f"\r\x1b[K{clean(line)}")
        self._stream.flush()
        self._open = True

    def clear(self) -> None:
        """Take the bar away so that other text can be written."""
        if self._open:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._open = False


def say_error(error: MspError, stream: TextIO) -> None:
    """Say what failed, why, what to do next, and the code."""
    message = clean(mask(error.message), keep_lines=True)
    stream.write(_marked("Error", f"{message} [{error.code}]", "1;31", stream))
    if error.suggestion:
        stream.write(f"  {clean(mask(error.suggestion), keep_lines=True)}\n")
    plan = error.details.get("plan")
    if plan:
        stream.write(f"  Plan: {clean(str(plan))}\n")


def _marked(word: str, text: str, colour: str, stream: TextIO) -> str:
    """Put a word before a text, with its colour on a terminal, where lines are broken between words."""
    said = fold(f"{word}: {text}", width(stream))
    return (
        f"\x1b[{colour}m{word}\x1b[0m{said[len(word) :]}\n" if wants_colour(stream) else f"{said}\n"
    )


class Asker:
    """Puts the questions of a running call, with the bar taken away."""

    def __init__(self, bar: ProgressBar) -> None:
        self._bar = bar

    async def ask(self, question: "Question") -> Mapping[str, Any] | None:
        """Ask on stderr and read from the terminal; everything else waits."""
        from msp_core.questions import answer_at_terminal

        self._bar.clear()
        return answer_at_terminal(question)


def say(text: str) -> None:
    """Say how the work goes."""
    sys.stderr.write(f"{clean(mask(typed(text)))}\n")


def warn(text: str) -> None:
    """Say something beside the result."""
    sys.stderr.write(_marked("Warning", clean(mask(typed(text))), "33", sys.stderr))


def confirm(action: str, target: str, *, yes: bool, no_input: bool) -> None:
    """Have the target retyped before something is destroyed; raise ConfirmationRequired where nobody can answer."""
    if yes:
        return
    if no_input or not sys.stdin.isatty():
        message = f"{action} {target} needs a confirmation, and nobody is here to give it."
        raise ConfirmationRequired(message, suggestion="Look with --dry-run first, then add --yes.")
    sys.stderr.write(
        f"{action} {clean(target)}: this cannot be taken back.\nType {clean(target)} to go on: "
    )
    sys.stderr.flush()
    if sys.stdin.readline().strip() != target:
        message = "Not confirmed; nothing was done."
        raise ConfirmationRequired(message, suggestion="Type the name exactly as shown.")


def ask(question: str, default: str, *, no_input: bool, hide: bool = False) -> str:
    """Ask for a line; the default where nobody is there to answer."""
    if no_input or not sys.stdin.isatty():
        return default
    shown = f" [{default}]" if default and not hide else ""
    prompt = f"{question}{shown}: "
    if hide:
        import getpass

        return getpass.getpass(prompt, stream=sys.stderr) or default
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return sys.stdin.readline().strip() or default

"""A failure before a command began: of one whose exit code is a status it is UNKNOWN, for nothing was judged."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

from msp_core.catalog import COMMANDS
from msp_core.commands import report
from msp_core.discovery import discover
from msp_core.errors import MspError
from msp_core.output import Format
from msp_core.records import Tool
from msp_core.registry import Registry
from msp_core.schema import cli_path, judges


def unknown(error: MspError, words: Sequence[str], registry: Registry | None) -> int | None:
    """Explain the error as the command would and return 3; None where the words name no command that judges."""
    format = _format(words)
    if error.exit_code != 1:
        return None
    if format is not Format.NAGIOS and not _judging(words, registry or _of_word(words[0])):
        return None
    return report(error, format, judging=True)


def _of_word(word: str) -> Registry:
    """Return the plugin known to bring a command: which others are allowed stands in what cannot be read."""
    candidates, _ = discover()
    return Registry([one for one in candidates if one.distribution == COMMANDS.get(word)])


def _judging(words: Sequence[str], registry: Registry) -> bool:
    for tool in registry.records(Tool):
        path = cli_path(tool).split()
        if list(words[: len(path)]) == path:
            with suppress(MspError):
                return judges(registry.load(tool.run))
    return False


def _format(words: Sequence[str]) -> Format:
    said = [after for word, after in pairwise(words) if word == "--as"]
    said += [word.removeprefix("--as=") for word in words if word.startswith("--as=")]
    if said and said[-1] in set(Format):
        return Format(said[-1])
    return Format.JSON if "--json" in words else Format.TABLE

"""A watchdog for code that must return at once: plugin imports, hooks, evaluations.

Python cannot stop a thread, so a plugin that never returns ends the process; the watchdog at least names it.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LIMIT_S = 30.0
EXIT_CODE = 3

_running: dict[int, tuple[str, float]] = {}
"""What each thread runs now, and since when."""
_started = False


@contextmanager
def watched(label: str) -> Iterator[None]:
    """Name what runs now; if it has not returned after `MSP_WATCHDOG_SECONDS` (30), say so on stderr and exit 3."""
    _start()
    thread = threading.get_ident()
    outer = _running.get(thread)
    _running[thread] = (label, time.monotonic())
    try:
        yield
    finally:
        if outer is None:
            del _running[thread]
        else:
            _running[thread] = outer


def _start() -> None:
    global _started
    if not _started:
        _started = True
        threading.Thread(target=_watch, name="msp-watchdog", daemon=True).start()


def _limit_s() -> float:
    try:
        given = float(os.environ.get("MSP_WATCHDOG_SECONDS") or LIMIT_S)
    except ValueError:
        return LIMIT_S
    return given if given > 0 else LIMIT_S


def _watch() -> None:
    limit = _limit_s()
    while True:
        time.sleep(min(limit / 4, 1.0))
        now = time.monotonic()
        late = [label for label, since in list(_running.values()) if now - since > limit]
        if late:
            sys.stderr.write(
                f"UNKNOWN: {late[0]} has not returned for {limit:g} s; stopping.\n"
                "Disable it with 'msp-toolkit plugin disable <id>', or start with --safe-mode.\n"
            )
            sys.stderr.flush()
            os._exit(EXIT_CODE)

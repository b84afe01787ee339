"""Waiting for what takes its own time."""

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

_BETWEEN_S = 0.01


async def eventually(holds: Callable[[], Any], *, within_s: float = 30.0) -> Any:
    """Ask until the answer is true, and return it; the function asked may be a coroutine function.

    A test that sleeps for a fixed time fails on a machine that is busy, and is slow on one that is not. Raises
    `AssertionError` when nothing true came within the time.
    """
    until = time.monotonic() + within_s
    while True:
        answer = holds()
        if isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < until, f"still {answer!r} after {within_s:g} s"
        await asyncio.sleep(_BETWEEN_S)

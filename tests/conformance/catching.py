"""Hold one case against what is broken: it must fail then, and must not without."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from msp_core.testing.subject import _installed, _needs


async def assert_caught(
    run: Callable[[Path], Awaitable[None]],
    breakage: Callable[[pytest.MonkeyPatch], object],
    folder: Path,
) -> None:
    """Run a case on what is sound, then on what is broken."""
    _installed.cache_clear()
    _needs.cache_clear()
    await run(folder / "good")
    with pytest.MonkeyPatch.context() as patch:
        breakage(patch)
        with fails():
            await run(folder / "broken")


@contextmanager
def fails() -> Iterator[None]:
    """Expect a case to fail inside, however; a skipped one has caught nothing."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever makes a test fail
        yield
    assert not isinstance(caught.value, pytest.skip.Exception | KeyboardInterrupt), "skipped"

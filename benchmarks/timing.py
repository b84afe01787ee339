"""Measuring both sides in turn, so that whatever else the machine does falls on both."""

import gc
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field, frozen


@frozen
class Sample:
    """What one go took."""

    wall_s: float
    cpu_s: float


Go = Callable[[], Sample]


@define
class Clock:
    """Times a block of this process; `sample` is there afterwards."""

    sample: Sample = field(default=Sample(0.0, 0.0))


@contextmanager
def clock(elsewhere: Callable[[], float] = float) -> Iterator[Clock]:
    """Time a block; the rubbish of what came before is collected first.

    `elsewhere` tells the processor seconds that another process has taken for us.
    """
    gc.collect()
    taken = Clock()
    cpu, wall = time.process_time() + elsewhere(), time.perf_counter()
    yield taken
    wall = time.perf_counter() - wall
    taken.sample = Sample(wall, time.process_time() + elsewhere() - cpu)


def run(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Sample:
    """Run a command and return what it took; RuntimeError with its output where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=child_environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    took = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace")
        message = f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}"
        raise RuntimeError(message)
    cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return Sample(took, cpu)


def child_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of what is measured: bytecode is kept, as it is for everybody else."""
    hidden = ("MSP_", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "COVERAGE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return {**kept, **(more or {})}


def in_turn(rounds: int, *goes: Go) -> list[Sample]:
    """Run each go once unmeasured, then all of them in turn; return the medians."""
    for go in goes:
        go()
    taken: list[list[Sample]] = [[] for _ in goes]
    for _ in range(rounds):
        for samples, go in zip(taken, goes, strict=True):
            samples.append(go())
    return [median(samples) for samples in taken]


def median(samples: Sequence[Sample]) -> Sample:
    """Return the medians of wall and processor time."""
    return Sample(
        statistics.median(one.wall_s for one in samples),
        statistics.median(one.cpu_s for one in samples),
    )

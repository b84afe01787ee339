"""The table: what each work took, and whether that is within its budget."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.timing import Sample

BUSY = 1.5
"""From this load on, processor time decides: the wall then shows what else is running."""


@frozen(kw_only=True)
class Row:
    """One line: ours against a floor, or against a limit in MiB."""

    work: str
    ours: Sample | float
    floor: Sample | None = None
    budget: float
    by_wall: bool = False
    """The work happens in another process too, so that our processor time alone would say little."""
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the line."""
        if isinstance(self.ours, Sample) and self.floor is not None:
            wall = self.ours.wall_s / self.floor.wall_s
            cpu = self.ours.cpu_s / max(self.floor.cpu_s, 1e-6)
            decides = cpu if os.getloadavg()[0] > BUSY and not self.by_wall else wall
            ratios = (_shown(self.ours), _shown(self.floor), f"{wall:.2f}x", f"{cpu:.2f}x")
            limit = f"{self.budget:g}x"
        else:
            assert isinstance(self.ours, float)
            decides = self.ours
            ratios = (f"{self.ours:.0f} MiB", "-", "-", "-")
            limit = f"{self.budget:g} MiB"
        verdict = "within" if decides <= self.budget else "OVER"
        return (self.work, *ratios, limit, verdict)


def _shown(sample: Sample) -> str:
    return f"{_time(sample.wall_s)} ({_time(sample.cpu_s)})"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def machine() -> str:
    """Say what this was measured on."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    decides = "processor time" if os.getloadavg()[0] > BUSY else "wall time"
    return (
        f"{os.cpu_count()} cores ({_model()}), Python {platform.python_version()}, {platform.system()} "
        f"{platform.release()}, load {load}: {decides} decides. Times are wall (processor), medians of rounds in turn."
    )


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


HEAD = ("work", "ours", "floor", "wall", "CPU", "budget", "verdict")


def render(rows: Sequence[Row]) -> str:
    """Return the table with its notes."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEAD))]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    shown.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"{row.work}: {row.note}" for row in rows if row.note]
    return "\n".join([*shown, "", *notes])

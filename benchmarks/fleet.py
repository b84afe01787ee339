"""A workspace connected to a lab in a process of its own, with every device known."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from benchmarks.environments import CACHE
from benchmarks.timing import run
from msp_lab.installation import overlay_text
from msp_lab.process import LabProcess, Size, lab_process

PROGRAM = Path(sys.executable).with_name("msp-toolkit")


@frozen
class FleetWorkspace:
    """The workspace's folder, and the lab it is connected to."""

    folder: Path
    lab: LabProcess

    def requests(self) -> dict[str, int]:
        """Return how many requests each vendor has answered so far."""
        state = self.lab.ask("GET", "/state", timeout=60)
        assert isinstance(state, dict)
        return {vendor: sum(counts.values()) for vendor, counts in state["requests"].items()}


@contextmanager
def connected(
    *, clients: int, devices: int, latency_ms: float = 0.0, concurrency: int = 10
) -> Iterator[FleetWorkspace]:
    """Start a lab, write the configuration, and sync."""
    folder = CACHE / f"fleet-{devices}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    size = Size(clients=clients, devices=devices, latency_ms=latency_ms)
    with lab_process(size) as lab:
        adapters = overlay_text(lab, size).replace(
            'kind = "', f'concurrency = {concurrency}\nkind = "'
        )
        (folder / "msp-toolkit.toml").write_text(adapters, encoding="utf-8")
        run([PROGRAM, "client", "sync", "--all", "--create"], cwd=folder)
        yield FleetWorkspace(folder, lab)

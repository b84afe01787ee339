"""Measure and print one table: `python -m benchmarks [NAME...] [--quick]`."""

import argparse
import gc
import importlib
import sys
import time

from benchmarks.table import Row, machine, render
from msp_core.__main__ import GARBAGE

WORKS = {
    "help": "benchmarks.commands:measure_help",
    "list": "benchmarks.commands:measure_list",
    "collect": "benchmarks.collecting:measure",
    "record": "benchmarks.recording:measure",
    "read": "benchmarks.reading:measure",
    "mcp": "benchmarks.mcp:measure",
    "memory": "benchmarks.memory:measure",
}


def main() -> int:
    """Measure what is asked for, print the table, and return 1 where a budget is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKS)}; default: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds, smaller fleets: a first look"
    )
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(WORKS))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)} (there are: {', '.join(WORKS)})")
    gc.set_threshold(*GARBAGE)  # as the program does, for both sides
    rows: list[Row] = []
    for name in given.names or WORKS:
        started = time.monotonic()
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        module, _, function = WORKS[name].partition(":")
        rows += getattr(importlib.import_module(module), function)(quick=given.quick)
        print(f"{time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(f"\n{machine()}\n\n{render(rows)}")
    return int(any(row.cells()[-1] == "OVER" for row in rows))


if __name__ == "__main__":
    sys.exit(main())

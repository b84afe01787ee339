"""Where the program begins: Ctrl-C while it is still being imported is an end like any other, no traceback."""

import gc
import sys

GARBAGE = (50_000, 20, 20)
"""Thresholds of the collector. What a command makes lives until its end: looking for rubbish among it every 700
objects, as Python does, costs a tenth of a short command and more of a sweep."""


def main() -> None:
    """Import the command line and run it."""
    gc.set_threshold(*GARBAGE)
    try:
        from msp_core.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("Aborted.\n")
        sys.exit(130)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # `python -m` looks into the current folder first; being there is no reason to run what lies there
        del sys.path[0]
    main()

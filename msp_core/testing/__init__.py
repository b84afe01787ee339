"""The kit for plugin authors: run the command line and tools against a workspace of their own.

`run_cli` runs a command line in this process; `workspace` is a pytest fixture's worth of a fresh, isolated workspace.
"""

from msp_core.testing.commandline import Done, run_cli
from msp_core.testing.workspace import isolated, make_toolkit

__all__ = ["Done", "isolated", "make_toolkit", "run_cli"]

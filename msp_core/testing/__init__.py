"""The kit for plugin authors: run the command line and tools against a workspace of their own.

`run_cli` runs a command line in this process; `workspace` is a pytest fixture's worth of a fresh, isolated workspace.
"""

from msp_core.registry import Registry
from msp_core.testing.commandline import Done, run_cli
from msp_core.testing.workspace import isolated, make_toolkit, registry_of

__all__ = ["Done", "Registry", "isolated", "make_toolkit", "registry_of", "run_cli"]

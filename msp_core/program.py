"""What this program is called where it runs, for the hints that say what to type next."""

import os
import re
import sys

_COMMAND = r"(?<![\w./-])msp-toolkit (?=[a-z])"


def program_name() -> str:
    """Return the command this program was started by; `msp` is all there is where msp-core is installed alone."""
    started = os.path.basename(sys.argv[0]).removesuffix(".exe")  # noqa: PTH119, on the way of --help
    return "msp" if started == "msp" else "msp-toolkit"


def typed(text: str) -> str:
    """Return a hint with its commands as they are typed here; hints are written for `msp-toolkit`."""
    if "msp-toolkit " not in text or program_name() == "msp-toolkit":
        return text
    return re.sub(_COMMAND, "msp ", text)

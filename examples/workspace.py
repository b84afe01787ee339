"""A throw-away workspace for the examples: the simulated RMM as its provider."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msp_toolkit import MSPToolkit

CONFIG = """
[general]
company_name = "Nordlicht IT"
timezone = "Europe/Berlin"

[rmm]
provider = "mock"          # a fleet with no vendor at all; "ninjaone" or "connectwise" in real life
"""


@contextmanager
def workspace() -> Iterator[MSPToolkit]:
    """Open a toolkit on a temporary folder, with the fleet brought in."""
    with tempfile.TemporaryDirectory(prefix="msp-example-") as folder:
        file = Path(folder) / "msp-toolkit.toml"
        file.write_text(CONFIG, encoding="utf-8")
        with MSPToolkit.from_config(file) as toolkit:
            toolkit.call("client.sync", instances=["rmm"], create=True)
            yield toolkit

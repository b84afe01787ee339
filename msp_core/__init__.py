"""The kernel of MSP Toolkit: contracts, plugin loader and command-line host.

Plugins import `msp_core.v1` and nothing else from here.
"""

__version__ = "0.1.0"

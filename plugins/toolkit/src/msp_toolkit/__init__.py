"""MSP Toolkit for Python programs: a synchronous face of the same tools that every other surface offers."""

from msp_toolkit.toolkit import MSPToolkit

__version__ = "0.1.0"
__all__ = ["MSPToolkit", "__version__"]

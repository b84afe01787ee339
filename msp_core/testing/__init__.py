"""The kit for plugin authors: everything a plugin's own tests need, beside `msp_core.v1`.

`run_cli` and `run_tool` use an installed plugin as people do; `toolkit_for` gives a toolkit with one plugin under test
and nothing else that is installed; `StrictVendor` answers HTTP and refuses what nobody expected; `ResultSink` sees
that every result was looked at; `eventually` waits for what takes its own time; `msp_core.testing.conformance` holds
the cases every plugin must pass; `msp_core.testing.strategies` makes data for hypothesis. Names are loaded on first
use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msp_core.registry import Registry as Registry
    from msp_core.testing.clock import FixedClock as FixedClock
    from msp_core.testing.commandline import Done as Done
    from msp_core.testing.commandline import run_cli as run_cli
    from msp_core.testing.commandline import run_tool as run_tool
    from msp_core.testing.door import open_door as open_door
    from msp_core.testing.nouns import fake_client as fake_client
    from msp_core.testing.nouns import fake_device as fake_device
    from msp_core.testing.patience import eventually as eventually
    from msp_core.testing.sink import ResultSink as ResultSink
    from msp_core.testing.subject import toolkit_for as toolkit_for
    from msp_core.testing.vendor import FaultyVendor as FaultyVendor
    from msp_core.testing.vendor import Reply as Reply
    from msp_core.testing.vendor import Request as Request
    from msp_core.testing.vendor import StrictVendor as StrictVendor
    from msp_core.testing.workspace import isolated as isolated
    from msp_core.testing.workspace import make_toolkit as make_toolkit
    from msp_core.testing.workspace import registry_of as registry_of

_HOMES = {
    "msp_core.registry": "Registry",
    "msp_core.testing.clock": "FixedClock",
    "msp_core.testing.commandline": "Done run_cli run_tool",
    "msp_core.testing.door": "open_door",
    "msp_core.testing.nouns": "fake_client fake_device",
    "msp_core.testing.patience": "eventually",
    "msp_core.testing.sink": "ResultSink",
    "msp_core.testing.subject": "toolkit_for",
    "msp_core.testing.vendor": "FaultyVendor Reply Request StrictVendor",
    "msp_core.testing.workspace": "isolated make_toolkit registry_of",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        message = f"msp_core.testing has no {name!r}; it has {', '.join(__all__)}"
        raise AttributeError(message)
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

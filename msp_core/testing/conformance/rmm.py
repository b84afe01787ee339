"""The cases of an RMM adapter, put together."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from msp_core.adapters import Adapter
from msp_core.testing.conformance.backend import RmmBackend
from msp_core.testing.conformance.plugin import PluginConformance
from msp_core.testing.conformance.rig import Rig, open_rig
from msp_core.testing.conformance.rmm_items import ItemCases
from msp_core.testing.conformance.rmm_lists import AlertCases, ListCases
from msp_core.testing.conformance.rmm_safety import SafetyCases
from msp_core.testing.conformance.rmm_wire import FaultCases, LoginCases, PagingCases
from msp_core.testing.subject import registry_for


class RmmAdapterConformance(
    ListCases,
    AlertCases,
    PagingCases,
    LoginCases,
    FaultCases,
    ItemCases,
    SafetyCases,
    PluginConformance,
):
    """What every RMM adapter must do, in front of a vendor that misbehaves.

    Set `plugin`, `kind` where it is not the plugin's id, and `backend`: a class that makes an `RmmBackend`.
    """

    kind: ClassVar[str] = ""
    backend: ClassVar[Callable[[], RmmBackend]]
    pytestmark = pytest.mark.anyio

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[Rig]:
        """The adapter in front of its faulty vendor."""
        backend: Any = type(self).backend()
        async with open_rig(self.plugin, self._kind(), backend, tmp_path) as rig:
            yield rig

    def _kind(self) -> str:
        if self.kind:
            return self.kind
        registry = registry_for(self.plugin)
        offered = registry.find_in(registry.candidates[self.plugin].module.split(".")[0], Adapter)
        assert len(offered) == 1, f"say which kind is meant: {[one.id for one in offered]}"
        return offered[0].id


def case_names() -> tuple[str, ...]:
    """Return the names of all cases, without those of every plugin."""
    names = set(dir(RmmAdapterConformance)) - set(dir(PluginConformance))
    return tuple(sorted(name for name in names if name.startswith("test_")))

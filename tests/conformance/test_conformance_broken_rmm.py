"""The cases of RMM adapters catch what they are for: the template's adapter passes, each broken one fails its case."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from msp_core.testing.conformance import RmmAdapterConformance
from msp_core.testing.conformance.rig import open_rig
from msp_core.testing.conformance.rmm import case_names
from msp_core.testing.subject import _installed, _needs
from msp_http.api import Token, TokenRequester

sys.path.insert(0, str(Path(__file__).parent))
import broken_rmm_manners  # noqa: F401 - adds to BROKEN
from broken_rmm import BROKEN
from catching import fails

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The template's RMM adapter, rendered and installed."""
    from copier import run_copy

    folder = tmp_path_factory.mktemp("acme")
    template = Path(__file__).parents[2] / "plugin_template"
    run_copy(
        str(template), folder, data={"plugin": "acme-rmm", "kind": "rmm"}, defaults=True, quiet=True
    )
    source = folder / "src"
    info = source / "acme_rmm-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: acme-rmm\nVersion: 0.1.0\nSummary: Ours\nLicense: MIT\n"
        "Requires-Dist: msp-core>=0.1,<0.2\nRequires-Dist: msp-http>=0.1,<0.2\n"
    )
    (info / "entry_points.txt").write_text("[msp_toolkit.plugins]\nacme-rmm = acme_rmm.plugin\n")
    sys.path.insert(0, str(source))
    _forget()
    names = ("adapter", "shapes", "wire", "settings", "simulator", "plugin")
    yield SimpleNamespace(**{name: importlib.import_module(f"acme_rmm.{name}") for name in names})
    sys.path.remove(str(source))
    for name in [name for name in sys.modules if name.startswith("acme_rmm")]:
        del sys.modules[name]
    _forget()


def _forget() -> None:
    _installed.cache_clear()
    _needs.cache_clear()


async def run_case(acme: SimpleNamespace, case: str, folder: Path) -> None:
    """Run one case against the adapter as it is now."""

    class Cases(RmmAdapterConformance):
        plugin = "acme-rmm"

    method = getattr(Cases(), case)
    async with open_rig("acme-rmm", "acme-rmm", acme.simulator.Simulator(), folder) as rig:
        if "tmp_path" in method.__code__.co_varnames:
            await method(rig, folder)
        else:
            await method(rig)


def test_there_are_at_least_sixty_cases() -> None:
    """What is promised to authors."""
    assert len(case_names()) >= 60


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_adapter_is_caught(
    acme: SimpleNamespace, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The case named for it fails with the broken adapter, and passes with the good one."""
    case, breakage = BROKEN[name]
    await _passes_or_does_not_apply(acme, case, tmp_path / "good")
    with monkeypatch.context() as patch:
        breakage(patch, acme)
        with fails():
            await run_case(acme, case, tmp_path / "broken")


async def _passes_or_does_not_apply(acme: SimpleNamespace, case: str, folder: Path) -> None:
    try:
        await run_case(acme, case, folder)
    except pytest.skip.Exception:
        return


@pytest.mark.parametrize("case", ["that_fails", "that_answers_a_web_page", "without_a_token"])
async def test_a_key_that_goes_with_every_request(
    acme: SimpleNamespace, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is a login the cases about it say what the backend lacks, and are skipped once it says so."""

    async def authenticate(self: Any, http: TokenRequester) -> Token:
        return Token(headers={"Authorization": "Bearer t1"})

    monkeypatch.setattr(acme.wire.Login, "authenticate", authenticate)
    monkeypatch.setattr(acme.simulator.Simulator, "is_login", lambda *_: False)
    with pytest.raises(AssertionError, match="give the backend fixed_key = True"):
        await run_case(acme, f"test_a_login_{case}", tmp_path / "silent")
    monkeypatch.setattr(acme.simulator.Simulator, "fixed_key", True, raising=False)
    with pytest.raises(pytest.skip.Exception, match="has no login"):
        await run_case(acme, f"test_a_login_{case}", tmp_path / "said")


def test_at_least_twenty_adapters_are_broken() -> None:
    """What is promised to ourselves."""
    assert len(BROKEN) >= 20

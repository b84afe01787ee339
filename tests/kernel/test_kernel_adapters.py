"""Adapter instances: paths, credentials in place of others."""

import sys
import types
from collections.abc import Iterable
from pathlib import Path

import pytest
from attrs import frozen

from msp_core.testing import make_toolkit
from msp_core.v1 import Adapter, Credential, Role, SecretRef, UnknownPlugin, hookimpl


@frozen(kw_only=True)
class Options:
    """Options of the double."""

    key_file: Path | None = None
    more: tuple[Path, ...] = ()
    client_id: SecretRef | None = None
    api_key: SecretRef | None = None


@hookimpl
def msp_adapters() -> Iterable[Adapter]:
    """Offer the double."""
    yield Adapter(
        id="double",
        title="Double",
        role=Role.RMM,
        factory="double_adapter:create",
        settings="double_adapter:Options",
        credentials=(
            Credential(name="client_id", summary="an id", unless="api_key"),
            Credential(name="api_key", summary="both in one", required=False),
        ),
    )


module = types.ModuleType("double_adapter")
vars(module).update(msp_adapters=msp_adapters, Options=Options)
sys.modules["double_adapter"] = module


def test_paths_start_at_the_workspace_or_the_home(tmp_path: Path) -> None:
    """Wherever the command was started."""
    config = {"adapters": {"x": {"kind": "double", "key_file": "keys/id", "more": ["~/a", "/b"]}}}
    [found] = make_toolkit(tmp_path, plugins={"double": module}, config=config).instances()
    assert found.settings.key_file == tmp_path / "keys" / "id"
    assert found.settings.more == (Path.home() / "a", Path("/b"))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("options", "env", "missing"),
    [
        ({}, {}, ["client_id"]),
        ({}, {"X_API_KEY": "a:b"}, []),
        ({"api_key_env": "OTHER"}, {"OTHER": "a:b"}, []),
        ({"client_id": "env:ID"}, {"ID": "a"}, []),
    ],
)
async def test_a_credential_can_make_another_needless(
    tmp_path: Path, options: dict[str, str], env: dict[str, str], missing: list[str]
) -> None:
    """`config check` asks only for what is really needed."""
    config = {"adapters": {"x": {"kind": "double", **options}}}
    async with make_toolkit(tmp_path, plugins={"double": module}, config=config, env=env) as made:
        checked = await made.call("config.check")
    assert [one.credential for one in checked.credentials if not one.found] == missing


def test_an_installed_kind_without_a_section_says_which_to_add(tmp_path: Path) -> None:
    """Naming the kind is the usual mistake; installing it again would not help."""
    with pytest.raises(UnknownPlugin) as caught:
        make_toolkit(tmp_path, plugins={"double": module}).instance("double")
    assert '[adapters.double] with kind = "double"' in caught.value.suggestion

"""The vendor lab: simulators, and the references to their credentials."""

from collections.abc import Iterable

from msp_core.v1 import SecretProvider, hookimpl


@hookimpl
def msp_secret_providers() -> Iterable[SecretProvider]:
    yield SecretProvider(
        scheme="lab",
        title="Made-up credentials of the vendor lab",
        factory="msp_lab.secrets:create",
        writable=False,
        order=90,
    )

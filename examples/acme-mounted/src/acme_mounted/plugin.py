"""What this plugin offers: a place where secrets live."""

from collections.abc import Iterable

from msp_core.v1 import SecretProvider, hookimpl


@hookimpl
def msp_secret_providers() -> Iterable[SecretProvider]:
    """Offer `mounted:service/key`."""
    yield SecretProvider(
        scheme="mounted",
        title="Mounted files (Docker, Kubernetes)",
        factory="acme_mounted.store:create",
        writable=False,
    )

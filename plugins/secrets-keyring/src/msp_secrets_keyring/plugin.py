"""What this plugin offers: the `keyring:` secret provider."""

from collections.abc import Iterable

from msp_core.v1 import SecretProvider, hookimpl


@hookimpl
def msp_secret_providers() -> Iterable[SecretProvider]:
    """Offer the keyring of the operating system."""
    yield SecretProvider(
        scheme="keyring",
        title="Keyring of the operating system",
        factory="msp_secrets_keyring.store:create",
        order=40,
    )

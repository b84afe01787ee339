"""What this plugin offers: the `file:` secret provider and the tool that changes its key."""

from collections.abc import Iterable

from msp_core.v1 import Effect, SecretProvider, Surface, Tool, hookimpl


@hookimpl
def msp_secret_providers() -> Iterable[SecretProvider]:
    """Offer the encrypted file."""
    yield SecretProvider(
        scheme="file",
        title="Encrypted file of the workspace",
        factory="msp_secrets_file.store:create",
        order=20,
    )


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the change of the key."""
    yield Tool(
        name="credential.rotate-key",
        run="msp_secrets_file.tools:rotate_key",
        summary="Encrypt the credential file anew under a new key",
        effect=Effect.CHANGE,
        surfaces=frozenset({Surface.CLI, Surface.PYTHON}),
        example="credential rotate-key",
    )

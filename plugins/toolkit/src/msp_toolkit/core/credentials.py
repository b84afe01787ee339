"""Secrets for Python programs: the environment first, then the operating system's keyring."""

from functools import cached_property

from msp_core.v1 import CredentialError, Toolkit


class CredentialManager:
    """Find and store the secrets of services: `RMM_API_KEY` in the environment, else `rmm/api_key` in the keyring.

    Works on the workspace of the current folder, or on a toolkit's. The keyring is `msp-toolkit[keyring]`.
    """

    def __init__(self, use_keyring: bool = True, toolkit: Toolkit | None = None) -> None:
        self.use_keyring = use_keyring
        self._toolkit = toolkit

    def get_credential(self, service: str, key: str) -> str | None:
        """Return a secret, or None where there is none.

        Raises CredentialError when the keyring is locked, UnknownPlugin when it is not installed.
        """
        name = f"{service}/{key}"
        value = self._opened.secrets.store("env").get(name)
        if value is None and self.use_keyring:
            value = self._opened.secrets.store("keyring").get(name)
        return value

    def set_credential(self, service: str, key: str, value: str) -> None:
        """Store a secret in the keyring; without a keyring there is nowhere to, and CredentialError says so."""
        if not self.use_keyring:
            message = f"There is no keyring to store {service}/{key} in."
            variable = f"{service}_{key}".upper()
            raise CredentialError(
                message, suggestion=f"Set {variable} in the environment or in .env."
            )
        self._opened.secrets.store("keyring").set(f"{service}/{key}", value)

    @cached_property
    def _opened(self) -> Toolkit:
        return self._toolkit or Toolkit.open()

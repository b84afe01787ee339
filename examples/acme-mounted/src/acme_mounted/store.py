"""The store: `rmm/api_key` is the file `rmm.api_key`, because a mounted secret's name has no slash."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from msp_core.v1 import CredentialError, NotSupported, SecretEnv

VARIABLE = "ACME_MOUNTED_DIR"


def create(env: SecretEnv) -> "Mounted":
    """Build the store; nothing is read yet."""
    return Mounted(Path(env.environ(VARIABLE) or "/run/secrets"))


class Mounted:
    """Reads a file each time, so that a rotated secret is seen; it keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> str | None:
        """Return the secret, or None where there is no such file."""
        file = self._folder / name.replace("/", ".")
        try:
            return file.read_text(encoding="utf-8").rstrip("\n")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            message = f"{file} cannot be read: {type(error).__name__}."
            raise CredentialError(message, suggestion="Look at the mount and its mode.") from None

    def names(self) -> Sequence[str]:
        """Return the names of all secrets."""
        if not self._folder.is_dir():
            return []
        files = sorted(one.name for one in self._folder.iterdir() if one.is_file())
        return [name.replace(".", "/", 1) for name in files]

    def set(self, name: str, value: str) -> NoReturn:
        """Refuse: whoever runs the container mounts its secrets."""
        self._refuse()

    def delete(self, name: str) -> NoReturn:
        """Refuse."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        message = "Mounted secrets can only be read."
        raise NotSupported(message, suggestion="Change the secret where the container is run.")

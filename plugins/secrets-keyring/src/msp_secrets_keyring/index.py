"""The names stored from one workspace: a small private file, since a keyring cannot be listed."""

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from msp_core.v1 import CredentialError


class Index:
    """Names in a JSON file. Entered as a context it is locked against other writers and written at the end."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._names: set[str] = set()
        self._lock = -1

    def read(self) -> list[str]:
        """Return the names, sorted; none where there is no file."""
        try:
            names = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._failed("read", error.strerror or "") from None
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise CredentialError(
                f"The list of names {self._path} is damaged. The secrets themselves are in the keyring.",
                suggestion="Remove the file; each secret is listed again once it is stored again.",
            )
        return sorted(names)

    def add(self, name: str) -> None:
        """Add a name."""
        self._names.add(name)

    def remove(self, name: str) -> None:
        """Remove a name."""
        self._names.discard(name)

    def __enter__(self) -> Self:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._lock = os.open(self._path.with_name(f".{self._path.name}.lock"), flags, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._names = set(self.read())
        except OSError as error:
            self._unlock()
            raise self._failed("lock", error.strerror or "") from None
        except CredentialError:
            self._unlock()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._write()
        except OSError as failure:
            raise self._failed("write", failure.strerror or "") from None
        finally:
            self._unlock()

    def _write(self) -> None:
        fresh = self._path.with_name(f".{self._path.name}.new")
        descriptor = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(sorted(self._names), file, indent=1)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self._path)

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _failed(self, what: str, reason: str) -> CredentialError:
        return CredentialError(
            f"Cannot {what} the list of names {self._path}: {reason}.",
            suggestion="Look at the free space and the permissions of that folder.",
        )

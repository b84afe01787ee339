"""The store: reads without a lock, writes one at a time, replaces the file whole."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msp_core.v1 import CredentialError, SecretEnv
from msp_secrets_file import keys
from msp_secrets_file.document import MAGIC, Document, Kdf, Loaded, WrongKeyError, is_ours, load

CREDENTIALS = "MSP_CREDENTIALS"
FILE_NAME = "credentials.msp"
_LOCK_WAIT_S = 10.0
_LONGEST_NAME = 512
_LONGEST_VALUE = 1_048_576


def create(env: SecretEnv) -> "FileSecretStore":
    """Build the store of this workspace."""
    return FileSecretStore(env)


def default_path(env: SecretEnv) -> Path:
    """Return where the file is: MSP_CREDENTIALS, unless another kind of file is there, else the state folder."""
    configured = env.environ(CREDENTIALS)
    if configured:
        path = Path(configured).expanduser()
        try:
            with path.open("rb") as file:
                ours = is_ours(file.read(len(MAGIC)))
        except FileNotFoundError:
            ours = path.parent.is_dir()
        except OSError as error:
            raise CredentialError(
                f"The credential file {path} cannot be read: {error.strerror}.",
                suggestion=f"Let the user who runs the toolkit read it, or unset {CREDENTIALS}.",
            ) from error
        if ours:
            return path
    return Path(env.state_dir) / FILE_NAME


class FileSecretStore:
    """Secrets in one encrypted file. Safe with several threads and processes; implements SecretStore."""

    def __init__(self, env: SecretEnv, path: Path | None = None) -> None:
        self._env = env
        self._path = path
        self._threads = threading.Lock()

    @property
    def path(self) -> Path:
        """The file; links are followed, so that replacing it does not replace a link."""
        if self._path is None:
            self._path = default_path(self._env).resolve()
        return self._path

    def get(self, name: str) -> str | None:
        """Return a secret, or None where there is none of that name."""
        loaded = self._load()
        if loaded is None:
            return None
        key = self._unlock(loaded)
        return self._open(loaded, name, key)

    def set(self, name: str, value: str) -> None:
        """Store a secret; it is on the disk when this returns."""
        data = _checked(name, value)
        with self._lock():
            loaded = self._load()
            if loaded is None:
                document, key = self._new()
            else:
                document, key = loaded.document, self._unlock(loaded)
            self._replace(document.with_secret(name, data, key).dump(key))

    def delete(self, name: str) -> bool:
        """Remove a secret; tell whether there was one."""
        with self._lock():
            loaded = self._load()
            if loaded is None or name not in loaded.document.boxes:
                return False
            key = self._unlock(loaded)
            self._replace(loaded.document.without(name).dump(key))
            return True

    def names(self) -> Sequence[str]:
        """Return the names of all secrets. It needs no key: names are readable in the file."""
        loaded = self._load()
        return () if loaded is None else tuple(sorted(loaded.document.boxes))

    def kdf(self) -> Kdf:
        """Return how the file is locked; raise CredentialError where there is no file yet."""
        loaded = self._load()
        if loaded is None:
            raise CredentialError(
                f"There is no credential file at {self.path} yet, so no key to change.",
                suggestion="Store a secret first; `msp-toolkit credential set --help` shows how.",
            )
        return loaded.document.kdf

    def rotate(self, kdf: Kdf, material: bytes) -> int:
        """Encrypt every secret anew under the key of `kdf` and `material`; return how many there were.

        The file is replaced in one step: whenever the process dies, it opens with the old key or with the new one.
        """
        with self._lock():
            self.kdf()
            loaded = self._load()
            assert loaded is not None
            old = self._unlock(loaded)
            new = keys.derive(material, kdf)
            document = Document(kdf=kdf)
            for name in loaded.document.boxes:
                value = self._open(loaded, name, old) or ""
                document = document.with_secret(name, value.encode(), new)
            self._replace(document.dump(new))
            return len(document.boxes)

    def _new(self) -> tuple[Document, bytes]:
        kdf = keys.new_kdf(keys.kind_for_new(self._env))
        if kdf.kind == keys.HKDF_SHA256:
            material = keys.make_key_file(keys.key_path(self._env, kdf.key_id))
        else:
            material = keys.material(self._env, kdf)
        return Document(kdf=kdf), keys.derive(material, kdf)

    def _load(self) -> Loaded | None:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CredentialError(
                f"The credential file {self.path} cannot be read: {error.strerror}.",
                suggestion="Let the user who runs the toolkit read it.",
            ) from error
        return load(raw, f"The credential file {self.path}")

    def _unlock(self, loaded: Loaded) -> bytes:
        kdf = loaded.document.kdf
        key = keys.derive(keys.material(self._env, kdf), kdf)
        try:
            loaded.verify(key)
        except WrongKeyError:
            raise self._wrong_key(kdf) from None
        return key

    def _open(self, loaded: Loaded, name: str, key: bytes) -> str | None:
        try:
            return loaded.document.open(name, key)
        except WrongKeyError:
            raise self._wrong_key(loaded.document.kdf) from None

    def _wrong_key(self, kdf: Kdf) -> CredentialError:
        if kdf.kind == keys.ARGON2ID:
            what = f"the passphrase in {keys.PASSPHRASE}"
            then = f"Set {keys.PASSPHRASE} to the passphrase the file was locked with."
        else:
            path = keys.key_path(self._env, kdf.key_id)
            what = f"the key file {path}"
            then = f"Set {keys.KEY_FILE} to the key file it was locked with, or restore that file."
        return CredentialError(
            f"The credential file {self.path} does not open with {what}: it is the wrong key, or "
            "somebody without the key altered the file.",
            suggestion=then,
        )

    def _replace(self, data: bytes) -> None:
        # One fixed name: the lock keeps others away, and what a dead process left is overwritten
        fresh = self.path.with_name(f".{self.path.name}.new")
        try:
            try:
                keys.write_private(fresh, data)
                fresh.replace(self.path)
            except OSError:
                with suppress(OSError):
                    fresh.unlink(missing_ok=True)
                raise
            keys.sync_folder(self.path.parent)
        except OSError as error:
            raise self._unwritable(error) from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        lock = self.path.with_name(f".{self.path.name}.lock")
        with self._threads:
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(lock, flags, 0o600)
            except OSError as error:
                raise self._unwritable(error) from error
            try:
                _wait_for(descriptor, self.path)
                yield
            finally:
                os.close(descriptor)  # also lets the lock go

    def _unwritable(self, error: OSError) -> CredentialError:
        return CredentialError(
            f"The credential file {self.path} cannot be written: {error.strerror}. "
            "What it held before is still there.",
            suggestion="Look at the free space and the permissions of that folder, or name another "
            f"file in {CREDENTIALS}.",
        )


def _wait_for(descriptor: int, path: Path) -> None:
    give_up = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise CredentialError(
                    f"Another process has been writing the credential file {path} for "
                    f"{_LOCK_WAIT_S:.0f} seconds; nothing was changed.",
                    suggestion="Wait for it to finish, then try again.",
                ) from None
            time.sleep(0.02)
        except OSError as error:
            raise CredentialError(
                f"The credential file {path} cannot be locked: {error.strerror}.",
                suggestion="Keep it on a file system that knows locks.",
            ) from error
        else:
            return


def _checked(name: str, value: str) -> bytes:
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise CredentialError(
            f"{name[:80]!r} cannot be the name of a secret.",
            suggestion=f"Use printable text such as rmm/api_key, at most {_LONGEST_NAME} characters.",
        )
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise CredentialError(
            f"The value of {name} is not text.", suggestion="Store it as base64 or hexadecimal."
        ) from None
    if not data or len(data) > _LONGEST_VALUE:
        raise CredentialError(
            f"The value of {name} has {len(data)} bytes; 1 to {_LONGEST_VALUE} are possible.",
            suggestion="Store the secret itself; large files do not belong here.",
        )
    return data

"""Where the key comes from: a passphrase in the environment, or a key file outside the workspace.

A key beside the data protects nothing once the folder is copied, so key files live in the user's configuration
folder by default. Whoever runs without a person sets `MSP_SECRETS_PASSPHRASE` or `MSP_SECRETS_KEY_FILE`.
"""

import hashlib
import os
import re
import secrets
import stat
import threading
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from msp_core.v1 import CredentialError, SecretEnv
from msp_secrets_file.document import Kdf

PASSPHRASE = "MSP_SECRETS_PASSPHRASE"  # noqa: S105 - the name of a variable
KEY_FILE = "MSP_SECRETS_KEY_FILE"
ARGON2ID = "argon2id"
HKDF_SHA256 = "hkdf-sha256"

_KEY_BYTES = 32
_SALT_BYTES = 16
# RFC 9106, second recommended option: 64 MiB, three passes, four lanes; about 0.15 s
_MEMORY_KIB, _ITERATIONS, _LANES = 65_536, 3, 4
# A file from elsewhere must not be able to ask for all the memory of this machine
_MOST_MEMORY_KIB, _MOST_ITERATIONS, _MOST_LANES = 1_048_576, 64, 64
_CACHE_SIZE = 8

_cache: dict[tuple[bytes, Kdf], bytes] = {}
_cache_lock = threading.Lock()


def new_kdf(kind: str) -> Kdf:
    """Return a header for a new key, with fresh salt and id."""
    argon = kind == ARGON2ID
    return Kdf(
        kind=kind,
        salt=os.urandom(_SALT_BYTES),
        key_id=secrets.token_hex(8),
        memory_kib=_MEMORY_KIB if argon else 0,
        iterations=_ITERATIONS if argon else 0,
        lanes=_LANES if argon else 0,
    )


def derive(material: bytes, kdf: Kdf) -> bytes:
    """Make the key; once per process for the same material and header, since Argon2id is slow on purpose."""
    known = (hashlib.sha256(material).digest(), kdf)
    with _cache_lock:  # held while deriving: a second thread waits for the first one's key
        key = _cache.get(known)
        if key is None:
            key = _derive(material, kdf)
            while len(_cache) >= _CACHE_SIZE:
                del _cache[next(iter(_cache))]
            _cache[known] = key
    return key


def _derive(material: bytes, kdf: Kdf) -> bytes:
    if kdf.kind == HKDF_SHA256:
        return HKDF(
            algorithm=SHA256(), length=_KEY_BYTES, salt=kdf.salt, info=b"msp-secrets 1"
        ).derive(material)
    if (
        kdf.memory_kib > _MOST_MEMORY_KIB
        or kdf.iterations > _MOST_ITERATIONS
        or kdf.lanes > _MOST_LANES
    ):
        raise CredentialError(
            f"The credential file asks for {kdf.memory_kib} KiB, {kdf.iterations} passes and "
            f"{kdf.lanes} lanes to make its key; that is beyond what is allowed here.",
            suggestion="Restore the file from a backup.",
        )
    try:
        return Argon2id(
            salt=kdf.salt,
            length=_KEY_BYTES,
            iterations=kdf.iterations,
            lanes=kdf.lanes,
            memory_cost=kdf.memory_kib,
        ).derive(material)
    except (ValueError, OverflowError, MemoryError) as error:
        raise CredentialError(
            "The key of the credential file cannot be made on this machine: "
            f"{type(error).__name__} from Argon2id with {kdf.memory_kib} KiB.",
            suggestion="Free some memory and try again.",
        ) from error


def kind_for_new(env: SecretEnv) -> str:
    """Return how a new file is locked: by the passphrase where one is set, else by a key file."""
    return ARGON2ID if env.environ(PASSPHRASE) else HKDF_SHA256


def material(env: SecretEnv, kdf: Kdf) -> bytes:
    """Return what the key of an existing file is made from; raise CredentialError saying how to provide it."""
    if kdf.kind == ARGON2ID:
        passphrase = env.environ(PASSPHRASE)
        if not passphrase:
            raise CredentialError(
                "The credential file is locked with a passphrase, and none is set.",
                suggestion=f"Set {PASSPHRASE} in the environment.",
            )
        return as_material(passphrase)
    if kdf.kind == HKDF_SHA256:
        return read_key_file(key_path(env, kdf.key_id))
    raise CredentialError(
        f"The credential file makes its key with {kdf.kind[:40]!r}, which this program does not know.",
        suggestion="Update msp-secrets-file.",
    )


def as_material(passphrase: str) -> bytes:
    """Return the bytes of a passphrase."""
    return passphrase.encode("utf-8", "surrogateescape")


def key_path(env: SecretEnv, key_id: str) -> Path:
    """Return where the key file of this id is: the configured path, else the user's configuration folder."""
    configured = env.environ(KEY_FILE)
    if configured:
        return Path(configured).expanduser()
    if not re.fullmatch(r"[0-9a-f]{1,64}", key_id):  # it comes from the file and becomes a path
        raise CredentialError(
            "The credential file names a key with an impossible id.",
            suggestion="Restore the file from a backup.",
        )
    return _key_folder(env) / f"{key_id}.key"


def _key_folder(env: SecretEnv) -> Path:
    config = env.environ("XDG_CONFIG_HOME")
    if config:
        return Path(config) / "msp-toolkit" / "keys"
    try:
        home = Path(env.environ("HOME") or Path.home())
    except RuntimeError as error:
        raise CredentialError(
            "There is no home folder to keep the key file of the credential file in.",
            suggestion=f"Set {KEY_FILE} to a path, or {PASSPHRASE} to a passphrase.",
        ) from error
    return home / ".config" / "msp-toolkit" / "keys"


def read_key_file(path: Path) -> bytes:
    """Return the contents of a key file; raise CredentialError where it is missing, open to others or too short."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(65_536).strip()
    except FileNotFoundError:
        raise CredentialError(
            f"The key file {path} is missing; without it the credential file cannot be opened.",
            suggestion=f"Restore it from a backup, or set {KEY_FILE} to where it is.",
        ) from None
    except OSError as error:
        raise CredentialError(
            f"The key file {path} cannot be read: {error.strerror}.",
            suggestion="Let the user who runs the toolkit read it.",
        ) from error
    if mode & 0o077:
        raise CredentialError(
            f"The key file {path} is open to other users (mode {mode:03o}).",
            suggestion=f"chmod 600 {path}",
        )
    if len(content) < _KEY_BYTES:
        raise CredentialError(
            f"The key file {path} holds {len(content)} bytes; {_KEY_BYTES} are the least.",
            suggestion=f"Restore it, or make a new one with: openssl rand -hex {_KEY_BYTES}",
        )
    return content


def make_key_file(path: Path) -> bytes:
    """Make a key file with mode 0600, durably, unless there is one; return the contents of the one there is."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            write_private(fresh, secrets.token_hex(_KEY_BYTES).encode() + b"\n")
            # A link appears whole or not at all, and fails where the name is taken
            with suppress(FileExistsError):
                path.hardlink_to(fresh)
        finally:
            fresh.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise CredentialError(
            f"The key file {path} cannot be made: {error.strerror}.",
            suggestion=f"Set {KEY_FILE} to a path that can be written, or {PASSPHRASE} to a passphrase.",
        ) from error
    return read_key_file(path)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, to the disk and not only to the cache."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make names that were just added to a folder, or replaced in it, durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

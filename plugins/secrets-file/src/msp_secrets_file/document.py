"""The file format: what is written, what is checked on reading, and in which order.

Text lines, so that a damaged file can be looked at:

    msp-secrets 1
    {"kdf": ..., "salt": ..., ...}                   header: how the key is made
    {"name": ..., "nonce": ..., "box": ...}          one line per secret, sorted by name
    {"nonce": ..., "seal": ..., "sha256": ...}       end

Each box is ChaCha20-Poly1305 with the first two lines and the name as associated data, so a box cannot be moved to
another name or file. The seal is a tag over every line before it: no secret can be taken out, or an old one put
back, without the key. The SHA-256 of all bytes before it needs no key; it tells damage from a wrong key.
"""

import hashlib
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from msp_core.v1 import CredentialError

VERSION = 1
MAGIC = b"msp-secrets "
_FIRST = MAGIC + str(VERSION).encode()
_NONCE_BYTES = 12
_LEAST_LINES = 4  # the two of the header, the end, and nothing after the last line break
_RESTORE = "Restore the file from a backup, or move it away and store the secrets again."


class WrongKeyError(Exception):
    """The file is sound, but the key does not open it."""


@frozen(kw_only=True)
class Kdf:
    """How the key of a file is made from what the operator keeps."""

    kind: str
    salt: bytes
    key_id: str
    memory_kib: int = 0
    iterations: int = 0
    lanes: int = 0

    def as_dict(self) -> Mapping[str, Any]:
        """Return the header as JSON data."""
        return {
            "kdf": self.kind,
            "salt": self.salt.hex(),
            "key_id": self.key_id,
            "memory_kib": self.memory_kib,
            "iterations": self.iterations,
            "lanes": self.lanes,
        }


@frozen(kw_only=True)
class Box:
    """One encrypted secret."""

    nonce: bytes
    data: bytes


@frozen(kw_only=True)
class Document:
    """A whole file: its header and the encrypted secrets by name."""

    kdf: Kdf
    boxes: Mapping[str, Box] = field(factory=dict)

    def open(self, name: str, key: bytes) -> str | None:
        """Decrypt one secret; None where there is none of that name. Raises WrongKeyError."""
        box = self.boxes.get(name)
        if box is None:
            return None
        try:
            clear = ChaCha20Poly1305(key).decrypt(box.nonce, box.data, self._context(name))
        except InvalidTag:
            raise WrongKeyError from None
        return clear.decode()

    def with_secret(self, name: str, value: bytes, key: bytes) -> "Document":
        """Return the document with one secret added or replaced."""
        nonce = os.urandom(_NONCE_BYTES)
        data = ChaCha20Poly1305(key).encrypt(nonce, value, self._context(name))
        return evolve(self, boxes={**self.boxes, name: Box(nonce=nonce, data=data)})

    def without(self, name: str) -> "Document":
        """Return the document without one secret."""
        return evolve(self, boxes={k: box for k, box in self.boxes.items() if k != name})

    def dump(self, key: bytes) -> bytes:
        """Return the bytes of the file, sealed with the key."""
        lines = [_FIRST, _line(self.kdf.as_dict())]
        for name, box in sorted(self.boxes.items()):
            lines.append(_line({"name": name, "nonce": _text(box.nonce), "box": _text(box.data)}))
        body = b"".join(line + b"\n" for line in lines)
        nonce = os.urandom(_NONCE_BYTES)
        seal = ChaCha20Poly1305(key).encrypt(nonce, b"", body)
        end = {"nonce": _text(nonce), "seal": _text(seal)}
        return body + _line({**end, "sha256": _checksum(body, end)}) + b"\n"

    def _context(self, name: str) -> bytes:
        return b"\n".join([_FIRST, _line(self.kdf.as_dict()), name.encode()])


@frozen(kw_only=True)
class Loaded:
    """A document as read, with what `verify` needs: the bytes under the seal."""

    document: Document
    body: bytes
    nonce: bytes
    seal: bytes

    def verify(self, key: bytes) -> None:
        """Raise WrongKeyError unless the whole file was written with this key."""
        try:
            ChaCha20Poly1305(key).decrypt(self.nonce, self.seal, self.body)
        except InvalidTag:
            raise WrongKeyError from None


def is_ours(start: bytes) -> bool:
    """Tell from the first bytes of a file whether it is, or was meant to be, one of these files."""
    return MAGIC.startswith(start[: len(MAGIC)])


def load(raw: bytes, where: str) -> Loaded:
    """Read the bytes of a file; raise CredentialError that says how they are wrong."""
    first, newline, _ = raw.partition(b"\n")
    if not raw or not is_ours(raw):
        raise CredentialError(
            f"{where} is not a credential file, or is damaged.", suggestion=_RESTORE
        )
    if newline and first != _FIRST:
        version = first.removeprefix(MAGIC)[:20].decode(errors="replace")
        raise CredentialError(
            f"{where} has format version {version!r}; this program reads version {VERSION}.",
            suggestion="Update msp-secrets-file, or restore the file from a backup if it is damaged.",
        )
    lines = raw.split(b"\n")
    if lines[-1] != b"" or len(lines) < _LEAST_LINES or not lines[-2].startswith(b'{"nonce"'):
        raise CredentialError(
            f"{where} is damaged: its end is missing, as if it had been cut short.",
            suggestion=_RESTORE,
        )
    try:
        return _parse(raw, lines)
    except (ValueError, KeyError, TypeError, AttributeError):
        # No cause: it could quote bytes of the file
        raise CredentialError(
            f"{where} is damaged: its contents do not match its checksum.", suggestion=_RESTORE
        ) from None


def _parse(raw: bytes, lines: list[bytes]) -> Loaded:
    end = json.loads(lines[-2])
    body = raw[: -(len(lines[-2]) + 1)]
    sealed = {"nonce": end["nonce"], "seal": end["seal"]}
    # Written anew it must give the same bytes: nothing may be there that is not covered
    if lines[-2] != _line({**sealed, "sha256": _checksum(body, sealed)}):
        message = "checksum"
        raise ValueError(message)
    header = json.loads(lines[1])
    kdf = Kdf(
        kind=str(header["kdf"]),
        salt=bytes.fromhex(header["salt"]),
        key_id=str(header["key_id"]),
        memory_kib=int(header["memory_kib"]),
        iterations=int(header["iterations"]),
        lanes=int(header["lanes"]),
    )
    boxes = {}
    for line in lines[2:-2]:
        entry = json.loads(line)
        boxes[str(entry["name"])] = Box(nonce=_bytes(entry["nonce"]), data=_bytes(entry["box"]))
    return Loaded(
        document=Document(kdf=kdf, boxes=boxes),
        body=body,
        nonce=_bytes(end["nonce"]),
        seal=_bytes(end["seal"]),
    )


def _line(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=True).encode()


def _checksum(body: bytes, end: Mapping[str, str]) -> str:
    return hashlib.sha256(body + _line(end)).hexdigest()


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)

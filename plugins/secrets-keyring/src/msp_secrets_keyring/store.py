"""The store: passwords as the `keyring` command keeps them, and a list of the names that were stored from here."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from msp_core.v1 import CredentialError, SecretEnv
from msp_secrets_keyring.index import Index

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

INDEX_FILE = "keyring-names.json"
_ELSEWHERE = (
    "On a machine without a desktop keep secrets in the environment or in the encrypted file (msp-secrets-file); "
    "on a desktop log in to its session, or start gnome-keyring, KWallet or KeePassXC."
)
# keyrings.alt keeps plain text in the home folder; null forgets; fail raises
_REFUSED = {
    "keyrings.alt": "keeps secrets unprotected in a file",
    "keyring.backends.null": "throws away what it is given",
    "keyring.backends.fail": "stands for no keyring at all",
}


def create(env: SecretEnv) -> "KeyringStore":
    """Build the store of this workspace."""
    return KeyringStore(env)


class KeyringStore:
    """Secrets in the user's keyring; `rmm/api_key` is user `api_key` of service `rmm`. Implements SecretStore."""

    def __init__(self, env: SecretEnv) -> None:
        self._env = env

    def get(self, name: str) -> str | None:
        """Return a secret, whoever stored it, or None where there is none of that name."""
        service, key = _split(name)
        backend = _backend()
        # Some backends answer "" for what was never stored
        return _ask(f"read {name}", lambda: backend.get_password(service, key)) or None

    def set(self, name: str, value: str) -> None:
        """Store a secret and read it back, since not every backend says when it failed."""
        service, key = _split(name)
        if not value:
            raise CredentialError(
                f"The value of {name} is empty.", suggestion="Delete the secret instead."
            )
        backend = _backend()
        with self._index() as index:
            _ask(f"store {name}", lambda: backend.set_password(service, key, value))
            if _ask(f"read {name}", lambda: backend.get_password(service, key)) != value:
                raise CredentialError(
                    f"The keyring ({_name(backend)}) took {name} and gives back something else.",
                    suggestion="Keep this secret in the encrypted file (msp-secrets-file) instead.",
                )
            index.add(name)

    def delete(self, name: str) -> bool:
        """Remove a secret; tell whether there was one."""
        service, key = _split(name)
        backend = _backend()
        with self._index() as index:
            there = _ask(f"read {name}", lambda: backend.get_password(service, key)) is not None
            if there:
                _ask(f"delete {name}", lambda: backend.delete_password(service, key))
            index.remove(name)
        return there

    def names(self) -> Sequence[str]:
        """Return the names stored from this workspace that the keyring still holds.

        A keyring cannot be listed: what other programs or workspaces stored is found by `get`, not here.
        """
        return tuple(name for name in Index(self._path()).read() if self.get(name) is not None)

    def _index(self) -> Index:
        return Index(self._path())

    def _path(self) -> str:
        return str(self._env.state_dir / INDEX_FILE)


def _split(name: str) -> tuple[str, str]:
    service, _, key = name.rpartition("/")
    if not service or not key or not name.isprintable():
        raise CredentialError(
            f"{name[:80]!r} cannot be the name of a secret in a keyring.",
            suggestion="Use service/key, such as rmm/api_key.",
        )
    return service, key


def _backend() -> "KeyringBackend":
    """Return the backend to use; raise CredentialError for one that would not keep secrets safe."""
    # Not at the top: it looks for backends and costs 95 ms
    import keyring
    from keyring.backends.chainer import ChainerBackend

    chosen = _ask("find a keyring", keyring.get_keyring)
    if isinstance(chosen, ChainerBackend):
        # It would pass a secret on to the next backend, whichever that is
        chain = ChainerBackend
        candidates: list[KeyringBackend] = list(_ask("find a keyring", lambda: chain.backends))
        chosen = next((one for one in candidates if _refusal(one) is None), chosen)
    why = _refusal(chosen)
    if why == _REFUSED["keyring.backends.fail"]:
        raise CredentialError("There is no keyring on this machine.", suggestion=_ELSEWHERE)
    if why is not None:
        raise CredentialError(
            f"The keyring backend {_name(chosen)} {why}; it is not used.", suggestion=_ELSEWHERE
        )
    return chosen


def _refusal(backend: "KeyringBackend") -> str | None:
    module = type(backend).__module__
    for refused, why in _REFUSED.items():
        if module == refused or module.startswith(f"{refused}."):
            return why
    if module == "keyring.backends.chainer":  # nothing in it that can be used
        return _REFUSED["keyring.backends.fail"]
    return None


def _name(backend: "KeyringBackend") -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _ask(what: str, call: Callable[[], T]) -> T:
    """Call the keyring; whatever a backend raises becomes a CredentialError without its text.

    Backends raise errors of their own libraries, and some of those quote what was to be stored.
    """
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - whatever a backend raises
        names = {kind.__name__ for kind in type(error).__mro__}
        if "NoKeyringError" in names:
            raise CredentialError(
                "There is no keyring on this machine.", suggestion=_ELSEWHERE
            ) from None
        if names & {"KeyringLocked", "LockedException", "PromptDismissedException"}:
            raise CredentialError(
                f"Cannot {what}: the keyring is locked.",
                suggestion="Unlock it in the desktop session, or log in there; then try again. "
                + _ELSEWHERE,
            ) from None
        raise CredentialError(
            f"Cannot {what}: the keyring failed with {type(error).__name__}.",
            suggestion=f"See what `keyring diagnose` says. {_ELSEWHERE}",
        ) from None

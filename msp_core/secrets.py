"""Secrets: references instead of values, values that do not print, and masking of every value ever seen."""

import json
import re
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, quote_plus

from attrs import frozen

from msp_core.data import Data
from msp_core.errors import ConfigError, CredentialError, MspError, UnknownPlugin
from msp_core.records import SecretProvider

if TYPE_CHECKING:
    from pathlib import Path

    from msp_core.environ import Environ
    from msp_core.protocols import SecretStore
    from msp_core.registry import Registry

MASK = "********"
_SHORTEST_MASKED = 4
"""Shorter values would mask ordinary words everywhere, and protect nothing."""
_SHORTEST_ENCODED = 8
"""What is left of shorter values in base64 could stand in any other base64 text."""

_SHORTEST_LEARNT = 8
"""A variable that is only named like a secret may hold a shorter word that stands in ordinary text."""

_seen: set[str] = set()
_seen_lock = threading.Lock()


class Secret:
    """A secret value that shows only a mask; `reveal()` is the one way to the text."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str = "") -> None:
        self._value = value
        self.origin = origin
        remember(value)

    def reveal(self) -> str:
        """Return the secret itself, for the line that sends it and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        message = "a Secret is never serialised"
        raise TypeError(message)


@frozen(eq=False, repr=False)
class SecretRef(Data):
    """Where a secret is found: `env:RMM_API_KEY`, `file:rmm/api_key`, `keyring:rmm/api_key`."""

    scheme: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "SecretRef":
        """Read `scheme:name`; raise ValueError for anything else, without repeating the text."""
        match = re.fullmatch(r"([a-z][a-z0-9]*):([^\s]+)", text)
        if match is None or match[2].startswith("//"):
            message = "expected a reference such as env:NAME or keyring:service/key, never the secret itself"
            raise ValueError(message)
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}"


def remember(value: str) -> None:
    """Mask this value from now on, also as it is spelt in URLs, forms, JSON, messages, searches and base64."""
    if len(value) < _SHORTEST_MASKED or value in _seen:
        return
    spelt = {value, quote(value, safe=""), quote(value), quote_plus(value)}
    spelt |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    spelt.add(repr(value)[1:-1])
    if len(value) >= _SHORTEST_ENCODED:
        spelt |= {value.casefold(), *_in_base64(value.encode())}
    with _seen_lock:
        _seen.update(spelt)
        _pattern.cache_clear()


def _in_base64(raw: bytes) -> set[str]:
    """Return what stays the same of a value in base64, wherever in a text it stands (as in `user:password`)."""
    found = set()
    for before, dependent in ((0, 0), (1, 2), (2, 3)):
        encoded = b64encode(b"\0" * before + raw).decode()
        whole = (before + len(raw)) * 8 // 6
        found.add(encoded[dependent:whole])
    return found


@lru_cache(maxsize=1)
def _pattern() -> tuple[tuple[str, ...], re.Pattern[str]]:
    """Return the values to mask, longest first, and what finds any of them."""
    values = tuple(sorted(_seen, key=len, reverse=True))
    return values, re.compile("|".join(map(re.escape, values)))


# Compiled by `re` when the first text needs them
_BY_KEY = (
    r"(?i)((?:password|passwd|secret|token|api[_-]?key|authorization|passphrase)[\"']?\s*[=:]\s*[\"']?"
    r"(?:(?:bearer|basic)\s+)?)"
    r"(?!(?:env|file|keyring|vault):"
    r"|(?:expected (?:a reference such as|a table|text, got)|unknown (?:key|section|parameter)"
    r"|missing|null is no value)(?:[\s;]|$))"
    r"([^\s\"',;&]{4,})"
)
"""References are no secrets, and neither is what a `Problem` says of an option with such a name."""
_STEMS = ("pass", "secret", "token", "key", "author")
"""One of them is in whatever `_BY_KEY` finds. None has an i, which Unicode folds in several ways."""
_ACCESS_KEY = r"(\bmsp_[2-9a-z]{8}_)[\w-]{43}"
_IN_URL = r"(?<=://)([^/\s:@]*):([^/\s@]+)@"


def mask_known(text: str) -> str:
    """Replace every known secret value with asterisks; for results, which may hold a link with a token people need."""
    values, pattern = _pattern()
    # Nearly no text holds one, and looking for each is several times faster than for any
    return pattern.sub(MASK, text) if any(value in text for value in values) else text


def mask(text: str) -> str:
    """Replace every known secret value, and what looks like one by its key; for logs and errors."""
    text = mask_known(text)
    if "://" in text:
        text = re.sub(_IN_URL, rf"\1:{MASK}@", text)
    if "msp_" in text:
        text = re.sub(_ACCESS_KEY, rf"\1{MASK}", text)
    folded = text.casefold()
    if not any(stem in folded for stem in _STEMS):
        return text
    return re.sub(_BY_KEY, lambda match: match[1] + MASK, text)


def mask_data(value: Any, mask_text: Callable[[str], str] = mask) -> Any:
    """Mask every text inside plain data; keys that name a secret lose their value whatever it is."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, Mapping):
        return {
            mask_text(key) if isinstance(key, str) else key: MASK
            if _names_secret(str(key)) and item
            else mask_data(item, mask_text)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_data(item, mask_text) for item in value]
    return value


def _names_secret(key: str) -> bool:
    return re.search(r"(?i)password|passwd|secret|api_?key|passphrase|(^|_)token$", key) is not None


def variable(name: str) -> str:
    """Return the environment variable of a secret's name: `rmm/api_key` is `RMM_API_KEY`."""
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def _texts(data: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in a configuration, and the key it stands under."""
    if isinstance(data, str):
        yield key, data
    elif isinstance(data, Mapping):
        for name, value in data.items():
            yield from _texts(value, str(name))
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _texts(value, key)


class EnvironmentStore:
    """Secrets in the process environment, `.env` and the file `MSP_CREDENTIALS` names. Read only."""

    def __init__(self, environ: "Environ") -> None:
        self._environ = environ

    def get(self, name: str) -> str | None:
        return self._environ.get(name) or self._environ.get(variable(name))

    def set(self, name: str, value: str) -> None:
        del value
        message = "The environment cannot be written from here."
        raise CredentialError(
            message, suggestion=f"Put {variable(name)}=... into .env, or choose another store."
        )

    def delete(self, name: str) -> bool:
        self.set(name, "")
        return False

    def names(self) -> list[str]:
        return sorted(key for key in self._environ.file_names() if _names_secret(key))


ENVIRONMENT = SecretProvider(
    scheme="env",
    title="Environment variables, .env and MSP_CREDENTIALS",
    factory="msp_core.secrets:EnvironmentStore",
    writable=False,
    order=0,
)


class Secrets:
    """Resolves references through the installed providers; each store is opened once."""

    def __init__(self, registry: "Registry", environ: "Environ", state_dir: "Path") -> None:
        self._registry = registry
        self._environ_source = environ
        self.state_dir = state_dir
        self._stores: dict[str, SecretStore] = {}

    def environ(self, name: str) -> str | None:
        """Return an environment variable (process, then `.env`)."""
        return self._environ_source.get(name)

    def providers(self) -> tuple[SecretProvider, ...]:
        """Return the providers in the order in which they are asked."""
        found = (ENVIRONMENT, *self._registry.records(SecretProvider))
        return tuple(sorted(found, key=lambda provider: (provider.order, provider.scheme)))

    def store(self, scheme: str) -> "SecretStore":
        """Open the store of a scheme; raise UnknownPlugin naming the installed schemes."""
        if scheme not in self._stores:
            known = {provider.scheme: provider for provider in self.providers()}
            provider = known.get(scheme)
            if provider is None:
                from msp_core.catalog import install_line
                from msp_core.unknown import instead

                message = f"No installed plugin provides secrets for {scheme!r}."
                raise UnknownPlugin(
                    message,
                    suggestion=instead(scheme, known, self._registry, install_line(scheme)),
                    scheme=scheme,
                )
            if scheme == "env":
                self._stores[scheme] = EnvironmentStore(self._environ_source)
            else:
                factory: Any = self._registry.load(provider.factory)
                self._stores[scheme] = factory(self)
        return self._stores[scheme]

    def resolve(self, ref: SecretRef) -> Secret:
        """Return the secret a reference names; raise CredentialError when it is not there."""
        value = self.store(ref.scheme).get(ref.name)
        if value is None:
            message = f"There is no secret at {ref}."
            where = (
                f"Set the environment variable {ref.name}, or put it into .env."
                if ref.scheme == "env"
                else f"Store it: msp-toolkit credential set {ref.name} --store {ref.scheme}"
            )
            raise CredentialError(message, suggestion=where, reference=str(ref))
        return Secret(value, str(ref))

    def find(self, name: str) -> Secret | None:
        """Look a name up in every store, environment first; a store that is shut is passed over."""
        for provider in self.providers():
            try:
                value = self.store(provider.scheme).get(name)
            except (CredentialError, ConfigError):
                continue
            if value is not None:
                return Secret(value, f"{provider.scheme}:{name}")
        return None

    def learn(self, config: Any) -> None:
        """Read every secret that a store lists or a configuration names, so that each is masked from now on.

        For a program that shows what others send it: they may know a secret that nobody has used here yet.
        """
        schemes = [provider.scheme for provider in self.providers()]
        for scheme in schemes:
            with suppress(MspError):
                names = self.store(scheme).names()
                for name in names:
                    self._learn(scheme, name)
        for key, text in _texts(config):
            scheme, _, name = text.partition(":")
            if key.endswith("_env"):
                self._learn("env", text)
            elif scheme in schemes:
                self._learn(scheme, name)

    def _learn(self, scheme: str, name: str) -> None:
        with suppress(MspError):
            value = self.store(scheme).get(name)
            if value is not None and len(value) >= _SHORTEST_LEARNT:
                remember(value)

    def require(self, ref: SecretRef | None, name: str) -> Secret:
        """Return the secret of a reference, or of a name where there is no reference."""
        if ref is not None:
            return self.resolve(ref)
        found = self.find(name)
        if found is None:
            message = f"The credential {name} is not set."
            raise CredentialError(
                message,
                suggestion=f"Set {variable(name)} (also in .env), or run: msp-toolkit credential set {name}",
                name=name,
            )
        return found

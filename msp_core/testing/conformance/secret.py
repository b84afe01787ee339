"""Cases of secret providers: durable, private, and silent about what they hold."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import field, frozen

from msp_core.errors import CredentialError, MspError, NotSupported
from msp_core.records import SecretProvider
from msp_core.testing.conformance.plugin import PluginConformance

VALUE = "canary-7f3a9-value"


@frozen(kw_only=True)
class Surroundings:
    """Where a provider runs: an empty private folder, and the variables given."""

    state_dir: Path
    variables: Mapping[str, str] = field(factory=dict)

    def environ(self, name: str) -> str | None:
        """Return a variable."""
        return self.variables.get(name)


class SecretProviderConformance(PluginConformance):
    """What every place of secrets must do. `environ` are the variables it needs, such as a passphrase."""

    environ: ClassVar[Mapping[str, str]] = {}
    sample: ClassVar[tuple[str, str]] = ("rmm/api_key", VALUE)
    """A name and value; for a read-only provider ones it holds."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Surroundings:
        """Where the provider runs."""
        folder = tmp_path / "state"
        folder.mkdir(mode=0o700)
        return Surroundings(state_dir=folder, variables=dict(self.environ))

    def _providers(self) -> list[SecretProvider]:
        return [one for one in self._records() if isinstance(one, SecretProvider)]

    def _stores(self, place: Surroundings, *, writable: bool | None = None) -> list[Any]:
        """Build the stores; a case is skipped where one is shut, as a keyring without a session is."""
        registry = self._loaded()
        made = [
            registry.load(one.factory)(place)
            for one in self._providers()
            if writable is None or one.writable is writable
        ]
        if writable:
            for store in made:
                try:
                    store.get("no-such/secret")
                except CredentialError as error:
                    pytest.skip(f"it is shut here: {error.message}")
        return made

    def test_there_is_a_provider(self) -> None:
        """The plugin offers a provider."""
        assert self._providers(), "the plugin offers no secret provider"

    def test_building_it_does_nothing(self, place: Surroundings) -> None:
        """Nothing is written before a secret is."""
        self._stores(place)
        assert list(place.state_dir.iterdir()) == []

    def test_what_is_not_there_is_none(self, place: Surroundings) -> None:
        """An unknown name is None, not an error."""
        for store in (*self._stores(place, writable=True), *self._stores(place, writable=False)):
            assert store.get("no-such/secret") is None

    def test_what_is_stored_is_found(self, place: Surroundings) -> None:
        """A secret comes back as it was, in every script and length."""
        values = (VALUE, "pässwörd 日本", "with spaces and 'quotes'", "x" * 4000)
        for store in self._stores(place, writable=True):
            for number, value in enumerate(values):
                store.set(f"rmm/key_{number}", value)
            for number, value in enumerate(values):
                assert store.get(f"rmm/key_{number}") == value

    def test_it_is_durable(self, place: Surroundings) -> None:
        """Another process finds what was stored: a second store of the same place does."""
        for first, second in zip(
            self._stores(place, writable=True), self._stores(place, writable=True), strict=True
        ):
            first.set(*self.sample)
            assert second.get(self.sample[0]) == self.sample[1]

    def test_it_is_replaced(self, place: Surroundings) -> None:
        """Setting it again replaces it."""
        for store in self._stores(place, writable=True):
            store.set("rmm/api_key", "old")
            store.set("rmm/api_key", "new")
            assert store.get("rmm/api_key") == "new"

    def test_it_is_deleted(self, place: Surroundings) -> None:
        """Deleting tells whether there was one."""
        for store in self._stores(place, writable=True):
            store.set(*self.sample)
            assert store.delete(self.sample[0]) is True
            assert store.get(self.sample[0]) is None
            assert store.delete(self.sample[0]) is False

    def test_names_are_names(self, place: Surroundings) -> None:
        """`names` lists names, never a value; a store that cannot list says so."""
        for store in self._stores(place, writable=True):
            store.set(*self.sample)
            try:
                names = list(store.names())
            except NotSupported:
                continue
            assert self.sample[0] in names
            assert self.sample[1] not in " ".join(names)

    def test_a_store_that_cannot_be_written_says_so(self, place: Surroundings) -> None:
        """A read-only provider refuses with NotSupported."""
        for store in self._stores(place, writable=False):
            with pytest.raises((NotSupported, CredentialError)):
                store.set("a/b", "c")
            with pytest.raises((NotSupported, CredentialError)):
                store.delete("a/b")

    def test_it_shows_no_value(self, place: Surroundings) -> None:
        """Neither the store nor its errors show a secret."""
        for store in self._stores(place, writable=True):
            store.set(*self.sample)
            assert self.sample[1] not in repr(store)
            try:
                store.set("", self.sample[1])
            except MspError as error:
                assert self.sample[1] not in f"{error.message} {error.suggestion} {error.details}"

    def test_files_are_private(self, place: Surroundings) -> None:
        """Files it makes can be read by their owner alone."""
        for store in self._stores(place, writable=True):
            store.set(*self.sample)
        for path in place.state_dir.rglob("*"):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode & 0o077 == 0, f"{path.name} has mode {mode:o}"

    def test_values_do_not_lie_about_in_the_clear(self, place: Surroundings) -> None:
        """A file it makes does not hold the value as it is."""
        for store in self._stores(place, writable=True):
            store.set(*self.sample)
        for path in place.state_dir.rglob("*"):
            if path.is_file():
                assert self.sample[1].encode() not in path.read_bytes(), f"{path.name} holds it"

"""The keyring store against an in-memory backend, and against gnome-keyring on a session bus of its own."""

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError, PasswordSetError

from msp_core.v1 import CredentialError
from msp_secrets_keyring.store import KeyringStore, create

CANARY = "canary-4be1d0-keyring"


class MemoryKeyring(KeyringBackend):
    """A keyring that lasts as long as the test."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        self.failure: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.failure:
            raise self.failure
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.failure:
            raise self.failure
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.held:
            raise PasswordDeleteError(username)
        del self.held[service, username]


class Env:
    """A workspace."""

    def __init__(self, root: Path) -> None:
        self.state_dir = root

    def environ(self, name: str) -> str | None:
        return None


@pytest.fixture
def backend() -> Iterator[MemoryKeyring]:
    before = keyring.core._keyring_backend
    memory = MemoryKeyring()
    keyring.set_keyring(memory)
    yield memory
    keyring.core._keyring_backend = before


@pytest.fixture
def vault(tmp_path: Path) -> KeyringStore:
    return create(Env(tmp_path))


def test_what_is_set_is_got_listed_and_deleted(vault: KeyringStore, backend: MemoryKeyring) -> None:
    """A secret is kept under service and user, listed by name, and gone when deleted."""
    assert vault.get("rmm/api_key") is None
    assert list(vault.names()) == []
    vault.set("rmm/api_key", CANARY)
    vault.set("a/b/c", "nested")
    assert backend.held == {("rmm", "api_key"): CANARY, ("a/b", "c"): "nested"}
    assert vault.get("rmm/api_key") == CANARY
    assert list(vault.names()) == ["a/b/c", "rmm/api_key"]
    assert vault.delete("rmm/api_key") is True
    assert vault.delete("rmm/api_key") is False
    assert list(vault.names()) == ["a/b/c"]


def test_what_people_stored_themselves_is_found(
    vault: KeyringStore, backend: MemoryKeyring
) -> None:
    """Secrets of the `keyring` command are read and deleted; the list shows only what was stored from here."""
    keyring.set_password("rmm", "api_key", CANARY)
    assert vault.get("rmm/api_key") == CANARY
    assert list(vault.names()) == []
    assert vault.delete("rmm/api_key") is True
    vault.set("psa/key", "value")
    assert keyring.get_password("psa", "key") == "value"
    keyring.delete_password("psa", "key")
    assert list(vault.names()) == []


def test_no_value_reaches_the_list_of_names(
    tmp_path: Path, vault: KeyringStore, backend: MemoryKeyring
) -> None:
    """The list is private and holds names only."""
    vault.set("rmm/api_key", CANARY)
    for file in tmp_path.rglob("*"):
        assert CANARY not in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "api_key", "/api_key", "rmm/", "rmm/\n"])
def test_names_need_service_and_key(vault: KeyringStore, backend: MemoryKeyring, name: str) -> None:
    """A name without both parts is refused with the right form."""
    for attempt in (
        lambda: vault.get(name),
        lambda: vault.set(name, "x"),
        lambda: vault.delete(name),
    ):
        with pytest.raises(CredentialError, match="cannot be the name") as caught:
            attempt()
        assert "service/key" in caught.value.suggestion


def test_without_a_keyring_the_error_says_what_to_do(
    vault: KeyringStore, backend: MemoryKeyring
) -> None:
    """On a machine without a keyring every call names the other places for secrets."""
    keyring.set_keyring(fail.Keyring())
    for attempt in (
        lambda: vault.get("a/b"),
        lambda: vault.set("a/b", CANARY),
        lambda: vault.delete("a/b"),
    ):
        with pytest.raises(CredentialError, match="no keyring on this machine") as caught:
            attempt()
        assert "encrypted file" in caught.value.suggestion


def plaintext_backend() -> KeyringBackend:
    """A class where keyrings.alt has its plain-text file."""
    module = ModuleType("keyrings.alt.file")
    made = type("PlaintextKeyring", (MemoryKeyring,), {"__module__": module.__name__})
    return made()


@pytest.mark.parametrize("insecure", [plaintext_backend, null.Keyring])
def test_backends_that_do_not_protect_are_refused(
    vault: KeyringStore, backend: MemoryKeyring, insecure: type
) -> None:
    """Plain text and null are refused by name and never handed a secret."""
    unsafe = insecure()
    keyring.set_keyring(unsafe)
    with pytest.raises(CredentialError, match=r"(keyrings\.alt|null).*is not used"):
        vault.set("a/b", CANARY)
    with pytest.raises(CredentialError, match="is not used"):
        vault.get("a/b")
    assert not getattr(unsafe, "held", {})


def test_of_a_chain_only_a_safe_backend_is_used(
    vault: KeyringStore, backend: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chained backends: the first safe one gets the secret, an unsafe one never; none safe is no keyring."""
    unsafe = plaintext_backend()
    chain = chainer.ChainerBackend()
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [unsafe, backend])
    keyring.set_keyring(chain)
    vault.set("a/b", CANARY)
    assert backend.held == {("a", "b"): CANARY}
    assert unsafe.held == {}
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [unsafe])
    with pytest.raises(CredentialError, match="no keyring"):
        vault.set("a/b", CANARY)


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (KeyringLocked(f"locked {CANARY}"), "locked"),
        (InitError(f"Failed to create the collection {CANARY}"), "InitError"),
        (PasswordSetError(f"cannot set {CANARY}"), "PasswordSetError"),
        (OSError(f"broken pipe {CANARY}"), "OSError"),
        (RuntimeError(CANARY), "RuntimeError"),
    ],
)
def test_whatever_a_backend_raises_is_a_clear_error(
    vault: KeyringStore, backend: MemoryKeyring, failure: Exception, says: str
) -> None:
    """Backends fail in their own ways; none reaches people as a traceback or quotes the secret."""
    backend.failure = failure
    for attempt in (
        lambda: vault.get("a/b"),
        lambda: vault.set("a/b", CANARY),
        lambda: vault.delete("a/b"),
    ):
        with pytest.raises(CredentialError, match=says) as caught:
            attempt()
        assert CANARY not in json.dumps(caught.value.as_dict())
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_a_backend_that_forgets_is_caught(
    vault: KeyringStore, backend: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret counts as stored only when it can be read back."""
    monkeypatch.setattr(backend, "set_password", lambda *args: None)
    with pytest.raises(CredentialError, match="gives back something else"):
        vault.set("a/b", CANARY)
    assert list(vault.names()) == []
    with pytest.raises(CredentialError, match="empty"):
        vault.set("a/b", "")


def test_threads_at_once_lose_no_name(tmp_path: Path, backend: MemoryKeyring) -> None:
    """Stores of one workspace used at the same time keep every name."""

    def work(number: int) -> None:
        for index in range(10):
            create(Env(tmp_path)).set(f"t{number}/k{index}", "value")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(create(Env(tmp_path)).names()) == 40


@pytest.mark.parametrize("content", ["{", "{}", "[1]"])
def test_a_damaged_list_is_said(
    tmp_path: Path, vault: KeyringStore, backend: MemoryKeyring, content: str
) -> None:
    """A damaged list of names is named, not overwritten; reading secrets goes on."""
    backend.held["a", "b"] = "value"
    index = tmp_path / "keyring-names.json"
    index.write_text(content)
    with pytest.raises(CredentialError, match="damaged"):
        vault.names()
    with pytest.raises(CredentialError, match="damaged"):
        vault.set("c/d", "value")
    assert ("c", "d") not in backend.held
    assert index.read_text() == content
    assert vault.get("a/b") == "value"


def test_loading_the_plugin_does_not_import_keyring() -> None:
    """The library is imported when a secret is asked for, not before."""
    code = "import sys, msp_secrets_keyring.plugin, msp_secrets_keyring.store; print('keyring' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


_OUTSIDE = """
# Not the Env above: importing this module would bring its in-memory keyring along
class Env:
    def __init__(self, root):
        self.state_dir = root

    def environ(self, name):
        return None
"""
_SESSION = (
    _OUTSIDE
    + """
import json, subprocess, sys
from pathlib import Path
import keyring
from msp_secrets_keyring.store import create
vault = create(Env(Path(sys.argv[1])))
seen = {"backend": type(keyring.get_keyring()).__module__}
seen["before"] = vault.get("rmm/api_key")
vault.set("rmm/api_key", "sécret value")
command = [sys.executable, "-m", "keyring"]
seen["by command"] = subprocess.run([*command, "get", "rmm", "api_key"], capture_output=True, text=True).stdout.strip()
subprocess.run([*command, "set", "psa", "token"], input="from the command", text=True, capture_output=True, check=True)
seen["from command"] = vault.get("psa/token")
seen["names"] = list(vault.names())
seen["deleted"] = [vault.delete("rmm/api_key"), vault.delete("rmm/api_key")]
seen["after"] = vault.get("rmm/api_key")
print(json.dumps(seen))
"""
)


@pytest.mark.debian
def test_a_real_secret_service(tmp_path: Path) -> None:
    """With gnome-keyring: set, get, list and delete, and the `keyring` command sees the same secrets."""
    if not shutil.which("gnome-keyring-daemon") or not shutil.which("dbus-run-session"):
        pytest.skip("needs the Debian packages dbus, gnome-keyring and libsecret-1-0")
    script = 'printf unlock | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec "$0" -c "$1" "$2"'
    done = _in_session(tmp_path, ["sh", "-c", script, sys.executable, _SESSION, str(tmp_path)])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.strip().splitlines()[-1]) == {
        "backend": "keyring.backends.SecretService",
        "before": None,
        "by command": "sécret value",
        "from command": "from the command",
        "names": ["rmm/api_key"],
        "deleted": [True, False],
        "after": None,
    }


_HEADLESS = (
    _OUTSIDE
    + """
import sys
from pathlib import Path
from msp_core.v1 import CredentialError
from msp_secrets_keyring.store import create
try:
    create(Env(Path(sys.argv[1]))).get("rmm/api_key")
except CredentialError as error:
    print(error.message)
"""
)


def test_a_machine_without_a_desktop(tmp_path: Path) -> None:
    """The real library with no session bus at all gives the error for people, not a traceback."""
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith("DBUS") and k != "DISPLAY"
    }
    environment |= {
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/nothing",
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", _HEADLESS, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout.strip() == "There is no keyring on this machine."


def _in_session(home: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    runtime = home / "runtime"
    runtime.mkdir(mode=0o700)
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith("DBUS") and k != "DISPLAY"
    }
    environment |= {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_DATA_HOME": str(home / "data"),
    }
    return subprocess.run(
        ["dbus-run-session", "--", *command],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )

import fcntl
import os
import random
import stat
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_core.v1 import CredentialError, InvalidParameters, Toolkit
from msp_secrets_file import document, keys, rotation, store
from msp_secrets_file.store import create

CANARY = "canary-9f2b7c51-never-in-the-clear"


class Env:
    """A workspace with its own environment."""

    def __init__(self, root: Path, **variables: str) -> None:
        self.root = root
        self.variables = {"XDG_CONFIG_HOME": str(root / "config"), **variables}

    @property
    def state_dir(self) -> Path:
        folder = self.root / "work" / ".msp"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def environ(self, name: str) -> str | None:
        return self.variables.get(name)


@pytest.fixture
def env(tmp_path: Path) -> Env:
    return Env(tmp_path)


def passphrase_env(root: Path, passphrase: str = "correct horse") -> Env:
    return Env(root, MSP_SECRETS_PASSPHRASE=passphrase)


def key_files(env: Env) -> list[Path]:
    return sorted((env.root / "config" / "msp-toolkit" / "keys").glob("*"))


def test_what_is_set_is_got_listed_and_deleted(env: Env) -> None:
    """A secret comes back from another process's view of the same file, and goes when deleted."""
    first = create(env)
    assert first.get("rmm/api_key") is None
    assert list(first.names()) == []
    first.set("rmm/api_key", CANARY)
    first.set("psa/كلمة", "sécret\nwith lines")
    second = create(env)
    assert second.get("rmm/api_key") == CANARY
    assert second.get("psa/كلمة") == "sécret\nwith lines"
    assert list(second.names()) == ["psa/كلمة", "rmm/api_key"]
    second.set("rmm/api_key", "newer")
    assert first.get("rmm/api_key") == "newer"
    assert first.delete("rmm/api_key") is True
    assert first.delete("rmm/api_key") is False
    assert second.get("rmm/api_key") is None


@pytest.mark.parametrize("locked_with", ["key file", "passphrase"])
def test_nothing_is_readable_in_the_file(tmp_path: Path, locked_with: str) -> None:
    """Neither the value nor the key is in any file of the workspace, and every file is private."""
    env = passphrase_env(tmp_path) if locked_with == "passphrase" else Env(tmp_path)
    vault = create(env)
    vault.set("rmm/api_key", CANARY)
    for file in (tmp_path / "work").rglob("*"):
        if file.is_file():
            assert CANARY.encode() not in file.read_bytes()
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for key in key_files(env):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert key.read_bytes().strip() not in vault.path.read_bytes()
    assert len(key_files(env)) == (locked_with == "key file")


def test_the_same_value_never_gives_the_same_bytes(env: Env) -> None:
    """Nonces are fresh at every write."""
    vault = create(env)
    vault.set("a/b", "same")
    first = vault.path.read_bytes()
    vault.set("a/b", "same")
    nonces = {
        line[line.index(b"nonce") : line.index(b"nonce") + 28]
        for line in first.split(b"\n")
        if b"nonce" in line
    }
    again = vault.path.read_bytes()
    assert not any(nonce in again for nonce in nonces)


def test_one_argon2id_per_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many reads by many threads unlock the file once."""
    env = passphrase_env(tmp_path)
    create(env).set("a/b", "value")
    keys._cache.clear()
    derived = []
    real = keys._derive

    def counting(material: bytes, kdf: document.Kdf) -> bytes:
        derived.append(kdf)
        return real(material, kdf)

    monkeypatch.setattr(keys, "_derive", counting)
    threads = [threading.Thread(target=lambda: create(env).get("a/b")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(derived) == 1
    assert derived[0].memory_kib == 65_536


def test_a_wrong_passphrase_is_said_and_harms_nothing(tmp_path: Path) -> None:
    """Reading, writing and deleting with the wrong passphrase fail clearly and leave the bytes alone."""
    right = create(passphrase_env(tmp_path))
    right.set("a/b", CANARY)
    before = right.path.read_bytes()
    wrong = create(passphrase_env(tmp_path, "wrong horse"))
    for attempt in (
        lambda: wrong.get("a/b"),
        lambda: wrong.set("a/b", "x"),
        lambda: wrong.set("c/d", "x"),
        lambda: wrong.delete("a/b"),
    ):
        with pytest.raises(CredentialError, match="wrong key") as caught:
            attempt()
        assert "MSP_SECRETS_PASSPHRASE" in caught.value.suggestion
        assert "horse" not in str(caught.value.as_dict())
    assert right.path.read_bytes() == before
    with pytest.raises(CredentialError, match="none is set"):
        create(Env(tmp_path)).get("a/b")


def test_a_missing_open_or_short_key_file_is_said(env: Env) -> None:
    """Each thing that can be wrong with the key file has its own message and remedy."""
    vault = create(env)
    vault.set("a/b", "value")
    (key,) = key_files(env)
    content = key.read_bytes()
    key.chmod(0o640)
    with pytest.raises(CredentialError, match="open to other users") as caught:
        vault.get("a/b")
    assert caught.value.suggestion == f"chmod 600 {key}"
    key.chmod(0o600)
    key.write_bytes(b"short")
    with pytest.raises(CredentialError, match="5 bytes"):
        vault.get("a/b")
    key.write_bytes(b"0" * 64)
    with pytest.raises(CredentialError, match="wrong key"):
        vault.get("a/b")
    key.unlink()
    with pytest.raises(CredentialError, match="missing"):
        vault.get("a/b")
    with pytest.raises(CredentialError, match="missing"):
        vault.set("c/d", "value")
    key.write_bytes(content)
    key.chmod(0o600)
    assert vault.get("a/b") == "value"


def test_every_cut_is_noticed(env: Env) -> None:
    """A file cut anywhere is refused with a clear error, and a write does not replace it."""
    vault = create(env)
    vault.set("a/b", CANARY)
    vault.set("c/d", "other")
    whole = vault.path.read_bytes()
    for length in range(len(whole)):
        vault.path.write_bytes(whole[:length])
        with pytest.raises(CredentialError, match="damaged"):
            vault.get("a/b")
        with pytest.raises(CredentialError, match="damaged"):
            vault.names()
    with pytest.raises(CredentialError, match="damaged"):
        vault.set("e/f", "x")
    assert vault.path.read_bytes() == whole[:-1]


def test_every_flipped_bit_is_noticed(env: Env) -> None:
    """One wrong bit anywhere in the file is refused, whichever it is; nothing wrong is ever returned."""
    vault = create(env)
    vault.set("a/b", CANARY)
    whole = vault.path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            bent = bytearray(whole)
            bent[place] ^= 1 << bit
            vault.path.write_bytes(bent)
            with pytest.raises(CredentialError, match=r"damaged|format version"):
                vault.get("a/b")
    vault.path.write_bytes(whole)
    assert vault.get("a/b") == CANARY


@given(st.binary(max_size=400))
def test_any_bytes_give_an_error_and_no_traceback(raw: bytes) -> None:
    """Whatever a file holds, reading it raises CredentialError and nothing else."""
    for content in (raw, document._FIRST + b"\n" + raw, document.MAGIC + raw):
        with pytest.raises(CredentialError):
            document.load(content, "the file")


def reseal(raw: bytes, change: bytes, to: bytes) -> bytes:
    """Alter a file as somebody would who knows the format but not the key: with a right checksum."""
    assert change in raw
    lines = raw.split(b"\n")
    body = raw[: -(len(lines[-2]) + 1)].replace(change, to)
    end = document.json.loads(lines[-2])
    sealed = {"nonce": end["nonce"], "seal": end["seal"]}
    return body + document._line({**sealed, "sha256": document._checksum(body, sealed)}) + b"\n"


def test_altering_without_the_key_is_noticed(env: Env) -> None:
    """Renaming, dropping or exchanging secrets needs the key, even with a right checksum."""
    vault = create(env)
    vault.set("low/key", "harmless")
    vault.set("top/key", CANARY)
    whole = vault.path.read_bytes()
    low, top = (line for line in whole.split(b"\n") if line.startswith(b'{"name"'))
    for altered in (
        reseal(whole, b"low/key", b"lox/key"),
        reseal(whole, top + b"\n", b""),
        reseal(whole, low, top.replace(b"top/key", b"low/key")),
    ):
        vault.path.write_bytes(altered)
        with pytest.raises(CredentialError, match="altered"):
            vault.get("low/key")
        with pytest.raises(CredentialError, match="altered"):
            vault.set("low/key", "x")


def test_a_box_does_not_open_under_another_name_or_header(env: Env) -> None:
    """Name and header are part of what the tag of each secret covers."""
    kdf = keys.new_kdf(keys.HKDF_SHA256)
    key = os.urandom(32)
    sealed = document.Document(kdf=kdf).with_secret("a/b", b"value", key)
    assert sealed.open("a/b", key) == "value"
    moved = document.Document(kdf=kdf, boxes={"c/d": sealed.boxes["a/b"]})
    with pytest.raises(document.WrongKeyError):
        moved.open("c/d", key)
    other = document.Document(kdf=keys.new_kdf(keys.HKDF_SHA256), boxes=sealed.boxes)
    with pytest.raises(document.WrongKeyError):
        other.open("a/b", key)


def test_a_file_of_the_future_is_left_alone(env: Env) -> None:
    """A later format version is named in the error, and writing does not overwrite it."""
    vault = create(env)
    vault.set("a/b", "value")
    later = vault.path.read_bytes().replace(b"msp-secrets 1", b"msp-secrets 2")
    vault.path.write_bytes(later)
    with pytest.raises(CredentialError, match="version '2'"):
        vault.set("a/b", "other")
    assert vault.path.read_bytes() == later


def test_a_header_cannot_ask_for_all_memory(tmp_path: Path) -> None:
    """Key-making parameters beyond reason are refused before any memory is taken."""
    env = passphrase_env(tmp_path)
    vault = create(env)
    vault.set("a/b", "value")
    whole = vault.path.read_bytes()
    vault.path.write_bytes(reseal(whole, b'"memory_kib": 65536', b'"memory_kib": 99999999'))
    with pytest.raises(CredentialError, match="beyond what is allowed"):
        vault.get("a/b")
    vault.path.write_bytes(reseal(whole, b'"lanes": 4', b'"lanes": 0'))
    with pytest.raises(CredentialError, match="cannot be made"):
        vault.get("a/b")
    vault.path.write_bytes(reseal(whole, b'"argon2id"', b'"rot13"'))
    with pytest.raises(CredentialError, match="does not know"):
        vault.get("a/b")


def test_a_key_id_is_not_a_path(env: Env) -> None:
    """A key id that would lead out of the key folder is refused."""
    vault = create(env)
    vault.set("a/b", "value")
    whole = vault.path.read_bytes()
    key_id = vault.kdf().key_id.encode()
    vault.path.write_bytes(reseal(whole, key_id, b"../../etc/passwd"))
    with pytest.raises(CredentialError, match="impossible id"):
        vault.get("a/b")


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 600, "\x1b[31m"])
def test_impossible_names_are_refused(env: Env, name: str) -> None:
    """A name that cannot be shown on one line is refused before anything is written."""
    with pytest.raises(CredentialError, match="cannot be the name"):
        create(env).set(name, "value")
    assert not create(env).path.exists()


@pytest.mark.parametrize("value", ["", "\ud800", "x" * 1_048_577])
def test_impossible_values_are_refused(env: Env, value: str) -> None:
    """An empty, broken or huge value is refused before anything is written."""
    with pytest.raises(CredentialError, match="value of a/b"):
        create(env).set("a/b", value)
    assert not create(env).path.exists()


@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N", "P"]), min_size=1), st.text(min_size=1)
    )
)
def test_any_text_survives(
    tmp_path_factory: pytest.TempPathFactory, secrets: dict[str, str]
) -> None:
    """Any names and values come back exactly."""
    kdf = keys.new_kdf(keys.HKDF_SHA256)
    key = os.urandom(32)
    whole = document.Document(kdf=kdf)
    for name, value in secrets.items():
        whole = whole.with_secret(name, value.encode("utf-8", "replace"), key)
    loaded = document.load(whole.dump(key), "the file")
    loaded.verify(key)
    assert {n: loaded.document.open(n, key) for n in loaded.document.boxes} == {
        n: v.encode("utf-8", "replace").decode() for n, v in secrets.items()
    }


def test_the_configured_file_is_used_when_it_is_ours(tmp_path: Path) -> None:
    """MSP_CREDENTIALS names the file, unless another kind of file is there already."""
    env = Env(tmp_path, MSP_CREDENTIALS=str(tmp_path / "vault.msp"))
    create(env).set("a/b", "value")
    assert (tmp_path / "vault.msp").read_bytes().startswith(b"msp-secrets 1\n")
    assert create(env).get("a/b") == "value"
    plain = tmp_path / "credentials.json"
    plain.write_text('{"RMM_API_KEY": "x"}')
    env = Env(tmp_path, MSP_CREDENTIALS=str(plain))
    create(env).set("a/b", "other")
    assert plain.read_text() == '{"RMM_API_KEY": "x"}'
    assert create(env).path == env.state_dir / "credentials.msp"


def test_a_link_stays_a_link(env: Env, tmp_path: Path) -> None:
    """Replacing the file writes through a symbolic link and does not put a file in its place."""
    real = tmp_path / "elsewhere" / "vault.msp"
    real.parent.mkdir()
    create(Env(tmp_path, MSP_CREDENTIALS=str(real))).set("a/b", "1")
    (env.state_dir / "credentials.msp").symlink_to(real)
    create(env).set("a/b", "2")
    assert (env.state_dir / "credentials.msp").is_symlink()
    assert create(Env(tmp_path, MSP_CREDENTIALS=str(real))).get("a/b") == "2"


def test_a_folder_that_cannot_be_written_is_said(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk or a read-only folder gives a clear error and keeps what was there."""
    vault = create(env)
    vault.set("a/b", CANARY)

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keys, "write_private", full)
    with pytest.raises(CredentialError, match="No space left") as caught:
        vault.set("c/d", "value")
    assert "still there" in caught.value.message
    monkeypatch.undo()
    assert vault.get("a/b") == CANARY
    assert sorted(path.name for path in env.state_dir.iterdir()) == [
        ".credentials.msp.lock",
        "credentials.msp",
    ]


_STRANGER = """
import os, sys
from pathlib import Path
from msp_core.v1 import CredentialError
from msp_secrets_file.store import FileSecretStore
vault = FileSecretStore(None, Path(sys.argv[1]))
if os.geteuid() == 0:
    os.setuid(65534)
for attempt in (lambda: vault.get("a/b"), lambda: vault.set("a/b", "x")):
    try:
        attempt()
    except CredentialError as error:
        print(error)
"""


def test_permissions_that_are_missing_are_said() -> None:
    """Where file and folder are closed to the user, the error says so, for reading and for writing."""
    with tempfile.TemporaryDirectory() as folder:
        env = Env(Path(folder))
        vault = create(env)
        vault.set("a/b", CANARY)
        Path(folder).chmod(0o755)
        vault.path.chmod(0o000)
        (env.state_dir / ".credentials.msp.lock").unlink()
        env.state_dir.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", _STRANGER, str(vault.path)],
            capture_output=True,
            text=True,
            check=True,
        )
        env.state_dir.chmod(0o700)
    assert "cannot be read: Permission denied" in done.stdout
    assert "cannot be written: Permission denied" in done.stdout


def _write_many(root: str, worker: int, count: int) -> None:
    vault = create(Env(Path(root)))
    for number in range(count):
        vault.set(f"worker{worker}/key{number}", f"value-{worker}-{number}")


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Four processes writing at once, from no file at all, keep every secret."""
    context = get_context("spawn")
    workers = [context.Process(target=_write_many, args=(str(tmp_path), n, 10)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    vault = create(Env(tmp_path))
    assert {n: vault.get(n) for n in vault.names()} == {
        f"worker{w}/key{n}": f"value-{w}-{n}" for w in range(4) for n in range(10)
    }


def test_threads_at_once_lose_nothing(env: Env) -> None:
    """One store used by several threads, and several stores in one process, keep every secret."""
    shared = create(env)
    stores = [shared, shared, create(env), create(env)]

    def work(number: int) -> None:
        for index in range(10):
            stores[number].set(f"t{number}/k{index}", "value")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(create(env).names()) == 40


def test_a_lock_that_is_held_gives_up_with_a_reason(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for another writer ends, says why, and has changed nothing; reading never waits."""
    vault = create(env)
    vault.set("a/b", "value")
    monkeypatch.setattr(store, "_LOCK_WAIT_S", 0.1)
    with (env.state_dir / ".credentials.msp.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CredentialError, match="Another process"):
            vault.set("a/b", "other")
        assert vault.get("a/b") == "value"
    vault.set("a/b", "other")
    assert vault.get("a/b") == "other"


def test_rotation_to_a_new_key_file(env: Env) -> None:
    """The default rotation makes a new key file, removes the old one, and keeps every secret."""
    vault = create(env)
    for number in range(5):
        vault.set(f"a/{number}", f"value-{number}")
    (old,) = key_files(env)
    before = vault.path.read_bytes()
    count, message = rotation.run(rotation.plan(env))
    (new,) = key_files(env)
    assert count == 5
    assert str(new) in message
    assert new != old
    assert {n: create(env).get(n) for n in vault.names()} == {
        f"a/{n}": f"value-{n}" for n in range(5)
    }
    boxes = [line for line in before.split(b"\n") if line.startswith(b'{"name"')]
    assert not any(box in vault.path.read_bytes() for box in boxes)


def test_rotation_of_a_passphrase(tmp_path: Path) -> None:
    """After a rotation the new passphrase opens the file and the old one does not."""
    old = passphrase_env(tmp_path)
    create(old).set("a/b", CANARY)
    with pytest.raises(CredentialError, match="new key is not given"):
        rotation.plan(old)
    old.variables["MSP_SECRETS_NEW_PASSPHRASE"] = "correct horse"
    with pytest.raises(InvalidParameters, match="passphrase in use"):
        rotation.plan(old)
    old.variables["MSP_SECRETS_NEW_PASSPHRASE"] = "battery staple"
    plan = rotation.plan(old)
    assert "staple" not in repr(plan)
    count, message = rotation.run(plan)
    assert (count, "staple" in message) == (1, False)
    assert create(passphrase_env(tmp_path, "battery staple")).get("a/b") == CANARY
    with pytest.raises(CredentialError, match="wrong key"):
        create(passphrase_env(tmp_path)).get("a/b")


def test_rotation_between_passphrase_and_key_file(tmp_path: Path) -> None:
    """A file can go from a passphrase to a key file at a chosen place, and back."""
    env = passphrase_env(tmp_path)
    create(env).set("a/b", CANARY)
    key = tmp_path / "keys" / "vault.key"
    rotation.run(rotation.plan(env, key))
    held = Env(tmp_path, MSP_SECRETS_KEY_FILE=str(key))
    assert create(held).get("a/b") == CANARY
    with pytest.raises(InvalidParameters, match="key file in use"):
        rotation.plan(held, key)
    with pytest.raises(CredentialError, match="new key is not given"):
        rotation.plan(held)
    held.variables["MSP_SECRETS_NEW_PASSPHRASE"] = "battery staple"
    with pytest.raises(InvalidParameters, match="Both"):
        rotation.plan(held, tmp_path / "other.key")
    rotation.run(rotation.plan(held))
    assert create(passphrase_env(tmp_path, "battery staple")).get("a/b") == CANARY
    assert key.exists()


def test_rotation_needs_a_file(env: Env) -> None:
    """Without a credential file there is nothing to rotate, and no key is made."""
    with pytest.raises(CredentialError, match="no credential file"):
        rotation.plan(env)
    assert key_files(env) == []


_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_secrets_file import Env
from msp_secrets_file import rotation
from msp_secrets_file.store import create
env = Env(Path(sys.argv[1]))
vault = create(env)
number = int(sys.argv[3])
print("ready", flush=True)
while True:
    number += 1
    vault.set("counter/value", str(number))
    vault.set(f"filler/{number % 50}", "x" * 20_000)
    if number % 7 == 0:
        rotation.run(rotation.plan(env))
    print(number, flush=True)
"""


@pytest.mark.kill
def test_kill_at_any_point_loses_nothing(env: Env) -> None:
    """After kill -9 at random moments of writing and rotating, the file opens and holds all that was confirmed."""
    create(env).set("counter/value", "0")
    chance = random.Random(7)
    last = 0
    for _ in range(25):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(env.root), str(Path(__file__).parent), str(last)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.15))
        process.kill()
        confirmed = [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.wait()
        process.stdout.close()
        now = int(create(env).get("counter/value") or "")
        assert now >= max([last, *confirmed])
        assert now <= max([last, *confirmed]) + 1
        last = now
    assert last > 25
    create(env).set("after/all", "works")
    assert create(env).get("after/all") == "works"


@pytest.mark.anyio
async def test_rotation_as_a_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool changes nothing in a dry run, and rotates the key for real; afterwards the secret is the same."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    config = tmp_path / "msp-toolkit.toml"
    config.write_text("")
    async with Toolkit.open(config) as toolkit:
        vault = toolkit.secrets.store("file")
        vault.set("rmm/api_key", CANARY)
        before = vault.path.read_bytes()
        planned = await toolkit.call("credential.rotate-key", ctx=toolkit.context(dry_run=True))
        assert "a new key file" in planned.preview
        assert vault.path.read_bytes() == before
        done = await toolkit.call("credential.rotate-key")
        assert (done.secrets, CANARY in repr(done)) == (1, False)
        assert vault.path.read_bytes() != before
        assert vault.get("rmm/api_key") == CANARY
    assert stat.S_IMODE((tmp_path / ".msp").stat().st_mode) == 0o700

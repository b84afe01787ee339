"""From one key to the next: what the new key is, and in which order files are written."""

from contextlib import suppress
from pathlib import Path

from attrs import field, frozen

from msp_core.v1 import CredentialError, InvalidParameters, SecretEnv
from msp_secrets_file import keys
from msp_secrets_file.document import Kdf
from msp_secrets_file.store import FileSecretStore, create

NEW_PASSPHRASE = "MSP_SECRETS_NEW_PASSPHRASE"  # noqa: S105 - the name of a variable


@frozen(kw_only=True)
class Plan:
    """One change of the key, decided but not begun. `passphrase` or `key_file` is what the new key is made from."""

    store: FileSecretStore
    old: Kdf
    new: Kdf
    passphrase: str | None = field(default=None, repr=False)
    key_file: Path | None = None
    chosen: bool = False
    """Whether somebody named the key file; else it is named after its key."""
    remove: Path | None = None
    """The old key file, where it is one that this plugin made and named."""
    afterwards: str = ""

    @property
    def preview(self) -> str:
        """Say what is going to happen."""
        new = "a new passphrase"
        if self.key_file is not None:
            new = f"the key file {self.key_file}" if self.chosen else "a new key file"
        text = f"Encrypt every secret in {self.store.path} anew, locked with {new}."
        return f"{text} Remove the old key file {self.remove}." if self.remove else text


def plan(env: SecretEnv, new_key_file: Path | None = None) -> Plan:
    """Decide what the new key is; raise CredentialError where that is not said."""
    store = create(env)
    old = store.kdf()
    passphrase = env.environ(NEW_PASSPHRASE)
    configured = env.environ(keys.KEY_FILE)
    ours = old.kind == keys.HKDF_SHA256 and not configured
    remove = keys.key_path(env, old.key_id) if ours else None
    if new_key_file is not None and passphrase:
        raise InvalidParameters(
            f"Both --new-key-file and {NEW_PASSPHRASE} are given.",
            suggestion="A file has one key: leave one of them out.",
        )
    if new_key_file is not None:
        path = new_key_file.expanduser().absolute()
        if ours or old.kind == keys.ARGON2ID or not _same(Path(configured or ""), path):
            new = keys.new_kdf(keys.HKDF_SHA256)
            then = f"From now on {keys.KEY_FILE} must be {path}."
            return Plan(
                store=store,
                old=old,
                new=new,
                key_file=path,
                chosen=True,
                remove=remove,
                afterwards=then,
            )
        raise InvalidParameters(
            f"{path} is the key file in use.", suggestion="Name a file that does not exist yet."
        )
    if passphrase:
        if passphrase == env.environ(keys.PASSPHRASE) and old.kind == keys.ARGON2ID:
            raise InvalidParameters(
                f"{NEW_PASSPHRASE} is the passphrase in use.", suggestion="Choose another one."
            )
        new = keys.new_kdf(keys.ARGON2ID)
        then = f"From now on {keys.PASSPHRASE} must be the new passphrase."
        return Plan(
            store=store, old=old, new=new, passphrase=passphrase, remove=remove, afterwards=then
        )
    if not ours:
        raise CredentialError(
            "The new key is not given.",
            suggestion=f"Set {NEW_PASSPHRASE} to a new passphrase, or name a file with --new-key-file.",
        )
    new = keys.new_kdf(keys.HKDF_SHA256)
    path = keys.key_path(env, new.key_id)
    return Plan(
        store=store,
        old=old,
        new=new,
        key_file=path,
        remove=remove,
        afterwards=f"The new key is {path}.",
    )


def run(plan: Plan) -> tuple[int, str]:
    """Change the key; return how many secrets were encrypted anew, and a line for people.

    The new key file is on the disk before the data is written, and the old one goes after it: a process that dies
    between leaves a key file too many, never one too few.
    """
    if plan.key_file is not None:
        material = keys.make_key_file(plan.key_file)
    else:
        material = keys.as_material(plan.passphrase or "")
    count = plan.store.rotate(plan.new, material)
    if plan.remove is not None:
        with suppress(OSError):
            plan.remove.unlink(missing_ok=True)
    secrets = "1 secret is" if count == 1 else f"{count} secrets are"
    return count, f"{secrets} locked with the new key. {plan.afterwards}"


def _same(one: Path, other: Path) -> bool:
    try:
        return one.expanduser().samefile(other)
    except OSError:
        return False

"""Records of adapters: kinds of systems that the configuration connects to."""

from enum import StrEnum

from attrs import field, frozen

from msp_core.data import Data
from msp_core.records import is_id, is_ref, is_tuple


class Role(StrEnum):
    """What sort of system an adapter talks to."""

    RMM = "rmm"
    BACKUP = "backup"
    PSA = "psa"
    CLOUD = "cloud"
    TRANSPORT = "transport"
    HOST = "host"


@frozen(eq=False, repr=False)
class Lack(Data):
    """A fact kind the vendor does not offer, and what to tell people about it."""

    fact: type
    reason: str


@frozen(kw_only=True, eq=False, repr=False)
class Credential(Data):
    """A secret an adapter needs: the settings field, and what it is. `unless` names another that makes it needless."""

    name: str
    summary: str
    required: bool = True
    unless: str = ""


@frozen(kw_only=True, eq=False, repr=False)
class Adapter(Data):
    """A kind of adapter: `[adapters.<instance>] kind = "<id>"`.

    `factory` names `def create(env: AdapterEnv) -> adapter` (plain or async); the adapter implements Protocols of
    `msp_core.v1` named in `offers`, and `async def probe(ctx) -> str` (a cheap authenticated call; returns a line for
    people, raises AuthenticationFailed or VendorUnavailable) and `async def aclose()`. `settings` names the attrs
    class of the instance's options; a field typed `SecretRef | None` is a credential. `implicit` gives every
    configuration an instance of that name without a section (this machine, for example).
    """

    id: str = field(validator=is_id)
    title: str
    role: Role
    factory: str = field(validator=is_ref)
    settings: str = field(validator=is_ref)
    offers: tuple[type, ...] = field(default=(), validator=is_tuple)
    aliases: tuple[str, ...] = ()
    credentials: tuple[Credential, ...] = field(default=(), validator=is_tuple)
    lacks: tuple[Lack, ...] = field(default=(), validator=is_tuple)
    implicit: str | None = None

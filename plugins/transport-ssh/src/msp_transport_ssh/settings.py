"""Options of an SSH instance."""

import getpass
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from attrs import field, frozen, validators

from msp_core.v1 import Doc, SecretRef

_LOGIN = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<place>[^@\s]+)")
_PLACE = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^\s:@\[\]/]+))(?::(?P<port>\d{1,5}))?"
)

_port = [validators.ge(1), validators.le(65535)]


def _positive(_settings: object, attribute: Any, value: timedelta) -> None:
    if value <= timedelta(0):
        raise ValueError(f"{attribute.name} must be above 0 s")


def _jump_fits(_settings: object, _attribute: Any, value: str | None) -> None:
    if value:
        split_login(value)


@frozen(kw_only=True)
class HostSettings:
    """Options of one host that differ from the rest of the instance."""

    user: Annotated[str | None, Doc("User to log in as.")] = None
    port: Annotated[int | None, Doc("Port, where the device's link names none.")] = field(
        default=None, validator=validators.optional(_port)
    )
    key_file: Annotated[Path | None, Doc("Private key to log in with.")] = None
    jump: Annotated[str | None, Doc("Jump host; an empty text for none.")] = field(
        default=None, validator=_jump_fits
    )


@frozen(kw_only=True)
class SshSettings:
    """How machines are reached over SSH. The user's own ~/.ssh/config is not read."""

    user: Annotated[str, Doc("User to log in as.")] = field(factory=getpass.getuser)
    port: Annotated[int, Doc("Port, where a device's link names none.")] = field(
        default=22, validator=_port
    )
    key_file: Annotated[
        Path | None, Doc("Private key to log in with; the user's own ~/.ssh/id_* if not given.")
    ] = None
    passphrase: Annotated[SecretRef | None, Doc("Passphrase of the key file.")] = None
    agent: Annotated[bool, Doc("Use the keys of a running ssh-agent (SSH_AUTH_SOCK).")] = True
    password: Annotated[SecretRef | None, Doc("Password of the user, where keys are not used.")] = (
        None
    )
    jump: Annotated[str, Doc("Jump host for all hosts: [user@]host[:port].")] = field(
        default="", validator=_jump_fits
    )
    known_hosts: Annotated[
        Path, Doc("Host keys to trust; a host that is not in it is refused.")
    ] = Path("~/.ssh/known_hosts")
    connect_timeout: Annotated[timedelta, Doc("Time to connect and log in.")] = field(
        default=timedelta(seconds=8), validator=_positive
    )
    facts: Annotated[bool, Doc("Read facts of linked devices with a fixed read-only script.")] = (
        False
    )
    facts_timeout: Annotated[timedelta, Doc("Time for that script.")] = field(
        default=timedelta(seconds=20), validator=_positive
    )
    concurrency: Annotated[int, Doc("Hosts that are worked on at once.")] = field(
        default=100, validator=[validators.ge(1), validators.le(1000)]
    )
    keep_open: Annotated[timedelta, Doc("How long an idle connection is kept.")] = field(
        default=timedelta(seconds=30), validator=_positive
    )
    hosts: Annotated[
        Mapping[str, HostSettings], Doc("Other options for single hosts, by host name.")
    ] = field(factory=dict)


@frozen
class Endpoint:
    """One machine to log in to, and the one to go through."""

    user: str
    host: str
    port: int
    key_file: Path | None
    jump: "Endpoint | None" = None

    def __str__(self) -> str:
        through = f" through {self.jump.host}" if self.jump else ""
        return f"{self.host}:{self.port}{through}"


def endpoint(settings: SshSettings, external_id: str) -> Endpoint:
    """Return where a device is reached; `external_id` is [user@]host[:port]. Raise ValueError otherwise."""
    login, name, port = split_login(external_id)
    own = settings.hosts.get(external_id) or settings.hosts.get(name) or HostSettings()
    through = settings.jump if own.jump is None else own.jump
    jump = None
    if through:
        user, host, jump_port = split_login(through)
        jump = Endpoint(user or settings.user, host, jump_port or 22, settings.key_file)
    return Endpoint(
        user=login or own.user or settings.user,
        host=name,
        port=port or own.port or settings.port,
        key_file=own.key_file or settings.key_file,
        jump=jump,
    )


def split_login(text: str) -> tuple[str | None, str, int | None]:
    """Split `[user@]host[:port]` or `[user@][v6]:port`; raise ValueError for anything else."""
    match = _LOGIN.fullmatch(text)
    place = _PLACE.fullmatch(match["place"]) if match else None
    port = int(place["port"]) if place and place["port"] else None
    fits = port is None or 0 < port < 65536
    if match is None or place is None or not fits or "-" in (text[:1], match["place"][:1]):
        raise ValueError(f"{text[:60]!r} is not like [user@]host, host:22 or [2001:db8::1]:22")
    return match["user"], place["v6"] or place["name"], port

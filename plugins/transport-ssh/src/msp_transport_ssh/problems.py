"""Say what went wrong with an SSH connection, and what to do next."""

import os
import shlex
import socket
from pathlib import Path

import asyncssh
from attrs import frozen

from msp_core.v1 import AuthenticationFailed, MspError, VendorError, VendorUnavailable
from msp_transport_ssh.settings import Endpoint


@frozen
class ShownKey:
    """The key a host showed, which did not prove who it is."""

    algorithm: str
    fingerprint: str
    changed: bool
    """True when another key of this host is known."""


def host_key_refused(to: Endpoint, key: ShownKey, known_hosts: Path) -> MspError:
    """Explain a host key that is not known, or not the known one."""
    host = to.host if to.port == 22 else f"[{to.host}]:{to.port}"
    file = shlex.quote(str(known_hosts))
    add = f"ssh-keyscan -p {to.port} {shlex.quote(to.host)} >> {file}"
    shown = f"{key.algorithm} {key.fingerprint}"
    if key.changed:
        return VendorError(
            f"{to} shows another host key than the one in {known_hosts}: {shown}. "
            "It was installed anew, or another machine answers in its place. Nothing was sent.",
            suggestion=f"Find out which. If the key is right: ssh-keygen -R {shlex.quote(host)} -f {file}; {add}",
            reason="host-key-changed",
        )
    return VendorError(
        f"{to} shows a host key that is not in {known_hosts}: {shown}. Nothing was sent.",
        suggestion=(
            "Compare it with the machine's own (there: ssh-keygen -lf "
            f"/etc/ssh/ssh_host_ed25519_key.pub), then: {add}"
        ),
        reason="host-key-unknown",
    )


def connection_failed(to: Endpoint, error: Exception, seconds: float) -> MspError:
    """Explain why a connection could not be made or was lost."""
    if isinstance(error, asyncssh.PermissionDenied):
        return AuthenticationFailed(
            f"{to} does not let {to.user!r} in.",
            suggestion="Check user, key_file, agent and password of the instance, and the keys the host accepts.",
        )
    if isinstance(error, asyncssh.ChannelOpenError) and to.jump is not None:
        return VendorUnavailable(
            f"The jump host {to.jump.host} cannot reach {to.host}:{to.port}: {error.reason}.",
            suggestion="Check the host's name and port as seen from the jump host.",
        )
    if isinstance(error, TimeoutError | asyncssh.TimeoutError):
        reason = f"no answer within {seconds:g} s"
    elif isinstance(error, asyncssh.Error):
        reason = plain(error.reason)
    elif isinstance(error, socket.gaierror):
        reason = f"the name cannot be resolved ({error.strerror})"
    else:
        # asyncio's own text names the address, not the reason
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else plain(str(error)) or type(error).__name__
    return VendorUnavailable(
        f"{to} cannot be reached over SSH: {reason}.",
        suggestion="Check that the machine is on, its name and port, and that its SSH server runs.",
    )


def lost(to: Endpoint) -> MspError:
    """Explain a connection that ended while a command ran."""
    return VendorUnavailable(
        f"The connection to {to} was lost while a command ran; it may still be running there.",
        suggestion="Look at the machine before running the command again.",
    )


def plain(text: str) -> str:
    """Return text of a server as one short printable line."""
    line = " ".join(text.split())
    return "".join(character for character in line if character.isprintable())[:200]

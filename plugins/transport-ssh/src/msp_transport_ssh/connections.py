"""Connections to hosts: made once, shared, verified by host key, closed when idle."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
from attrs import define, field, frozen

from msp_core.v1 import CredentialError, MspError, Secret
from msp_transport_ssh.problems import ShownKey, connection_failed, host_key_refused
from msp_transport_ssh.settings import Endpoint, SshSettings

# asyncssh notes every command line at level INFO, and a command line may hold a secret
asyncssh.set_log_level(logging.WARNING)


@frozen(kw_only=True)
class Secrets:
    """What an instance logs in with besides keys in files and in the agent."""

    password: Secret | None = None
    passphrase: Secret | None = None


@define(eq=False)
class _Shared:
    """One connection and those who use it."""

    lock: asyncio.Lock = field(factory=asyncio.Lock)
    connection: asyncssh.SSHClientConnection | None = None
    users: int = 0
    hold: AsyncExitStack | None = None
    """Keeps the jump host's connection while this one is open."""
    idle: asyncio.TimerHandle | None = None


class Connections:
    """All connections of one instance."""

    def __init__(self, settings: SshSettings, secrets: Secrets) -> None:
        self._settings = settings
        self._secrets = secrets
        self._shared: dict[Endpoint, _Shared] = {}
        self._keys: dict[Path, asyncssh.SSHKey] = {}
        self._reading = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self.known_hosts = settings.known_hosts.expanduser()

    @asynccontextmanager
    async def to(self, endpoint: Endpoint) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Lend a connection; raise AuthenticationFailed, VendorUnavailable, or VendorError for a host key."""
        shared = self._shared.setdefault(endpoint, _Shared())
        shared.users += 1
        if shared.idle is not None:
            shared.idle.cancel()
        try:
            async with shared.lock:
                if shared.connection is None or shared.connection.is_closed():
                    await self._renew(endpoint, shared)
            assert shared.connection is not None
            yield shared.connection
        finally:
            shared.users -= 1
            if not shared.users:
                seconds = self._settings.keep_open.total_seconds()
                loop = asyncio.get_running_loop()
                shared.idle = loop.call_later(seconds, self._retire, endpoint, shared)

    async def aclose(self) -> None:
        """Close all connections, those through a jump host first."""
        for endpoint in sorted(self._shared, key=lambda item: item.jump is None):
            await _close(self._shared[endpoint])
        self._shared.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _retire(self, endpoint: Endpoint, shared: _Shared) -> None:
        if not shared.users:
            self._shared.pop(endpoint, None)
            task = asyncio.get_running_loop().create_task(_close(shared))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _renew(self, endpoint: Endpoint, shared: _Shared) -> None:
        await _close(shared)
        async with AsyncExitStack() as hold:
            tunnel = None
            if endpoint.jump is not None:
                tunnel = await hold.enter_async_context(self.to(endpoint.jump))
            shared.connection = await self._connect(endpoint, tunnel)
            shared.hold = hold.pop_all()

    async def _connect(
        self, endpoint: Endpoint, tunnel: asyncssh.SSHClientConnection | None
    ) -> asyncssh.SSHClientConnection:
        seconds = self._settings.connect_timeout.total_seconds()
        doorman = _Doorman()
        # without a file asyncssh takes the user's own ~/.ssh/id_* that need no passphrase, as ssh does
        keys = [await self._key(endpoint.key_file)] if endpoint.key_file else ()
        password = self._secrets.password
        try:
            async with asyncio.timeout(seconds):
                return await asyncssh.connect(
                    endpoint.host,
                    endpoint.port,
                    tunnel=tunnel or (),
                    config=None,
                    client_factory=lambda: doorman,
                    known_hosts=self._trusted(),
                    username=endpoint.user,
                    client_keys=keys,
                    agent_path=self._agent(),
                    password=password.reveal() if password else None,
                    gss_auth=False,
                    host_based_auth=False,
                    login_timeout=seconds,
                    keepalive_interval=15,
                    keepalive_count_max=2,
                )
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._refused(endpoint, doorman, error) from None
        except asyncssh.KeyExchangeFailed as error:
            # the algorithms offered are those of the known keys, so a new kind of key ends here
            if self._known_keys(endpoint) and "host key" in error.reason.lower():
                raise self._refused(endpoint, doorman, error) from None
            raise connection_failed(endpoint, error, seconds) from None
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise connection_failed(endpoint, error, seconds) from None

    def _trusted(self) -> asyncssh.SSHKnownHosts:
        """Read the trusted keys anew, so that one just added counts; never "trust everybody"."""
        try:
            return asyncssh.import_known_hosts(self.known_hosts.read_text(errors="replace"))
        except OSError:  # no file yet: nobody is known
            return asyncssh.import_known_hosts("")
        except ValueError as error:
            raise CredentialError(
                f"{self.known_hosts} cannot be read: {error}.",
                suggestion="Mend or remove the line.",
            ) from None

    def _known_keys(self, endpoint: Endpoint) -> list[Any]:
        return list(self._trusted().match(endpoint.host, "", endpoint.port)[0])

    def _refused(self, endpoint: Endpoint, doorman: "_Doorman", error: asyncssh.Error) -> MspError:
        shown = doorman.shown
        algorithm = shown.get_algorithm() if shown else "a key of another kind"
        fingerprint = shown.get_fingerprint() if shown else f"({error.reason})"
        known = bool(self._known_keys(endpoint))
        return host_key_refused(endpoint, ShownKey(algorithm, fingerprint, known), self.known_hosts)

    def _agent(self) -> str | None:
        return os.environ.get("SSH_AUTH_SOCK") if self._settings.agent else None

    async def _key(self, file: Path) -> asyncssh.SSHKey:
        """Read a private key once, in a thread: opening an encrypted one may take seconds."""
        async with self._reading:
            if file not in self._keys:
                self._keys[file] = await asyncio.to_thread(
                    _read_key, file, self._secrets.passphrase
                )
            return self._keys[file]


def _read_key(file: Path, passphrase: Secret | None) -> asyncssh.SSHKey:
    try:
        return asyncssh.read_private_key(
            file.expanduser(), passphrase.reveal() if passphrase else None
        )
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CredentialError(
            f"The key file {file} cannot be used: {reason}.",
            suggestion="Check key_file, its permissions, and the instance's passphrase.",
        ) from None


class _Doorman(asyncssh.SSHClient):
    """Notes the key of a host that is not trusted, and lets nobody in."""

    def __init__(self) -> None:
        self.shown: asyncssh.SSHKey | None = None

    def validate_host_public_key(
        self,
        host: str,  # noqa: ARG002 - asyncssh's signature
        addr: str,  # noqa: ARG002
        port: int,  # noqa: ARG002
        key: asyncssh.SSHKey,
    ) -> bool:
        self.shown = key
        return False


async def _close(shared: _Shared) -> None:
    connection, shared.connection = shared.connection, None
    hold, shared.hold = shared.hold, None
    if shared.idle is not None:
        shared.idle.cancel()
    if connection is not None:
        connection.close()
        with contextlib.suppress(TimeoutError, OSError, asyncssh.Error):
            async with asyncio.timeout(2):
                await connection.wait_closed()
    if hold is not None:
        await hold.aclose()

"""The adapter `ssh`: commands on machines that an SSH server answers for."""

import asyncio
import shlex
from datetime import timedelta

from msp_core.v1 import (
    AdapterEnv,
    Command,
    CommandResult,
    Context,
    CredentialError,
    Effect,
    NotSupported,
    Secret,
    Target,
    VendorUnavailable,
    check_door,
)
from msp_hosts.api import EndedCommand
from msp_transport_ssh import problems
from msp_transport_ssh.connections import Connections, Secrets
from msp_transport_ssh.script import COMMAND, SCRIPT
from msp_transport_ssh.session import ConnectionDropped, execute
from msp_transport_ssh.settings import Endpoint, SshSettings, endpoint, split_login


async def create(env: AdapterEnv) -> "Ssh":
    """Build the adapter."""
    settings: SshSettings = env.settings
    secrets = Secrets(
        password=await _optional(env, "password", asked=settings.password is not None),
        passphrase=await _optional(env, "passphrase", asked=settings.passphrase is not None),
    )
    return Ssh(env.instance, settings, Connections(settings, secrets))


async def _optional(env: AdapterEnv, name: str, *, asked: bool) -> Secret | None:
    try:
        return await env.secret(name)
    except CredentialError:
        if asked:
            raise
        return None


class Ssh:
    """One SSH instance."""

    def __init__(self, instance: str, settings: SshSettings, connections: Connections) -> None:
        self.instance = instance
        self.settings = settings
        self._connections = connections
        self._gate = asyncio.Semaphore(settings.concurrency)

    async def probe(self, ctx: Context) -> str:  # noqa: ARG002 - part of the contract
        """Log in to the jump host, the only machine an instance names; without one look at the files."""
        if self.settings.jump:
            user, host, port = split_login(self.settings.jump)
            jump = Endpoint(user or self.settings.user, host, port or 22, self.settings.key_file)
            async with self._connections.to(jump):
                return f"logged in to the jump host {host}"
        known = self._connections.known_hosts
        if not await asyncio.to_thread(known.is_file):
            raise CredentialError(
                f"There is no {known}, so every host would be refused.",
                suggestion=f"Add the keys of your hosts: ssh-keyscan HOST >> {known}",
            )
        return f"ready, host keys from {known}"

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connections.aclose()

    async def run_command(self, ctx: Context, target: Target, command: Command) -> CommandResult:
        """Run a command line in the login shell of the user."""
        check_door(Effect.CHANGE, f"Running a command on {target.device.id}")
        if command.shell not in ("", "sh"):
            raise NotSupported(
                f"{self.instance} runs commands in the user's shell or sh, not {command.shell!r}.",
                suggestion="Leave the shell out.",
            )
        line = f"sh -c {shlex.quote(command.line)}" if command.shell else command.line
        started_at = ctx.now()
        ended = await self._execute(target, line, command.timeout)
        return ended.result(
            target, command, via=self.instance, started_at=started_at, finished_at=ctx.now()
        )

    async def read_facts(self, target: Target) -> str:
        """Return what the fixed read-only script prints; raise as for a command."""
        ended = await self._execute(target, COMMAND, self.settings.facts_timeout, SCRIPT.encode())
        if ended.timed_out:
            seconds = self.settings.facts_timeout.total_seconds()
            raise VendorUnavailable(
                f"{target.external_id} did not finish answering in {seconds:g} s."
            )
        return ended.stdout

    async def _execute(
        self, target: Target, line: str, timeout: timedelta, stdin: bytes = b""
    ) -> EndedCommand:
        to = self._endpoint(target)
        async with self._gate, self._connections.to(to) as connection:
            try:
                return await execute(connection, line, timeout, stdin)
            except ConnectionDropped:
                raise problems.lost(to) from None

    def _endpoint(self, target: Target) -> Endpoint:
        try:
            return endpoint(self.settings, target.external_id or "")
        except ValueError as error:
            raise NotSupported(
                f"{target.device.id} is linked to {self.instance} by an address that cannot be used: {error}.",
                suggestion="Link it by host, host:port or user@host:port.",
            ) from None

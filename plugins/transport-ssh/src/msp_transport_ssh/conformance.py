"""What the cases of transports are held against: an SSH server in the same process."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncssh

USER, PASSWORD = "msp", "canary-5c1d-password"


class _Door(asyncssh.SSHServer):
    """Lets in one password."""

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


class OpenServer:
    """The backend of `MachineConformance`."""

    external_id = ""
    elsewhere = "127.0.0.1:1"
    secrets: Mapping[str, str] = {"password": PASSWORD}

    def __init__(self) -> None:
        self.config: Mapping[str, Any] = {}
        self._folder = Path()
        self._listener: asyncssh.SSHAcceptor | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port with a key of its own."""
        key = asyncssh.generate_private_key("ssh-ed25519")
        self._listener = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=_Door,
            server_host_keys=[key],
            process_factory=self._serve,
            encoding=None,
        )
        port = self._listener.get_port()
        self._folder = Path(tempfile.mkdtemp())
        known = self._folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode().strip()}\n")
        self.external_id = f"127.0.0.1:{port}"
        self.config = {"user": USER, "agent": False, "facts": True, "known_hosts": str(known)}

    async def stop(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        shutil.rmtree(self._folder)

    async def _serve(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        task = asyncio.ensure_future(_shell(process))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.wait([task])


async def _shell(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    """Run what the client asks for in an environment of its own, as sshd does."""
    child = await asyncio.create_subprocess_exec(
        *("sh", "-c", process.command or ":"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"},
        start_new_session=True,
    )
    try:
        out, err = await child.communicate(await process.stdin.read())
    finally:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
    process.stdout.write(out)
    process.stderr.write(err)
    if child.returncode and child.returncode < 0:
        process.exit_with_signal("KILL")
    else:
        process.exit(child.returncode or 0)

"""The SSH adapter against real OpenSSH servers on loopback ports, each with its own host key."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import asyncssh
import pytest

from msp_core.testing import eventually, open_door
from msp_core.v1 import (
    AuthenticationFailed,
    Command,
    CommandResult,
    ConnectivityFacts,
    CpuFacts,
    CredentialError,
    Device,
    DiskFacts,
    FactQuery,
    MemoryFacts,
    Missing,
    Secret,
    SecretRef,
    ServiceFacts,
    Target,
    VendorError,
    VendorUnavailable,
)
from msp_transport_ssh.adapter import Ssh, create
from msp_transport_ssh.settings import SshSettings
from msp_transport_ssh.source import read

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.debian,
    pytest.mark.skipif(not shutil.which("sshd"), reason="needs openssh-server"),
    pytest.mark.skipif(os.geteuid() != 0, reason="sshd logs in other users as root only"),
]
CTX = SimpleNamespace(now=lambda: datetime.now(UTC))
DEVICE = Device(id="acme/web", client_id="acme", name="web")
ME = pwd.getpwuid(os.geteuid()).pw_name
CONFIG = """
ListenAddress 0.0.0.0
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication {password}
KbdInteractiveAuthentication no
MaxStartups 500:30:600
MaxSessions 300
LogLevel ERROR
# What the shell of this account runs at each login is none of these tests' business
SetEnv HOME={folder}
"""


USER, PASSWORD = "msp-test", "correct horse battery"
WITH_ACCOUNT = """
mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow && exec "$2" -D -e -f "$1/config"
"""


def add_account(folder: Path) -> None:
    """Write account files with one more user; only the server that mounts them sees it."""
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True
    ).stdout.strip()
    passwd = Path("/etc/passwd").read_text() + f"{USER}:x:54321:54321::/:/bin/sh\n"
    (folder / "passwd").write_text(passwd)
    (folder / "shadow").write_text(
        Path("/etc/shadow").read_text() + f"{USER}:{hashed}:19000:0:99999:7:::\n"
    )


class Sshd:
    """An OpenSSH server of its own: port, host key, who may log in."""

    def __init__(self, folder: Path, *, passwords: bool = False) -> None:
        self.passwords = passwords
        folder.mkdir()
        self.folder = folder
        self.new_host_key()
        with socket.socket() as free:
            free.bind(("0.0.0.0", 0))
            self.port = free.getsockname()[1]
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd insists on it
        (folder / "authorized_keys").touch()
        (folder / "config").write_text(
            CONFIG.format(port=self.port, folder=folder, password="yes" if passwords else "no")
        )
        self.start()

    def start(self) -> None:
        sshd = shutil.which("sshd")
        command = [sshd, "-D", "-e", "-f", str(self.folder / "config")]
        if self.passwords:
            add_account(self.folder)
            command = ["unshare", "--mount", "sh", "-c", WITH_ACCOUNT, "sh", str(self.folder), sshd]
        self.process = subprocess.Popen(
            command,
            stderr=(self.folder / "log").open("w"),
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        pytest.fail((self.folder / "log").read_text())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def new_host_key(self) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        file = self.folder / "host_key"
        file.write_bytes(key.export_private_key("openssh"))
        file.chmod(0o600)
        self.public = key.export_public_key().decode().strip()

    def trusted(self, name: str = "127.0.0.1") -> str:
        return f"[{name}]:{self.port} {self.public}\n"

    def admit(self, key: asyncssh.SSHKey) -> None:
        with (self.folder / "authorized_keys").open("a") as file:
            file.write(key.export_public_key().decode())


@contextmanager
def sshd(folder: Path, **more: object) -> Iterator[Sshd]:
    server = Sshd(folder, **more)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Sshd]:
    with sshd(tmp_path / "host") as server:
        yield server


def make_key(file: Path, passphrase: str | None = None) -> asyncssh.SSHKey:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(file, passphrase=passphrase)
    file.chmod(0o600)
    return key


@pytest.fixture
def key(tmp_path: Path, host: Sshd) -> Path:
    file = tmp_path / "id"
    host.admit(make_key(file))
    return file


@pytest.fixture
def known_hosts(tmp_path: Path, host: Sshd) -> Path:
    file = tmp_path / "known_hosts"
    file.write_text(host.trusted())
    return file


@asynccontextmanager
async def adapter(
    known_hosts: Path, secrets: dict | None = None, **more: object
) -> AsyncIterator[Ssh]:
    async def secret(name: str) -> Secret:
        if name in (secrets or {}):
            return Secret(secrets[name])
        raise CredentialError(f"no {name}")

    settings = SshSettings(**{"user": ME, "agent": False, **more, "known_hosts": known_hosts})
    ssh = await create(SimpleNamespace(instance="ssh", settings=settings, secret=secret))
    try:
        yield ssh
    finally:
        await ssh.aclose()


async def run(ssh: Ssh, address: str, line: str, seconds: float = 20) -> CommandResult:
    command = Command(line=line, timeout=timedelta(seconds=seconds))
    with open_door():
        return await ssh.run_command(CTX, Target(DEVICE, address), command)


async def test_openssh_key(host: Sshd, key: Path, known_hosts: Path) -> None:
    """A key in a file logs in; its result keeps exit code, output and errors apart."""
    async with adapter(known_hosts, key_file=key) as ssh:
        result = await run(ssh, f"127.0.0.1:{host.port}", "echo out; echo err >&2; exit 3")
        assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")
        assert (await run(ssh, f"127.0.0.1:{host.port}", "kill -9 $$")).exit_code == -9


async def test_openssh_key_with_passphrase(host: Sshd, known_hosts: Path, tmp_path: Path) -> None:
    """An encrypted key opens with its passphrase and with no other; a key nobody admitted is refused."""
    locked, other = tmp_path / "locked", tmp_path / "other"
    host.admit(make_key(locked, "open sesame"))
    make_key(other)
    address = f"127.0.0.1:{host.port}"
    async with adapter(known_hosts, {"passphrase": "open sesame"}, key_file=locked) as ssh:
        assert (await run(ssh, address, "true")).success
    async with adapter(known_hosts, {"passphrase": "wrong"}, key_file=locked) as ssh:
        with pytest.raises(CredentialError, match="locked"):
            await run(ssh, address, "true")
    async with adapter(known_hosts, key_file=other) as ssh:
        with pytest.raises(AuthenticationFailed, match=f"does not let '{ME}' in"):
            await run(ssh, address, "true")


def start(*command: str) -> subprocess.Popen:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def listens(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as tried:
        return tried.connect_ex(str(address)) == 0


async def test_openssh_agent(
    host: Sshd, known_hosts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that only the agent holds logs in, unless the agent is switched off."""
    file, address = tmp_path / "agent-key", tmp_path / "agent"
    host.admit(make_key(file))
    agent = start("ssh-agent", "-D", "-a", str(address))
    try:
        await eventually(lambda: listens(address))
        monkeypatch.setenv("SSH_AUTH_SOCK", str(address))
        shell(f"ssh-add -q {file}")
        async with adapter(known_hosts, agent=True) as ssh:
            assert (await run(ssh, f"127.0.0.1:{host.port}", "true")).success
        async with adapter(known_hosts, agent=False) as ssh:
            with pytest.raises(AuthenticationFailed):
                await run(ssh, f"127.0.0.1:{host.port}", "true")
    finally:
        agent.terminate()
        agent.wait()


@pytest.fixture
def user_host(tmp_path: Path) -> Iterator[Sshd]:
    """A server with an account of its own that logs in by password."""
    with sshd(tmp_path / "with-passwords", passwords=True) as server:
        yield server


async def test_openssh_password(user_host: Sshd, tmp_path: Path) -> None:
    """A password logs in; a wrong one is an error that does not show it."""
    known_hosts, address = tmp_path / "known", f"127.0.0.1:{user_host.port}"
    write(known_hosts, user_host.trusted())
    reference = SecretRef("env", "X")
    async with adapter(known_hosts, {"password": PASSWORD}, user=USER, password=reference) as ssh:
        assert (await run(ssh, address, "id -un; id -u")).stdout.endswith("54321\n")
    async with adapter(known_hosts, {"password": "canary-word"}, user=USER) as ssh:
        with pytest.raises(AuthenticationFailed) as caught:
            await run(ssh, address, "true")
        assert "canary-word" not in repr(caught.value.as_dict())


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def test_openssh_suggested_line_makes_the_host_known(
    host: Sshd, key: Path, tmp_path: Path
) -> None:
    """An unknown host is refused, and what the error suggests makes it known."""
    known_hosts = tmp_path / "nobody"
    async with adapter(known_hosts, key_file=key) as ssh:
        with pytest.raises(VendorError) as caught:
            await run(ssh, f"127.0.0.1:{host.port}", "true")
        line = caught.value.suggestion.partition("then: ")[2]
        shell(line)
        assert (await run(ssh, f"127.0.0.1:{host.port}", "true")).success


async def test_openssh_changed_host_key(host: Sshd, key: Path, known_hosts: Path) -> None:
    """A host that was installed anew is refused until somebody says the new key is right."""
    address = f"127.0.0.1:{host.port}"
    async with adapter(known_hosts, key_file=key) as ssh:
        assert (await run(ssh, address, "true")).success
    host.stop()
    host.new_host_key()
    host.start()
    async with adapter(known_hosts, key_file=key) as ssh:
        with pytest.raises(VendorError, match="another host key") as caught:
            await run(ssh, address, "true")
        line = caught.value.suggestion.partition("right: ")[2]
        shell(line)
        assert (await run(ssh, address, "true")).success


async def test_openssh_jump_host(host: Sshd, key: Path, known_hosts: Path, tmp_path: Path) -> None:
    """A second server is reached through the first; both keys are verified."""
    with sshd(tmp_path / "inner") as inner:
        shutil.copy(host.folder / "authorized_keys", inner.folder)
        jump = f"{ME}@127.0.0.1:{host.port}"
        async with adapter(known_hosts, key_file=key, jump=jump) as ssh:
            with pytest.raises(VendorError, match="not in"):
                await run(ssh, f"127.0.0.1:{inner.port}", "true")
            write(known_hosts, host.trusted() + inner.trusted())
            result = await run(ssh, f"127.0.0.1:{inner.port}", "echo $SSH_CONNECTION")
            assert result.stdout.split()[3] == str(inner.port)
            with pytest.raises(VendorUnavailable, match="jump host"):
                await run(ssh, "127.0.0.1:9", "true")


def children(of: int) -> list[int]:
    found = [int(line) for line in subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(of)], capture_output=True, text=True, check=False
    ).stdout.split()]  # fmt: skip
    return found + [pid for child in found for pid in children(child)]


async def test_openssh_drop_in_the_middle_of_a_command(
    host: Sshd, key: Path, known_hosts: Path
) -> None:
    """A server process that dies under a command is no success; the next command connects anew."""
    async with adapter(known_hosts, key_file=key) as ssh:
        running = asyncio.create_task(run(ssh, f"127.0.0.1:{host.port}", "echo begun; sleep 33.3"))
        await eventually(lambda: "sleep 33.3" in output("ps", "-eo", "args").splitlines())
        for pid in children(host.process.pid):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(VendorUnavailable, match="may still be running"):
            await running
        assert (await run(ssh, f"127.0.0.1:{host.port}", "echo again")).stdout == "again\n"


async def test_openssh_timeout_ends_the_command(user_host: Sshd, tmp_path: Path) -> None:
    """At the timeout OpenSSH is asked to end the command, and does so for users other than root."""
    known_hosts = tmp_path / "known"
    write(known_hosts, user_host.trusted())
    async with adapter(known_hosts, {"password": PASSWORD}, user=USER) as ssh:
        result = await run(
            ssh, f"127.0.0.1:{user_host.port}", "echo begun; exec sleep 34.4", seconds=2
        )
        assert (result.timed_out, result.exit_code, result.stdout) == (True, None, "begun\n")
        await eventually(lambda: "sleep 34.4" not in output("ps", "-eo", "args"))


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def shell(line: str) -> None:
    subprocess.run(line, shell=True, check=True, capture_output=True)


async def test_openssh_facts(host: Sshd, key: Path, known_hosts: Path) -> None:
    """Facts of this machine through sshd: what df and the kernel say, services as this machine has them."""
    kinds = frozenset({CpuFacts, MemoryFacts, DiskFacts, ServiceFacts, ConnectivityFacts})
    query = FactQuery(facts=kinds, targets=[Target(DEVICE, f"127.0.0.1:{host.port}")])
    async with adapter(known_hosts, key_file=key, facts=True) as ssh:
        answers = [item async for item in read(CTX, ssh, query)]
    found = {type(item.fact): item.fact for item in answers if not isinstance(item, Missing)}
    assert len(answers) == len(kinds)
    assert found[ConnectivityFacts].online
    stat = os.statvfs("/")
    root = next(volume for volume in found[DiskFacts].volumes if volume.mount == "/")
    assert root.free_bytes == pytest.approx(stat.f_bavail * stat.f_frsize, rel=0.05)
    assert found[MemoryFacts].total_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf(
        "SC_PHYS_PAGES"
    )
    if shutil.which("service"):
        assert found[ServiceFacts].services


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_openssh_200_hosts_in_parallel(host: Sshd, key: Path, tmp_path: Path) -> None:
    """200 hosts (addresses of one server) answer over 200 connections, no more than 50 at once, none lost."""
    known_hosts = tmp_path / "fleet"
    write(known_hosts, host.trusted("127.0.1.*"))
    started = time.monotonic()
    async with adapter(known_hosts, key_file=key, concurrency=50) as ssh:
        results = await asyncio.gather(
            *(
                run(ssh, f"127.0.1.{number}:{host.port}", "echo $SSH_CONNECTION", seconds=60)
                for number in range(1, 201)
            )
        )
    assert [item for item in results if not item.success or item.truncated] == []
    assert [item.stdout.split()[2] for item in results] == [
        f"127.0.1.{number}" for number in range(1, 201)
    ]
    print(f"200 hosts in {time.monotonic() - started:.1f} s")


async def test_openssh_and_local_results_have_the_same_shape(
    host: Sshd, key: Path, known_hosts: Path
) -> None:
    """The same command lines give the same result over SSH and on this machine."""
    local = pytest.importorskip("msp_host_local.adapter")
    settings = pytest.importorskip("msp_host_local.settings").LocalSettings()
    here = local.LocalHost("local", settings)
    lines = (
        "echo out; echo err >&2; exit 3", "kill -9 $$", "kill -TERM $$", "printf '\\033[31m\\000\\377'",
        "echo begun; exec sleep 35.5", "head -c 2000000 /dev/zero | tr '\\0' x", "cat",
    )  # fmt: skip
    async with adapter(known_hosts, key_file=key) as ssh:
        for line in lines:
            there = await run(ssh, f"127.0.0.1:{host.port}", line, seconds=3)
            mine = await run(here, "localhost", line, seconds=3)
            for field in (
                "exit_code",
                "stdout",
                "stderr",
                "timed_out",
                "truncated",
                "device_id",
                "command",
            ):
                assert getattr(there, field) == getattr(mine, field), (line, field)

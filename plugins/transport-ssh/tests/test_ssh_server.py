"""The SSH adapter against a server in the same process: host keys, commands, drops, hostile answers."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import asyncssh
import pytest
from attrs import evolve

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
    MspError,
    NotSupported,
    PermissionDenied,
    RunsCommands,
    Secret,
    SecretRef,
    ServiceFacts,
    Target,
    VendorError,
    VendorUnavailable,
)
from msp_transport_ssh.adapter import Ssh, create
from msp_transport_ssh.plugin import msp_adapters, msp_sources
from msp_transport_ssh.settings import SshSettings
from msp_transport_ssh.source import read

pytestmark = pytest.mark.anyio
CTX = SimpleNamespace(now=lambda: datetime.now(UTC))
DEVICE = Device(id="acme/web", client_id="acme", name="web")
ALL = frozenset({CpuFacts, MemoryFacts, DiskFacts, ServiceFacts, ConnectivityFacts})
PASSWORD = "correct horse"


class Door(asyncssh.SSHServer):
    """Lets in one password."""

    connections: list[asyncssh.SSHServerConnection]

    def __init__(self, connections: list) -> None:
        self.connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == PASSWORD

    def connection_requested(self, *where: object) -> bool:
        return True


async def shell(process: asyncssh.SSHServerProcess) -> None:
    """Run what the client asks for, as sshd does."""
    child = await asyncio.create_subprocess_exec(
        "sh", "-c", process.command,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await child.communicate(await process.stdin.read())
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    process.stdout.write(out)
    process.stderr.write(err)
    if child.returncode < 0:
        process.exit_with_signal("KILL")
    else:
        process.exit(child.returncode)


@asynccontextmanager
async def server(
    handler: Callable = shell, key: asyncssh.SSHKey | None = None
) -> AsyncIterator[SimpleNamespace]:
    key = key or asyncssh.generate_private_key("ssh-ed25519")
    connections: list = []
    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: Door(connections),
        server_host_keys=[key],
        process_factory=handler,
        encoding=None,
    )
    try:
        port = listener.get_port()
        public = key.export_public_key().decode().strip()
        yield SimpleNamespace(
            port=port,
            key=key,
            connections=connections,
            line=f"[127.0.0.1]:{port} {public}\n",
            listener=listener,
        )
    finally:
        listener.close()
        for connection in connections:
            connection.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def adapter(
    known_hosts: Path, password: str | None = PASSWORD, **more: object
) -> AsyncIterator[Ssh]:
    async def secret(name: str) -> Secret:
        if name == "password" and password is not None:
            return Secret(password)
        raise CredentialError(f"no {name}")

    settings = SshSettings(user="msp", known_hosts=known_hosts, agent=False, **more)
    built = await create(SimpleNamespace(instance="ssh", settings=settings, secret=secret))
    try:
        yield built
    finally:
        await built.aclose()


async def run(
    ssh: Ssh, port: int, line: str, seconds: float = 10, shell: str = ""
) -> CommandResult:
    command = Command(line=line, timeout=timedelta(seconds=seconds), shell=shell)
    with open_door():
        return await ssh.run_command(CTX, Target(DEVICE, f"127.0.0.1:{port}"), command)


def trust(known_hosts: Path, lines: str) -> None:
    known_hosts.write_text(lines)


@pytest.fixture
def known_hosts(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


async def test_ssh_records_name_what_exists(known_hosts: Path) -> None:
    """The records are valid, their references resolve, and the adapter offers what it says."""
    (record,), (source,) = msp_adapters(), msp_sources()
    assert record.factory == f"{create.__module__}:{create.__name__}"
    assert record.settings == f"{SshSettings.__module__}:{SshSettings.__name__}"
    assert source.read == f"{read.__module__}:{read.__name__}"
    async with adapter(known_hosts) as ssh:
        assert isinstance(ssh, RunsCommands)


async def test_ssh_command_result(known_hosts: Path) -> None:
    """Exit code, output and errors come back apart; one connection serves several commands."""
    async with server() as host, adapter(known_hosts) as ssh:
        trust(known_hosts, host.line)
        result = await run(ssh, host.port, "echo out; echo err >&2; exit 3")
        assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")
        assert (result.via, result.device_id, result.timed_out) == ("ssh", "acme/web", False)
        assert (await run(ssh, host.port, "kill -9 $$")).exit_code == -9
        assert (await run(ssh, host.port, "echo 'a  b' \"$0\"", shell="sh")).stdout == "a  b sh\n"
        assert len(host.connections) == 1


async def test_ssh_command_needs_the_door_and_a_usable_target(known_hosts: Path) -> None:
    """Outside a change nothing runs; a shell or an address that cannot be used is said so."""
    async with adapter(known_hosts) as ssh:
        with pytest.raises(PermissionDenied):
            await ssh.run_command(CTX, Target(DEVICE, "h"), Command(line="true"))
        with pytest.raises(NotSupported, match="powershell"):
            await run(ssh, 1, "dir", shell="powershell")
        with open_door(), pytest.raises(NotSupported, match="cannot be used"):
            await ssh.run_command(CTX, Target(DEVICE, "-oProxyCommand=x"), Command(line="true"))


async def test_ssh_command_lines_stay_out_of_the_log(
    known_hosts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is run, and what it prints, may be secret: neither is logged."""
    caplog.set_level("DEBUG")
    async with server() as host, adapter(known_hosts) as ssh:
        trust(known_hosts, host.line)
        await run(ssh, host.port, "echo canary-word")
    assert "canary-word" not in caplog.text
    assert PASSWORD not in caplog.text


async def test_ssh_unknown_host_key_is_refused(known_hosts: Path) -> None:
    """A host that is not known is refused before a password is sent, with how to add it."""
    async with server() as host, adapter(known_hosts) as ssh:
        with pytest.raises(VendorError) as caught:
            await run(ssh, host.port, "true")
        assert host.key.get_fingerprint() in caught.value.message
        assert f"ssh-keyscan -p {host.port} 127.0.0.1 >> {known_hosts}" in caught.value.suggestion
        assert caught.value.details["reason"] == "host-key-unknown"
        trust(known_hosts, host.line)
        assert (await run(ssh, host.port, "true")).success


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
async def test_ssh_changed_host_key_is_refused(known_hosts: Path, kind: str) -> None:
    """Another key than the known one is refused with a warning, also one of another kind."""
    async with server(key=asyncssh.generate_private_key(kind)) as host, adapter(known_hosts) as ssh:
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        trust(known_hosts, f"[127.0.0.1]:{host.port} {other}")
        with pytest.raises(VendorError, match="another host key") as caught:
            await run(ssh, host.port, "true")
        assert f"ssh-keygen -R '[127.0.0.1]:{host.port}'" in caught.value.suggestion
        assert not isinstance(caught.value, VendorUnavailable)


async def test_ssh_wrong_password_says_so_and_shows_none(known_hosts: Path) -> None:
    """Refused credentials are an error of their own, without the credentials."""
    async with server() as host, adapter(known_hosts, password="canary-pass") as ssh:
        trust(known_hosts, host.line)
        with pytest.raises(AuthenticationFailed) as caught:
            await run(ssh, host.port, "true")
        assert "'msp'" in caught.value.message
        assert "canary-pass" not in repr(caught.value.as_dict())


async def test_ssh_key_file_that_cannot_be_used(known_hosts: Path, tmp_path: Path) -> None:
    """A missing or encrypted key file is named; the right passphrase opens it."""
    async with server() as host:
        trust(known_hosts, host.line)
        missing = tmp_path / "missing"
        async with adapter(known_hosts, key_file=missing) as ssh:
            with pytest.raises(CredentialError, match="missing"):
                await run(ssh, host.port, "true")
        locked = tmp_path / "locked"
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(locked, passphrase="secret")
        async with adapter(known_hosts, key_file=locked) as ssh:
            with pytest.raises(CredentialError, match="locked"):
                await run(ssh, host.port, "true")


async def test_ssh_asked_secret_must_exist(known_hosts: Path) -> None:
    """A password the configuration names has to be there; one nobody named may be absent."""
    async with adapter(known_hosts, password=None):
        pass
    with pytest.raises(CredentialError):
        async with adapter(known_hosts, password=None, passphrase=SecretRef("env", "X")):
            pass


async def test_ssh_nobody_there(known_hosts: Path) -> None:
    """A closed port, a silent one and one that talks rubbish are all "cannot be reached", in time."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\xff\x1b[31mHTTP/1.1 400\r\n" * 10_000)
        writer.close()

    for handler in (None, silent, rubbish):
        listener = await asyncio.start_server(handler or silent, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        if handler is None:
            listener.close()
            await listener.wait_closed()
        started = time.monotonic()
        async with adapter(known_hosts, connect_timeout=timedelta(seconds=0.5)) as ssh:
            with pytest.raises(VendorUnavailable) as caught:
                await run(ssh, port, "true")
        assert time.monotonic() - started < 10
        assert caught.value.message.isprintable()
        assert handler is not None or "Connection refused" in caught.value.message
        listener.close()


async def test_ssh_drop_in_the_middle_of_a_command(known_hosts: Path) -> None:
    """A connection that ends while a command runs never looks like success, and the next one works."""
    begun = asyncio.Event()

    async def noted(process: asyncssh.SSHServerProcess) -> None:
        begun.set()
        await shell(process)

    async with server(noted) as host, adapter(known_hosts) as ssh:
        trust(known_hosts, host.line)
        running = asyncio.create_task(run(ssh, host.port, "sleep 3"))
        await begun.wait()
        host.connections[0].abort()
        with pytest.raises(VendorUnavailable, match="may still be running"):
            await running
        assert (await run(ssh, host.port, "echo again")).stdout == "again\n"


async def test_ssh_server_that_closes_without_a_word(known_hosts: Path) -> None:
    """A session without exit status is no success either."""

    async def quiet(process: asyncssh.SSHServerProcess) -> None:
        process.stdout.write(b"half")
        process.close()

    async with server(quiet) as host, adapter(known_hosts) as ssh:
        trust(known_hosts, host.line)
        with pytest.raises(VendorUnavailable):
            await run(ssh, host.port, "true")


async def test_ssh_timeout_and_cancel(known_hosts: Path) -> None:
    """A command that takes too long comes back with what it printed; a cancelled one stops at once."""

    async def endless(process: asyncssh.SSHServerProcess) -> None:
        process.stdout.write(b"begun\n")
        await process.wait_closed()

    async with server(endless) as host, adapter(known_hosts) as ssh:
        trust(known_hosts, host.line)
        started = time.monotonic()
        result = await run(ssh, host.port, "x", seconds=2)
        assert (result.timed_out, result.exit_code, result.stdout) == (True, None, "begun\n")
        task = asyncio.create_task(run(ssh, host.port, "x", seconds=60))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 30


async def test_ssh_output_is_capped_and_harmless(known_hosts: Path) -> None:
    """Too much output is cut and said so; binary and escape codes are replaced."""

    async def loud(process: asyncssh.SSHServerProcess) -> None:
        for _ in range(48):
            process.stdout.write(b"x" * 65536)
            await process.stdout.drain()
        process.stderr.write(b"\x1b[31mred\x00\xff\x9b2J")
        process.exit(0)

    async with server(loud) as host, adapter(known_hosts) as ssh:
        trust(known_hosts, host.line)
        result = await run(ssh, host.port, "x")
    assert (len(result.stdout), result.truncated, result.success) == (1024 * 1024, True, True)
    assert "\x1b" not in result.stderr
    assert result.stderr.startswith("\ufffd[31mred")


async def facts(ssh: Ssh, port: int, kinds: frozenset = ALL) -> list:
    query = FactQuery(facts=kinds, targets=[Target(DEVICE, f"127.0.0.1:{port}")])
    return [answer async for answer in read(CTX, ssh, query)]


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs Linux on the other side")
async def test_ssh_facts_of_a_real_linux_in_one_round_trip(known_hosts: Path) -> None:
    """The script runs on this machine's own shell, once, and its facts are this machine's."""
    sessions = 0

    async def counted(process: asyncssh.SSHServerProcess) -> None:
        nonlocal sessions
        sessions += 1
        await shell(process)

    async with server(counted) as host, adapter(known_hosts, facts=True) as ssh:
        trust(known_hosts, host.line)
        answers = await facts(ssh, host.port)
    found = {type(item.fact): item.fact for item in answers if not isinstance(item, Missing)}
    assert sessions == 1
    assert {CpuFacts, MemoryFacts, DiskFacts, ConnectivityFacts} <= set(found)
    assert found[CpuFacts].logical_cpus == os.cpu_count()
    assert 0 <= found[CpuFacts].used_percent <= 100
    assert found[MemoryFacts].total_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf(
        "SC_PHYS_PAGES"
    )
    root = next(volume for volume in found[DiskFacts].volumes if volume.mount == "/")
    stat = os.statvfs("/")
    assert root.free_bytes == pytest.approx(stat.f_bavail * stat.f_frsize, rel=0.05)
    assert root.inodes_total == stat.f_files


async def test_ssh_facts_are_opted_in(known_hosts: Path) -> None:
    """Without `facts = true` nothing is sent, and the reason says what to set."""
    async with server() as host, adapter(known_hosts) as ssh:
        trust(known_hosts, host.line)
        answers = await facts(ssh, host.port)
        assert {type(item) for item in answers} == {Missing}
        assert "facts = true in [adapters.ssh]" in answers[0].reason
        assert not host.connections


async def test_ssh_facts_of_an_unreachable_host(known_hosts: Path) -> None:
    """A host that does not answer is offline and its facts missing; one that refuses us says nothing about itself."""
    async with adapter(known_hosts, facts=True, connect_timeout=timedelta(seconds=1)) as ssh:
        answers = await facts(ssh, 1)
        offline = [item.fact for item in answers if not isinstance(item, Missing)]
        assert offline == [ConnectivityFacts(online=False)]
        assert len(answers) == len(ALL)
        async with server() as host:  # its key is not known
            answers = await facts(ssh, host.port)
            assert {type(item) for item in answers} == {Missing}
            assert len(answers) == len(ALL)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "needs sh"),
        (b"'sh' is not recognized\r\n", "needs sh"),
        (b"\n@@msp system\nLinux\n", "cut short"),
        (b"\n@@msp system\nVMkernel\n@@msp end\n", "'VMkernel' cannot be read"),
        (b"\n@@msp system\nLinux\n@@msp end\n", "no part"),
        (b"\xff\x00\x1b]0;x\x07" * 300_000, "needs sh"),
    ],
)
async def test_ssh_facts_from_hostile_machines(
    known_hosts: Path, answer: bytes, words: str
) -> None:
    """Whatever a machine answers, each fact asked for is there or missing with a reason."""

    async def talk(process: asyncssh.SSHServerProcess) -> None:
        process.stdout.write(answer)
        process.exit(0)

    async with server(talk) as host, adapter(known_hosts, facts=True) as ssh:
        trust(known_hosts, host.line)
        answers = await facts(ssh, host.port, ALL - {ConnectivityFacts})
    assert len(answers) == 4
    assert {type(item) for item in answers} == {Missing}
    assert any(words in item.reason for item in answers)
    assert all(item.reason.isprintable() and len(item.reason) < 400 for item in answers)


async def test_ssh_jump_host(known_hosts: Path) -> None:
    """A target is reached through the jump host, whose key is verified too, over one connection for both targets."""
    async with (
        server() as gate,
        server() as one,
        server() as two,
        adapter(known_hosts, jump=f"msp@127.0.0.1:{gate.port}") as ssh,
    ):
        trust(known_hosts, one.line + two.line)
        with pytest.raises(VendorError, match="not in"):
            await run(ssh, one.port, "echo one")
        trust(known_hosts, gate.line + one.line + two.line)
        results = await asyncio.gather(
            run(ssh, one.port, "echo one"), run(ssh, two.port, "echo two")
        )
        assert [item.stdout for item in results] == ["one\n", "two\n"]
        assert len(gate.connections) == 2  # the refused one, and the shared one
        assert "jump host 127.0.0.1" in await ssh.probe(CTX)
        with pytest.raises(VendorUnavailable, match=r"jump host 127\.0\.0\.1 cannot reach"):
            await run(ssh, 1, "true")


async def test_ssh_idle_connections_are_closed(known_hosts: Path) -> None:
    """A connection nobody uses is closed after its time, the jump host's after it, and made anew when needed."""
    async with server() as gate, server() as host:
        jump = f"127.0.0.1:{gate.port}"
        async with adapter(known_hosts, jump=jump, keep_open=timedelta(seconds=0.2)) as ssh:
            trust(known_hosts, gate.line + host.line)
            await run(ssh, host.port, "true")
            await eventually(lambda: not ssh._connections._shared)
            assert (await run(ssh, host.port, "echo anew")).stdout == "anew\n"
        assert len(host.connections) == 2


async def test_ssh_probe(known_hosts: Path) -> None:
    """Without a jump host a probe looks at the host keys, the one file everything rests on."""
    async with adapter(known_hosts) as ssh:
        with pytest.raises(CredentialError, match="every host would be refused"):
            await ssh.probe(CTX)
        trust(known_hosts, "")
        assert str(known_hosts) in await ssh.probe(CTX)
        trust(known_hosts, "@cert-authority\n")
        with pytest.raises(MspError):
            await run(ssh, 1, "true")


async def test_ssh_works_on_a_few_hosts_at_once(known_hosts: Path) -> None:
    """No more hosts than allowed are worked on at once."""
    most = now = 0

    async def watched(process: asyncssh.SSHServerProcess) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        process.exit(0)

    async with server(watched) as host, adapter(known_hosts, concurrency=3) as ssh:
        trust(known_hosts, host.line)
        await asyncio.gather(*(run(ssh, host.port, "x") for _ in range(12)))
    assert most == 3


def test_ssh_settings_refuse_nonsense() -> None:
    """Ports, times and jump hosts that cannot be are refused when the configuration is read."""
    for wrong in (
        {"port": 0},
        {"jump": "a b"},
        {"connect_timeout": timedelta(0)},
        {"concurrency": 0},
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - the texts differ
            evolve(SshSettings(), **wrong)

"""This machine as an adapter: its facts held against the system's own tools, its commands, its records."""

import asyncio
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from msp_core.testing import eventually, open_door
from msp_core.v1 import (
    Command,
    CommandResult,
    ConnectivityFacts,
    CpuFacts,
    Device,
    DiskFacts,
    FactQuery,
    ListsDevices,
    MemoryFacts,
    Missing,
    NotSupported,
    PermissionDenied,
    RunsCommands,
    ServiceFacts,
    ServiceStart,
    ServiceState,
    Target,
)
from msp_host_local import services as local_services
from msp_host_local.adapter import LocalHost, create
from msp_host_local.machine import describe, machine_id
from msp_host_local.plugin import msp_adapters, msp_sources
from msp_host_local.readings import cgroup_memory, read_cpu, read_disks, read_memory
from msp_host_local.services import NoServices, read_services, windows_services
from msp_host_local.settings import LocalSettings
from msp_host_local.source import read

pytestmark = pytest.mark.anyio
linux = pytest.mark.skipif(platform.system() != "Linux", reason="compares with Linux tools")
HAS_SERVICES = Path("/run/systemd/system").is_dir() or shutil.which("service")
CTX = SimpleNamespace(now=lambda: datetime.now(UTC))
HOST = LocalHost("local", LocalSettings(cpu_sample=timedelta(seconds=0.1)))
DEVICE = Device(id="acme/here", client_id="acme", name="here")
HERE = Target(DEVICE, "localhost")
ALL = (CpuFacts, MemoryFacts, DiskFacts, ServiceFacts, ConnectivityFacts)


async def run(line: str, seconds: float = 10, shell: str = "") -> CommandResult:
    command = Command(line=line, timeout=timedelta(seconds=seconds), shell=shell)
    with open_door():
        return await HOST.run_command(CTX, HERE, command)


def test_local_records_name_what_exists() -> None:
    """The records are valid, their references resolve, and the adapter offers what it says."""
    (adapter,), (source,) = msp_adapters(), msp_sources()
    assert adapter.factory == f"{create.__module__}:{create.__name__}"
    assert adapter.settings == f"{LocalSettings.__module__}:{LocalSettings.__name__}"
    assert source.read == f"{read.__module__}:{read.__name__}"
    built = create(SimpleNamespace(instance="local", settings=LocalSettings()))
    assert isinstance(built, ListsDevices)
    assert isinstance(built, RunsCommands)


@pytest.mark.parametrize("seconds", [0, -1, 11])
def test_local_settings_refuse_a_useless_sample(seconds: float) -> None:
    """A sample of nothing, or one that would hold up a sweep, is refused."""
    with pytest.raises(ValueError, match="cpu_sample"):
        LocalSettings(cpu_sample=timedelta(seconds=seconds))


async def test_local_lists_this_machine_once() -> None:
    """There is one device, with the names the system uses."""
    (device,) = [item async for item in HOST.list_devices(CTX)]
    assert device == describe()
    assert device.hostname == socket.gethostname()
    assert [item async for item in HOST.list_devices(CTX, ["somebody else"])] == []
    assert (await HOST.probe(CTX)).startswith(device.hostname)


def test_local_identity_from_firmware(tmp_path: Path) -> None:
    """Machine id, serial and kind come from the files Linux keeps them in; placeholders count as nothing."""
    dmi = tmp_path / "sys/class/dmi/id"
    dmi.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("0123abcd\n")
    (dmi / "product_serial").write_text("CZ1234\n")
    (dmi / "chassis_type").write_text("23\n")
    device = describe(tmp_path)
    assert (device.external_id, device.serial, device.kind) == ("0123abcd", "CZ1234", "server")
    (dmi / "product_serial").write_text("To be filled by O.E.M.\n")
    assert describe(tmp_path).serial == ""


async def test_local_source_reads_every_kind() -> None:
    """Every kind that was asked for is observed, and only those."""
    query = FactQuery(facts=frozenset(ALL), targets=[HERE])
    answers = [item async for item in read(CTX, HOST, query)]
    kinds = [getattr(item, "fact_id", None) or item.fact.fact_id for item in answers]
    assert kinds == ["cpu", "memory", "disk", "services", "connectivity"]
    query = FactQuery(facts=frozenset({MemoryFacts}), targets=[HERE])
    assert len([item async for item in read(CTX, HOST, query)]) == 1


async def test_local_source_never_speaks_for_another_machine() -> None:
    """A link that was made elsewhere gets the reason instead of our numbers."""
    elsewhere = Target(DEVICE, "id-of-another-machine")
    query = FactQuery(facts=frozenset({CpuFacts, DiskFacts}), targets=[elsewhere])
    answers = [item async for item in read(CTX, HOST, query)]
    assert {type(item) for item in answers} == {Missing}
    assert machine_id() in answers[0].reason
    with open_door(), pytest.raises(NotSupported):
        await HOST.run_command(CTX, elsewhere, Command(line="true"))


def meminfo(field: str) -> int:
    text = Path("/proc/meminfo").read_text()
    return int(re.search(rf"^{field}: +(\d+) kB", text, re.MULTILINE)[1]) * 1024


@linux
def test_local_memory_is_what_proc_says() -> None:
    """Total and available are within 5 % of /proc/meminfo."""
    facts = read_memory()
    if cgroup_memory() is None:
        assert facts.total_bytes == meminfo("MemTotal")
        assert facts.available_bytes == pytest.approx(meminfo("MemAvailable"), rel=0.05)
    assert facts.swap_total_bytes == meminfo("SwapTotal")


@linux
def test_local_cpu_is_what_proc_says() -> None:
    """Use over the same second is what /proc/stat shows, a little apart for the reading itself."""

    def busy() -> tuple[int, int]:
        values = [
            int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        ]
        return sum(values), values[3] + values[4]

    before = busy()
    facts = read_cpu(timedelta(seconds=1))
    after = busy()
    used = 100 * (1 - (after[1] - before[1]) / (after[0] - before[0]))
    assert facts.used_percent == pytest.approx(used, abs=10)
    assert facts.load_1m == pytest.approx(os.getloadavg()[0], abs=0.5)
    assert facts.logical_cpus == os.cpu_count()


def df(*options: str) -> dict[str, list[str]]:
    done = subprocess.run(["df", "-P", *options], capture_output=True, text=True, check=False)
    return {row[5]: row for line in done.stdout.splitlines()[1:] if len(row := line.split()) >= 6}


@linux
def test_local_disks_are_what_df_says() -> None:
    """Every volume's share in use is df's within 1 %, as are its inodes."""
    blocks, inodes = df("-k"), df("-i")
    volumes = read_disks().volumes
    assert volumes
    for volume in volumes:
        used = 100 * (1 - volume.free_bytes / volume.total_bytes)
        assert used == pytest.approx(float(blocks[volume.mount][4].rstrip("%")), abs=1.1)
        assert volume.inodes_total == int(inodes[volume.mount][1])
        assert volume.read_only is not None


def test_local_volume_that_cannot_be_read_stays_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume that fails is listed without a size, so that nobody takes it for fine."""

    def broken(path: str) -> None:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(os, "statvfs", broken)
    assert {volume.total_bytes for volume in read_disks().volumes} == {None}


@pytest.mark.debian
@linux
def test_local_disk_agrees_with_monitoring_plugins() -> None:
    """Free space is what check_disk prints in its performance data."""
    for volume in read_disks().volumes:
        done = subprocess.run(
            [
                "/usr/lib/nagios/plugins/check_disk",
                "-w",
                "0",
                "-c",
                "0",
                "-u",
                "bytes",
                "-p",
                volume.mount,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        used, total = re.search(r"=(\d+)B?;\d*;\d*;0;(\d+)", done.stdout).groups()
        assert volume.total_bytes - volume.free_bytes == pytest.approx(int(used), rel=0.05)
        assert int(total) >= volume.total_bytes  # it counts what is reserved for root


FILLING = """
import json, os, subprocess, sys
from msp_host_local.readings import read_disks
mount = sys.argv[1]
def tell():
    found = next(volume for volume in read_disks().volumes if volume.mount == mount)
    said = subprocess.check_output(["df", "-k", "--output=avail,pcent,iavail", mount], text=True).split()[-3:]
    print(json.dumps([found.total_bytes, found.free_bytes, found.inodes_free, found.read_only, *said]))
tell()
for step in range(3):
    with open(f"{mount}/file{step}", "wb") as file:
        file.write(b"x" * 4_000_000)
        os.fsync(file.fileno())
    tell()
try:
    for number in range(1000):
        open(f"{mount}/inode{number}", "w").close()
except OSError:
    pass
tell()
subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
tell()
"""


@pytest.mark.debian
@linux
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounts a file system")
def test_local_disk_that_fills_and_turns_read_only(tmp_path: Path) -> None:
    """A real ext4 volume filled in steps, then out of inodes, then remounted: each time what df says."""
    image, mount = tmp_path / "image", tmp_path / "full disk"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(20_000_000)
    subprocess.run(["mkfs.ext4", "-q", "-N", "64", str(image)], check=True)
    script = 'mount -o loop "$1" "$2" && "$3" -c "$4" "$2"; status=$?; umount "$2"; exit $status'
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            str(image),
            str(mount),
            sys.executable,
            FILLING,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    states = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(states) == 6
    for total, free, inodes_free, _, avail, percent, iavail in states:
        assert free == int(avail) * 1024
        assert 100 * (1 - free / total) == pytest.approx(float(percent.rstrip("%")), abs=1.1)
        assert inodes_free == int(iavail)
    assert [state[1] for state in states[:4]] == sorted(
        (state[1] for state in states[:4]), reverse=True
    )
    assert (states[4][2], states[4][3], states[5][3]) == (0, False, True)


@pytest.mark.debian
@linux
def test_local_load_agrees_with_monitoring_plugins() -> None:
    """The load is what check_load prints."""
    done = subprocess.run(
        ["/usr/lib/nagios/plugins/check_load", "-w", "999,999,999", "-c", "999,999,999"],
        capture_output=True,
        text=True,
        check=False,
    )
    load = float(re.search(r"load1=([\d.]+)", done.stdout)[1])
    assert read_cpu(timedelta(seconds=0.1)).load_1m == pytest.approx(load, rel=0.05, abs=0.3)


def cgroup(root: Path, **groups: tuple[str, int, int]) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("1:cpu:/x\n0::/outer/inner\n")
    for path, (limit, current, cache) in groups.items():
        folder = root / "sys/fs/cgroup" / path.replace("_", "/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(limit)
        (folder / "memory.current").write_text(str(current))
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cache}\n")


@linux
def test_local_memory_respects_a_control_group(tmp_path: Path) -> None:
    """The tightest limit above us counts, cache that can be dropped does not."""
    cgroup(tmp_path, outer=("1000000", 700000, 200000), outer_inner=("max", 1, 0))
    assert cgroup_memory(tmp_path) == (1000000, 500000)
    facts = read_memory(tmp_path)
    assert (facts.total_bytes, facts.available_bytes) == (1000000, 500000)


@linux
def test_local_memory_ignores_what_is_no_limit(tmp_path: Path) -> None:
    """No control group, no limit, or a limit above the machine's memory leave the machine's own numbers."""
    assert cgroup_memory(tmp_path) is None
    cgroup(tmp_path, outer=("max", 1, 0), outer_inner=("rubbish", 1, 0))
    assert cgroup_memory(tmp_path) is None
    (tmp_path / "sys/fs/cgroup/outer/memory.max").write_text(str(2**60))
    assert read_memory(tmp_path).total_bytes == psutil.virtual_memory().total


def test_local_windows_services() -> None:
    """Services as psutil gives them on Windows; one that vanishes while being read is left out."""

    class Gone:
        def as_dict(self) -> None:
            raise psutil.NoSuchProcess(1)

    class Spooler:
        def as_dict(self) -> dict:
            return {"name": "Spooler", "display_name": "Print Spooler", "status": "start_pending",
                    "start_type": "automatic"}  # fmt: skip

    (found,) = windows_services([Gone(), Spooler()]).services
    assert (found.name, found.state, found.start) == (
        "Spooler",
        ServiceState.STARTING,
        ServiceStart.AUTO,
    )


@linux
async def test_local_services_of_this_machine() -> None:
    """The services are read by the way this machine has; where it has none, the reason is given."""
    if HAS_SERVICES:
        assert (await read_services()).services
    else:
        with pytest.raises(NoServices):
            await read_services()


async def test_local_services_that_cannot_be_read_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No service manager: the fact is missing with the reason, the other facts are there."""
    real = read_services

    async def nothing() -> ServiceFacts:
        return await real(tmp_path)

    monkeypatch.setattr("msp_host_local.source.read_services", nothing)
    query = FactQuery(facts=frozenset({ServiceFacts, MemoryFacts}), targets=[HERE])
    memory, services = [item async for item in read(CTX, HOST, query)]
    assert memory.fact.total_bytes
    assert "neither systemd nor SysV" in services.reason


async def test_local_service_tool_that_hangs_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service tool that never ends costs its time, and the reason names it."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    monkeypatch.setattr(local_services, "_UNITS", "sleep 60")
    monkeypatch.setattr(local_services, "TIMEOUT", timedelta(seconds=0.2))
    with pytest.raises(NoServices, match="did not finish"):
        await read_services(tmp_path)


async def test_local_command_result() -> None:
    """Exit code, output and errors come back apart, with what ran and where."""
    result = await run("echo out; echo err >&2; exit 3")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert (result.via, result.device_id, result.success) == ("local", "acme/here", False)
    assert result.finished_at >= result.started_at
    assert (await run("kill -9 $$")).exit_code == -9


async def test_local_command_needs_the_door() -> None:
    """Outside a change nothing runs."""
    with pytest.raises(PermissionDenied):
        await HOST.run_command(CTX, HERE, Command(line="true"))


def sleeping(seconds: str) -> list[psutil.Process]:
    """Return the processes that sleep for so long, which tells them from everybody else's."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if process.info["cmdline"] == ["sleep", seconds]]


async def test_local_command_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    """At the timeout the command ends with its children, although they ignore the polite signal."""
    mark = tmp_path / "pid"
    started = time.monotonic()
    line = f"trap '' TERM; (trap '' TERM; echo $$ > {mark}; sleep 41.5) & echo begun; sleep 41.5"
    result = await run(line, seconds=2)
    assert time.monotonic() - started < 30
    assert (result.timed_out, result.exit_code, result.stdout) == (True, None, "begun\n")
    await eventually(lambda: not sleeping("41.5"))


async def test_local_command_cancel_ends_the_process() -> None:
    """A cancelled caller leaves no process behind."""
    task = asyncio.create_task(run("sleep 43.5", seconds=60))
    await eventually(lambda: sleeping("43.5"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not sleeping("43.5")


async def test_local_command_left_in_the_background_is_not_waited_for() -> None:
    """A child that keeps the output open does not hold the result back for long."""
    started = time.monotonic()
    result = await run("sleep 7 & echo done")
    assert time.monotonic() - started < 5
    assert (result.exit_code, result.stdout) == (0, "done\n")


async def test_local_command_output_is_capped_and_harmless() -> None:
    """Too much output is cut and said so; what would steer a terminal is replaced."""
    result = await run("head -c 3000000 /dev/zero | tr '\\0' x; printf '\\033[31mred\\0\\377' >&2")
    assert (len(result.stdout), result.truncated, result.exit_code) == (1024 * 1024, True, 0)
    assert result.stderr == "\ufffd[31mred\ufffd\ufffd"


async def test_local_command_does_not_see_our_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a command holds none of ours that might be a secret."""
    monkeypatch.setenv("RMM_API_KEY", "canary-value")
    assert "canary-value" not in (await run("env")).stdout


async def test_local_command_shells() -> None:
    """A shell this machine does not have is refused with the ones it has."""
    assert (await run("echo $0", shell="sh")).stdout == "sh\n"
    with pytest.raises(NotSupported) as caught:
        await run("dir", shell="powershell")
    assert "sh" in caught.value.suggestion

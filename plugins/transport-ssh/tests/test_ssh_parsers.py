"""What machines print, read: Linux as it is, macOS from published output, and anything hostile."""

import contextlib
from collections.abc import Callable

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from msp_core.v1 import ServiceStart, ServiceState
from msp_transport_ssh import linux, macos
from msp_transport_ssh.script import SCRIPT, Unreadable, sections
from msp_transport_ssh.settings import HostSettings, SshSettings, endpoint
from msp_transport_ssh.source import PARSERS

LINUX = """
@@msp system
Linux
@@msp stat
cpu  1000 10 200 8000 100 0 20 70 0 0
@@msp load
1.25 0.80 0.50 2/345 12345
@@msp cpus
4
@@msp memory
MemTotal:       16316412 kB
MemFree:          512000 kB
MemAvailable:    9876543 kB
Buffers:          100000 kB
Cached:          4000000 kB
SwapTotal:       2097148 kB
SwapFree:        1048574 kB
HugePages_Total:       0
@@msp blocks
Filesystem     Type     1024-blocks     Used Available Capacity Mounted on
udev           devtmpfs     8120916        0   8120916       0% /dev
/dev/sda2      ext4        51290592 30774356  17878420      64% /
/dev/sda2      ext4        51290592 30774356  17878420      64% /var/lib/docker/bind
tmpfs          tmpfs        1631640      956   1630684       1% /run
/dev/loop3     squashfs       65536    65536         0     100% /snap/core22/1122
/dev/sdb1      xfs        104806400  5000000  99806400       5% /srv/data with space
tank/home      zfs        500000000 10000000 490000000       2% /tank/home
@@msp inodes
Filesystem       Inodes  IUsed   IFree IUse% Mounted on
/dev/sda2       3276800 300000 2976800   10% /
/dev/sdb1      52428800   1234 52427566   1% /srv/data with space
tank/home             -      -        -     - /tank/home
@@msp mounts
/dev/sda2 / ext4 rw,relatime,errors=remount-ro 0 0
/dev/sdb1 /srv/data\\040with\\040space xfs ro,relatime 0 0
@@msp units
cron.service     loaded    active   running Regular background program processing daemon
nginx.service    loaded    failed   failed  A high performance web server
gone.service     not-found inactive dead    gone.service
@@msp unitfiles
cron.service     enabled         enabled
nginx.service    disabled        enabled
@@msp stat2
cpu  1040 10 210 8040 100 0 20 80 0 0
@@msp end
"""

# Layout and numbers as published: `vm_stat` and the memory size of a 24 GiB Mac and `top` lines from test data of
# open-source Mac monitors, `mount` from the HackTricks page on macOS SIP and disk tools' test data, `df` on APFS from
# https://fy.blackhats.net.au/blog/2020-03-28-apfs-why-is-df-showing-me-funny-numbers (there with -h), `launchctl
# list` from a Mac status collector's tests. Put together by hand: no Mac was at hand.
MACOS = """
@@msp system
Darwin
@@msp top
Processes: 567 total, 5 running, 562 sleeping, 5082 threads
2026/03/22 05:03:00
Load Avg: 4.16, 4.83, 4.93
CPU usage: 50.0% user, 25.0% sys, 25.0% idle
PhysMem: 15G used (2834M wired, 6198M compressor), 51M unused.

Processes: 567 total, 5 running, 562 sleeping, 5082 threads
2026/03/22 05:03:01
Load Avg: 4.16, 4.83, 4.93
CPU usage: 12.80% user, 15.81% sys, 71.37% idle
PhysMem: 15G used (2834M wired, 6198M compressor), 51M unused.
@@msp load
{ 4.16 4.83 4.93 }
@@msp cpus
8
@@msp memsize
25769803776
@@msp swap
total = 2048.00M  used = 1170.25M  free = 877.75M  (encrypted)
@@msp vmstat
Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                                    17490.
Pages active:                                 468148.
Pages inactive:                               468488.
Pages speculative:                              4916.
Pages wired down:                             251554.
Pages purgeable:                                6528.
"Translation faults":                     6471500977.
Pages occupied by compressor:                 320058.
@@msp blocks
Filesystem     1024-blocks      Used Available Capacity  Mounted on
/dev/disk3s1s1   976490576  10485760 398458880     3%    /
devfs                  191       191         0   100%    /dev
/dev/disk3s6     976490576   2097152 398458880     1%    /System/Volumes/VM
/dev/disk3s5     976490576 555745280 398458880    59%    /System/Volumes/Data
/dev/disk5s1     976558976 100000000 876558976    11%    /Volumes/crucial x6
map auto_home            0         0         0   100%    /System/Volumes/Data/home
@@msp mounts
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s6 on /System/Volumes/VM (apfs, local, noexec, journaled, noatime, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)
/dev/disk5s1 on /Volumes/crucial x6 (apfs, local, nodev, nosuid, journaled, noowners)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
@@msp launchd
PID\tStatus\tLabel
28176\t0\tio.github.example.agent
-\t78\tio.github.example.receipt-book
81502\t-15\tio.github.example.voice-input
@@msp end
"""


def test_ssh_linux_cpu() -> None:
    """Use is what changed between two readings, without idle time and waiting for disks."""
    facts = linux.cpu(sections(LINUX))
    assert facts.used_percent == pytest.approx(60)
    assert facts.steal_percent == pytest.approx(10)
    assert (facts.load_1m, facts.logical_cpus) == (1.25, 4)


def test_ssh_linux_memory() -> None:
    """Available memory is the kernel's word; old kernels get it added up."""
    parts = sections(LINUX)
    facts = linux.memory(parts)
    assert (facts.total_bytes, facts.available_bytes) == (16316412 * 1024, 9876543 * 1024)
    assert (facts.swap_total_bytes, facts.swap_free_bytes) == (2097148 * 1024, 1048574 * 1024)
    old = {"memory": parts["memory"].replace("MemAvailable", "Other")}
    assert linux.memory(old).available_bytes == (512000 + 100000 + 4000000) * 1024


def test_ssh_linux_disks() -> None:
    """Fixed volumes once each, with inodes and read-only state, whatever spaces their names hold."""
    found = {volume.mount: volume for volume in linux.disks(sections(LINUX)).volumes}
    assert set(found) == {"/", "/srv/data with space", "/tank/home"}
    root, data = found["/"], found["/srv/data with space"]
    assert root.total_bytes == (30774356 + 17878420) * 1024
    assert (root.free_bytes, root.inodes_free, root.read_only) == (17878420 * 1024, 2976800, False)
    assert (data.read_only, data.filesystem, data.inodes_total) == (True, "xfs", 52428800)
    assert found["/tank/home"].inodes_total is None


def test_ssh_linux_services() -> None:
    """Units of systemd, else Debian's SysV scripts, else the reason."""
    parts = sections(LINUX)
    found = [(item.name, item.state, item.start) for item in linux.services(parts).services]
    assert found == [
        ("cron", ServiceState.RUNNING, ServiceStart.AUTO),
        ("nginx", ServiceState.FAILED, ServiceStart.MANUAL),
    ]
    sysv = {"sysv": " [ + ]  cron\n [ - ]  dbus", "boot": "/etc/rc2.d:\nS01cron\nK01dbus"}
    found = [(item.name, item.state, item.start) for item in linux.services(sysv).services]
    assert found == [
        ("cron", ServiceState.RUNNING, ServiceStart.AUTO),
        ("dbus", ServiceState.STOPPED, ServiceStart.MANUAL),
    ]
    with pytest.raises(Unreadable):
        linux.services({})


def test_ssh_macos_cpu_and_memory() -> None:
    """The second sample of top counts; free, inactive and speculative pages are available."""
    parts = sections(MACOS)
    cpu, memory = macos.cpu(parts), macos.memory(parts)
    assert cpu.used_percent == pytest.approx(28.63)
    assert (cpu.load_1m, cpu.logical_cpus) == (4.16, 8)
    assert memory.total_bytes == 24 * 2**30
    assert memory.available_bytes == (17490 + 468488 + 4916) * 16384
    assert memory.swap_free_bytes == round(877.75 * 2**20)


def test_ssh_macos_disks() -> None:
    """Local volumes without the system's helpers; the sealed system volume is read-only."""
    found = {volume.mount: volume for volume in macos.disks(sections(MACOS)).volumes}
    assert {mount: volume.read_only for mount, volume in found.items()} == {
        "/": True,
        "/System/Volumes/Data": False,
        "/Volumes/crucial x6": False,
    }
    data = found["/System/Volumes/Data"]
    assert round(100 * (1 - data.free_bytes / data.total_bytes)) == 58  # df rounds up to 59


def test_ssh_macos_services() -> None:
    """A job with a process runs; nothing else is claimed."""
    found = [(item.name[18:], item.state) for item in macos.services(sections(MACOS)).services]
    assert found == [
        ("agent", ServiceState.RUNNING),
        ("receipt-book", ServiceState.STOPPED),
        ("voice-input", ServiceState.RUNNING),
    ]


def test_ssh_answers_that_are_no_answer() -> None:
    """A cut answer, and a shell that is none, are told apart from facts; a forged section changes nothing."""
    with pytest.raises(Unreadable, match="cut short"):
        sections(LINUX[:-20])
    with pytest.raises(Unreadable, match="needs sh"):
        sections("'sh' is not recognized as an internal or external command")
    forged = LINUX.replace("Regular background", "x\n@@msp memory\nMemTotal: 1 kB\n@@msp units")
    assert linux.memory(sections(forged)) == linux.memory(sections(LINUX))


def test_ssh_script_only_reads() -> None:
    """The script writes nothing but its own output, and starts nothing as another user."""
    for word in (" >", "rm ", "sudo", "kill", "tee ", "mv ", "curl", "eval"):
        for line in SCRIPT.splitlines():
            rest = line.replace("2>/dev/null", "").replace(" >/dev/null", "")
            assert word not in rest, line


LINES = st.sampled_from([line for line in (LINUX + MACOS).splitlines() if line])
DAMAGE = st.lists(
    st.one_of(
        LINES, st.text(max_size=60), st.integers().map(lambda n: f"MemTotal: {n}{'9' * 40} kB")
    ),
    max_size=25,
)


def attempt(parse: Callable, what: object) -> object:
    """Return what is parsed, or the text of the only error a parser may raise."""
    try:
        return parse(what)
    except Unreadable as error:
        return str(error) or pytest.fail("an error without a reason")


@pytest.mark.parametrize("system", ["Linux", "Darwin"])
@given(st.data())
def test_ssh_parsers_survive_anything(system: str, data: st.DataObject) -> None:
    """From damaged or hostile parts every parser makes facts, or says Unreadable; never anything else."""
    good = sections(LINUX if system == "Linux" else MACOS)
    broken = data.draw(st.sampled_from(sorted(good)))
    text = data.draw(
        st.one_of(
            DAMAGE.map("\n".join),
            st.binary(max_size=300).map(lambda raw: raw.decode(errors="replace")),
            st.integers(0, len(good[broken])).map(lambda cut: good[broken][:cut]),
        )
    )
    parts = {**good, broken: text}
    if data.draw(st.booleans()):
        del parts[broken]
    for kind, parser in PARSERS[system].items():
        assert isinstance(attempt(parser, parts), kind | str)


@given(st.text(max_size=400))
def test_ssh_sections_survive_anything(text: str) -> None:
    """Any text is split, or said to be Unreadable."""
    for candidate in (text, f"\n@@msp {text}\n@@msp end\n"):
        assert isinstance(attempt(sections, candidate), dict | str)


def test_ssh_endpoint_of_a_device() -> None:
    """Link, host table and instance make the address, most specific first."""
    settings = SshSettings(
        user="msp",
        port=2222,
        jump="gate@bastion:2200",
        hosts={
            "db1": HostSettings(user="dba", port=22, jump=""),
            "web": HostSettings(jump="other"),
        },
    )
    web = endpoint(settings, "web")
    assert (web.user, web.host, web.port) == ("msp", "web", 2222)
    assert (web.jump.user, web.jump.host, web.jump.port) == ("msp", "other", 22)
    assert endpoint(settings, "db1:2022") == evolve(endpoint(settings, "db1"), port=2022)
    assert (endpoint(settings, "db1").user, endpoint(settings, "db1").jump) == ("dba", None)
    assert endpoint(settings, "joe@db1").user == "joe"
    assert str(endpoint(settings, "[2001:db8::1]:22")) == "2001:db8::1:22 through bastion"


@pytest.mark.parametrize(
    "wrong",
    ["", "-oProxyCommand=x", "a b", "host:0", "host:99999", "host:x", "u@", "u@-h", "a@b@c"],
)
def test_ssh_address_that_cannot_be_used(wrong: str) -> None:
    """What is no address is refused before anything is sent."""
    with pytest.raises(ValueError, match="is not like"):
        endpoint(SshSettings(), wrong)


@given(st.text(max_size=80))
def test_ssh_endpoint_survives_anything(text: str) -> None:
    """Any link gives an endpoint or a ValueError."""
    with contextlib.suppress(ValueError):
        assert endpoint(SshSettings(), text).host

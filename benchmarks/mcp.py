"""The MCP server against the same SDK's bare low-level server: start, a trivial call, a list of clients.

Ours authorises, limits, structures, checks, cleans and (but for `without audit`) commits a row of the audit trail
before each answer, and over HTTP looks up a key. The bare server does none of that. A row of a call that only reads
does not wait for the disk: it survives the end of the process, and a power cut takes at most the last second.
"""

import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.environments import CACHE, product
from benchmarks.mcp_peer import Http, Peer, Pipes, free_port
from benchmarks.table import Row
from benchmarks.timing import Sample, child_environment, in_turn

BARE = Path(__file__).parent / "floors" / "mcp_bare.py"
PLUGIN = Path(__file__).parent / "mcp_tools"
WITHOUT_AUDIT = Path(__file__).parent / "floors" / "mcp_without_audit.py"
TOOLS, CLIENTS = 40, 100
Tool = tuple[str, dict[str, object]]
ECHO: Tool = ("bench_echo", {"text": "hello"})
LIST: Tool = ("client_list", {"limit": CLIENTS})
LIMITS = "\n[access.rate_limits]\nread = 100000000\n"
"""The limit is on, and out of the way."""


@frozen
class Place:
    """Where it is measured."""

    bin: Path
    workspace: Path
    key: str

    @property
    def env(self) -> dict[str, str]:
        """The tools of the benchmark beside those of the product."""
        cache = str(self.workspace / "cache")
        return {"PYTHONPATH": str(self.workspace / "plugins"), "XDG_CACHE_HOME": cache}

    def ours(self, *words: str, audit: bool = True) -> list[str | Path]:
        """Return the command of our server."""
        if audit:
            return [self.bin / "msp-toolkit", "mcp", *words]
        return [self.bin / "python", WITHOUT_AUDIT, "mcp", *words]

    def bare(self, *words: str) -> list[str | Path]:
        """Return the command of the bare server."""
        listed, database = self.workspace / "tools.json", self.workspace / "data" / "msp-toolkit.db"
        return [self.bin / "python", BARE, listed, database, *words]


def measure(*, quick: bool) -> list[Row]:
    """Measure over stdio and HTTP."""
    place = prepare(product())
    return [
        start(place, 5 if quick else 15),
        *calls(place, "stdio", 10 if quick else 40),
        *calls(place, "HTTP", 10 if quick else 40),
    ]


def start(place: Place, rounds: int) -> Row:
    """Measure from the start of the process to the answered list."""

    def go(command: Sequence[str | Path]) -> Callable[[], Sample]:
        def run() -> Sample:
            began = time.perf_counter()
            peer = Pipes(command, place.workspace, place.env)
            listed = peer.call("tools/list", {})
            sample = Sample(time.perf_counter() - began, peer.cpu_s())
            peer.close()
            assert len(listed["tools"]) == TOOLS
            return sample

        return run

    ours, floor = in_turn(rounds, go(place.ours()), go(place.bare()))
    return Row(work=f"MCP start to list, {TOOLS} tools", ours=ours, floor=floor, budget=1.25)


def calls(place: Place, way: str, rounds: int) -> list[Row]:
    """Measure calls on running servers, in batches in turn."""
    made = {
        "ours": _peer(place, way, audit=True),
        "without": _peer(place, way, audit=False),
        "bare": _bare(place, way),
    }
    try:
        echo = {name: _Batches(peer, *ECHO, 50) for name, peer in made.items()}
        lists = {name: _Batches(made[name], *LIST, 10) for name in ("ours", "bare")}
        for _ in range(rounds):
            for batches in (*echo.values(), *lists.values()):
                batches.go()
    finally:
        for peer in made.values():
            peer.close()
    rows = []
    for part in (50, 95):
        floor = echo["bare"].sample(part)
        for name, budget, said in (("without", 1.5, "without audit"), ("ours", 2.5, "audited")):
            rows.append(
                Row(
                    work=f"MCP call, {way}, p{part}, {said}",
                    ours=echo[name].sample(part),
                    floor=floor,
                    budget=budget,
                )
            )
    work = f"MCP client_list, {way}, {CLIENTS} clients"
    rows.append(
        Row(work=work, ours=lists["ours"].sample(50), floor=lists["bare"].sample(50), budget=2)
    )
    return rows


class _Batches:
    """Calls of one tool; processor time is that of the server, for each call alike."""

    def __init__(self, peer: Peer, name: str, arguments: dict[str, object], size: int) -> None:
        self._peer, self._name, self._arguments, self._size = peer, name, arguments, size
        self._walls: list[float] = []
        self._cpus: list[float] = []
        for _ in range(3):
            peer.tool(name, arguments)

    def go(self) -> None:
        """Make one batch."""
        cpu = self._peer.cpu_s()
        for _ in range(self._size):
            began = time.perf_counter()
            self._peer.tool(self._name, self._arguments)
            self._walls.append(time.perf_counter() - began)
        self._cpus.append((self._peer.cpu_s() - cpu) / self._size)

    def sample(self, part: int) -> Sample:
        """Return this percentile of the wall times, and the median processor time."""
        wall = statistics.quantiles(self._walls, n=100)[part - 1]
        return Sample(wall, statistics.median(self._cpus))


def _peer(place: Place, way: str, *, audit: bool) -> Peer:
    if way == "stdio":
        return Pipes(place.ours(audit=audit), place.workspace, place.env)
    port = free_port()
    command = place.ours("--http", "--port", str(port), audit=audit)
    return Http(command, place.workspace, place.env, port, place.key)


def _bare(place: Place, way: str) -> Peer:
    if way == "stdio":
        return Pipes(place.bare(), place.workspace, place.env)
    port = free_port()
    return Http(place.bare(str(port)), place.workspace, place.env, port)


def prepare(bin: Path) -> Place:
    """Make a workspace with clients, a key, and as many tools as it takes to be 40."""
    workspace = CACHE / f"mcp-{bin.parent.name}"
    shutil.rmtree(workspace, ignore_errors=True)
    shutil.copytree(PLUGIN, workspace / "plugins" / "bench_tools")
    info = workspace / "plugins" / "msp_bench_tools-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: msp-bench-tools\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[msp_toolkit.plugins]\nbench-tools = bench_tools.plugin\n"
    )
    place = Place(bin, workspace, "")
    lines = "".join(f"Client {n:03},it@client-{n:03}.example,gold\n" for n in range(CLIENTS))
    (workspace / "clients.csv").write_text("name,contact_email,tier\n" + lines)
    _run(place, "init", "--no-input")
    with (workspace / "config" / "msp-toolkit.toml").open("a") as file:
        file.write(LIMITS)
    _run(place, "client", "import", "clients.csv")
    have = json.loads(_run(place, "mcp", "tools", "--json"))["total"]
    plugin = workspace / "plugins" / "bench_tools" / "plugin.py"
    plugin.write_text(plugin.read_text().replace("MORE = 0", f"MORE = {TOOLS - have}"))
    key = _run(place, "key", "create", "bench").split()[0]
    place = Place(bin, workspace, key)
    peer = Pipes(place.ours(), workspace, place.env)
    (workspace / "tools.json").write_text(json.dumps(peer.call("tools/list", {})["tools"]))
    peer.close()
    return place


def _run(place: Place, *words: str) -> str:
    done = subprocess.run(
        [str(place.bin / "msp-toolkit"), *words],
        cwd=place.workspace,
        env=child_environment(place.env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout

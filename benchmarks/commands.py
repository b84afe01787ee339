"""Start-up: `--help` with 40 plugins, and `client list` of 100 clients, against a bare Typer app."""

import csv
import subprocess
from pathlib import Path

from benchmarks.environments import CACHE, PLUGINS, forty_plugins, product
from benchmarks.table import Row
from benchmarks.timing import Sample, child_environment, in_turn, run

BARE = Path(__file__).parent / "floors" / "bare_app.py"
CLIENTS = 100
UNWANTED = ("psycopg", "httpx", "rich")


def measure_help(*, quick: bool) -> list[Row]:
    """Measure `--help` with a warm plugin index, and with none."""
    bin = forty_plugins()
    home = CACHE / "home"
    home.mkdir(parents=True, exist_ok=True)
    env = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}

    def bare() -> Sample:
        return run([bin / "python", BARE, "--help"], env=env, cwd=home)

    def warm() -> Sample:
        return run([bin / "msp", "--help"], env=env, cwd=home)

    def cold() -> Sample:
        for file in (home / "cache").rglob("*"):
            if file.is_file():
                file.unlink()
        return run([bin / "msp", "--help"], env=env, cwd=home)

    shown = subprocess.run(
        [bin / "msp", "--help"],
        env=child_environment(env),
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if shown.count("acme-plugin-") < PLUGINS:
        message = f"--help does not list the {PLUGINS} plugins:\n{shown}"
        raise RuntimeError(message)
    rounds = 5 if quick else 15
    ours, floor = in_turn(rounds, warm, bare)
    ours_cold, floor_cold = in_turn(rounds, cold, bare)
    return [
        Row(work=f"--help, {PLUGINS} plugins", ours=ours, floor=floor, budget=1.25),
        Row(
            work=f"--help, {PLUGINS} plugins, no index", ours=ours_cold, floor=floor_cold, budget=2
        ),
    ]


def measure_list(*, quick: bool) -> list[Row]:
    """Measure `client list`."""
    bin = product()
    workspace = CACHE / "clients"
    if not (workspace / "config").exists():
        _make_clients(bin, workspace)

    def ours() -> Sample:
        return run([bin / "msp-toolkit", "client", "list"], cwd=workspace)

    def bare() -> Sample:
        return run([bin / "python", BARE, "hello"], cwd=workspace)

    mine, floor = in_turn(5 if quick else 15, ours, bare)
    modules = imported(bin, workspace, "client", "list")
    bad = [name for name in UNWANTED if name in modules]
    note = f"{len(modules)} modules imported, among them {', '.join(bad) or 'none of ' + ', '.join(UNWANTED)}"
    return [
        Row(work=f"client list, {CLIENTS} clients", ours=mine, floor=floor, budget=3, note=note)
    ]


def imported(bin: Path, workspace: Path, *words: str) -> set[str]:
    """Return the modules a command imports."""
    program = str(bin / "msp-toolkit")
    code = (
        "import runpy, sys\n"
        f"sys.path[0], sys.argv = {str(bin)!r}, {[program, *words]!r}\n"
        f"try: runpy.run_path({program!r}, run_name='__main__')\n"
        "finally: print(*[name for name, module in sys.modules.items() if module], file=sys.stderr)"
    )
    done = subprocess.run(
        [bin / "python", "-c", code],
        cwd=workspace,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def _make_clients(bin: Path, workspace: Path) -> None:
    workspace.mkdir(parents=True, exist_ok=True)
    with (workspace / "clients.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "contact_email", "tier"])
        rows.writerows(
            [f"Client {n:03}", f"it@client-{n:03}.example", "gold"] for n in range(CLIENTS)
        )
    run([bin / "msp-toolkit", "init", "--no-input"], cwd=workspace)
    run([bin / "msp-toolkit", "client", "import", "clients.csv"], cwd=workspace)

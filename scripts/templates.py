"""Show that the template of each kind makes a plugin: render, build, install alone, test, verify, use.

Each kind is written by `msp-toolkit plugin new`, built into a wheel, and installed with only what it declares (the
workspace's own distributions as wheels of this build) into an environment of its own. There its tests and `plugin
verify` run, and it is used from the command line and from Python. Run: `python scripts/templates.py [KIND...]`.
"""

import sys
import tempfile
import time
from pathlib import Path

from packaging.requirements import Requirement
from wheels import ROOT, UV, Failure, Wheel, arguments, build, run

MOST_FILES, MOST_LINES, MOST_SECONDS = 12, 60, 60
_OURS = "adapters.ours"
COMMANDS = {
    "tool": ("acme-tool", "hello", "World"),
    "check": ("plugin", "show", "acme-check"),
    "source": ("plugin", "show", "acme-source"),
    "rmm": ("--set", f"{_OURS}.kind=acme-rmm", "--set", f"{_OURS}.api_url=http://localhost:9", "config", "check"),
    "secrets": ("credential", "list"),
}  # fmt: skip
SAYS = {
    "tool": "Hello, World!",
    "check": "acme-check",
    "source": "acme-source",
    "rmm": "api_key",
    "secrets": "",
}
USE = """
import asyncio, sys
from msp_core.testing import run_tool
from msp_core.v1 import Toolkit

if sys.argv[1] == "tool":
    assert run_tool("acme-tool.count", plugin="acme-tool", word="hello") == 5
registry = Toolkit.open().registry
registry.load_all()
assert not registry.failures, registry.failures
assert f"acme-{sys.argv[1]}" in registry.active()
print("used from Python")
"""


def try_kind(kind: str, wheels: dict[str, Wheel], scratch: Path) -> str:
    """Take one kind from the template to use; give a line to print."""
    name, home = f"acme-{kind}", scratch / kind
    home.mkdir()
    toolkit = [sys.executable, "-m", "msp_core"]
    started = time.monotonic()
    run([*toolkit, "plugin", "new", kind, name], home)
    source = home / name
    files = [path for path in source.rglob("*") if path.is_file()]
    lines = max(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    if len(files) > MOST_FILES or lines > MOST_LINES:
        raise Failure(f"{len(files)} files, the longest of {lines} lines")
    run([UV, "build", "--quiet", "--wheel", "--out-dir", str(home / "dist"), str(source)], home)
    (wheel,) = (home / "dist").glob("*.whl")

    python = str(home / "env" / "bin" / "python")
    run([UV, "venv", "--quiet", "--python", sys.executable, "env"], home)
    needs = [Requirement("msp-core")]
    if kind == "rmm":
        needs.append(Requirement("msp-http"))
    install = [UV, "pip", "install", "--quiet", "--python", python]
    install += ["--constraint", str(ROOT / "constraints.txt")]
    run([*install, f"{name} @ {wheel.as_uri()}", *arguments(needs, wheels)], home)
    command = str(home / "env" / "bin" / "msp")
    said = run([command, *COMMANDS[kind]], home)
    if SAYS[kind] not in said:
        raise Failure(f"{' '.join(COMMANDS[kind])} said: {said}")

    kit = [Requirement("msp-core[testing]"), *needs]
    run([*install, *arguments(kit, wheels)], home)
    ran = run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(source / "tests")], home)
    verdict = run([command, "plugin", "verify", name], home).strip().splitlines()[-1]
    run([python, "-c", USE, kind], home)
    took = time.monotonic() - started
    return f"{len(files)} files  {took:5.1f} s  {ran.strip().splitlines()[-1]}; {verdict}"


def time_three_commands(wheels: dict[str, Wheel], scratch: Path) -> str:
    """Take the way of an author, in an environment that has the kit; give the seconds of each command."""
    home = scratch / "author"
    home.mkdir()
    python, command = (str(home / "env" / "bin" / name) for name in ("python", "msp"))
    run([UV, "venv", "--quiet", "--python", sys.executable, "env"], home)
    install = [UV, "pip", "install", "--quiet", "--python", python]
    kit = arguments([Requirement("msp-core[testing]")], wheels)
    run([*install, "--constraint", str(ROOT / "constraints.txt"), *kit], home)
    # Our own names are asked nowhere: what is installed satisfies them
    ways = {
        "new": [command, "plugin", "new", "check", "my-thing"],
        "install": [*install, "--offline", "--editable", f"{home / 'my-thing'}[test]"],
        "verify": [command, "plugin", "verify", "my-thing"],
    }
    took, said = {}, ""
    for name, words in ways.items():
        started = time.monotonic()
        said = run(words, home).strip().rpartition("\n")[2]
        took[name] = time.monotonic() - started
    total = sum(took.values())
    if total > MOST_SECONDS:
        raise Failure(f"the three commands take {total:.1f} s")
    each = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items())
    return f"{total:.1f} s of {MOST_SECONDS} s at most ({each}): {said}"


def main() -> int:
    """Try every kind, or the ones named."""
    kinds = sys.argv[1:] or list(COMMANDS)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        wheels = build(scratch / "wheels")
        for kind in kinds:
            try:
                print(f"ok     {kind:8} {try_kind(kind, wheels, scratch)}", flush=True)
            except Failure as failure:
                failed += 1
                print(f"FAILED {kind}: {failure}", flush=True)
        try:
            print(f"ok     three commands: {time_three_commands(wheels, scratch)}", flush=True)
        except Failure as failure:
            failed += 1
            print(f"FAILED three commands: {failure}", flush=True)
    print(f"templates: {len(kinds) + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

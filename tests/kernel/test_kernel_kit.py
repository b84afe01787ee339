"""The kit for plugin authors: what it gives, and what it does not let pass."""

# ruff: noqa: PT012 - the end of the block is what is tested

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from msp_core.testing import (
    Done,
    FaultyVendor,
    FixedClock,
    Reply,
    ResultSink,
    StrictVendor,
    fake_client,
    fake_device,
    open_door,
    run_cli,
    run_tool,
    strategies,
    toolkit_for,
)
from msp_core.testing.subject import _installed, _needs
from msp_core.testing.verification import Case, Verdicts
from msp_core.v1 import (
    CpuFacts,
    Effect,
    MemoryFacts,
    Metric,
    Observation,
    PermissionDenied,
    Status,
    UnknownPlugin,
    VendorDevice,
    Verdict,
    check_door,
)

sys.path.insert(0, str(Path(__file__).parent))
from fakes import GOOD_TOOL, install, on_path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """Two plugins in a folder of installed distributions."""
    folder = tmp_path / "site"
    install(folder, "good", GOOD_TOOL)
    install(folder, "other", GOOD_TOOL)
    with on_path(folder):
        _installed.cache_clear()
        yield folder
    _installed.cache_clear()
    _needs.cache_clear()


def test_the_plugin_under_test_is_alone(site: Path, tmp_path: Path) -> None:
    """It comes through its real entry point, with nothing else that is installed."""
    toolkit = toolkit_for("good", tmp_path)
    assert toolkit.registry.active() == ("builtin", "good")
    assert toolkit_for("good", tmp_path, also=["other"]).registry.active() == (
        "builtin",
        "good",
        "other",
    )
    with pytest.raises(UnknownPlugin, match="'goood'") as caught:
        toolkit_for("goood", tmp_path)
    assert "Did you mean 'good'?" in caught.value.suggestion


def test_a_tool_runs_in_memory(site: Path) -> None:
    """`run_tool` calls it as any surface does."""
    assert run_tool("good.hello", plugin="good") == "hello from good"


@pytest.mark.anyio
async def test_what_nobody_expected_fails() -> None:
    """An unmatched request is answered 501, and fails the test at the end; so does one that never came."""
    with pytest.raises(AssertionError, match=r"not expected: GET /other\?x=1"):
        async with StrictVendor() as vendor:
            vendor.expect("GET", "/known", Reply(data=[1]))
            assert await ask(vendor, "/known") == (200, b"[1]")
            assert (await ask(vendor, "/other?x=1"))[0] == 501
    with pytest.raises(AssertionError, match=r"never came: GET /known \(0 of 2\)"):
        async with StrictVendor() as vendor:
            vendor.expect("GET", "/known", Reply(), times=2)


@pytest.mark.anyio
async def test_faults_come_when_they_are_due() -> None:
    """After two good answers one is spoilt; then all is well."""
    async with FaultyVendor(lambda request: Reply(data=request.path)) as vendor:
        vendor.fault(Reply(status=503), after=1, times=1, on=lambda one: one.path != "/login")
        statuses = [(await ask(vendor, path))[0] for path in ("/a", "/login", "/b", "/c")]
        assert statuses == [200, 200, 503, 200]
        vendor.fault(Reply(status=500))
        vendor.clear()
        assert (await ask(vendor, "/d"))[0] == 200
        assert [one.path for one in vendor.requests] == ["/a", "/login", "/b", "/c", "/d"]


async def ask(vendor: Any, target: str) -> tuple[int, bytes]:
    import asyncio

    def get() -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"{vendor.url}{target}", timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    return await asyncio.to_thread(get)


def test_the_sink_wants_everything_asserted() -> None:
    """A result nobody looked at fails the test, as does one that was not declared."""
    sink = ResultSink()
    verdict = sink.add(Verdict(Status.OK, "fine", (Metric("used", 1.0, "%"),)))
    with pytest.raises(AssertionError, match="1 of 1 results were never asserted"):
        sink.assert_all_asserted()
    assert sink.one(status=Status.OK) is verdict
    sink.assert_all_asserted()
    sink.assert_only_metrics("used")
    with pytest.raises(AssertionError, match="metric 'used' is not declared; the nearest is 'use'"):
        sink.assert_only_metrics("use")
    with pytest.raises(AssertionError, match="0 results"):
        sink.one(status=Status.CRITICAL)
    fact = Observation(device_id="d", fact=CpuFacts(used_percent=1.0), source="s", observed_at=None)
    ResultSink([fact]).assert_only_facts(CpuFacts)
    with pytest.raises(AssertionError, match="gave CpuFacts"):
        ResultSink([fact]).assert_only_facts(MemoryFacts)


def test_the_clock_stands_and_jumps() -> None:
    """Time moves when it is told to, backwards too."""
    clock = FixedClock()
    before = clock()
    assert clock() == before
    assert clock.jump(timedelta(hours=-1)) == before - timedelta(hours=1)
    with pytest.raises(ValueError, match="time zone"):
        FixedClock(before.replace(tzinfo=None))


def test_the_door_is_open_inside_only() -> None:
    """Inside `open_door` a change passes, outside it does not, nor a worse one inside."""
    with open_door():
        check_door(Effect.CHANGE, "it")
        with pytest.raises(PermissionDenied):
            check_door(Effect.DESTROY, "it")
    with pytest.raises(PermissionDenied):
        check_door(Effect.CHANGE, "it")


def test_nouns() -> None:
    """A client and its device belong together."""
    client = fake_client("birch", name="Birch & Söhne")
    assert fake_device("PC1", client=client).id == "birch/pc1"


@given(
    strategies.devices(),
    strategies.alerts(),
    strategies.facts(),
    strategies.pages(),
    strategies.clock_jumps(),
)
@settings(max_examples=25)
def test_strategies_make_what_they_say(
    device: VendorDevice, alert: Any, fact: Any, pages: list[list[Any]], jump: timedelta
) -> None:
    """Devices have ids, times have zones, pages but the last are full."""
    assert device.external_id
    assert device.last_seen is None or device.last_seen.utcoffset() == timedelta(0)
    assert alert.opened_at is None or alert.opened_at.tzinfo is not None
    assert fact.fact_id
    assert all(len(page) == 5 for page in pages[:-1])
    assert abs(jump) < timedelta(days=401)


def test_fixtures(
    msp_clock: FixedClock, msp_cli: Callable[..., Done], msp_sink: ResultSink, msp_client: Any
) -> None:
    """The pytest plugin gives them without an import."""
    assert msp_clock() == msp_clock.now
    assert msp_cli("--version").out.startswith("msp-toolkit")
    msp_sink.add(msp_client)
    assert msp_sink.one(id="acme-corp") is msp_client


def test_the_pytest_plugin_is_light() -> None:
    """Loading it imports nothing of the kernel but what the package itself needs."""
    code = (
        "import sys, pytest; before = set(sys.modules); import msp_core.testing.fixtures; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"msp_core", "msp_core.testing", "msp_core.testing.fixtures"}


@pytest.mark.parametrize("kind", ["tool", "check", "source", "rmm", "secrets"])
def test_plugin_new_writes_a_small_plugin(kind: str, tmp_path: Path) -> None:
    """At most 12 files of at most 60 lines, all of it Python that compiles; it says what to do next."""
    done = run_cli("plugin", "new", kind, f"acme-{kind}", cwd=tmp_path)
    assert done.code == 0, done.err
    assert f"msp-toolkit plugin verify acme-{kind}" in done.out
    files = [path for path in (tmp_path / f"acme-{kind}").rglob("*") if path.is_file()]
    assert len(files) <= 12
    for path in files:
        text = path.read_text()
        assert len(text.splitlines()) <= 60, path.name
        assert "{%" not in text
        if path.suffix == ".py":
            compile(text, str(path), "exec")


def test_plugin_new_refuses(tmp_path: Path) -> None:
    """A folder with something in it, a name that is none, an id that is taken; a dry run writes nothing."""
    assert run_cli("plugin", "new", "check", "acme-a", "--dry-run", cwd=tmp_path).code == 0
    assert not (tmp_path / "acme-a").exists()
    assert run_cli("plugin", "new", "check", "acme-a", cwd=tmp_path).code == 0
    again = run_cli("plugin", "new", "check", "acme-a", cwd=tmp_path)
    assert (again.code, "is not empty" in again.err) == (1, True)
    bad = run_cli("plugin", "new", "check", "Bad_Name", cwd=tmp_path)
    assert (bad.code, "lower case" in bad.err, "Such as: bad-name." in bad.err) == (64, True, True)
    dry = run_cli("plugin", "new", "check", "Bad_Name", "--dry-run", cwd=tmp_path)
    assert (dry.code, dry.err) == (64, bad.err)
    assert run_cli("plugin", "new", "chek", "acme-b", cwd=tmp_path).code == 64


@pytest.mark.parametrize("name", ["json", "class", "msp-core", "attrs"])
def test_plugin_new_refuses_a_package_that_is_there(name: str, tmp_path: Path) -> None:
    """A plugin whose package hides one of Python's, or the kernel's, would break every command."""
    done = run_cli("plugin", "new", "tool", name, cwd=tmp_path)
    assert (done.code, f"acme-{name}" in done.err) == (1, True)
    assert not (tmp_path / name).exists()


def test_help_names_the_kinds_of_a_new_plugin(tmp_path: Path) -> None:
    """An argument with few choices lists them."""
    text = " ".join(run_cli("plugin", "new", "--help", cwd=tmp_path).out.split())
    assert "[tool|check|source|rmm|secrets]" in text


def test_plugin_verify_says_what_is_wrong(site: Path, tmp_path: Path) -> None:
    """A plugin with a fault gets the case and the reason; exit code 2."""
    install(site, "sloppy", "import attrs\n" + GOOD_TOOL)
    work = tmp_path / "work"
    work.mkdir()
    _installed.cache_clear()
    done = run_cli("plugin", "verify", "sloppy", cwd=work, env={"PYTHONPATH": str(site)})
    assert done.code == 2, done.err
    assert "plugin module imports the contract alone" in done.out
    assert "imports attrs" in done.out
    unknown = run_cli("plugin", "verify", "sloppi", cwd=work)
    assert (unknown.code, "Did you mean 'sloppy'?" in unknown.err) == (1, True)


def test_plugin_verify_says_once_what_is_not_installed(site: Path, tmp_path: Path) -> None:
    """A plugin of two kinds without what it needs: one case says what to install, the others do not repeat it."""
    two = GOOD_TOOL.replace("import ", "import SecretProvider, ", 1) + (
        "\n@hookimpl\ndef msp_secret_providers():\n"
        '    yield SecretProvider(scheme="{id}", title="T", factory="no_such_thing.api:create")\n'
    )
    install(site, "hungry", two, needs=("no-such-thing>=1",))
    work = tmp_path / "work"
    work.mkdir()
    _installed.cache_clear()
    done = run_cli("plugin", "verify", "hungry", "--json", cwd=work, env={"PYTHONPATH": str(site)})
    told = [row["reason"] for row in json.loads(done.out)["rows"] if "no-such" in row["reason"]]
    assert told == [
        "hungry (msp-hungry 1.0) needs no-such-thing>=1, and it is not installed. "
        "Run: pip install 'no-such-thing>=1'"
    ]
    assert "no_such_thing" not in done.out


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((), 0),
        ((Status.UNKNOWN,), 3),
        ((Status.CRITICAL, Status.UNKNOWN), 2),
    ],
)
def test_the_exit_code_of_plugin_verify(outcomes: tuple[Status, ...], code: int) -> None:
    """As of whatever judges: 2 for a case that failed, 3 where one could not be tried."""
    rows = tuple(Case(case="one", outcome=one) for one in outcomes)
    assert Verdicts(plugin="x", classes=(), passed=5, skipped=0, rows=rows).exit_code == code

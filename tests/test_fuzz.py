"""Ten thousand command lines and configuration files that nobody would write: no traceback, no surprise exit code."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from msp_core.config import Config
from msp_core.errors import ConfigError
from msp_core.testing import isolated, make_toolkit, run_cli

WORDS = """
client list add show update delete restore import export config sync link health check checks
history status alert ack resolve device exec audit verify approval change db upgrade prune
migrate plugin enable disable credential get set doctor schema show --all --json --as table csv
nagios yaml --dry-run --yes --no-input --type disk disk-space cpu --days --device --check --tier
gold --tag --name --contact --status --search --limit --offset --set general.timezone=UTC
--threshold disk.critical_percent=1 --since 7d --severity critical --until 18:00 acme-corp
acme-corp/dc01 local -- - -h --help --version --safe-mode --config -v 0 -1 7 1e309 NaN null true
{} [] = a=b
""".split()  # noqa: SIM905, one word a line would be a page
EXIT_CODES = {0, 1, 2, 3, 64}

words = st.lists(
    st.sampled_from(WORDS)
    | st.text(max_size=12).filter(
        lambda text: "/" not in text and "\0" not in text and ".." not in text
    ),
    max_size=9,
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one client in it."""
    folder = tmp_path_factory.mktemp("fuzz")
    assert run_cli("init", "--no-input", cwd=folder).code == 0
    assert run_cli("client", "add", "--name", "Acme Corp", cwd=folder).code == 0
    return folder


def _fuzz(workspace: Path, line: list[str]) -> None:
    assume(not any("SYSTEM_ERROR" in word or "Traceback" in word for word in line))
    if "exec" in line and "device" in line:
        line = [
            *line[: line.index("exec")],
            *line[line.index("exec") + 1 :],
        ]  # it may really run a command here
    done = run_cli(*line, cwd=workspace)
    shown = f"{line!r}\n{done.out}\n{done.err}"
    assert done.code in EXIT_CODES, shown
    assert "Traceback" not in done.out + done.err, shown
    assert "SYSTEM_ERROR" not in done.out + done.err, shown


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=words)
@example(line=["client", "show", "\x1b[2J"])
@example(line=["client", "add", "--name", "\ud800"])
@example(line=["health", "check", "acme-corp", "--threshold", "disk=NaN"])
@example(line=["client", "list", "--limit", "99999999999999999999999"])
@example(line=["health", "history", "acme-corp", "--days", "99999999999999999999"])
@example(line=["--set", "general.timezone=", "client", "list"])
@example(line=["--set", "database.path=\\0", "client", "list"])
@example(line=["--set", 'adapters.x.kind="ninjaone"', "doctor"])
def test_a_command_line_never_ends_in_a_traceback(workspace: Path, line: list[str]) -> None:
    """Whatever is typed: a documented exit code and an error in words."""
    _fuzz(workspace, line)


@pytest.mark.fuzz
@pytest.mark.timeout(900)
@settings(max_examples=10_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=words)
def test_ten_thousand_command_lines(workspace: Path, line: list[str]) -> None:
    """The same, ten thousand times."""
    _fuzz(workspace, line)


KEYS = """
general company_name timezone log_level data_retention_days database type path host port
username password password_env rmm provider api_url api_key_env timeout kind backup providers
name reporting formats schedule health_checks enabled thresholds cpu_percent adapters plugins
disabled allow access http tiers attempts
""".split()  # noqa: SIM905, one word a line would be a page
# Two levels written out: st.recursive takes three quarters of the time for the same tables
keys = st.sampled_from(KEYS)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = leaves | st.lists(leaves, max_size=2) | st.dictionaries(keys, leaves, max_size=2)
sections = leaves | st.dictionaries(keys, values, max_size=3)
documents = st.dictionaries(keys | st.text(max_size=6), sections, max_size=3)


@pytest.mark.fuzz
@pytest.mark.timeout(900)
@settings(max_examples=10_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    document=documents,
    text=st.binary(max_size=40),
    kind=st.sampled_from(["json", "raw"]),
    suffix=st.sampled_from(["toml", "yaml", "json"]),
)
def test_ten_thousand_configuration_files(
    tmp_path_factory: pytest.TempPathFactory, document: object, text: bytes, kind: str, suffix: str
) -> None:
    """Any bytes and any tables: a configuration or a ConfigError, with every installed plugin's sections."""
    folder = tmp_path_factory.getbasetemp() / "configs"
    folder.mkdir(exist_ok=True)
    file = folder / f"msp-toolkit.{'json' if kind == 'json' else suffix}"
    file.write_bytes(json.dumps(document).encode() if kind == "json" else text)
    with isolated(folder):
        registry = _registry(folder)
        with contextlib.suppress(ConfigError):
            Config.read(file, process={}).check(registry)


_cache: dict[str, object] = {}


def _registry(folder: Path):  # type: ignore[no-untyped-def]
    """Return the registry of what is installed; discovered once."""
    if "registry" not in _cache:
        from msp_core.toolkit import open_registry

        _cache["registry"] = open_registry(make_toolkit(folder).config)
    return _cache["registry"]

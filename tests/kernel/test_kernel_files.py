"""What the kernel reads and writes: environment, configuration files, the plugin index, the log."""

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from msp_core import index, log
from msp_core.configfile import read_file
from msp_core.correlation import CURRENT
from msp_core.environ import Environ, read_credentials, read_dotenv
from msp_core.errors import ConfigError
from msp_core.registry import Registry
from msp_core.secrets import Secret
from msp_core.testing import run_cli


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    """In the process, in .env and for whoever is asked next."""
    file = tmp_path / "credentials.json"
    file.write_text('{"A": "from credentials"}')
    (tmp_path / ".env").write_text("A=\nB=from dotenv\n")
    environ = Environ({"A": "", "B": "", "MSP_CREDENTIALS": str(file)}, tmp_path / ".env")
    assert environ.get("A") == "from credentials"
    assert environ.get("B") == "from dotenv"
    assert environ.get("C") is None
    assert environ.file_names() >= {"A", "B", "MSP_CREDENTIALS"}


@pytest.mark.parametrize("names", [("MSP_A__B", "MSP_A__B__C"), ("MSP_A__B__C", "MSP_A__B")])
def test_variables_that_contradict_each_other_are_named(names: tuple[str, str]) -> None:
    """A value cannot be a table as well, in whichever order they come."""
    with pytest.raises(ConfigError, match=f"{names[1]} contradicts"):
        Environ(dict.fromkeys(names, "1")).options()
    assert Environ({"MSP_A__B__C": "1", "MSP_A__B__D": "x"}).options() == {
        "a": {"b": {"c": 1, "d": "x"}}
    }


def test_a_folder_in_place_of_dotenv_is_an_error_with_its_path(tmp_path: Path) -> None:
    """What is there but cannot be read is not taken for absent."""
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigError, match=r"\.env cannot be read"):
        read_dotenv(tmp_path / ".env")
    assert read_dotenv(tmp_path / "none") == {}


def test_a_credentials_file_that_cannot_be_used(tmp_path: Path) -> None:
    """Missing and broken are errors that do not repeat its content; one that is not JSON is for another store."""
    file = tmp_path / "credentials.json"
    with pytest.raises(ConfigError, match="MSP_CREDENTIALS names"):
        read_credentials(file)
    file.write_text('{"A": "s3cr3t-canary"')
    with pytest.raises(ConfigError, match="not valid JSON") as caught:
        read_credentials(file)
    assert "canary" not in str(caught.value.as_dict())
    file.write_bytes(b"\x00\x01binary")
    assert read_credentials(file) == {}
    file.write_text('{"A": 5, "b": {"c": "x", "d": 1}, "E": ["no"]}')
    assert read_credentials(file) == {"B_C": "x"}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.toml", b"\xff\xfe", "not UTF-8 text (byte 0)"),
        ("a.toml", b"a = 1\n" * 800_000, "larger than"),
        ("a.json", b"[" * 100_000, "cannot be read"),
        ("a.yaml", b"1: 2", "does not hold tables with names"),
        ("a.toml", b"a =\nb = 1\n", "line 1"),
    ],
)
def test_a_file_that_is_no_configuration(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    """The reason is in the message."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_file(tmp_path / name)
    assert says in caught.value.message
    with pytest.raises(ConfigError, match="cannot be read"):
        read_file(tmp_path / "missing.toml")


def test_an_editors_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    """Nor is an empty file an error."""
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbf[general]\n")
    (tmp_path / "a.json").write_bytes(b"  \n")
    (tmp_path / "a.yml").write_bytes(b"")
    assert read_file(tmp_path / "a.toml") == {"general": {}}
    assert read_file(tmp_path / "a.json") == read_file(tmp_path / "a.yml") == {}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own, and a configuration beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "config" / "msp-toolkit.toml"
    file.parent.mkdir()
    file.write_text("[general]\n")
    return file


def test_the_index_is_read_back_until_something_changes(cache: Path) -> None:
    """The configuration, an overlay, the switch in the environment: each makes it stale."""
    made = Registry().index()
    index.write_index(cache, made._replace(checked="digest"))
    found = index.read_index(cache)
    assert found is not None
    assert ([one.id for one in found.entries], found.checked) == (["builtin"], "digest")
    assert "doctor" in index.groups(found)
    assert set(index.groups(found)["config"]["commands"]) == {"check", "show", "schema"}
    assert index.read_index(None) is None

    (cache.parent / "conf.d").mkdir()
    (cache.parent / "conf.d" / "plugins.toml").write_text("[plugins]\n")
    assert index.read_index(cache) is None
    index.write_index(cache, made)
    assert index.read_index(cache) is not None
    cache.write_text("[general]\ncompany_name = 'x'\n")
    assert index.read_index(cache) is None


def test_the_switches_of_the_environment_belong_to_the_index(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MSP_PLUGINS__DISABLED decides which plugins there are."""
    index.write_index(cache, Registry().index())
    monkeypatch.setenv("MSP_PLUGINS__DISABLED", '["health"]')
    assert index.read_index(cache) is None


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '{"stamp": 1}', "\x00", '{"stamp": []}']
)
def test_a_damaged_index_counts_as_absent(cache: Path, content: str) -> None:
    """It is a cache and no more."""
    index.write_index(cache, Registry().index())
    index.index_file(cache).write_text(content)
    assert index.read_index(cache) is None


def test_an_index_that_cannot_be_written_is_no_failure(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start is only slower."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "below-a-file"))
    index.write_index(cache, Registry().index())
    assert index.read_index(cache) is None


@pytest.fixture
def logged() -> Any:
    """Configure the log as a test asks, and put back what was there."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield log.configure
    for handler in [one for one in root.handlers if one not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_the_text_log_has_one_line_a_record(logged: Any) -> None:
    """Time, level, logger, the call's id; vendor text starts no line of its own; secrets are masked."""
    stream = io.StringIO()
    logged("INFO", stream=stream)
    token = CURRENT.set("c0ffee")
    try:
        logging.getLogger("msp.x").info(
            "said %s and %s", "a\nERROR forged", Secret("canary-4711").reveal()
        )
    finally:
        CURRENT.reset(token)
    logging.getLogger("msp.x").debug("not shown")
    logging.getLogger("msp.x").warning("outside")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("INFO    msp.x [c0ffee] said a\\nERROR forged and ********")
    assert first[:4].isdigit()
    assert first[19] == "Z"
    assert second.endswith("WARNING msp.x [-] outside")


def test_a_traceback_is_masked_too(logged: Any) -> None:
    """In both styles."""
    secret = Secret("canary-0815").reveal()
    for style in ("text", "json"):
        stream = io.StringIO()
        logged("INFO", style=style, stream=stream)
        try:
            raise ValueError(f"with {secret}")
        except ValueError:
            logging.getLogger("msp.x").exception("failed")
        shown = stream.getvalue()
        assert "Traceback" in shown
        assert "canary" not in shown


def test_the_json_log_is_one_object_a_line(logged: Any) -> None:
    """For machines; the text unescaped, the time with its offset."""
    stream = io.StringIO()
    logged("INFO", style="json", stream=stream)
    logging.getLogger("msp.y").error("Café\nline")
    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["logger"], entry["message"]) == ("error", "msp.y", "Café\nline")
    assert entry["time"].endswith("+00:00")
    assert entry["correlation_id"] == ""


def test_a_command_line_in_a_test_leaves_no_log_behind(tmp_path: Path) -> None:
    """Its handler would fail later, on stderr, when the folder of its file is gone."""
    before = list(logging.getLogger().handlers), logging.getLogger().level
    option = f"general.log_file={tmp_path}/x.log"
    done = run_cli("--safe-mode", "--verbose", "--set", option, "config", "check", cwd=tmp_path)
    assert done.code == 0
    assert "config.check" in (tmp_path / "x.log").read_text()
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == before


def test_configuring_again_replaces_what_was_there(logged: Any, tmp_path: Path) -> None:
    """No record is written twice, and the file's folder is made."""
    first = io.StringIO()
    file = tmp_path / "logs" / "msp.log"
    logged("INFO", stream=first)
    logged("INFO", path=file)
    logging.getLogger("msp.z").info("once")
    assert first.getvalue() == ""
    assert file.read_text().count("once") == 1

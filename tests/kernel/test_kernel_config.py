"""The configuration: precedence, good errors, providers by name, secrets by reference."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_core.config import Config
from msp_core.environ import Environ, read_dotenv
from msp_core.errors import ConfigError
from msp_core.registry import Registry
from msp_core.sections import General
from msp_core.testing import make_toolkit, run_cli

SAMPLE = """
general:
  company_name: "Your MSP Name"
  timezone: "America/New_York"
  log_level: "INFO"
  data_retention_days: 90
database:
  type: "sqlite"
  path: "data/msp-toolkit.db"
rmm:
  provider: "connectwise"
  api_url: "https://your-rmm.example.com/api"
  api_key_env: "RMM_API_KEY"
  timeout: 30
backup:
  providers:
    - name: "veeam"
      api_url: "https://veeam.example.com/api"
      api_key_env: "VEEAM_API_KEY"
reporting:
  template_dir: "templates/"
  output_dir: "reports/"
  formats: ["pdf", "html"]
  schedule: "0 1 * * *"
health_checks:
  enabled: true
  schedule: "0 */6 * * *"
  thresholds:
    cpu_percent: 85
    memory_percent: 90
    disk_percent: 85
"""


def read(tmp_path: Path, text: str, name: str = "msp-toolkit.toml", **process: str) -> Config:
    """Read a configuration from text."""
    file = tmp_path / "config" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return Config.read(file, process=process)


def test_the_familiar_yaml_loads_unchanged(tmp_path: Path) -> None:
    """Every section and option is read; providers whose plugin is missing are named with the install line."""
    config = read(tmp_path, SAMPLE, "msp-toolkit.yaml")
    warnings = config.check(Registry())
    assert config.general.timezone == "America/New_York"
    text = "\n".join(warnings)
    assert "'connectwise' is not installed. Run: pip install msp-rmm-connectwise-automate" in text
    assert "'veeam' is not installed. Run: pip install msp-backup-veeam" in text
    assert "pip install msp-store" in text
    assert config.root == tmp_path


@pytest.mark.parametrize(
    ("given", "hint"), [("pfd", "did you mean 'pdf'?"), ("docx", "pdf, html, markdown")]
)
def test_reports_have_known_formats(tmp_path: Path, given: str, hint: str) -> None:
    """A format nobody makes is an error that names those there are."""
    config = read(tmp_path, f'[reporting]\nformats = ["{given}"]\n')
    with pytest.raises(ConfigError, match=r"reporting\.formats") as caught:
        config.check(Registry())
    assert hint in caught.value.message


@pytest.mark.parametrize("suffix", ["toml", "json", "yaml"])
def test_three_formats_say_the_same(tmp_path: Path, suffix: str) -> None:
    """TOML, JSON and YAML of the same content give the same configuration."""
    data = {"general": {"company_name": "Nørd", "data_retention_days": 30}}
    text = {
        "toml": '[general]\ncompany_name = "Nørd"\ndata_retention_days = 30\n',
        "json": json.dumps(data),
        "yaml": "general:\n  company_name: Nørd\n  data_retention_days: 30\n",
    }[suffix]
    assert read(tmp_path, text, f"msp-toolkit.{suffix}").data == data


def test_precedence(tmp_path: Path) -> None:
    """Command line over environment over .env over conf.d over the file over defaults."""
    (tmp_path / ".env").write_text(
        "MSP_GENERAL__LOG_LEVEL=ERROR\nMSP_GENERAL__TIMEZONE=Asia/Tokyo\n"
    )
    file = tmp_path / "config" / "msp-toolkit.toml"
    (file.parent / "conf.d").mkdir(parents=True)
    file.write_text(
        '[general]\ncompany_name="file"\ntimezone="UTC"\nlog_level="INFO"\ndata_retention_days=10\n'
    )
    (file.parent / "conf.d" / "10.toml").write_text(
        '[general]\ncompany_name="overlay"\ndata_retention_days=20\n'
    )
    (file.parent / "conf.d" / "20.toml").write_text('[general]\ncompany_name="later overlay"\n')
    config = Config.read(
        file,
        process={"MSP_GENERAL__LOG_LEVEL": "DEBUG"},
        overrides={"general": {"data_retention_days": 40}},
    )
    general = config.general
    assert general.company_name == "later overlay"
    assert general.timezone == "Asia/Tokyo"
    assert general.log_level == "DEBUG"
    assert general.data_retention_days == 40
    assert general.log_format == "text"
    assert config.origins["general.company_name"].endswith("20.toml")
    assert config.origins["general.log_level"] == "environment"
    assert config.origins["general.data_retention_days"] == "command line"


WRONG = [
    ("[general]\ncompany_nam = 'x'\n", "general.company_nam", "did you mean 'company_name'?"),
    ("[general]\ndata_retention_days = 'x'\n", "general.data_retention_days", "a whole number"),
    ("[general]\ndata_retention_days = true\n", "general.data_retention_days", "a whole number"),
    ("[general]\ndata_retention_days = 1.5\n", "general.data_retention_days", "a whole number"),
    ("[general]\ndata_retention_days = 0\n", "general.data_retention_days", ">= 1"),
    ("[general]\ndata_retention_days = 99999999999\n", "general.data_retention_days", "<= 36500"),
    ("[general]\ntimezone = 'Mars/Olympus'\n", "general.timezone", "time zone"),
    ("[general]\ntimezone = 'Mars'\n[reportin]\n", "reportin", "'reporting'"),
    ("[[backup.providers]]\nname = 'veem'\n", "backup.providers[0].name", "mean 'veeam'?"),
    ("[rmm]\nprovider = 'dato'\n", "rmm.provider", "mean 'datto'?"),
    ("[general]\nlog_level = 'LOUD'\n", "general.log_level", "DEBUG, INFO"),
    ("[generl]\n", "generl", "did you mean 'general'?"),
    ("general = 3\n", "general", "expected a table"),
    ("[plugins]\ndisabled = 'x'\n", "plugins.disabled", "expected a list"),
    ("[adapters.x]\n", "adapters.x", "needs a kind"),
    ("[adapters.x]\nkind = 'nosuch'\n", "adapters.x.kind", "no adapter 'nosuch'"),
    ("adapters = 3\n", "adapters", "expected"),
]


@pytest.mark.parametrize(("text", "path", "says"), WRONG)
def test_a_wrong_value_names_file_path_reason_and_hint(
    tmp_path: Path, text: str, path: str, says: str
) -> None:
    """Nothing starts on a wrong configuration, and the error says where and how to mend it."""
    config = read(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        config.check(Registry())
    assert "msp-toolkit.toml" in caught.value.message
    assert path in caught.value.message
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[general\n", "msp-toolkit.toml"),
        ("{", "msp-toolkit.json"),
        ("a: [b\n", "msp-toolkit.yaml"),
        ("- a\n- b\n", "msp-toolkit.yaml"),
        ("[1, 2]", "msp-toolkit.json"),
        ("rmm: 3\n", "msp-toolkit.yaml"),
        ("backup:\n  providers: 3\n", "msp-toolkit.yaml"),
        ("backup:\n  providers: [{}]\n", "msp-toolkit.yaml"),
        ("general: {}\nhealth_checks: {}\ngeneral: {}\n", "msp-toolkit.yaml"),
        ('{"general": {"timezone": "UTC", "timezone": "UTC"}}', "msp-toolkit.json"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, text: str, name: str) -> None:
    """Syntax and shape errors are ConfigErrors that name the file."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, name).check(Registry())
    assert caught.value.suggestion


def test_yaml_is_read_as_version_1_2_means_it(tmp_path: Path) -> None:
    """`no` is a word, `12:30` a text, `0o10` eight."""
    config = read(tmp_path, "general:\n  a: no\n  b: 12:30\n  c: 0o10\n  d: 010\n", "x.yaml")
    assert config.data["general"] == {"a": "no", "b": "12:30", "c": 8, "d": 10}


def test_a_secret_in_the_configuration_is_refused_without_repeating_it(tmp_path: Path) -> None:
    """Where a reference is expected, a value that looks like a secret is an error that does not show it."""
    from attrs import frozen

    from msp_core.secrets import SecretRef
    from msp_core.structure import Unstructurable, structure

    @frozen
    class Options:
        key: SecretRef | None = None

    with pytest.raises(Unstructurable) as caught:
        structure({"key": "hunter2-hunter2"}, Options)
    assert "hunter2" not in str(caught.value)
    assert "env:NAME" in str(caught.value)


def test_msp_config_and_config_option(tmp_path: Path) -> None:
    """MSP_CONFIG names the file; --config wins over it; a file that is not there is an error."""
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text('[general]\ncompany_name = "One"\n')
    two.write_text('[general]\ncompany_name = "Two"\n')
    env = {"MSP_CONFIG": str(one)}
    assert "One" in run_cli("--safe-mode", "config", "show", env=env).out
    assert "Two" in run_cli("--safe-mode", "--config", str(two), "config", "show", env=env).out
    done = run_cli("--safe-mode", "config", "show", env={"MSP_CONFIG": str(tmp_path / "no.toml")})
    assert (done.code, "CONFIG_INVALID" in done.err) == (1, True)


def test_dotenv_lines(tmp_path: Path) -> None:
    """Quotes, comments, `export`, rubbish and an editor's byte order mark in `.env`."""
    file = tmp_path / ".env"
    file.write_text(
        "\ufeffA=1\r\nexport B='two words'\nC=\"x # y\"\nD=z # comment\n# E=1\nrubbish\n=3\nF=\n"
        "G=\"g\" # that's \"it\"\nH=it's\nI='a'b'\nJ=a#b\n",
        encoding="utf-8",
    )
    assert read_dotenv(file) == {
        "A": "1", "B": "two words", "C": "x # y", "D": "z", "F": "",
        "G": "g", "H": "it's", "I": "a'b", "J": "a#b",
    }  # fmt: skip


def test_doctor_and_the_commands_that_mend_run_on_a_wrong_general_section(tmp_path: Path) -> None:
    """They say all that is wrong; nothing else starts."""
    (tmp_path / "msp-toolkit.toml").write_text("[general]\ntimezone = 'Mars'\n[reporting]\nx = 1\n")
    for words in (["doctor", "--json"], ["config", "check"], ["plugin", "list"]):
        done = run_cli("--safe-mode", *words, cwd=tmp_path)
        assert "Traceback" not in done.err
        if words != ["plugin", "list"]:
            said = done.out + done.err
            assert "general.timezone" in said
            assert "reporting.x" in said
    assert run_cli("--safe-mode", "plugin", "list", cwd=tmp_path).code == 0


def test_a_folder_is_no_configuration_file(tmp_path: Path) -> None:
    """The error says so instead of denying that it is there."""
    with pytest.raises(ConfigError, match="is a folder"):
        Config.read(tmp_path)


def test_credentials_file(tmp_path: Path) -> None:
    """MSP_CREDENTIALS names a JSON file that answers after the environment and .env."""
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps({"RMM_API_KEY": "from file", "veeam": {"api_key": "nested"}}))
    (tmp_path / ".env").write_text("OTHER=1\n")
    environ = Environ({"MSP_CREDENTIALS": str(file)}, tmp_path / ".env")
    assert environ.get("RMM_API_KEY") == "from file"
    assert environ.get("VEEAM_API_KEY") == "nested"
    environ = Environ({"MSP_CREDENTIALS": str(file), "RMM_API_KEY": "process"}, None)
    assert environ.get("RMM_API_KEY") == "process"


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=8), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_any_tables_are_a_configuration_or_a_config_error(data: dict[str, Any]) -> None:
    """Whatever a file holds, checking it ends in a typed configuration or a ConfigError."""
    with contextlib.suppress(ConfigError):
        Config(None, Path(), Environ({}), [("test", data)]).check(Registry())


def test_the_toolkit_types_its_sections(tmp_path: Path) -> None:
    """A section comes back as its class, with defaults."""
    toolkit = make_toolkit(tmp_path, config={"general": {"company_name": "X"}})
    assert toolkit.settings(General).company_name == "X"
    assert toolkit.settings(General).data_retention_days == 90


def test_init_writes_a_file_that_checks_and_is_idempotent(tmp_path: Path) -> None:
    """What init writes is a correct configuration in each format; a second run keeps it."""
    for format in ("toml", "yaml", "json"):
        folder = tmp_path / format
        folder.mkdir()
        first = run_cli(
            "init",
            "--company",
            "Nord & Süd",
            "--timezone",
            "Europe/Berlin",
            "--format",
            format,
            cwd=folder,
        )
        assert first.code == 0, first.err
        again = run_cli("init", "--company", "Other", cwd=folder)
        assert "kept     config/" in again.out
        shown = run_cli("config", "show", cwd=folder)
        assert "Nord & Süd" in shown.out
        assert "Europe/Berlin" in shown.out


def test_init_refuses_a_zone_that_does_not_exist(tmp_path: Path) -> None:
    """Bad input leaves no half-written workspace."""
    done = run_cli("init", "--timezone", "Mars/Olympus", cwd=tmp_path)
    assert done.code == 64
    assert not (tmp_path / "config").exists()

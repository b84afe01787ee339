"""The cases of every place of secrets, and what this one reads."""

from pathlib import Path

from acme_mounted.store import Mounted

from msp_core.testing import run_cli
from msp_core.testing.conformance import SecretProviderConformance


class TestConformance(SecretProviderConformance):
    """What every place of secrets must do."""

    plugin = "acme-mounted"


def test_a_file_is_a_secret(tmp_path: Path) -> None:
    """The slash of a name is a dot in the file's, and nothing outside the folder is reached."""
    (tmp_path / "rmm.api_key").write_text("s3cret\n")
    store = Mounted(tmp_path)
    assert store.get("rmm/api_key") == "s3cret"
    assert store.names() == ["rmm/api_key"]
    assert store.get("../../etc/hostname") is None


def test_the_command_line_says_where_it_is_and_not_what(tmp_path: Path) -> None:
    """`credential get` finds it and shows no value."""
    (tmp_path / "rmm.api_key").write_text("s3cret\n")
    done = run_cli("credential", "get", "rmm/api_key", env={"ACME_MOUNTED_DIR": str(tmp_path)})
    assert done.code == 0
    assert "mounted" in done.out
    assert "s3cret" not in done.out + done.err

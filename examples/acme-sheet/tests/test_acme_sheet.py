"""The cases of every adapter, and the sheet on the command line."""

from pathlib import Path

from acme_sheet.sample import Sample

from msp_core.testing import run_cli
from msp_core.testing.conformance import RmmAdapterConformance


class TestConformance(RmmAdapterConformance):
    """What every adapter must do."""

    plugin, backend = "acme-sheet", Sample


def test_a_sheet_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """`credential check` asks the adapter; it says what is wrong with the file."""
    words = ("--set", "adapters.sheet.kind=acme-sheet", "--set", "adapters.sheet.file=sheet.csv")
    done = run_cli(*words, "credential", "check", "--json", cwd=tmp_path)
    assert "sheet.csv cannot be read" in done.out + done.err
    (tmp_path / "sheet.csv").write_text("client,device\nAcme,PC-1\n,nobody\n")
    done = run_cli(*words, "credential", "check", "--json", cwd=tmp_path)
    assert "sheet.csv has 2 rows" in done.out + done.err

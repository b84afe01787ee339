"""The cases of every tool, resource and prompt, and what an agent reads."""

from pathlib import Path

import pytest
from acme_runbooks.books import follow, read

from msp_core.testing import toolkit_for
from msp_core.testing.conformance import McpConformance, ToolConformance
from msp_core.v1 import NotFound

BOOKS = str(Path(__file__).parent / "runbooks")


class TestTools(ToolConformance):
    """What every tool must do."""

    plugin = "acme-runbooks"
    calls = {"acme-runbooks.list": {}}


class TestDocuments(McpConformance):
    """What every resource and prompt must do."""

    plugin = "acme-runbooks"
    config = {"acme_runbooks": {"folder": BOOKS}}
    reads = {"runbook": {"name": "full-disk"}}
    asks = {"follow-runbook": {"name": "full-disk", "client": "acme-corp"}}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_agent_reads_and_follows(tmp_path: Path) -> None:
    """A runbook is found by its name, and no name leads out of the folder."""
    (tmp_path / "full-disk.md").write_text("1. Look at the history.\n")
    (tmp_path.parent / "secret.md").write_text("no")
    here = {"acme_runbooks": {"folder": str(tmp_path)}}
    async with toolkit_for("acme-runbooks", tmp_path, config=here) as toolkit:
        ctx = toolkit.context()
        assert await read(ctx, "full-disk") == "1. Look at the history.\n"
        assert "client acme-corp" in await follow(ctx, name="full-disk", client="acme-corp")
        with pytest.raises(NotFound, match="no runbook"):
            await read(ctx, "../secret")

"""Export and import of clients."""

import asyncio
import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_clients.api import Clients, NewClient
from msp_clients.exchange import FIELDS, Format, parse, to_csv, to_json
from msp_clients.naming import checked
from msp_core.v1 import Client, ClientStatus, InvalidParameters, MspError, Tier, Toolkit

_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
_start = st.sampled_from(["", "=", "+", "-", "@", "'", "''=", "＝"])
_name = st.builds(str.__add__, _start, _text).map(str.strip).filter(bool)
_notes = st.builds(str.__add__, _start, st.text(st.sampled_from("ab,;\"\n\t é='")))


@st.composite
def clients(draw: st.DrawFn) -> Client:
    """Draw a client as it could be stored."""
    new = checked(
        NewClient(
            name=draw(_name),
            contact_email=draw(st.sampled_from(["", "a@b.de", "+x@b.de", "=x@b.de", "-x@b.de"])),
            tier=draw(st.sampled_from(Tier)),
            status=draw(st.sampled_from(ClientStatus)),
            tags=draw(st.lists(st.sampled_from(["hipaa", "pci", "über", "a.b"])).map(tuple)),
            notes=draw(_notes),
        )
    )
    fields = {name: getattr(new, name) for name in FIELDS if name != "id"}
    return Client(id=draw(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)), **fields)


@given(st.lists(clients(), max_size=5), st.sampled_from(Format))
def test_round_trip(written: list[Client], format: Format) -> None:
    """What is exported is read back unchanged, in either format."""
    text = to_csv(written) if format is Format.CSV else to_json(written, {})
    read = parse(text, format)
    assert [entry.fields for entry in read] == [
        {name: getattr(client, name) for name in FIELDS} for client in written
    ]


@given(st.lists(clients(), min_size=1, max_size=5))
def test_no_cell_is_a_formula(written: list[Client]) -> None:
    """No cell starts with what a spreadsheet would run."""
    import csv
    import io

    rows = list(csv.reader(io.StringIO(to_csv(written), newline="")))
    assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r＝＋－＠")]


@given(st.text(max_size=300), st.sampled_from(Format))
def test_any_text_is_read_or_refused(text: str, format: Format) -> None:
    """Garbage raises InvalidParameters and nothing else."""
    with contextlib.suppress(InvalidParameters):
        parse(text, format)


def test_bad_rows_are_listed_with_their_lines() -> None:
    """Every bad row is named, lines counted as an editor does, also behind a note of two lines."""
    text = 'name,tier,notes\nGood,gold,"two\nlines"\nBad,golden,\nShort\nAlso bad,lead,\n'
    with pytest.raises(InvalidParameters) as caught:
        parse(text, Format.CSV)
    assert [row["line"] for row in caught.value.details["rows"]] == [4, 5, 6]
    assert "golden" in caught.value.message


@pytest.mark.anyio
async def test_import_is_all_or_nothing_and_idempotent(toolkit: Toolkit, tmp_path: Path) -> None:
    """A bad row stops everything; the second import changes nothing."""
    clients = await toolkit.get(Clients)
    ctx = toolkit.context()
    await clients.create(ctx, name="Acme Corp", tags=("old",))
    file = tmp_path / "clients.csv"
    file.write_text("id,name,tier,contact_email\nacme-corp,Acme Inc,gold,\n,New One,silver,bad\n")
    with pytest.raises(MspError) as caught:
        await toolkit.call("client.import", {"file": str(file)})
    assert [row["line"] for row in caught.value.details["rows"]] == [3]
    assert (await clients.get(ctx, "acme-corp")).name == "Acme Corp"
    file.write_bytes(file.read_bytes().replace(b",bad", b",a@b.de").replace(b"\n", b"\r\n"))
    preview = await toolkit.call(
        "client.import", {"file": str(file)}, ctx=toolkit.context(dry_run=True)
    )
    assert [row.action for row in preview.rows] == ["updated", "created"]
    assert (await clients.list(ctx)).total == 1
    done = await toolkit.call("client.import", {"file": str(file)})
    assert [row.action for row in done.rows] == ["updated", "created"]
    acme = await clients.get(ctx, "acme-corp")
    assert (acme.name, acme.tier, acme.tags) == ("Acme Inc", Tier.GOLD, ("old",))
    again = await toolkit.call("client.import", {"file": str(file)})
    assert [row.action for row in again.rows] == ["unchanged", "unchanged"]
    assert (await clients.get(ctx, "acme-corp")).updated_at == acme.updated_at


@pytest.mark.anyio
async def test_the_same_client_twice_is_refused(toolkit: Toolkit, tmp_path: Path) -> None:
    """Two rows for one client would contradict each other."""
    file = tmp_path / "clients.json"
    rows = [{"name": "A"}, {"name": "B"}, {"name": "A", "tier": "gold"}, {"id": "b", "name": "B"}]
    file.write_text(json.dumps(rows))
    with pytest.raises(InvalidParameters) as caught:
        await toolkit.call("client.import", {"file": str(file)})
    assert [row["line"] for row in caught.value.details["rows"]] == [3]


@pytest.mark.anyio
async def test_export_and_import_through_files(each_toolkit: Toolkit, tmp_path: Path) -> None:
    """A workspace moves through either format; Excel's byte order mark is read."""
    ctx, service = each_toolkit.context(), await each_toolkit.get(Clients)
    names = ["=1+1", "'quoted", "شركة", 'a,"b"']
    await service.create_many(ctx, [NewClient(name=name, notes="-x\n=y") for name in names])
    before = (await service.list(ctx)).items
    for suffix in ("csv", "json"):
        file = tmp_path / f"out.{suffix}"
        written = await each_toolkit.call("client.export", {"output": str(file)})
        assert written.count == 4
        assert file.stat().st_mode & 0o077 == 0
        await service.update(ctx, before[0].id, notes="changed")
        done = await each_toolkit.call("client.import", {"file": str(file)})
        assert sorted(row.action for row in done.rows) == ["unchanged"] * 3 + ["updated"]
        after = (await service.list(ctx)).items
        assert [(c.id, c.name, c.notes) for c in after] == [(c.id, c.name, c.notes) for c in before]
    shown = await each_toolkit.call("client.export", {})
    assert shown.text.startswith("id,name,")
    assert datetime.now(UTC) >= before[0].created_at


@pytest.mark.anyio
async def test_settings_travel_in_json(each_toolkit: Toolkit, tmp_path: Path) -> None:
    """They are restored to the letter; what has none keeps none, and CSV says what it leaves out."""
    service, ctx = await each_toolkit.get(Clients), each_toolkit.context()
    for name in ("Acme", "Globex"):
        await service.create(ctx, name=name)
    own = {"a.b": 97, "list": ["x"], "on": True}
    await service.set_config(ctx, "acme", own)
    file = tmp_path / "out.json"
    await each_toolkit.call("client.export", {"output": str(file)}, ctx=ctx)
    assert ctx.warnings == []
    again = await each_toolkit.call("client.import", {"file": str(file)})
    assert [row.action for row in again.rows] == ["unchanged", "unchanged"]
    await service.set_config(ctx, "acme", {"a.b": 1, "list": None, "more": 1})
    await service.set_config(ctx, "globex", {"more": 1})
    done = await each_toolkit.call("client.import", {"file": str(file)})
    assert [row.action for row in done.rows] == ["updated", "updated"]
    assert await service.get_configs(ctx, ["acme", "globex"]) == {"acme": own, "globex": {}}
    file.write_text('[{"id": "acme", "notes": "n"}, {"name": "New", "settings": {"a": 1}}]')
    await each_toolkit.call("client.import", {"file": str(file)})
    assert await service.get_configs(ctx, ["acme", "new"]) == {"acme": own, "new": {"a": 1}}
    file.write_text('[{"id": "acme", "settings": [1]}, {"id": "globex", "settings": {"": 1}}]')
    with pytest.raises(InvalidParameters):
        await each_toolkit.call("client.import", {"file": str(file)})
    await each_toolkit.call("client.export", {}, ctx=ctx)
    assert "settings of acme, new: left out" in ctx.warnings[0]


@pytest.mark.anyio
async def test_files_that_cannot_be_used(toolkit: Toolkit, tmp_path: Path) -> None:
    """Missing files, folders, other encodings and unwritable places are told, not thrown."""
    latin = tmp_path / "latin.csv"
    latin.write_bytes("name\nMüller\n".encode("latin-1"))
    for path in (tmp_path / "none.csv", tmp_path, latin):
        with pytest.raises(InvalidParameters):
            await toolkit.call("client.import", {"file": str(path)})
    with pytest.raises(InvalidParameters):
        await toolkit.call("client.export", {"output": str(tmp_path / "no" / "out.csv")})


@pytest.mark.anyio
async def test_links_stay_and_pipes_are_written_into(toolkit: Toolkit, tmp_path: Path) -> None:
    """An export never takes the place of a link or a device."""
    await toolkit.call("client.add", {"name": "Acme Corp"})
    target, link, pipe = tmp_path / "real.csv", tmp_path / "link.csv", tmp_path / "pipe"
    link.symlink_to(target)
    await toolkit.call("client.export", {"output": str(link)})
    assert link.is_symlink()
    assert "Acme Corp" in target.read_text("utf-8-sig")
    os.mkfifo(pipe)
    reader = asyncio.create_task(asyncio.to_thread(pipe.read_text, "utf-8-sig"))
    await toolkit.call("client.export", {"output": str(pipe)})
    assert "Acme Corp" in await reader
    assert pipe.is_fifo()

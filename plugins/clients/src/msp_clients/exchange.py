"""Clients as CSV and JSON: written for spreadsheets, read back unchanged."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar

from attrs import evolve, frozen

from msp_clients import files
from msp_clients.api import Clients, Entry, KnowsSettings, slug
from msp_clients.naming import bad_rows
from msp_core.v1 import (
    Client,
    ClientStatus,
    Column,
    Context,
    Display,
    Doc,
    InvalidParameters,
    Param,
    Tier,
    UnknownPlugin,
)

FIELDS = ("id", "name", "contact_email", "tier", "status", "tags", "notes")
SETTINGS = "settings"
"""The client's own settings: an object, so in JSON only."""
_STREAM = Path("-")
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "＝",
    "＋",
    "－",
    "＠",
)  # spreadsheets read wide signs too
_QUOTED = (*_FORMULA, "'")


class Format(StrEnum):
    """File formats of clients."""

    CSV = "csv"
    JSON = "json"


@frozen(kw_only=True)
class Exported:
    """Exported clients: the text, or the file it was written to."""

    count: int
    path: Path | None
    text: str

    DISPLAY: ClassVar[Display] = Display(
        summary=lambda done: (
            f"Wrote {done.count} clients to {done.path}" if done.path else done.text.rstrip("\n")
        )
    )


@frozen(kw_only=True)
class ImportedRow:
    """What an import did with one row."""

    line: int
    action: str
    id: str
    name: str


@frozen(kw_only=True)
class Imported:
    """What an import came to."""

    rows: tuple[ImportedRow, ...]
    recorded: bool

    def count(self, action: str) -> int:
        """Count the rows with this outcome."""
        return sum(row.action == action for row in self.rows)

    def say(self) -> str:
        """Return the sum for people."""
        sums = ", ".join(
            f"{self.count(action)} {action}" for action in ("created", "updated", "unchanged")
        )
        return f"{sums}." + ("" if self.recorded else " Nothing was recorded.")

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("line", "Line"),
            Column("action", "Action"),
            Column("id", "ID"),
            Column("name", "Name"),
        ),
        rows="rows",
        summary=lambda done: done.say(),
        empty="The file holds no clients.",
    )


async def export_clients(
    ctx: Context,
    *,
    output: Annotated[
        Path | None, Doc("File to write, .csv or .json; shown when left out or -.")
    ] = None,
    format: Annotated[Format | None, Doc("csv or json; from the file's name, else csv.")] = None,
) -> Exported:
    """Write clients as CSV or JSON. JSON holds each client's own settings too."""
    output = None if output == _STREAM else output
    if format is None:
        _require_format(output)
    service = await ctx.get(Clients)
    found = await service.list(ctx)
    settings = await service.get_configs(ctx, [client.id for client in found.items])
    chosen = format or _format_of(output) or Format.CSV
    text = to_csv(found.items) if chosen is Format.CSV else to_json(found.items, settings)
    having = [client_id for client_id, own in settings.items() if own]
    if chosen is Format.CSV and having:
        some = ", ".join(having[:5]) + (f" and {len(having) - 5} more" if len(having) > 5 else "")
        ctx.warn(f"CSV cannot hold the settings of {some}: left out. With them: --format json")
    if output is not None and not ctx.dry_run:
        files.replace(output, text, "utf-8-sig" if chosen is Format.CSV else "utf-8")
    return Exported(count=len(found.items), path=output, text="" if output else text)


async def import_clients(
    ctx: Context,
    file: Annotated[Path, Doc("CSV or JSON file; - is what is piped in."), Param(arg=True)],
    *,
    format: Annotated[Format | None, Doc("csv or json; from the file's name, else csv.")] = None,
) -> Imported:
    """Read clients from a CSV or JSON file: all rows or none.

    A row whose id (or, without an id, exact name) is known updates that client; fields left out stay as they are.
    Settings that are given, in JSON, are all the client has afterwards.
    """
    text = files.read_piped(ctx) if file == _STREAM else files.read(file)
    entries = parse(text, format or _format_of(file) or Format.CSV)
    await _check_settings(ctx, entries)
    merged = await (await ctx.get(Clients)).merge(ctx, entries)
    return Imported(
        rows=tuple(
            ImportedRow(line=entry.line, action=one.action, id=one.client.id, name=one.client.name)
            for entry, one in zip(entries, merged, strict=True)
        ),
        recorded=ctx.records,
    )


async def _check_settings(ctx: Context, entries: Sequence[Entry]) -> None:
    """Have those who read settings judge them before anything is recorded."""
    given = [entry for entry in entries if entry.settings]
    if not given:
        return
    try:
        knows = await ctx.get(KnowsSettings)
    except UnknownPlugin:
        return
    known = (await (await ctx.get(Clients)).list(ctx)).items
    by_id = {client.id: client for client in known}
    by_name = {client.name: client for client in known}
    problems: list[dict[str, Any]] = []
    for entry in given:
        own, fields = entry.settings or {}, entry.fields
        name = str(fields.get("name", "")).strip()
        before = by_id.get(fields["id"]) if "id" in fields else by_name.get(name)
        client = before or Client(id=fields.get("id") or slug(name), name=name)
        client = evolve(client, tier=fields.get("tier", client.tier))
        try:
            for warning in await knows.check_settings(ctx, client, own, list(own)):
                ctx.warn(f"{client.id}: {warning}")
        except InvalidParameters as error:
            reason = f"{error.message.rstrip('.')}. {error.suggestion}"
            problems.append({"line": entry.line, "problem": reason})
    if problems:
        raise bad_rows(problems)


def to_csv(clients: Sequence[Client]) -> str:
    """Write CSV in which no cell is a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for client in clients:
        values = (
            client.id,
            client.name,
            client.contact_email,
            client.tier.value,
            client.status.value,
            ";".join(client.tags),
            client.notes,
        )
        writer.writerow([_guarded(value) for value in values])
    return out.getvalue()


def to_json(clients: Sequence[Client], settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Write a JSON list of objects; `settings` are those of each client by id."""
    rows = [
        {
            "id": client.id,
            "name": client.name,
            "contact_email": client.contact_email,
            "tier": client.tier.value,
            "status": client.status.value,
            "tags": list(client.tags),
            "notes": client.notes,
            SETTINGS: settings.get(client.id, {}),
        }
        for client in clients
    ]
    return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"


def parse(text: str, format: Format) -> tuple[Entry, ...]:
    """Read rows; raise InvalidParameters with every bad row and its line in `details["rows"]`."""
    rows = _csv_rows(text) if format is Format.CSV else _json_rows(text)
    entries: list[Entry] = []
    problems: list[dict[str, Any]] = []
    for line, row in rows:
        try:
            own = row.get(SETTINGS)
            if own is not None and not isinstance(own, dict):
                raise ValueError("settings must be an object")
            fields = _typed({name: value for name, value in row.items() if name != SETTINGS})
            entries.append(Entry(line=line, fields=fields, settings=own))
        except ValueError as error:
            problems.append({"line": line, "problem": str(error)})
    if problems:
        raise bad_rows(problems)
    return tuple(entries)


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _check_fields(header, "the first line")
        start = reader.line_num + 1
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                yield line, {"": f"{len(cells)} cells where the heading has {len(header)}"}
                continue
            yield line, dict(zip(header, map(_unguarded, cells), strict=True))
    except csv.Error as error:
        raise InvalidParameters(
            f"the file is not CSV: line {reader.line_num}: {error}",
            suggestion="Save it as CSV with commas, in UTF-8.",
        ) from error


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidParameters(
            f"the file is not JSON: {error}", suggestion="Give a JSON list of clients."
        ) from error
    if not isinstance(data, list):
        raise InvalidParameters(
            "the file holds no JSON list", suggestion='Give a list such as [{"name": "Acme Corp"}].'
        )
    for number, row in enumerate(data, start=1):
        if not isinstance(row, dict):
            yield number, {"": "it is no object"}
            continue
        _check_fields(list(row), f"entry {number}", (*FIELDS, SETTINGS))
        yield number, row


def _check_fields(names: Sequence[str], where: str, known: Sequence[str] = FIELDS) -> None:
    unknown = sorted(set(names) - set(known))
    doubled = len(set(names)) != len(names)
    if not names or unknown or doubled:
        problem = f"unknown field {unknown[0]!r}" if unknown else "no or doubled field names"
        raise InvalidParameters(
            f"{where} has {problem}", suggestion="The fields are: " + ", ".join(known)
        )


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a row's values into a client's; raise ValueError in words."""
    if "" in row:
        raise ValueError(row[""])
    fields: dict[str, Any] = {}
    for name, value in row.items():
        if name == "tags":
            tags = value.split(";") if isinstance(value, str) else value
            if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
                raise ValueError("tags must be a list of words")
            fields[name] = tuple(tag for tag in tags if tag.strip())
        elif not isinstance(value, str):
            raise ValueError(f"{name} must be text")
        elif name in ("tier", "status"):
            if value.strip():
                fields[name] = _word(name, value.strip().lower())
        elif name == "id":
            if value.strip():
                fields[name] = value.strip()
        else:
            fields[name] = value
    return fields


def _word(name: str, value: str) -> Tier | ClientStatus:
    kind: type[Tier] | type[ClientStatus] = Tier if name == "tier" else ClientStatus
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(kind)
        raise ValueError(f"{name} is {value[:40]!r}, not one of {known}") from None


def _guarded(cell: str) -> str:
    return "'" + cell if cell.startswith(_QUOTED) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_QUOTED) else cell


def _format_of(path: Path | None) -> Format | None:
    suffix = path.suffix.lower().lstrip(".") if path else ""
    return Format(suffix) if suffix in set(Format) else None


def _require_format(path: Path | None) -> None:
    """Refuse a file whose name promises what is not written."""
    if path is not None and path.suffix and _format_of(path) is None:
        raise InvalidParameters(
            f"{path}: {path.suffix} is no format of clients",
            suggestion=f"Formats: {', '.join(Format)}. Name it so, or say which: --format csv",
        )

"""Rows of clients, read and written inside a transaction. Every function names the clients it may see."""

import difflib
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs

from msp_clients.api import Entry, Merged, NewClient, free_id, slug
from msp_clients.naming import bad_rows, checked, checked_name
from msp_clients.tables import ClientRow, ConfigurationRow
from msp_core.v1 import (
    Client,
    ClientNotFound,
    Conflict,
    Context,
    InvalidParameters,
    MspError,
    PermissionDenied,
)
from msp_store.api import Tx, in_parts

Scope = Collection[str] | None
"""The clients that may be seen; None: all."""

_COLUMNS = (
    ClientRow.id,
    ClientRow.name,
    ClientRow.contact_email,
    ClientRow.tier,
    ClientRow.status,
    ClientRow.tags,
    ClientRow.notes,
    ClientRow.created_at,
    ClientRow.updated_at,
    ClientRow.deleted_at,
)
_EDITABLE = ("name", "contact_email", "tier", "status", "tags", "notes")


def client_of(row: Sequence[Any]) -> Client:
    """Build a client from the values of `_COLUMNS`."""
    return Client(
        id=row[0],
        name=row[1],
        contact_email=row[2],
        tier=row[3],
        status=row[4],
        tags=tuple(row[5]),
        notes=row[6],
        created_at=row[7],
        updated_at=row[8],
        deleted_at=row[9],
    )


def folded(text: str) -> str:
    """Return the text in one case and one Unicode form, for comparing."""
    return unicodedata.normalize("NFKC", text).casefold()


def select(scope: Scope, *, include_deleted: bool = False) -> Any:
    """Start a query for the clients in scope."""
    query = ClientRow.select(*_COLUMNS)
    if not include_deleted:
        query = query.where(ClientRow.deleted_at.is_null())
    if scope is not None:
        query = query.where(ClientRow.id.in_(sorted(scope)))
    return query


def find(ctx: Context, ref: str, *, include_deleted: bool = False) -> Client:
    """Return the client with this id or exact name, or raise ClientNotFound with the nearest names."""
    scope = ctx.scope.clients
    query = select(scope, include_deleted=include_deleted)
    rows = list(query.where((ClientRow.id == ref) | (ClientRow.name == ref)).tuples())
    for row in rows:
        if row[0] == ref:
            return client_of(row)
    if len(rows) > 1:
        ids = sorted(row[0] for row in rows)
        raise InvalidParameters(
            f"several clients are called {ref!r}",
            suggestion="Name one by its id: " + ", ".join(ids),
            clients=ids,
        )
    if rows:
        return client_of(rows[0])
    raise _not_found(ctx, ref)


def _not_found(ctx: Context, ref: str) -> ClientNotFound:
    names = select(ctx.scope.clients).select(ClientRow.id, ClientRow.name).limit(2_000).tuples()
    by_text: dict[str, str] = {}
    for client_id, name in names:
        by_text[client_id] = client_id
        by_text.setdefault(name.casefold(), client_id)
    wanted = ref.casefold()[:100]
    near = difflib.get_close_matches(wanted, by_text, n=3, cutoff=0.6)
    near += [text for text in by_text if len(wanted) > 1 and wanted in text]
    nearest = list(dict.fromkeys(by_text[text] for text in near))[:3]
    hint = f"Did you mean {' or '.join(nearest)}? " if nearest else ""
    return ClientNotFound(
        f"Client {ref[:100]!r} not found",
        suggestion=f"{hint}Use {ctx.spelt('client.list')} to see available clients",
        client_id=ref[:100],
        nearest=nearest,
    )


def add_many(tx: Tx, scope: Scope, new: Sequence[NewClient]) -> tuple[Client, ...]:
    """Record clients somebody asks for; raise Conflict where a name is taken and no id tells the two apart."""
    names = select(scope).select(ClientRow.name, ClientRow.id).order_by(ClientRow.id.desc())
    known = {folded(name): client_id for name, client_id in names.tuples()}
    for one in new:
        name = checked_name(one.name)
        same = known.setdefault(folded(name), "")
        if same and one.id is None:
            ids: Any = ClientRow.select(ClientRow.id).tuples()
            free = free_id(slug(name), {row[0] for row in ids}.__contains__)
            raise Conflict(
                f"there is a client called {name!r} already: {same}",
                suggestion=f"Change it with 'client update {same}', or, if this is another one, "
                f"give it an id of its own: --id {free}",
                client_id=same,
            )
        known[folded(name)] = one.id or slug(name)
    return insert_many(tx, scope, new)


def insert_many(tx: Tx, scope: Scope, new: Sequence[NewClient]) -> tuple[Client, ...]:
    """Record new clients; raise Conflict where an id is taken."""
    if not new:
        return ()
    ids: Any = ClientRow.select(ClientRow.id).tuples()
    taken = {row[0] for row in ids}
    made: list[Client] = []
    for one in map(checked, new):
        client_id = one.id or free_id(slug(one.name), taken.__contains__)
        if scope is not None and client_id not in scope:
            raise PermissionDenied(
                "you may not add clients outside your own",
                suggestion="Ask somebody whose access is not limited to certain clients.",
            )
        if client_id in taken:
            raise Conflict(
                f"there is a client with the id {client_id!r} already",
                suggestion="Choose another --id, or leave it out to have one made from the name.",
                client_id=client_id,
            )
        taken.add(client_id)
        fields = {name: getattr(one, name) for name in _EDITABLE}
        made.append(Client(id=client_id, created_at=tx.now, updated_at=tx.now, **fields))
    tx.insert_many(
        ClientRow,
        [
            (
                one.id,
                one.name,
                one.contact_email,
                one.tier,
                one.status,
                one.tags,
                one.notes,
                _searchable(one),
                one.created_at,
                one.updated_at,
            )
            for one in made
        ],
        (
            ClientRow.id,
            ClientRow.name,
            ClientRow.contact_email,
            ClientRow.tier,
            ClientRow.status,
            ClientRow.tags,
            ClientRow.notes,
            ClientRow.folded,
            ClientRow.created_at,
            ClientRow.updated_at,
        ),
    )
    for client in made:
        tx.emit("client.created", {"client_id": client.id})
    return tuple(made)


def _searchable(client: Client) -> str:
    return folded(f"{client.name}\n{client.id}\n{client.contact_email}")


def claim(tx: Tx, scope: Scope, name: str, but_not: Collection[str]) -> tuple[Client, bool]:
    """Return the only client of that name that is not in `but_not`, or a new one, and whether it is new."""
    wanted = folded(name)
    query = select(scope).where(ClientRow.folded.startswith(wanted + "\n"))
    found = [client_of(row) for row in query.tuples()]
    same = [one for one in found if folded(one.name) == wanted and one.id not in but_not]
    if len(same) == 1:
        return same[0], False
    return insert_many(tx, scope, [NewClient(name=name)])[0], True


def change(tx: Tx, client: Client, changes: Mapping[str, Any]) -> Client:
    """Set fields of a client; write nothing where nothing differs."""
    wanted = NewClient(**{name: changes.get(name, getattr(client, name)) for name in _EDITABLE})
    good = checked(wanted)
    differing = {
        name: getattr(good, name)
        for name in _EDITABLE
        if getattr(good, name) != getattr(client, name)
    }
    if not differing:
        return client
    changed = attrs.evolve(client, **differing, updated_at=tx.now)
    ClientRow.update(**differing, folded=_searchable(changed), updated_at=changed.updated_at).where(
        ClientRow.id == client.id
    ).execute()
    tx.emit("client.updated", {"client_id": client.id, "fields": sorted(differing)})
    return changed


def mark_deleted(tx: Tx, client: Client, *, deleted: bool) -> Client:
    """Delete (softly) or restore a client; write nothing where it is so already."""
    if (client.deleted_at is not None) == deleted:
        return client
    at = tx.now if deleted else None
    ClientRow.update(deleted_at=at, updated_at=tx.now).where(ClientRow.id == client.id).execute()
    tx.emit("client.deleted" if deleted else "client.restored", {"client_id": client.id})
    return attrs.evolve(client, deleted_at=at, updated_at=tx.now)


def merge(tx: Tx, scope: Scope, entries: Sequence[Entry]) -> tuple[Merged, ...]:
    """Create and update clients by id or exact name; raise InvalidParameters naming every bad line."""
    known = [client_of(row) for row in select(scope, include_deleted=True).tuples()]
    by_id = {client.id: client for client in known}
    by_name: dict[str, list[Client]] = {}
    for client in known:
        if client.deleted_at is None:
            by_name.setdefault(client.name, []).append(client)
    lines: dict[str, int] = {}
    problems: list[dict[str, Any]] = []
    merged: list[Merged | None] = []
    fresh: list[NewClient] = []
    for entry in entries:
        try:
            existing = _entry_target(entry, by_id, by_name, lines)
            if existing is None:
                fresh.append(checked(NewClient(**entry.fields)))
                merged.append(None)
            else:
                client = change(tx, existing, entry.fields)
                action = "unchanged" if client is existing else "updated"
                merged.append(Merged(action=action, client=client))
        except MspError as error:
            problems.append({"line": entry.line, "problem": error.message})
    if problems:
        raise bad_rows(problems)
    created = iter(insert_many(tx, scope, fresh))
    done = [one or Merged(action="created", client=next(created)) for one in merged]
    return tuple(_with_settings(tx, one, entry) for one, entry in zip(done, entries, strict=True))


def _with_settings(tx: Tx, merged: Merged, entry: Entry) -> Merged:
    """Give the client exactly the settings of its entry, where that has some."""
    if entry.settings is None:
        return merged
    now = read_configs([merged.client.id])[merged.client.id]
    wanted = {**dict.fromkeys(now), **entry.settings}
    written = write_config(tx, merged.client.id, wanted)
    return (
        attrs.evolve(merged, action="updated")
        if written and merged.action == "unchanged"
        else merged
    )


def _entry_target(
    entry: Entry,
    by_id: Mapping[str, Client],
    by_name: Mapping[str, Sequence[Client]],
    lines: dict[str, int],
) -> Client | None:
    client_id, name = entry.fields.get("id", ""), str(entry.fields.get("name", "")).strip()
    same = [by_id[client_id]] if client_id in by_id else []
    if not client_id:
        same = list(by_name.get(name, ()))
    if len(same) > 1:
        ids = ", ".join(sorted(client.id for client in same))
        raise InvalidParameters(f"several clients are called {name!r}; give the id: {ids}")
    key = same[0].id if same else client_id or f"\0{name}"
    if key in lines:
        raise InvalidParameters(f"the same client as in line {lines[key]}")
    lines[key] = entry.line
    if same and same[0].deleted_at is not None:
        raise InvalidParameters(f"{same[0].id} is deleted; restore it first")
    if not same and not name:
        raise InvalidParameters("a new client needs a name")
    return same[0] if same else None


def read_configs(client_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the settings of these clients."""
    found: dict[str, dict[str, Any]] = {client_id: {} for client_id in client_ids}
    for ids in in_parts(list(found)):
        query: Any = ConfigurationRow.select(
            ConfigurationRow.client_id, ConfigurationRow.key, ConfigurationRow.value
        ).where(ConfigurationRow.client_id.in_(ids))
        for client_id, key, value in query.order_by(ConfigurationRow.key).tuples():
            found[client_id][key] = value
    return found


def write_config(tx: Tx, client_id: str, values: Mapping[str, Any]) -> bool:
    """Set settings of one client and remove those whose value is None; tell whether any was changed."""
    now = read_configs([client_id])[client_id]
    gone = [key for key, value in values.items() if value is None and key in now]
    new = {
        key: value
        for key, value in values.items()
        if value is not None
        and (key not in now or now[key] != value or type(now[key]) is not type(value))
    }
    if gone:
        ConfigurationRow.delete().where(
            (ConfigurationRow.client_id == client_id) & ConfigurationRow.key.in_(gone)
        ).execute()
    if new:
        ConfigurationRow.insert_many(
            [
                {
                    "client_id": client_id,
                    "key": key,
                    "value": value,
                    "created_at": tx.now,
                    "updated_at": tx.now,
                }
                for key, value in new.items()
            ]
        ).on_conflict(
            conflict_target=(ConfigurationRow.client_id, ConfigurationRow.key),
            preserve=(ConfigurationRow.value, ConfigurationRow.updated_at),
        ).execute()
    if gone or new:
        tx.emit("client.configured", {"client_id": client_id, "keys": sorted([*gone, *new])})
    return bool(gone or new)

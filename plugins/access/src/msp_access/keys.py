"""Keys that stand for callers from outside: stored as hashes, shown once, narrow by default."""

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msp_access.api import Key, NewKey
from msp_access.ids import new_id
from msp_access.policy import tool_names
from msp_access.settings import Level
from msp_access.tables import KeyTable
from msp_core.v1 import (
    Actor,
    Conflict,
    Context,
    Effect,
    InvalidParameters,
    Listing,
    NotFound,
    PermissionDenied,
    Principal,
    Scope,
    StoreError,
    Surface,
    Toolkit,
)
from msp_store.api import Store, Tx

log = logging.getLogger(__name__)

_PREFIX = "msp"
_USED_EVERY = timedelta(minutes=1)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_MOST_KEYS = 1_000
_ROW = (
    "SELECT hash, expires_at, revoked_at, used_at, level, tools, clients"
    " FROM access_keys WHERE id = ?"
)


async def create(toolkit: Toolkit) -> "AccessKeys":
    """Build the service on the toolkit's store."""
    return AccessKeys(toolkit, await toolkit.get(Store))


class AccessKeys:
    """See `msp_core.v1.Keys` and `msp_access.api.KeyRing`."""

    def __init__(self, toolkit: Toolkit, store: Store) -> None:
        self._toolkit = toolkit
        self._store = store
        self._principals: dict[tuple[str | None, ...], Principal] = {}
        self._noted: dict[str, datetime] = {}  # id -> when this process last tried to note its use

    async def principal(self, key: str) -> Principal | None:
        """Return whom a key stands for."""
        prefix, _, rest = key.strip().partition("_")
        id, _, secret = rest.partition("_")
        if prefix != _PREFIX or not id or not secret or len(key) > 200:
            return None
        row = await self._store.glance(lambda tx: _row_of(tx, id))
        matches = hmac.compare_digest(row[0] if row else _hash(""), _hash(secret))
        if row is None or not matches:
            return None
        _, expires_at, revoked_at, used_at, *scope = row
        now = KeyTable.used_at.db_value(self._toolkit.now())
        if revoked_at is not None or (expires_at is not None and expires_at <= now):
            return None
        if used_at is None or now - used_at > _USED_EVERY // timedelta(microseconds=1):
            await self._note_use(id)
        return self._principal(id, *scope)

    async def _note_use(self, id: str) -> None:
        """Note that a key is used; a database that cannot be written now is no reason to refuse it."""
        now = self._toolkit.now()
        if now - self._noted.get(id, _LONG_AGO) <= _USED_EVERY:
            return
        self._noted[id] = now
        try:
            await self._store.write(lambda tx: _note_use(tx, id))
        except StoreError as error:
            log.warning("the use of key %s could not be noted: %s", id, error.message)

    def _principal(self, id: str, level: str, tools: str | None, clients: str | None) -> Principal:
        """Return whom a row stands for; made once for each row as it is."""
        known = self._principals.get((id, level, tools, clients))
        if known is None:
            names = list(tool_names(self._toolkit.registry))
            if len(self._principals) >= _MOST_KEYS:
                self._principals.clear()
            known = _principal(id, Level(level), _listed(tools), _listed(clients), names)
            self._principals[(id, level, tools, clients)] = known
        return known

    async def any(self) -> bool:
        """Tell whether a key was ever made."""
        return await self._store.read(lambda _tx: KeyTable.select().exists())

    async def issue(
        self,
        ctx: Context,
        name: str,
        *,
        level: Level,
        tools: Sequence[str],
        clients: Sequence[str],
        expires_at: datetime | None,
    ) -> NewKey:
        """Make a key; its text is in the result and nowhere else."""
        _require_person(ctx)
        wanted = name.strip()
        if not wanted or len(wanted) > 80 or not wanted.isprintable():
            raise InvalidParameters("A key needs a name of at most 80 characters.")
        if expires_at is not None and expires_at <= ctx.now():
            raise InvalidParameters("The key would have expired already.")
        self._require_meaning(tools, clients)
        secret = secrets.token_urlsafe(32)
        id = new_id()

        def write(tx: Tx) -> Key:
            if any(row.name == wanted and _usable(row, tx.now) for row in KeyTable):
                raise Conflict(
                    f"there is a key named {wanted!r} already",
                    suggestion="Choose another name, or rotate it: msp-toolkit key rotate",
                )
            KeyTable.insert(
                id=id,
                name=wanted,
                hash=_hash(secret),
                level=level.value,
                tools=list(tools) or None,
                clients=list(clients) or None,
                created_by=ctx.actor.id,
                created_at=tx.now,
                expires_at=expires_at,
            ).execute()
            return key_of(KeyTable.get_by_id(id), tx.now)

        return NewKey(key=await self._store.write(write), text=f"{_PREFIX}_{id}_{secret}")

    def _require_meaning(self, tools: Sequence[str], clients: Sequence[str]) -> None:
        """Refuse a key that could do nothing, as whoever made it would learn too late."""
        from difflib import get_close_matches
        from fnmatch import fnmatchcase

        names = list(tool_names(self._toolkit.registry))
        for pattern in tools:
            if not any(fnmatchcase(name, pattern) for name in names):
                near = get_close_matches(pattern, names, n=1)
                raise InvalidParameters(
                    f"no tool is called {pattern!r}",
                    suggestion=f"Did you mean {near[0]}?"
                    if near
                    else "See: msp-toolkit mcp tools; there client_list is what is client.list here.",
                )
        if not all(client.strip() for client in clients):
            raise InvalidParameters(
                "a client needs an id", suggestion="See: msp-toolkit client list"
            )

    async def list(self, ctx: Context, *, all: bool = False) -> Listing[Key]:
        """Return the keys, newest first; `all` also those that cannot be used any more."""
        if ctx.scope.clients is not None:
            raise PermissionDenied(
                f"{ctx.actor.id} may see certain clients only, and keys are for all of them"
            )

        def read(tx: Tx) -> Listing[Key]:
            rows = KeyTable.select().order_by(KeyTable.created_at.desc(), KeyTable.id)
            items = tuple(key_of(row, tx.now) for row in rows if all or _usable(row, tx.now))
            return Listing(items=items, total=len(items))

        return await self._store.read(read)

    async def revoke(self, ctx: Context, ref: str) -> Key:
        """Make a key useless at once."""
        _require_person(ctx)

        def write(tx: Tx) -> Key:
            row = _find(ref, tx.now)
            row.revoked_at = tx.now
            row.save()
            return key_of(row, tx.now)

        return await self._store.write(write)

    async def rotate(self, ctx: Context, ref: str) -> NewKey:
        """Give a key a new text, with the same name and scope; the old text is useless at once."""
        _require_person(ctx)
        secret = secrets.token_urlsafe(32)

        def write(tx: Tx) -> Key:
            row = _find(ref, tx.now)
            row.hash, row.used_at = _hash(secret), None
            row.save()
            return key_of(row, tx.now)

        key = await self._store.write(write)
        return NewKey(key=key, text=f"{_PREFIX}_{key.id}_{secret}")


def _require_person(ctx: Context) -> None:
    if ctx.surface is not Surface.CLI or ctx.actor.kind != "local" or not ctx.records:
        raise PermissionDenied(
            "only a person on the command line may make or change keys",
            suggestion="Run: msp-toolkit key list",
        )


def _hash(secret: str) -> str:
    """Hash a key's secret part: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _usable(row: Any, now: datetime) -> bool:
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > now)


def _find(ref: str, now: datetime) -> Any:
    found = [row for row in KeyTable if ref.strip() in (row.id, row.name) and _usable(row, now)]
    if not found:
        raise NotFound(
            f"there is no usable key {ref[:40]!r}", suggestion="See: msp-toolkit key list"
        )
    return found[0]


def _note_use(tx: Tx, id: str) -> None:
    KeyTable.update(used_at=tx.now).where(KeyTable.id == id).execute()


def _row_of(tx: Tx, id: str) -> tuple[Any, ...] | None:
    """Read a key as it is stored; by hand, because every request does."""
    row: tuple[Any, ...] | None = tx.execute(_ROW, (id,)).fetchone()
    return row


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else json.loads(text)


def _principal(
    id: str,
    level: Level,
    patterns: Sequence[str] | None,
    clients: Sequence[str] | None,
    tool_names: Sequence[str],
) -> Principal:
    from fnmatch import fnmatchcase

    tools = None
    if patterns is not None:
        tools = frozenset(
            name for name in tool_names if any(fnmatchcase(name, one) for one in patterns)
        )
    scope = Scope(
        clients=None if clients is None else frozenset(clients),
        tools=tools,
        max_effect=max(level.effect, Effect.RECORD),
    )
    return Principal(
        actor=Actor(id=f"key:{id}", kind="key"), scope=scope, read_only=level is Level.READ
    )


def key_of(row: Any, now: datetime) -> Key:
    """Build a key's description from its row."""
    if row.revoked_at is not None:
        state = "revoked"
    else:
        state = "active" if _usable(row, now) else "expired"
    return Key(
        id=row.id,
        name=row.name,
        state=state,
        level=Level(row.level).value,
        tools=tuple(row.tools or ()),
        clients=tuple(row.clients or ()),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
    )

"""The store: one writer thread, a few reader threads, whole functions in transactions."""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from attrs import evolve

from msp_core.v1 import StoreError
from msp_store import failures
from msp_store.databases import Target
from msp_store.migrating import Ledger, Upgrade
from msp_store.models import route_thread
from msp_store.threads import ConnectionThreads
from msp_store.transaction import Transaction

if TYPE_CHECKING:
    from concurrent.futures import Future

    from msp_core.v1 import Migrations

T = TypeVar("T")

_inside: ContextVar[bool] = ContextVar("msp_store_inside", default=False)


def _system_now() -> datetime:
    return datetime.now(UTC)


class DatabaseStore:
    """One database; implements `msp_store.api.Store`."""

    def __init__(
        self,
        target: Target,
        migrations: Iterable["Migrations"] = (),
        *,
        now: Callable[[], datetime] = _system_now,
        readers: int = 4,
        reconnect_s: float = 10.0,
    ) -> None:
        self.target = target
        self.ledger = Ledger(migrations, where=target.where)
        self._now = now
        self._reconnect_s = reconnect_s
        self._writer_db = target.open(writer=True) if target.dialect == "postgresql" else None
        self._reader_db = target.open(writer=False)
        self._glance_db: Any = None
        self._writer = ConnectionThreads("msp-store-writer", 1, self._close_writer)
        self._readers = ConnectionThreads("msp-store-reader", readers, self._close_reader)
        self._opening: asyncio.Lock = asyncio.Lock()
        self._taken: list[Upgrade] = []
        self._ready = False
        self._connected = False

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which database it is."""
        return self.target.dialect

    async def write(
        self, fn: Callable[[Transaction], T], *, sync: bool = True, keep: bool = True
    ) -> T:
        """Run a whole plain function in one durable transaction and return what it returns."""
        _refuse_nesting("write")
        if not self._ready:
            await self.open()
        return await self.write_raw(fn, sync=sync, keep=keep)

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        """Run a plain function on one consistent snapshot and return what it returns."""
        _refuse_nesting("read")
        if not self._ready:
            await self.open()
        return await self.read_raw(fn)

    async def glance(self, fn: Callable[[Transaction], T]) -> T:
        """Read so little that SQLite is asked in this thread: handing it to another takes several times longer."""
        _refuse_nesting("read")
        if not self._ready:
            await self.open()
        if self.target.dialect == "postgresql":
            return await self.read_raw(fn)
        token = _inside.set(True)
        try:
            return self._run(self._glancing, fn)
        except StoreError as error:
            if error.details.get("reason") != "busy":
                raise
        finally:
            _inside.reset(token)
            route_thread(None)
        return await self.read_raw(fn)

    async def write_raw(
        self, fn: Callable[[Transaction], T], *, sync: bool = True, keep: bool = True
    ) -> T:
        """Write without looking at the migrations first."""
        work = partial(self._run, self._writing, fn, sync=sync, keep=keep)
        return await _finished(self._writer.submit(work))

    async def read_raw(self, fn: Callable[[Transaction], T]) -> T:
        """Read without looking at the migrations first."""
        return await _finished(self._readers.submit(partial(self._run, self._reading, fn)))

    async def open(self) -> None:
        """Bring the tables up to date, once; one query where there is nothing to do."""
        if not self._ready:
            async with self._opening:
                await self._open()

    async def _open(self) -> None:
        if not self._ready and await self.pending():
            await self.upgrade()
        self.target.remember()
        self._ready = True

    async def upgrade(self, *, anew: bool = False) -> tuple[Upgrade, ...]:
        """Apply what is missing, each step in a transaction of its own; return all steps this store has taken.

        With `anew` an empty database takes the place of one that is gone.
        """
        self.target.make(anew=anew)
        for step in self.ledger.steps:
            if await self.write_raw(partial(self.ledger.apply, step)):
                self._taken.append(step)
        return tuple(self._taken)

    async def pending(self) -> tuple[Upgrade, ...]:
        """Return the steps that have not been applied yet; raise StoreError for a database from a newer version."""
        if self.is_new():
            return self.ledger.steps
        return await self.read_raw(self.ledger.pending)

    def is_new(self) -> bool:
        """Tell whether the database has to be made first; raise StoreError where it was made and is gone."""
        return self.target.is_new()

    async def aclose(self) -> None:
        """Finish what is running and close every connection."""
        if self._glance_db is not None and not self._glance_db.is_closed():
            self._glance_db.close()
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Do the same without a loop."""
        self._readers.close()
        self._writer.close()

    def _close_writer(self) -> None:
        if self._writer_db is not None and not self._writer_db.is_closed():
            self._writer_db.close()

    def _close_reader(self) -> None:
        if not self._reader_db.is_closed():
            self._reader_db.close()

    def _writing(self) -> Any:
        if self._writer_db is None:
            self._writer_db = self.target.open(writer=True)
        return self._writer_db

    def _glancing(self) -> Any:
        if self._glance_db is None:
            target: Any = self.target
            self._glance_db = evolve(target, busy_timeout_s=0.0).open(writer=False)
        return self._glance_db

    def _reading(self) -> Any:
        return self._reader_db

    def _run(
        self,
        database_of: Callable[[], Any],
        fn: Callable[[Transaction], T],
        *,
        sync: bool = True,
        keep: bool = True,
    ) -> T:
        _inside.set(True)
        patience = _Patience(self._reconnect_s)
        while True:
            try:
                result = self._once(database_of(), fn, patience, sync=sync, keep=keep)
            except failures.ConnectionLost:
                if not self._connected or not patience.wait():
                    raise
            except Exception as error:
                translated = failures.translate(error, self.target.where)
                if translated is error:
                    raise
                raise translated from error
            else:
                self._connected = True
                return result

    def _once(
        self,
        database: Any,
        fn: Callable[[Transaction], T],
        patience: "_Patience",
        *,
        sync: bool,
        keep: bool,
    ) -> T:
        self._begin(database, sync=sync)
        try:
            result = fn(Transaction(database, self.dialect, self._now()))
            _refuse_coroutine(result)
        except BaseException as error:
            self._leave(database)
            if isinstance(error, Exception):
                lost = failures.translate(error, self.target.where)
                if isinstance(lost, failures.ConnectionLost):
                    raise lost from error
            raise
        if not keep:
            self._leave(database)
            return result
        try:
            database.commit()
        except Exception as error:
            self._leave(database)
            lost = failures.translate(error, self.target.where)
            if not isinstance(lost, failures.ConnectionLost):
                raise
            if not self._was_committed(database, patience):
                raise lost from error
            return result
        database.pop_transaction()
        return result

    def _was_committed(self, database: Any, patience: "_Patience") -> bool:
        """Find out whether a commit that got no answer was carried out; raise StoreError where nobody can tell."""
        while True:
            try:
                if database.is_closed():
                    database.connect()
                known: bool | None = database.was_committed()
            except Exception as error:
                database.close()
                if not isinstance(
                    failures.translate(error, self.target.where), failures.ConnectionLost
                ):
                    raise
                known = None
            if known is not None:
                return known
            if not patience.wait():
                raise StoreError(
                    f"The connection broke during the commit; nobody knows whether it was kept: {self.target.where}",
                    suggestion="Look at the records before doing it again",
                    reason="uncertain",
                )

    def _begin(self, database: Any, *, sync: bool) -> None:
        route_thread(database)
        try:
            if not database.is_closed() and database.is_broken():
                database.close()
            if database.is_closed():
                database.connect()
            database.begin_whole(sync=sync)
        except Exception as error:
            self._leave(database)
            raise failures.translate(error, self.target.where) from error
        database.push_transaction(self)

    @staticmethod
    def _leave(database: Any) -> None:
        """Roll back, or give the connection up where even that fails."""
        if database.in_transaction():
            database.pop_transaction()
        if database.is_closed():
            return
        try:
            database.rollback()
        except Exception:  # noqa: BLE001 - the first failure is the one to report
            database.close()


class _Patience:
    """Growing pauses, for so long in all."""

    def __init__(self, seconds: float) -> None:
        self._give_up = time.monotonic() + seconds
        self._pause = 0.05

    def wait(self) -> bool:
        """Sleep a little longer than the last time; return False instead where the time is up."""
        if time.monotonic() + self._pause > self._give_up:
            return False
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, 1.0)
        return True


def _refuse_nesting(verb: str) -> None:
    if _inside.get():
        raise failures.nested(verb)


def _refuse_coroutine(result: object) -> None:
    if inspect.iscoroutine(result):
        result.close()
        message = "the function given to Store.read or Store.write must be plain, not async"
        raise TypeError(message)


async def _finished(job: "Future[T]") -> T:
    """Wait for the end of the job, also when the caller is cancelled; then let the cancellation pass."""
    ended = _ended(job)
    try:
        await ended
    except asyncio.CancelledError:
        from anyio import CancelScope

        with CancelScope(shield=True):
            while not job.done():
                try:
                    await _ended(job)
                except asyncio.CancelledError:
                    continue
        raise
    return job.result()


def _ended(job: "Future[Any]") -> "asyncio.Future[None]":
    """Return a future of this loop that is done when the job is; cancelling it leaves the job alone."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not ended.done():
            ended.set_result(None)

    def tell(_job: "Future[Any]") -> None:
        with suppress(RuntimeError):  # nobody waits in a loop that is closed
            loop.call_soon_threadsafe(end)

    job.add_done_callback(tell)
    return ended

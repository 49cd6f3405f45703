"""`Database`: one writer thread whose writes share commits, and a few readers; bytes and threads, no nouns.

1. A write is a function of the connection, handed over with a future.
2. The writer takes what is waiting, runs each in a savepoint of one transaction, and commits once (WAL, synchronous
   FULL: the commit is on the disk). A write that fails is undone alone; a commit that fails fails all of them.
3. After the commit, and before any caller hears of it, `committed` runs: what is answered from memory is never older
   than what a caller was told.
4. When nothing is waiting, the writer looks whether another process has written, and runs `committed` then too.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway import limits
from gateway.errors import StoreError

T = TypeVar("T")


@dataclass(slots=True)
class _Write:
    run: Callable[[sqlite3.Connection], Any]
    future: Future[Any]
    result: Any = None
    error: BaseException | None = None


class Database:
    """One SQLite file, open. `committed` is called with the writer's connection, in the writer's thread."""

    def __init__(self, path: Path, committed: Callable[[sqlite3.Connection], None]) -> None:
        self._path = path
        self._committed = committed
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._writer = connect(path)
        self._version = _data_version(self._writer)
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for _ in range(limits.STORE_READERS):
            self._readers.put(connect(path, read_only=True))
        self._pool = ThreadPoolExecutor(limits.STORE_READERS, thread_name_prefix="store-reader")
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    def write(self, run: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Hand a write over; the future is done once it is durable, or has failed and left nothing."""
        future: Future[T] = Future()
        # Running from the start, so that it cannot be cancelled: a client that goes away must not leave it unknown
        # whether its publish was recorded.
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            self._waiting.put(_Write(run, future))
        return future

    def read(self, run: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run a function on one consistent state of the database, which holds every write that is done."""
        try:
            return self._pool.submit(self._read, run)
        except RuntimeError as error:
            raise StoreError("the store is closed") from error

    def close(self) -> None:
        """Finish what was handed over, then close; a second time does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._waiting.put(None)
        self._thread.join()
        self._pool.shutdown()
        for _ in range(limits.STORE_READERS):
            self._readers.get().close()
        self._writer.close()

    def _read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._readers.get()
        try:
            connection.execute("BEGIN")
            try:
                return run(connection)
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise _fault(error) from error
        finally:
            self._readers.put(connection)

    # --- the writer's thread --------------------------------------------------------------------------------------

    def _serve(self) -> None:
        stale = False
        while True:
            try:
                first = self._waiting.get(timeout=limits.STORE_WATCH_SECONDS)
            except queue.Empty:
                stale = self._watch(stale=stale)
                continue
            if first is None:
                return
            batch, last = self._take(first)
            stale = self._commit(batch, stale=stale)
            if last:
                return

    def _take(self, first: _Write) -> tuple[list[_Write], bool]:
        """What is waiting, up to one batch, and whether the store is to close after it."""
        batch = [first]
        while len(batch) < limits.STORE_BATCH:
            try:
                more = self._waiting.get_nowait()
            except queue.Empty:
                break
            if more is None:
                return batch, True
            batch.append(more)
        return batch, False

    def _commit(self, batch: list[_Write], *, stale: bool) -> bool:
        """Run and commit a batch; returns whether memory is behind the disk."""
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for write in batch:
                self._run(write)
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            for write in batch:
                write.error = _fault(error)
        else:
            try:
                self._committed(self._writer)
                stale = False
            except Exception as error:  # noqa: BLE001 - no caller may act on what memory does not know
                stale = True
                for write in batch:
                    write.error = write.error or StoreError(f"written, but not seen: {error}")
        for write in batch:
            _answer(write)
        return stale

    def _run(self, write: _Write) -> None:
        self._writer.execute("SAVEPOINT one")
        try:
            write.result = write.run(self._writer)
        except Exception as error:
            write.error = _fault(error) if isinstance(error, sqlite3.Error) else error
            if not self._writer.in_transaction:  # a full disk may undo everything by itself
                raise sqlite3.OperationalError(str(error)) from error
            self._writer.execute("ROLLBACK TO one")
        self._writer.execute("RELEASE one")

    def _undo(self) -> None:
        with suppress(sqlite3.Error):  # what cannot be undone lets no further transaction begin
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    def _watch(self, *, stale: bool) -> bool:
        try:
            version = _data_version(self._writer)
            if stale or version != self._version:
                self._committed(self._writer)
                self._version = version
        except Exception:  # noqa: BLE001 - looked at again in half a second; until then memory says that it is stale
            return True
        return False


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a connection whose transactions are our own to begin, durable at each commit."""
    connection = sqlite3.connect(
        path, timeout=limits.STORE_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        _keep_a_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _keep_a_log(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":  # a network file system, say: processes share neither locks nor memory on it
        raise sqlite3.NotSupportedError("no write-ahead log here; put the store on a local disk")


def _data_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _fault(error: sqlite3.Error) -> StoreError:
    return StoreError(f"the record: {error}")


def _answer(write: _Write) -> None:
    if write.error is not None:
        write.future.set_exception(write.error)
    else:
        write.future.set_result(write.result)

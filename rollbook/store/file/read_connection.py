"""The connection that reads: in the calling thread, or for an event loop in a thread of its own; one read at a time.

The thread begins with the first read that needs it, and ends with the process: a read that waits for another program
keeps nobody from ending. It knows no table.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

from rollbook.store.file.errors import SQLITE_FAILS, StoreDamaged, StoreError, translate

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
# Seconds that a read under way in another thread may take when the store is closed.
_LAST_READ: Final = 1.0


class ReadConnection:
    """Owns one connection, which sees every committed write. `read` and `submit` may be called from any thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._reading = threading.Lock()
        self._starting = threading.Lock()
        self._jobs: queue.SimpleQueue[tuple[Job[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def read(self, job: Job[T]) -> T:
        """Run `job` on the connection in the calling thread."""
        with self._reading:
            if self._closed:
                raise StoreError(f"{self._path} is closed")
            try:
                return job(self._connection)
            except SQLITE_FAILS as error:
                raise translate(error, self._path) from None
            except (LookupError, TypeError, AttributeError, ValueError) as error:
                if why := self._is_damaged():
                    raise StoreDamaged(f"{self._path}: the file is damaged ({why}); restore a copy") from error
                raise

    def _is_damaged(self) -> str | None:
        """What SQLite finds wrong with the file; None where it is well: then a mistake is ours."""
        try:
            found = str(self._connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        except SQLITE_FAILS as error:
            return str(error)
        return None if found == "ok" else " ".join(found.split())[:200]

    def submit(self, job: Job[T]) -> Future[T]:
        """Run `job` in the thread for reads, after those that wait; one that was cancelled by then is left out."""
        future: Future[T] = Future()
        with self._starting:
            if self._closed:
                raise StoreError(f"{self._path} is closed")
            self._jobs.put((job, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="store-reader", daemon=True)
                self._thread.start()
        return future

    def close(self) -> None:
        """Close the connection; never under a read, which SQLite would not survive. May be called twice.

        A read that waits for another program is not waited for: it ends with the process.
        """
        with self._starting:
            self._closed = True
            self._jobs.put(None)
        if self._reading.acquire(timeout=_LAST_READ):
            try:
                self._connection.close()
            finally:
                self._reading.release()

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, future = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self.read(job))
                except BaseException as error:
                    future.set_exception(error)
